"""Recorder: one line in a training loop."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from numbers import Integral
from os import PathLike
from types import TracebackType
from typing import Any

import numpy as np
from torch import nn

from rdmviz.errors import OptionError, TruncatedStoreError
from rdmviz.record.evaluation import (
    Inputs,
    LossFn,
    checked_pair,
    count,
    plain,
    probe_losses,
    unchanged,
)
from rdmviz.record.losses import default_loss
from rdmviz.record.snapshots import Outputs, Snapshots, SnapshotTaker
from rdmviz.run import TrainingRun
from rdmviz.store import RunWriter
from rdmviz.store.places import at
from rdmviz.store.replacing import check_room
from rdmviz.store.rows import checked_row, checked_seconds, checked_step
from rdmviz.store.snapshots import Parts

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
        ``model(**inputs)``, datapoints first; NumPy arrays become tensors. Leave it out to :meth:`append`
        losses from elsewhere.
    loss_fn : callable, optional
        ``loss_fn(outputs, targets)`` gives one number per datapoint. By default cross-entropy for integer
        targets, squared error for real ones.
    metadata : mapping or DataFrame, optional
        Facts about the probe datapoints: name to ``n`` numbers, booleans or texts, or to pictures ``(n,
        height, width)`` with or without channels (see :meth:`TrainingRun.from_arrays`).
    every : int
        Record at steps that are multiples of this.
    snapshots : Snapshots, optional
        Weights, their singular values or representations to record at sparser steps, and losses there, too.
    batch_size : int, optional
        How many probe datapoints go through the model at once; all by default.
    dtype : dtype
        Precision of the recorded losses.
    name, attrs
        As in :meth:`rdmviz.TrainingRun.from_arrays`.
    overwrite : bool
        Replace a run at ``path``.
    flush_seconds : float
        Commit to ``path`` whenever a row comes this much after the last commit, so that a training that is
        killed keeps its rows up to about then, and others can follow it. A ``.zip`` is written at the end
        only.

    Raises
    ------
    StoreExistsError
        Something is at ``path``.
    OptionError
        An option has no meaning.
    ProbeError
        Inputs and targets of the probe differ in length, or ``metadata`` does not fit them.
    """

    def __init__(
        self,
        path: str | PathLike[str] | None = None,
        probe: tuple[Inputs, Any] | None = None,
        *,
        loss_fn: LossFn | None = None,
        metadata: Any = None,
        every: int = 1,
        snapshots: Snapshots | None = None,
        batch_size: int | None = None,
        dtype: Any = np.float32,
        name: str = "",
        attrs: Mapping[str, Any] | None = None,
        overwrite: bool = False,
        flush_seconds: float = 1.0,
    ) -> None:
        counts: dict[str, Any] = {"every": every, "batch_size": 1 if batch_size is None else batch_size}
        for option, value in counts.items():
            if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
                raise OptionError(f"{option}={value!r:.60}; expected an integer, at least 1")
        if str(getattr(dtype, "__name__", dtype)) not in ("float16", "float32", "float64"):
            raise OptionError(f"dtype={dtype!r}; expected float16, float32 or float64")
        checked_seconds(flush_seconds)
        self._probe = None if probe is None else checked_pair(probe)
        if self._probe is None and snapshots is not None:
            raise OptionError(
                "record(step, model) takes snapshots, and it needs a probe; pass probe=(inputs, targets)"
            )
        self._taker = None if snapshots is None else SnapshotTaker(snapshots)
        self._lock = threading.RLock()
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
            "flush_seconds": flush_seconds,
        }
        self._writer: RunWriter | None = None
        if self._probe is not None:
            self._writer = RunWriter(path, count(self._probe[1]), **self._options)
        elif path is not None:
            check_room(at(path), overwrite=overwrite)

    def due(self, step: int) -> bool:
        """Return whether ``step`` is one of those recorded.

        Raises
        ------
        StepsError
            Not an integer.
        """
        number = checked_step(step)
        return number % self._every == 0 or self._snapshot_due(number)

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
        LossShapeError, StepsError, MetricError, SnapshotError
            Nothing of the step is kept.
        OptionError
            The recorder was made without a probe, ``model`` is no Module, or it has no such layers as
            snapshots are to be taken of.
        """
        due = self.due(step)
        if not isinstance(model, nn.Module):
            raise OptionError(
                f"model is a {type(model).__name__}; expected a torch.nn.Module: record(step, model). "
                "For losses computed elsewhere use append(step, losses)"
            )
        if self._taker is not None:
            self._taker.check(model)
        if not due:
            return False
        if self._probe is None:
            raise OptionError("this Recorder has no probe; pass probe=(inputs, targets), or use append")
        inputs, targets = self._probe
        taker = self._taker if self._snapshot_due(checked_step(step)) else None
        watching = nullcontext[Outputs]({}) if taker is None else taker.watching(model)
        with unchanged(model):
            with watching as outputs:
                losses = probe_losses(model, inputs, targets, self._loss_fn, self._batch_size)
            measured = metrics() if callable(metrics) else metrics
        snapshot = None if taker is None else taker.parts(model, outputs, len(losses))
        self._append(step, losses, measured, snapshot)
        if taker is not None:
            taker.told(step, losses)
        return True

    def append(self, step: int, losses: Any, metrics: Mapping[str, float] | None = None) -> None:
        """Add losses ``(n,)`` computed elsewhere, by any framework, whether the step is due or not.

        Parameters
        ----------
        step : int
            Training step, larger than the one before.
        losses : array_like or Tensor, shape (n,)
            Loss of each datapoint.
        metrics : mapping, optional
            Name to number, or to a tensor of one.

        Raises
        ------
        LossShapeError, StepsError, MetricError
            Nothing of the row is kept, and nothing is created for a first row that does not fit.
        """
        self._append(step, losses, metrics)

    def _append(self, step: int, losses: Any, metrics: Any, snapshot: Parts | None = None) -> None:
        row = plain(losses)
        measured: Any = metrics
        if isinstance(metrics, Mapping):
            measured = {name: plain(value) for name, value in metrics.items()}
        with self._lock:
            if self._writer is None:
                checked_row(step, row, measured)
                self._writer = RunWriter(self._path, len(row), **self._options)
            self._writer.append(step, row, measured, snapshot)

    def _snapshot_due(self, step: int) -> bool:
        return self._taker is not None and self._taker.due(step)

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
        writer = self._writer
        if writer is None:
            raise TruncatedStoreError("nothing was recorded yet; record at least one step")
        writer.flush()
        return TrainingRun.from_store(writer.read())

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
