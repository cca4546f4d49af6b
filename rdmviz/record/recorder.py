"""Recorder: one line in a training loop."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from numbers import Integral
from os import PathLike
from types import TracebackType
from typing import Any

import numpy as np
from torch import nn

from rdmviz.errors import OptionError, TruncatedStoreError
from rdmviz.record.distributed import Ranks, agreed, place_of, unwrapped
from rdmviz.record.evaluation import (
    Inputs,
    LossFn,
    checked_pair,
    count,
    part_of,
    plain,
    probe_losses,
    unchanged,
)
from rdmviz.record.losses import default_loss
from rdmviz.run import TrainingRun
from rdmviz.store import RunWriter
from rdmviz.store.places import at
from rdmviz.store.replacing import check_room
from rdmviz.store.rows import checked_row, checked_seconds, checked_step

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
    distributed : bool, optional
        Whether the ranks of torch.distributed record together: every rank makes the Recorder, with the same
        probe, and calls :meth:`record` at the same steps; each evaluates its share, and rank 0 writes, alone.
        By default yes, if there is a process group of several ranks. With False this process records by
        itself, for a training in which one rank alone has a Recorder.

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
        batch_size: int | None = None,
        dtype: Any = np.float32,
        name: str = "",
        attrs: Mapping[str, Any] | None = None,
        overwrite: bool = False,
        flush_seconds: float = 1.0,
        distributed: bool | None = None,
    ) -> None:
        counts: dict[str, Any] = {"every": every, "batch_size": 1 if batch_size is None else batch_size}
        for option, value in counts.items():
            if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
                raise OptionError(f"{option}={value!r:.60}; expected an integer, at least 1")
        if str(getattr(dtype, "__name__", dtype)) not in ("float16", "float32", "float64"):
            raise OptionError(f"dtype={dtype!r}; expected float16, float32 or float64")
        checked_seconds(flush_seconds)
        self._probe = None if probe is None else checked_pair(probe)
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
        self._last_step: int | None = None
        rank, size = place_of(distributed)
        self._writes = rank == 0
        self._ranks = Ranks() if size > 1 and self._probe is not None else None
        if self._ranks is not None:
            self._ranks.check_same(self._probe)
        with agreed(self._ranks, "open the run"):
            if not self._writes:
                return
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
        return checked_step(step) % self._every == 0

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
            The recorder was made without a probe, or ``model`` is no Module.
        """
        due = self.due(step)
        if not isinstance(model, nn.Module):
            raise OptionError(
                f"model is a {type(model).__name__}; expected a torch.nn.Module: record(step, model). "
                "For losses computed elsewhere use append(step, losses)"
            )
        if not due:
            return False
        if self._probe is None:
            raise OptionError("this Recorder has no probe; pass probe=(inputs, targets), or use append")
        model = unwrapped(model)
        with agreed(self._ranks, "record its row", step):
            with unchanged(model):
                losses = self._losses(step, model)
                measured = metrics() if callable(metrics) else metrics
            self.append(step, losses, measured)
        return True

    def _losses(self, step: int, model: nn.Module) -> np.ndarray:
        assert self._probe is not None
        inputs, targets = self._probe
        if self._ranks is None:
            return probe_losses(model, inputs, targets, self._loss_fn, self._batch_size)
        share = self._ranks.share(count(targets))
        self._ranks.take_buffers_of_first(model)

        def evaluate() -> np.ndarray:
            if share.start == share.stop:  # more ranks than datapoints
                return np.empty(0)
            part = part_of(inputs, share), targets[share]
            return probe_losses(model, *part, self._loss_fn, self._batch_size)

        return self._ranks.losses(step, evaluate)

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
        row = plain(losses)
        measured: Any = metrics
        if isinstance(metrics, Mapping):
            measured = {name: plain(value) for name, value in metrics.items()}
        with self._lock:
            if self._writer is None:
                checked_row(step, row, measured, last=self._last_step)
                if self._writes:
                    self._writer = RunWriter(self._path, len(row), **self._options)
            if self._writer is not None:
                self._writer.append(step, row, measured)
            self._last_step = checked_step(step)

    def flush(self) -> None:
        """Make everything recorded so far readable by others."""
        if self._writer is not None:
            self._writer.flush()

    def close(self) -> TrainingRun:
        """End the recording and return the run; on ranks that do not write there is none, but None."""
        self._finish()
        run: Any = self.run if self._writes else None
        return run  # type: ignore[no-any-return]  # a run for everyone who has not asked for ranks

    @property
    def last_step(self) -> int | None:
        """Step of the last row, on every rank; None before the first."""
        return self._last_step

    @property
    def run(self) -> TrainingRun:
        """Everything recorded so far, as a run of its own.

        Raises
        ------
        TruncatedStoreError
            Nothing was recorded yet.
        OptionError
            Another rank has it.
        """
        if not self._writes:
            raise OptionError("this rank records nothing by itself; the run is with rank 0")
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
