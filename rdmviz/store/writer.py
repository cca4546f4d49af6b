"""Writing a run: rows are buffered, written in whole blocks, and counted last."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from zarr.abc.store import Store
from zarr.core.buffer import Buffer
from zarr.storage import MemoryStore

from rdmviz.errors import LossShapeError, StoreExistsError
from rdmviz.pictures import picture_dims
from rdmviz.store.layout import COMPRESSORS, KEY, PLAIN, SCHEMA, array_names, chunk_rows, encode_text
from rdmviz.store.places import at, is_zip, openable, reading
from rdmviz.store.reader import RunStore
from rdmviz.store.replacing import replacing, write_zip
from rdmviz.store.rows import checked_row, checked_seconds
from rdmviz.store.snapshots import Parts, SnapshotWriter
from rdmviz.validation import checked_attrs, checked_probe

__all__ = ["RunWriter"]


class RunWriter:
    """Appends rows to a new store.

    Rows wait in memory until a chunk of them is there, or an append comes ``flush_seconds`` after the last
    commit; then they are written and committed. Who opens the store meanwhile sees whole rows only, and a
    run that is killed keeps what was committed. Threads may share a writer.

    Parameters
    ----------
    path : path, URL or None
        Where to write; None keeps the run in memory. A ``.zip`` is written when the writer is closed.
    samples : int
        Number of datapoints.
    probe, name, attrs
        As in :meth:`rdmviz.TrainingRun.from_arrays`.
    dtype : dtype
        Precision of the losses: float16, float32 or float64.
    overwrite : bool
        Replace a run that is there already.
    flush_seconds : float
        Commit whenever an append comes this much after the last commit; 0 commits every row.


    Raises
    ------
    StoreExistsError
        Something is at the path.
    OptionError
        ``flush_seconds`` is no duration.
    """

    def __init__(
        self,
        path: str | PathLike[str] | None,
        samples: int,
        *,
        probe: Any = None,
        name: str = "",
        attrs: Mapping[str, Any] | None = None,
        dtype: Any = np.float32,
        overwrite: bool = False,
        flush_seconds: float = 1.0,
    ) -> None:
        checked_seconds(flush_seconds)
        if samples < 2:
            raise LossShapeError(f"{samples} datapoint(s); expected at least two")
        columns = checked_probe(probe, samples)
        facts = checked_attrs(attrs)
        self._place = None if path is None else at(path)
        self._files: dict[str, Buffer] = {}
        self._store: Store
        self._lock = threading.RLock()
        self._flush_seconds = flush_seconds
        self._samples = samples
        self._dtype = np.dtype(dtype)
        self._written = 0
        self._last_step: int | None = None
        self._steps: list[int] = []
        self._rows: list[np.ndarray] = []
        self._measured: list[dict[str, float]] = []
        self._metrics: dict[str, str] = {}
        self._curves: dict[str, zarr.Array[Any]] = {}
        self._head: dict[str, Any] = {"schema": PLAIN, "rows": 0, "name": str(name), "attrs": facts}
        self._snapshots = SnapshotWriter(self._new, samples)
        self.identity = uuid.uuid4().hex  # tells this recording from any other at the same path
        self.closed = False
        if self._place is None:
            self._store = MemoryStore(self._files)
            self._create(columns)
            return
        with replacing(self._place, overwrite=overwrite):
            if is_zip(self._place):
                self._store = MemoryStore(self._files)
            else:
                self._store = openable(self._place, read_only=False)
            self._create(columns)

    def append(
        self,
        step: int,
        losses: Any,
        metrics: Mapping[str, float] | None = None,
        snapshot: Parts | None = None,
    ) -> None:
        """Add one row.

        Parameters
        ----------
        step : int
            Training step, larger than the one before.
        losses : array_like, shape (n,)
            Loss of each datapoint.
        metrics : mapping, optional
            Name to number; a metric that a row does not give is NaN there.
        snapshot : mapping, optional
            Kind and layer to array. It is written and committed at once, the row with it.

        Raises
        ------
        LossShapeError, StepsError, MetricError, SnapshotError
            The row does not fit; nothing of it is kept.
        """
        with self._lock:
            if self.closed:
                raise StoreExistsError(
                    f"step {step!r:.60} came after the store was closed; record into a new one"
                )
            number, row, measured = checked_row(
                step, losses, metrics, samples=self._samples, last=self._last_step
            )
            if snapshot is not None:
                self._snapshots.check(number, snapshot)
                self._snapshots.add(number, snapshot)
            self._steps.append(number)
            with np.errstate(over="ignore"):  # a loss beyond float32 is recorded as infinite, and shown so
                self._rows.append(row.astype(self._dtype))
            self._measured.append(measured)
            self._last_step = number
            waited = time.monotonic() - self._committed_at
            if snapshot is not None or len(self._rows) >= self._height or waited >= self._flush_seconds:
                self.flush()

    def append_block(self, steps: np.ndarray, losses: np.ndarray) -> None:
        """Write rows ``(b, n)`` that are known to be valid, without committing them."""
        with self._lock:
            self._extend(steps, losses)
            self._written += len(steps)

    def put_snapshot(self, step: int, parts: Parts) -> None:
        """Write a snapshot, without committing it."""
        with self._lock:
            self._snapshots.check(step, parts)
            self._snapshots.add(step, parts)
            self._snapshots.write()

    def flush(self) -> None:
        """Write and commit the rows and snapshots that wait in memory."""
        with self._lock:
            if self.closed:
                return
            if self._rows:
                for name in dict.fromkeys(name for row in self._measured for name in row):
                    if name not in self._metrics:
                        self._add_metric(name)
                start = self._written
                self._extend(np.array(self._steps, dtype=np.int64), np.stack(self._rows))
                for name in self._metrics:
                    values = [row.get(name, np.nan) for row in self._measured]
                    self._put(self._curves[name], np.array(values), start)
                # Counted last: a flush that fails half way is repeated over the same rows.
                self._written += len(self._rows)
                self._steps.clear()
                self._rows.clear()
                self._measured.clear()
            try:
                self._snapshots.write()
            finally:  # rows are small: there may be room for them
                self._commit()

    def close(self) -> None:
        """Write what waits and end the store; appending afterwards is an error."""
        with self._lock:
            if self.closed:
                return
            self.flush()
            if isinstance(self._place, Path) and is_zip(self._place):
                write_zip(self.memory, self._place)
            self.closed = True

    @property
    def memory(self) -> dict[str, bytes]:
        """Files of a store that is kept in memory, by name; empty for one that is not."""
        return {key: buffer.to_bytes() for key, buffer in self._files.items()}

    def read(self) -> RunStore:
        """Return the committed rows for reading."""
        with self._lock:
            if self._place is None or is_zip(self._place):
                return RunStore(self._store, "the run in memory")
            return RunStore(reading(self._place), str(self._place))

    def put_metrics(self, metrics: Mapping[str, np.ndarray]) -> None:
        """Write whole metric curves ``(T,)`` beside rows written by :meth:`append_block`."""
        for name, values in metrics.items():
            self._add_metric(name)
            self._put(self._curves[name], values, 0)

    def _create(self, probe: Mapping[str, np.ndarray]) -> None:
        self._group = zarr.create_group(self._store, zarr_format=3)
        self._height = chunk_rows(self._samples, self._dtype.itemsize)
        self._loss = self._new(
            "loss", (0, self._samples), (self._height, self._samples), self._dtype, ("step", "sample")
        )
        self._step = self._new("step", (0,), (4096,), np.dtype(np.int64))
        self._group.create_group("metrics")
        self._group.create_group("probe")
        entries = []
        for name, array in array_names(probe).items():
            values = probe[name]
            kind = "image" if values.ndim > 1 else "text" if values.dtype.kind == "U" else "number"
            entries.append({"name": name, "array": array, "kind": kind})
            if kind == "text":
                data, ends = encode_text(values)
                self._fill(f"probe/{array}", data, f"{array}_bytes")
                self._fill(f"probe/{array}_ends", ends, "sample")
            elif kind == "image":
                self._head["schema"] = SCHEMA
                self._fill(f"probe/{array}", values, *picture_dims(array, values.ndim))
            else:
                self._fill(f"probe/{array}", values, "sample")
        self._head["probe"] = entries
        self._commit()

    def _new(
        self,
        path: str,
        shape: tuple[int, ...],
        chunks: tuple[int, ...],
        dtype: np.dtype[Any],
        dims: tuple[str, ...] = ("step",),
    ) -> zarr.Array[Any]:
        return self._group.create_array(
            path,
            shape=shape,
            chunks=chunks,
            dtype=dtype,
            compressors=COMPRESSORS,
            # NaN, and every chunk written: a chunk that is lost can be told from losses that are zero
            fill_value=dtype.type(np.nan if dtype.kind == "f" else 0),
            config={"write_empty_chunks": True},
            dimension_names=dims,
        )

    def _fill(self, path: str, values: np.ndarray, *dims: str) -> None:
        # a page of pictures is a few of many, so their chunks are small
        most = 2**22 if values.ndim == 1 else max(1, 2**18 // values[0].nbytes)
        chunk = int(np.clip(len(values), 1, most))
        array = self._new(path, values.shape, (chunk, *values.shape[1:]), values.dtype, dims)
        if values.size:
            array[:] = values

    def _add_metric(self, name: str) -> None:
        named = array_names([name], taken=self._metrics.values())
        array = self._new(f"metrics/{named[name]}", (self._written,), (4096,), np.dtype(np.float64))
        if self._written:
            array[:] = np.nan
        self._metrics |= named
        self._curves[name] = array  # kept: an array that is opened again would leave out chunks of NaN

    def _extend(self, steps: np.ndarray, losses: np.ndarray) -> None:
        self._put(self._loss, losses, self._written)
        self._put(self._step, steps, self._written)

    @staticmethod
    def _put(array: zarr.Array[Any], values: np.ndarray, start: int) -> None:
        stop = start + len(values)
        if array.shape[0] < stop:
            array.resize((stop, *array.shape[1:]))
        array[start:stop] = values

    def _commit(self) -> None:
        self._head["rows"], self._head["id"] = self._written, self.identity
        self._head["metrics"] = [{"name": name, "array": array} for name, array in self._metrics.items()]
        if snapshots := self._snapshots.head:
            self._head["snapshots"] = snapshots
        self._group.attrs[KEY] = self._head  # one file, replaced as a whole: the commit
        self._committed_at = time.monotonic()
