"""The arrays of a store that rows are added to: made, opened again, written to, and committed."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import zarr
from zarr.abc.store import Store
from zarr.core.buffer import default_buffer_prototype
from zarr.core.sync import sync

from rdmviz.errors import StoreLockedError
from rdmviz.pictures import picture_dims
from rdmviz.store.layout import COMPRESSORS, KEY, PLAIN, SCHEMA, array_names, chunk_rows, encode_text
from rdmviz.store.snapshots import SnapshotWriter, StoredSnapshots

__all__ = ["GrowingStore", "create"]

# Every chunk is written, also one of NaN: a chunk that is lost can be told from losses that are zero.
_CONFIG: Any = {"write_empty_chunks": True}


def create(
    store: Store,
    samples: int,
    dtype: np.dtype[Any],
    probe: Mapping[str, np.ndarray],
    *,
    name: str,
    attrs: Mapping[str, Any],
) -> None:
    """Write a store without rows: its empty arrays, the checked `probe`, and a header that counts none."""
    group = zarr.create_group(store, zarr_format=3)
    height = chunk_rows(samples, dtype.itemsize)
    _new(group, "loss", (0, samples), (height, samples), dtype, ("step", "sample"))
    _new(group, "step", (0,), (4096,), np.dtype(np.int64))
    group.create_group("metrics")
    group.create_group("probe")
    schema, entries = PLAIN, []
    for column, array in array_names(probe).items():
        values = probe[column]
        kind = "image" if values.ndim > 1 else "text" if values.dtype.kind == "U" else "number"
        entries.append({"name": column, "array": array, "kind": kind})
        if kind == "text":
            data, ends = encode_text(values)
            _fill(group, f"probe/{array}", data, f"{array}_bytes")
            _fill(group, f"probe/{array}_ends", ends, "sample")
        elif kind == "image":
            schema = SCHEMA
            _fill(group, f"probe/{array}", values, *picture_dims(array, values.ndim))
        else:
            _fill(group, f"probe/{array}", values, "sample")
    group.attrs[KEY] = {
        "schema": schema,
        "rows": 0,
        "name": name,
        "attrs": dict(attrs),
        "probe": entries,
        "metrics": [],
        "id": uuid.uuid4().hex,  # tells this recording from any other at the same path
    }


class GrowingStore:
    """A store made by :func:`create`, opened to add rows after the last one that is committed.

    What a process that was killed had written beyond that is cut off.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._group = zarr.open_group(store, mode="r+", zarr_format=3, use_consolidated=False)
        self._head: dict[str, Any] = {**self._group.attrs.asdict()[KEY]}  # type: ignore[dict-item]  # JSON
        self._loss, self._step = self._array("loss"), self._array("step")
        self._metrics = {str(entry["name"]): str(entry["array"]) for entry in self._head["metrics"]}
        self._curves = {name: self._array(f"metrics/{array}") for name, array in self._metrics.items()}
        self.identity: str = self._head["id"]
        self.written = self._counted = self._tried = int(self._head["rows"])
        self.snapshots = SnapshotWriter(partial(_new, self._group, overwrite=True), self.samples)
        self._cut()

    @property
    def samples(self) -> int:
        """Number of datapoints."""
        return int(self._loss.shape[1])

    @property
    def dtype(self) -> np.dtype[Any]:
        """Precision of the losses."""
        return np.dtype(self._loss.dtype)

    @property
    def height(self) -> int:
        """Rows per chunk."""
        return int(self._loss.chunks[0])

    @property
    def pending(self) -> bool:
        """Whether anything is to be written or committed, beside rows that it does not know of."""
        counted = self._head.get("snapshots") == self.snapshots.head
        return self.written != self._counted or bool(self.snapshots.waiting) or not counted

    def write(
        self, steps: np.ndarray, losses: np.ndarray, metrics: Sequence[Mapping[str, float]] = ()
    ) -> None:
        """Write valid rows ``(b, n)`` and their metrics, without committing them."""
        for name in dict.fromkeys(name for row in metrics for name in row):
            if name not in self._metrics:
                self._add_metric(name)
        self._put(self._loss, losses, self.written)
        self._put(self._step, steps, self.written)
        for name, curve in self._curves.items() if metrics else ():
            self._put(curve, np.array([row.get(name, np.nan) for row in metrics]), self.written)
        # Counted last: what fails half way is repeated over the same rows.
        self.written += len(steps)

    def put_metrics(self, metrics: Mapping[str, np.ndarray]) -> None:
        """Write whole metric curves ``(T,)`` beside rows that were written without any."""
        for name, values in metrics.items():
            self._add_metric(name)
            self._put(self._curves[name], values, 0)

    def commit(self, lost: Sequence[Sequence[int]] | None = None) -> None:
        """Count the rows that were written; `lost`, if given, are the gaps that are known so far."""
        head = {**self._head, "rows": self.written, "id": self.identity}
        head["metrics"] = [{"name": name, "array": array} for name, array in self._metrics.items()]
        if lost is not None:
            head.pop("lost", None)
        if lost:
            head["lost"] = [list(gap) for gap in lost]
        head.pop("snapshots", None)
        if snapshots := self.snapshots.head:
            head["snapshots"] = snapshots
        if head == self._head:
            return
        self._tried = self.written  # it may be there although writing it raised
        self._group.attrs[KEY] = head  # one file, replaced as a whole: the commit
        self._head, self._counted = head, self.written

    def drop(self, rows: int, lost: Sequence[Sequence[int]]) -> None:
        """Drop the rows after the first `rows`, and say so to whoever has read them."""
        self.written = rows
        self._head["cuts"] = [*self._head.get("cuts", []), rows]
        self._head.pop("lost", None)
        self.commit(lost)
        self._cut()

    def go_on(self, kept: StoredSnapshots, last: int | None) -> None:
        """Add snapshots to those that are there, of which those after a step are dropped."""
        self.snapshots.resume(self._group, kept, last)

    def check_undisturbed(self) -> None:
        """Check that the store is as it was left: a place that vanished must not be filled anew.

        Raises
        ------
        FileNotFoundError
            There is no store.
        StoreLockedError
            Somebody else wrote to it.
        """
        found = sync(self._store.get("zarr.json", default_buffer_prototype()))
        if found is None:
            raise FileNotFoundError("the run is not there")
        head = json.loads(found.to_bytes())["attributes"].get(KEY, {})
        if head.get("id") != self._head["id"] or head.get("rows") not in (self._counted, self._tried):
            raise StoreLockedError("another recording wrote there")

    def _cut(self) -> None:
        """Bring the arrays down to the rows that are committed, and with them chunks that may be damaged."""
        for array in (self._loss, self._step, *self._curves.values()):
            if array.shape[0] > self.written:
                array.resize((self.written, *array.shape[1:]))

    def _array(self, path: str) -> zarr.Array[Any]:
        array: Any = self._group[path]
        return array.with_config(_CONFIG)  # type: ignore[no-any-return]  # an array by what was written

    def _add_metric(self, name: str) -> None:
        named = array_names([name], taken=self._metrics.values())
        # One that is there already was not committed.
        array = _new(
            self._group,
            f"metrics/{named[name]}",
            (self.written,),
            (4096,),
            np.dtype(np.float64),
            overwrite=True,
        )
        if self.written:
            array[:] = np.nan
        self._metrics |= named
        self._curves[name] = array

    @staticmethod
    def _put(array: zarr.Array[Any], values: np.ndarray, start: int) -> None:
        stop = start + len(values)
        if array.shape[0] < stop:
            array.resize((stop, *array.shape[1:]))
        array[start:stop] = values


def _new(
    group: zarr.Group,
    path: str,
    shape: tuple[int, ...],
    chunks: tuple[int, ...],
    dtype: np.dtype[Any],
    dims: tuple[str, ...] = ("step",),
    *,
    overwrite: bool = False,
) -> zarr.Array[Any]:
    return group.create_array(
        path,
        shape=shape,
        chunks=chunks,
        dtype=dtype,
        compressors=COMPRESSORS,
        fill_value=dtype.type(np.nan if dtype.kind == "f" else 0),
        config=_CONFIG,
        dimension_names=dims,
        overwrite=overwrite,
    )


def _fill(group: zarr.Group, path: str, values: np.ndarray, *dims: str) -> None:
    # a page of pictures is a few of many, so their chunks are small
    most = 2**22 if values.ndim == 1 else max(1, 2**18 // values[0].nbytes)
    chunk = int(np.clip(len(values), 1, most))
    array = _new(group, path, values.shape, (chunk, *values.shape[1:]), values.dtype, dims)
    if values.size:
        array[:] = values
