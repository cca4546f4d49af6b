"""A recording that begins, goes on and ends with the training of a trainer."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from typing import Any

import numpy as np
from torch import nn

from rdmviz.errors import NoRowsYetError, OptionError, StepsError
from rdmviz.record.evaluation import plain
from rdmviz.record.recorder import Metrics, Recorder
from rdmviz.run import TrainingRun

__all__ = ["TrainerRecording", "numbers_of"]

_CHECKPOINT = "checkpoint"


class TrainerRecording:
    """What the callbacks of all trainers share.

    Parameters
    ----------
    path, probe, options
        As for :class:`rdmviz.Recorder`, with the choice ``drop_after="checkpoint"``: drop the rows after the
        step at which the training goes on.
    """

    def __init__(self, path: str | PathLike[str] | None, probe: Any, **options: Any) -> None:
        if probe is None:
            raise OptionError(
                "probe is None; expected the datapoints to watch: RecorderCallback(path, probe)"
            )
        self._path = path
        self._probe = probe
        self._options = options
        self._recorder: Recorder | None = None
        self._ended = False

    def rehearsal(self) -> TrainerRecording:
        """Return a recording with the same options that is kept in memory."""
        written = ("resume", "drop_after", "overwrite")
        options = {name: value for name, value in self._options.items() if name not in written}
        return TrainerRecording(None, self._probe, **options)

    def begin(self, step: int, *, resumed: bool = False) -> None:
        """Open the run for a training that starts at ``step``.

        Parameters
        ----------
        step
            Steps done so far.
        resumed
            The training goes on from a checkpoint that a recorded training left: so does its run.

        Raises
        ------
        StepsError
            The run has rows after this step.
        Exception
            As :class:`rdmviz.Recorder`.
        """
        if self._recorder is None or self._ended:
            options = dict(self._options)
            if self._path is not None and (resumed or self._ended):
                options |= {"resume": True, "overwrite": False}
            if self._ended and options.get("drop_after") != _CHECKPOINT:
                options.pop("drop_after", None)  # dropped when the run was opened first
            if options.get("drop_after") == _CHECKPOINT:
                del options["drop_after"]
                if options.get("resume") and step > 0:  # at 0 there is no checkpoint, and a run to lose
                    options["drop_after"] = step
            self._recorder = Recorder(self._path, self._probe, **options)
            self._ended = False
        last = self.last_step
        if last is not None and last > step:
            self.end()
            raise StepsError(
                f"the training starts at step {step}, and the run has rows up to step {last}, which it "
                f"would record again. If it goes on from a checkpoint, drop_after={_CHECKPOINT!r} drops the "
                f"rows after step {step}; otherwise pass another path"
            )

    def record(self, step: int, model: nn.Module, metrics: Metrics | None = None) -> bool:
        """Record a step that is due and not recorded yet."""
        last = self.last_step
        if self._recorder is None or self._ended or (last is not None and step <= last):
            return False
        return self._recorder.record(step, model, metrics)

    def flush(self) -> None:
        """Write what waits, so that the run is not behind a checkpoint."""
        if self._recorder is not None:
            self._recorder.flush()

    def end(self) -> None:
        """Close the run; one in memory stays open for a training that goes on."""
        if self._recorder is not None and self._path is not None:
            with self._recorder:
                self._ended = True

    @property
    def last_step(self) -> int | None:
        """Step of the last row."""
        return None if self._recorder is None else self._recorder.last_step

    @property
    def run(self) -> TrainingRun:
        """Everything recorded so far.

        Raises
        ------
        NoRowsYetError
            No training has started.
        """
        if self._recorder is None:
            raise NoRowsYetError("nothing was recorded yet; the training has not started")
        return self._recorder.run


def numbers_of(values: Mapping[str, Any]) -> dict[str, float]:
    """Return those values that are one number."""
    arrays = {name: np.asarray(plain(value)) for name, value in values.items()}
    return {
        name: float(array.reshape(()))
        for name, array in arrays.items()
        if array.size == 1 and array.dtype.kind in "fiub"
    }
