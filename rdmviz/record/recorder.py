"""Recorder: one line in a training loop."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from os import PathLike
from types import TracebackType
from typing import Any

import numpy as np
from torch import nn

from rdmviz.errors import OptionError, TruncatedStoreError
from rdmviz.record.evaluation import Inputs, LossFn, count, probe_losses, unchanged
from rdmviz.record.losses import default_loss
from rdmviz.run import TrainingRun
from rdmviz.store import RunWriter
from rdmviz.store.places import at
from rdmviz.store.replacing import clear

__all__ = ["Recorder"]

Metrics = Mapping[str, float] | Callable[[], Mapping[str, float]]


class Recorder:
    """Records the loss of every probe datapoint while a network trains.

    ::

        with Recorder("run.rdmviz", (inputs, targets), every=4) as recorder:
            for step, batch in enumerate(batches):
                recorder.record(step, model, metrics={"lr": lr})
                ...  # the training step, as before
        run = recorder.run

    The model is looked at in evaluation mode, without gradients; modes and random states come back, so
    a recorded training ends in the same weights, bit for bit, as one that is not recorded.

    Parameters
    ----------
    path : path, URL or None
        Where to write: a folder, a ``.zip`` or an fsspec URL. None keeps the run in memory.
    probe : (inputs, targets), optional
        The fixed datapoints to watch. ``inputs`` is a tensor, a tuple ``model(*inputs)`` or a mapping
        ``model(**inputs)``, datapoints first; leave it out to :meth:`append` losses from elsewhere.
    loss_fn : callable, optional
        ``loss_fn(outputs, targets)`` gives one number per datapoint. By default cross-entropy for integer
        targets, squared error for real ones.
    metadata : mapping or DataFrame, optional
        Facts about the probe datapoints: name to ``n`` numbers, booleans or texts.
    every : int
        Record at steps that are multiples of this.
    batch_size : int, optional
        How many probe datapoints go through the model at once; all by default.
    dtype : dtype
        Precision of the recorded losses.
    name, attrs
        As in :meth:`rdmviz.TrainingRun.from_arrays`.
    overwrite : bool
        Replace a run at ``path``.

    Raises
    ------
    StoreExistsError
        Something is at ``path``.
    OptionError
        An option has no meaning.
    """

    def __init__(
        self,
        path: str | PathLike[str] | None = None,
        probe: tuple[Inputs, Any] | None = None,
        *,
        loss_fn: LossFn | None = None,
        metadata: Any = None,
        every: int = 1,
        batch_size: int | None = None,
        dtype: Any = np.float32,
        name: str = "",
        attrs: Mapping[str, Any] | None = None,
        overwrite: bool = False,
    ) -> None:
        if every < 1 or (batch_size is not None and batch_size < 1):
            raise OptionError(f"every={every}, batch_size={batch_size}; expected at least 1")
        if str(getattr(dtype, "__name__", dtype)) not in ("float16", "float32", "float64"):
            raise OptionError(f"dtype={dtype!r}; expected float16, float32 or float64")
        if probe is not None and (not isinstance(probe, tuple) or len(probe) != 2):
            raise OptionError(f"probe is a {type(probe).__name__}; expected the pair (inputs, targets)")
        self._probe = probe
        self._loss_fn = loss_fn or default_loss
        self._every = every
        self._batch_size = batch_size
        self._path = path
        self._options: dict[str, Any] = {
            "probe": metadata,
            "dtype": dtype,
            "name": name,
            "attrs": attrs,
            "overwrite": overwrite,
        }
        self._writer: RunWriter | None = None
        if probe is not None:
            self._writer = RunWriter(path, count(probe[1]), **self._options)
        elif path is not None:
            clear(at(path), overwrite=overwrite, dry=True)

    def due(self, step: int) -> bool:
        """Return whether ``step`` is one of those recorded."""
        return step % self._every == 0

    def record(self, step: int, model: nn.Module, metrics: Metrics | None = None) -> bool:
        """Record the model at a step, if the step is due, and return whether it was.

        Parameters
        ----------
        step : int
            Training step, larger than the one before.
        model : Module
            Called as ``model(inputs)`` on its own device.
        metrics : mapping or callable, optional
            Curves beside the losses, name to number; a callable is asked only when the step is due.

        Raises
        ------
        LossShapeError, StepsError, MetricError
            Nothing of the step is kept.
        OptionError
            The recorder was made without a probe.
        """
        if not self.due(step):
            return False
        if self._probe is None:
            raise OptionError("this Recorder has no probe; pass probe=(inputs, targets), or use append")
        inputs, targets = self._probe
        with unchanged(model):
            losses = probe_losses(model, inputs, targets, self._loss_fn, self._batch_size)
            measured = metrics() if callable(metrics) else metrics
        self.append(step, losses, measured)
        return True

    def append(self, step: int, losses: Any, metrics: Mapping[str, float] | None = None) -> None:
        """Add losses ``(n,)`` computed elsewhere, by any framework, whether the step is due or not."""
        if self._writer is None:
            self._writer = RunWriter(self._path, np.size(losses), **self._options)
        self._writer.append(step, losses, metrics)

    def flush(self) -> None:
        """Make everything recorded so far readable by others."""
        if self._writer is not None:
            self._writer.flush()

    def close(self) -> TrainingRun:
        """End the recording and return the run."""
        self._finish()
        return self.run

    @property
    def run(self) -> TrainingRun:
        """Everything recorded so far, as a run of its own.

        Raises
        ------
        TruncatedStoreError
            Nothing was recorded yet.
        """
        if self._writer is None:
            raise TruncatedStoreError("nothing was recorded yet; record at least one step")
        self.flush()
        return TrainingRun.from_store(self._writer.read())

    def _finish(self) -> None:
        if self._writer is not None:
            self._writer.close()

    def __enter__(self) -> Recorder:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # What was recorded before a failure is what one wants to look at after it.
        self._finish()
