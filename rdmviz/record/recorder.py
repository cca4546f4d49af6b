"""Recorder: one line in a training loop."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import nullcontext, suppress
from numbers import Integral
from os import PathLike
from types import TracebackType
from typing import Any

import numpy as np
from torch import nn

from rdmviz.errors import NoRowsYetError, OptionError, StepsError, TruncatedStoreError
from rdmviz.record.distributed import Ranks, agreed, place_of, unwrapped
from rdmviz.record.evaluation import device_of, plain, probe_losses, unchanged
from rdmviz.record.gaussian_snapshots import Sharing
from rdmviz.record.nan_losses import NanTold, check_first_row
from rdmviz.record.probe import LossFn, Probe, as_probe, facts_of
from rdmviz.record.schedules import Schedule, checked_schedule, remembered, replay, told
from rdmviz.record.snapshots import Snapshots, SnapshotTaker
from rdmviz.run import TrainingRun
from rdmviz.store import RunStore, RunWriter, check_path
from rdmviz.store.places import at
from rdmviz.store.resuming import kept_at
from rdmviz.store.rows import checked_memory, checked_row, checked_seconds, checked_step
from rdmviz.store.snapshots import Parts

__all__ = ["Recorder"]

Metrics = Mapping[str, float] | Callable[[], Mapping[str, float]]
Measure = Callable[[np.ndarray], Mapping[str, float]]

_KEPT_ON_DEVICE = 2**28  # bytes of a probe that goes through the model in batches


class Recorder:
    """Records the loss of every probe datapoint while a network trains.

    ::

        with Recorder("run.rdmviz", (inputs, targets), every=4) as recorder:
            for step, batch in enumerate(batches):
                recorder.record(step, model, metrics={"lr": lr})
                ...  # the training step, as before
        run = recorder.run

    The model is looked at in evaluation mode, without gradients; modes, buffers, gradients and random states
    come back, so a recorded training ends in the same weights, bit for bit, as one that is not recorded.

    Parameters
    ----------
    path : path, URL or None
        Where to write: a folder, a ``.zip`` or an fsspec URL. None keeps the run in memory.
    probe : pair, Dataset or mapping, optional
        The fixed datapoints to watch, in one of three forms. Leave it out to :meth:`append` losses from
        elsewhere.

        - The pair ``(inputs, targets)``. ``inputs`` is a tensor, a tuple ``model(*inputs)`` or a mapping
          ``model(**inputs)``, datapoints first; NumPy arrays become tensors.
        - A map-style torch Dataset (or anything with a length and items by number) of ``(input, target)``
          pairs, longer tuples ``(input, ..., target)``, or dicts. It is read and stacked once.
        - A dict batch as Hugging Face models take it: ``input_ids``, ``attention_mask``, ``labels`` and so
          on. The model is called with all of it but the labels.
    loss_fn : callable, optional
        ``loss_fn(outputs, targets)``, or ``loss_fn(outputs, batch)`` for a dict batch, gives one number per
        datapoint. By default cross-entropy for integer targets, squared error for real ones, of the outputs
        or their ``logits``. Targets ``(n, length)`` of integers are token sequences, with cross-entropy
        against outputs ``(n, length, vocabulary)``: place by place in a pair, of the next token in a dict
        batch, where ``labels`` are the ``input_ids`` if there are none. Labels -100 and places whose
        ``attention_mask`` is 0 do not count, nor does a token that is predicted from such a place.
    per : str
        What is a datapoint of token sequences: each ``"sequence"``, with the mean over its tokens that count,
        or each ``"token"`` that counts. A ``loss_fn`` then gives one number per token, ``(n, length)``.
    metadata : mapping or DataFrame, optional
        Facts about the probe datapoints: name to ``n`` numbers, booleans or texts, or to pictures ``(n,
        height, width)`` with or without channels (see :meth:`TrainingRun.from_arrays`). With ``per="token"``
        they are facts about the sequences and are repeated, or ``(n, length)``, one for each token; columns
        ``sequence``, ``position`` and ``token`` (its number, unless you give its text) are added.
    every : int, schedule or callable
        Record at steps that are multiples of this; or as a schedule of :mod:`rdmviz.record.schedules` says,
        :class:`LogSpaced` or :class:`Adaptive`; or where ``every(step)`` holds.
    measure : callable, optional
        ``measure(losses)`` gives curves that follow from the losses ``(n,)`` of a row, name to number; they
        are recorded beside its metrics.
    snapshots : Snapshots, optional
        Weights, their singular values, representations or the Gaussian 2RDM to record at sparser steps, and
        losses there, too.
    batch_size : int, optional
        How many probe datapoints, or token sequences, go through the model at once; all by default.
    dtype : dtype
        Precision of the recorded losses.
    name, attrs
        As in :meth:`rdmviz.TrainingRun.from_arrays`.
    overwrite : bool
        Replace a run at ``path``.
    resume : bool
        Go on after the last row of the run at ``path``, with the same probe; where there is none, begin one.
        Its name, attrs and metadata stay as they were.
    drop_after : int, optional
        With ``resume``: drop the rows recorded after this step, to go on from an older checkpoint.
    flush_seconds : float
        Time between commits to ``path``: a training that is killed keeps its rows up to about then, and
        others can follow it. 0 commits every row before the training goes on. A ``.zip`` is written at the
        end only.
    memory_mb : float
        Where ``path`` cannot be written to in the middle of a training (the disk is full, or gone), this much
        waits in memory and is written once that is possible; rows beyond it are lost. A
        :class:`rdmviz.errors.RecordingWarning` says so at once, and again at the end.
    distributed : bool, optional
        Whether the ranks of torch.distributed record together: every rank makes the Recorder, with the same
        probe, and calls :meth:`record` at the same steps; each evaluates its share, and rank 0 writes, alone.
        By default yes, if there is a process group of several ranks. With False this process records by
        itself, for a training in which one rank alone has a Recorder.

    Raises
    ------
    StoreExistsError
        Something is at ``path``.
    StoreLockedError
        Another recorder writes to ``path``.
    StoreUnwritableError
        Nothing can be written to ``path``.
    OptionError
        An option has no meaning, or the probe is none of these kinds.
    LossShapeError
        There are fewer than two datapoints.
    ProbeError
        Parts of the probe differ in length or do not stack, its labels make no sense, or ``metadata`` does
        not fit it.
    """

    def __init__(
        self,
        path: str | PathLike[str] | None = None,
        probe: Any = None,
        *,
        loss_fn: LossFn | None = None,
        per: str = "sequence",
        metadata: Any = None,
        every: int | Schedule = 1,
        measure: Measure | None = None,
        snapshots: Snapshots | None = None,
        batch_size: int | None = None,
        dtype: Any = np.float32,
        name: str = "",
        attrs: Mapping[str, Any] | None = None,
        overwrite: bool = False,
        resume: bool = False,
        drop_after: int | None = None,
        flush_seconds: float = 1.0,
        memory_mb: float = 512.0,
        distributed: bool | None = None,
    ) -> None:
        size: Any = 1 if batch_size is None else batch_size
        if isinstance(size, bool) or not isinstance(size, Integral) or int(size) < 1:
            raise OptionError(f"batch_size={size!r:.60}; expected an integer, at least 1")
        if str(getattr(dtype, "__name__", dtype)) not in ("float16", "float32", "float64"):
            raise OptionError(f"dtype={dtype!r}; expected float16, float32 or float64")
        checked_seconds(flush_seconds)
        checked_memory(memory_mb)
        self._schedule = checked_schedule(every)
        self._probe: Probe | None = None if probe is None else as_probe(probe, loss_fn, per)
        if probe is None and snapshots is not None:
            raise OptionError("record(step, model) takes snapshots, and it needs a probe; pass probe=...")
        self._measure = measure
        self._taker: SnapshotTaker | None = None
        if self._probe is not None and snapshots is not None:
            self._taker = SnapshotTaker(snapshots, self._probe.samples)
        self._batch_size = batch_size
        self._lock = threading.RLock()
        self._dtype = np.dtype(dtype)
        self._last_step: int | None = None
        self._tell_of_nan = NanTold()
        self._path = path
        self._options: dict[str, Any] = {
            "probe": metadata,
            "dtype": dtype,
            "name": name,
            "attrs": attrs,
            "overwrite": overwrite,
            "resume": resume,
            "drop_after": drop_after,
            "flush_seconds": flush_seconds,
            "memory_mb": memory_mb,
        }
        self._writer: RunWriter | None = None
        rank, ranks = place_of(distributed)
        self._writes = rank == 0
        self._ranks = Ranks() if ranks > 1 and self._probe is not None else None
        if self._ranks is not None and self._probe is not None:
            self._ranks.check_same(self._probe)
        with agreed(self._ranks, "open the run"):
            if self._probe is not None:
                if attrs is None or isinstance(attrs, Mapping):
                    self._options["attrs"] = {
                        "recorder": {
                            **facts_of(self._probe, loss_fn, per),
                            **({} if self._taker is None else self._taker.facts),
                        },
                        **(attrs or {}),
                    }
                # None, not {}: a run that is resumed keeps what it has
                self._options["probe"] = self._probe.columns(metadata) or None
                if self._writes:
                    self._writer = RunWriter(path, self._probe.samples, **self._options)
            elif path is not None and self._writes:
                check_path(path, overwrite=overwrite, resume=resume, drop_after=drop_after)
                if resume and (kept := kept_at(at(path))) is not None:
                    self._writer = RunWriter(path, kept.shape[1], **self._options)
        if resume and (self._probe is not None or self._writer is not None):
            try:
                self._go_on()
            except BaseException:
                self._finish()  # else its lock stays as long as the traceback
                raise

    def _go_on(self) -> None:
        """Bring the last step, and the schedules, to where the run is that is resumed: on every rank."""
        steps = snapshots = np.empty(0, np.int64)
        store = None
        with agreed(self._ranks, "read the run"), suppress(NoRowsYetError):
            if self._writer is not None:
                store = self._writer.read()
                steps = store.steps
                # the row of a snapshot may be lost for want of memory
                snapshots = np.intersect1d(store.snapshots.steps, steps)
        self._last_step = self._replay(self._schedule, store, steps)
        if self._taker is not None:
            self._replay(self._taker.schedule, store, snapshots)

    def _replay(self, schedule: Schedule, store: RunStore | None, steps: np.ndarray) -> int | None:
        """Tell a schedule of the rows at these steps, and return the last of them."""
        steps = steps[max(0, len(steps) - remembered(schedule)) :]
        rows = np.empty((0, 0), self._dtype)
        with agreed(self._ranks, "read the last rows"):
            if store is not None and len(steps):
                rows = np.stack([store.rows(at, at + 1)[0] for at in np.searchsorted(store.steps, steps)])
        if self._ranks is not None:
            steps, rows = self._ranks.of_first(steps), self._ranks.of_first(rows)
        replay(schedule, steps, rows)
        return int(steps[-1]) if len(steps) else None

    def due(self, step: int) -> bool:
        """Return whether ``step`` is one of those recorded.

        Raises
        ------
        StepsError
            Not an integer.
        """
        number = checked_step(step)
        return bool(self._schedule(number)) or self._takes_snapshot(number)

    def _takes_snapshot(self, step: int) -> bool:
        return self._taker is not None and bool(self._taker.schedule(step))

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
        NonFiniteLossError
            A loss is NaN at the first step that is recorded. Later it is what the training came to: it is
            recorded, and a warning tells of it once.
        OptionError
            The recorder was made without a probe, the probe has no default loss for what the model gives,
            ``model`` is no Module, or it has no such layers as snapshots are to be taken of.
        """
        number = checked_step(step)
        taker = self._taker if self._takes_snapshot(number) else None
        due = taker is not None or bool(self._schedule(number))
        if not isinstance(model, nn.Module):
            raise OptionError(
                f"model is a {type(model).__name__}; expected a torch.nn.Module: record(step, model). "
                "For losses computed elsewhere use append(step, losses)"
            )
        if self._last_step is not None and step <= self._last_step:
            way_out = ". To record on from an older checkpoint pass resume=True and drop_after=step"
            raise StepsError(
                f"step {step} after step {self._last_step}; expected an increasing integer"
                f"{way_out if self._options['resume'] else '. Count on over epochs'}"
            )
        if self._taker is not None:
            self._taker.check(model)
        if not due:
            return False
        if self._probe is None:
            raise OptionError("this Recorder has no probe; pass probe=(inputs, targets), or use append")
        model = unwrapped(model)
        with agreed(self._ranks, "record its row", step):
            with unchanged(model):
                losses, seen = self._losses(step, model, self._probe, taker)
                drawn = {} if taker is None else taker.drawn(model, self._probe, losses, self._shared(step))
                measured = metrics() if callable(metrics) else metrics
            if self._last_step is None:
                check_first_row(step, losses)
            snapshot = None if taker is None or not self._writes else taker.parts(model, seen, drawn)
            self._append(number, losses, measured, snapshot)
        self._taken(number, losses)  # once all ranks have it
        if taker is not None:
            told(taker.schedule, number, losses, self._dtype)
        if self._writes:
            self._tell_of_nan(step, losses, stacklevel=2)
        return True

    def _losses(
        self, step: int, model: nn.Module, probe: Probe, taker: SnapshotTaker | None
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Return losses (n,), and what layers made of the probe, if a snapshot is taken."""
        seen: dict[str, np.ndarray] = {}

        def evaluate(part: Probe) -> np.ndarray:
            with nullcontext() if taker is None else taker.watching(model, part, seen):
                return probe_losses(model, part, self._batch_size)

        if self._batch_size is None or probe.nbytes <= _KEPT_ON_DEVICE:
            probe = self._probe = probe.on(device_of(model))  # once: it stays there
        if self._ranks is None:
            return evaluate(probe), seen
        share = self._ranks.share(probe.items)
        self._ranks.take_buffers_of_first(model)

        def evaluate_share() -> np.ndarray:
            if share.start == share.stop:  # more ranks than datapoints
                return np.empty(0)
            return evaluate(probe.part(share))

        losses = self._ranks.losses(step, evaluate_share)
        layers = () if taker is None else taker.layers(model)
        return losses, {layer: self._ranks.rows(layer, seen.get(layer)) for layer in layers}

    def _shared(self, step: int) -> Sharing:
        """Return how ranks evaluate rows of losses ``(rows, n)`` together: a share of datapoints each."""
        ranks = self._ranks

        def rows(probe: Probe, evaluate: Callable[[Probe], np.ndarray]) -> np.ndarray:
            if ranks is None:
                return evaluate(probe)
            share = ranks.share(probe.items)

            def flat() -> np.ndarray:  # datapoint by datapoint, so that shares follow each other
                empty = share.start == share.stop
                return np.empty(0) if empty else evaluate(probe.part(share)).T.ravel()

            return ranks.losses(step, flat).reshape(probe.samples, -1).T

        return rows

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
        with self._lock:
            self._append(step, losses, metrics)
            self._taken(checked_step(step), plain(losses))

    def _append(self, step: int, losses: Any, metrics: Any, snapshot: Parts | None = None) -> None:
        row = plain(losses)
        measured: Any = metrics
        if isinstance(metrics, Mapping):
            measured = {name: plain(value) for name, value in metrics.items()}
        if self._measure is not None and (metrics is None or isinstance(metrics, Mapping)):
            measured = {**self._measure(np.asarray(row)), **(measured or {})}
        with self._lock:
            if self._writer is None:
                checked_row(step, row, measured, last=self._last_step)
                if self._writes:
                    self._writer = RunWriter(self._path, len(row), **self._options)
            if self._writer is not None:
                self._writer.append(step, row, measured, snapshot)

    def _taken(self, step: int, row: Any) -> None:
        self._last_step = step
        # as it is stored, so that a recording that is resumed from there sees the same
        told(self._schedule, step, row, self._dtype)

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
