"""Recording a training of the transformers Trainer: one more callback."""

from __future__ import annotations

import os
import weakref
from os import PathLike
from typing import Any

from rdmviz.errors import MissingExtraError
from rdmviz.record.trainer import TrainerRecording, numbers_of
from rdmviz.run import TrainingRun

try:
    from transformers import TrainerCallback
except ImportError as error:
    raise MissingExtraError(
        'recording a training of transformers needs it: pip install "rdmviz[transformers]"'
    ) from error

__all__ = ["RecorderCallback"]


class RecorderCallback(TrainerCallback):  # type: ignore[misc, unused-ignore]  # transformers is not looked into
    """Records the loss of every probe datapoint while the transformers Trainer trains.

    ::

        Trainer(..., callbacks=[RecorderCallback("run.rdmviz", batch, every=10)])

    A row is the model before the first step, or after as many optimiser steps as ``state.global_step`` says,
    with the numbers of the last log: ``loss``, ``learning_rate``, ``grad_norm`` and whatever else is logged.
    The model is called as in training, in its mixed precision. Several ranks share the probe out, and rank 0
    writes.

    The run is closed when the training ends, and where it fails at the latest with the process; call
    :meth:`close` to have it closed before. A training that goes on from a checkpoint goes on in the run at
    ``path``. The rows are written when a checkpoint is, so that a run is never behind it.

    Parameters
    ----------
    path, probe, options
        As for :class:`rdmviz.Recorder`, with the choice ``drop_after="checkpoint"``: drop the rows after the
        step of the checkpoint that the training goes on from.

    Raises
    ------
    OptionError
        There is no probe. Everything else is told when the training starts, by ``trainer.train``: what
        :class:`rdmviz.Recorder` raises, and ``StepsError`` for a run with rows after the step that the
        training starts at.
    """

    def __init__(self, path: str | PathLike[str] | None, probe: Any, **options: Any) -> None:
        self._recording = TrainerRecording(path, probe, **options)
        self._logged: dict[str, float] = {}
        self._waits = False
        # the trainer tells nobody of a training that fails
        weakref.finalize(self, _end, self._recording, os.getpid())

    @property
    def run(self) -> TrainingRun:
        """Everything recorded so far, on the rank that writes."""
        return self._recording.run

    def close(self) -> None:
        """Close the run of a training that failed."""
        self._recording.end()

    def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
        """Open the run, and record the model before the first step."""
        self._logged.clear()
        self._recording.begin(state.global_step, resumed=state.global_step > 0)
        self._record(state, model)

    def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
        """Record the step, if it is due, once its log is there."""
        self._waits = True
        if not control.should_log:
            self._record(state, model)

    def on_log(
        self, args: Any, state: Any, control: Any, model: Any = None, logs: Any = None, **kwargs: Any
    ) -> None:
        """Take the numbers of a log."""
        self._logged |= numbers_of(logs or {})
        if self._waits:
            self._record(state, model)

    def on_step_begin(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
        """Record a step whose log never came, before the weights change."""
        if self._waits:
            self._record(state, model)

    def on_epoch_end(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
        """Record a step whose log never came, before other weights are loaded."""
        if self._waits:
            self._record(state, model)

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Write the rows that belong to the checkpoint."""
        self._recording.flush()

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Close the run."""
        self._recording.end()

    def _record(self, state: Any, model: Any) -> None:
        self._waits = False
        self._recording.record(state.global_step, model, self._logged)


def _end(recording: TrainerRecording, pid: int) -> None:
    if os.getpid() == pid:  # a worker that was forked has the callback too, and not the run
        recording.end()
