"""Reading a stored run: committed rows only, and only the chunks that are asked for."""

from __future__ import annotations

import contextlib
import os
import threading
from collections import OrderedDict
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from xarray.backends import BackendArray
from xarray.core import indexing
from zarr.abc.store import Store
from zarr.storage import LocalStore, ZipStore

from rdmviz.errors import NoRowsYetError, RunNotFoundError, SchemaVersionError, TruncatedStoreError
from rdmviz.pictures import CHANNELS
from rdmviz.store.chunks import lost_chunk
from rdmviz.store.layout import CODECS, KEY, SCHEMA, decode_text, is_array_name
from rdmviz.store.snapshots import StoredSnapshots

__all__ = ["RunStore"]

_CACHE_BYTES = 64 * 2**20


class RunStore:
    """The committed rows of a store, as they were when it was opened.

    Parameters
    ----------
    store : zarr Store
        Opened for reading.
    where : str
        What to call the store in messages.
    earlier : RunStore, optional
        The same store as it was opened before: what was read of it then is not read again.

    Raises
    ------
    RunNotFoundError
        There is no Zarr v3 group, or rdmviz did not write it.
    SchemaVersionError
        A newer rdmviz wrote it.
    NoRowsYetError
        No row is committed.
    TruncatedStoreError
        Arrays that it promises are missing, too short or unreadable, or rows that were there are not.
    """

    def __init__(self, store: Store, where: str, earlier: RunStore | None = None) -> None:
        self._store = store
        self._where = where
        self._lock = threading.Lock()
        self._chunks: OrderedDict[int, np.ndarray] = OrderedDict()
        group = self._open(store)
        # The counter is read before the arrays: they only ever grow, so what it counts is there.
        head = self._head(group)
        try:
            self._rows = int(head["rows"])
            self.name = str(head["name"])
            self.attrs: dict[str, Any] = dict(head["attrs"])
            self.identity = str(head.get("id", ""))
            probe, metrics = head["probe"], head["metrics"]
            self._cuts = _cuts(head)
            self.lost = tuple(tuple(map(int, gap)) for gap in head.get("lost", ()))
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise self._truncated(f"its header lacks or garbles {error}") from error
        if earlier is not None:
            earlier._check_kept(head)
            if self._rows < earlier._rows:
                raise TruncatedStoreError(
                    f"{where} held {earlier._rows} committed rows and holds {self._rows} now: it was "
                    "replaced. Open the new run"
                )
        if self._rows == 0:
            raise NoRowsYetError(
                f"{where} holds no committed row yet: its recording has just begun, or nothing was recorded. "
                "Wait for the first rows, or call recorder.flush() where it is recorded"
            )
        if self._rows < 0:
            raise self._truncated(f"its header counts {self._rows} rows")
        self._loss = self._array(group, "loss")
        if self._loss.ndim != 2 or self._loss.dtype.kind != "f" or self._loss.shape[1] < 2:
            raise self._truncated(f"loss has shape {self._loss.shape} and dtype {self._loss.dtype}")
        if self._loss.shape[0] < self._rows:
            raise self._truncated(f"{self._rows} rows are committed but loss holds {self._loss.shape[0]}")
        self._height = self._loss.chunks[0]
        if self._loss.chunks[1] < self._loss.shape[1]:
            raise self._truncated(f"loss has chunks of {self._loss.chunks}, not of whole rows")
        if earlier is not None and self._facts() != earlier._facts():
            raise TruncatedStoreError(
                f"{where} is another run than the one that was open: it was replaced. Open it"
            )
        known = earlier.steps if earlier is not None else np.empty(0, dtype=np.int64)
        self.steps: np.ndarray = self._column(group, "step", self._rows, known)
        if self.steps.dtype != np.int64 or (self.steps[1:] <= self.steps[:-1]).any():
            raise self._truncated("its steps are not increasing integers")
        self.metrics = {
            str(entry["name"]): self._column(group, f"metrics/{entry['array']}", self._rows)
            for entry in self._entries(metrics)
        }
        self._snapshots = group, head.get("snapshots")
        if earlier is None:
            listed = self._entries(probe)
            drawn = [entry for entry in listed if entry.get("kind") == "image"]
            self.probe = {
                str(entry["name"]): self._probe_column(group, entry) for entry in listed if entry not in drawn
            }
            self._pictures = {str(entry["name"]): self._picture_array(group, entry) for entry in drawn}
        else:
            self.probe, self._pictures = earlier.probe, earlier._pictures

    @property
    def snapshots(self) -> StoredSnapshots:
        """The snapshots that were committed when it was opened.

        Raises
        ------
        TruncatedStoreError
            Its header lists them wrongly.
        """
        group, listed = self._snapshots
        return StoredSnapshots(
            listed,
            self.shape[1],
            entries=self._entries,
            opened=partial(self._array, group),
            read=self._read,
            truncated=self._truncated,
        )

    def committed(self) -> int:
        """Return how many rows are committed by now, from the header alone.

        Raises
        ------
        TruncatedStoreError
            Rows that were there when it was opened were dropped since.
        """
        head = self._head(self._open(self._store))
        self._check_kept(head)
        rows = head.get("rows")
        if not isinstance(rows, int):
            raise self._truncated(f"its header counts {rows!r:.60} rows")
        return rows

    def replaced(self) -> bool:
        """Return whether another run is at its place by now, from the header alone."""
        head = self._head(self._open(self._store))
        return str(head.get("id", "")) != self.identity or self._dropped(head) is not None

    def grown(self) -> RunStore:
        """Return the store with the rows committed since; what was read of probe and steps is kept.

        Raises
        ------
        RunNotFoundError, TruncatedStoreError
            The run is gone, or rows that were there are not.
        """
        return RunStore(self._store, self._where, self)

    @property
    def shape(self) -> tuple[int, int]:
        """Committed rows and datapoints."""
        return self._rows, int(self._loss.shape[1])

    @property
    def dtype(self) -> np.dtype[Any]:
        """Precision the losses are stored in."""
        return np.dtype(self._loss.dtype)

    @property
    def chunk_rows(self) -> int:
        """Rows per chunk."""
        return self._height

    @property
    def grows(self) -> bool:
        """Whether rows may be committed while it is read: not to a zip file."""
        return not isinstance(self._loss.store_path.store, ZipStore)

    @property
    def folder(self) -> Path | None:
        """Where the store lies on this machine's file system; None for zip files and URLs."""
        store = self._loss.store_path.store
        return Path(store.root) if isinstance(store, LocalStore) else None

    def chunk_marks(self, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Size and checksum of the chunks that hold rows ``start .. stop - 1``, ``(chunks, 2)``, int64.

        Of all committed rows by default. The last four bytes of a chunk are its checksum: nothing else of it
        is read. Zero for chunks that are missing, and for stores that are no folder.
        """
        first, last = start // self._height, -(-(self._rows if stop is None else stop) // self._height)
        marks = np.zeros((last - first, 2), dtype=np.int64)
        if self.folder is None:
            return marks
        for number in range(first, last):
            key = self._loss.metadata.encode_chunk_key((number, 0))
            path = self.folder / self._loss.path / key
            with contextlib.suppress(OSError), path.open("rb") as file:
                size = file.seek(-4, os.SEEK_END) + 4
                marks[number - first] = size, int.from_bytes(file.read(4), "little")
        return marks

    def _dropped(self, head: Mapping[str, Any]) -> int | None:
        """Return to how many rows the store was cut since it was opened, if it held more then."""
        try:
            fewest = min(_cuts(head)[len(self._cuts) :], default=self._rows)
        except (TypeError, ValueError) as error:
            raise self._truncated(f"its header garbles {error}") from error
        return fewest if fewest < self._rows else None

    def _check_kept(self, head: Mapping[str, Any]) -> None:
        rows = self._dropped(head)
        if rows is not None:
            raise TruncatedStoreError(
                f"{self._where} held {self._rows} committed rows, and the recording went on from row {rows}: "
                "those after it were dropped. Open the run again"
            )

    def _facts(self) -> tuple[Any, ...]:
        """Return what does not change while a run is recorded."""
        return self.identity, self.name, self.attrs, self.shape[1], self.dtype, self._height

    def lazy_loss(self) -> indexing.LazilyIndexedArray:
        """Return the losses for xarray, read when their values are asked for."""
        return indexing.LazilyIndexedArray(_LossOnDisk(self))

    def lazy_pictures(self) -> dict[str, indexing.LazilyIndexedArray]:
        """Return the picture columns for xarray, read when their values are asked for."""
        return {
            name: indexing.LazilyIndexedArray(_PicturesOnDisk(self, name, array))
            for name, array in self._pictures.items()
        }

    def pictures(self, name: str, start: int, stop: int) -> np.ndarray:
        """Return pictures ``(stop - start, height, width[, channels])`` of a column."""
        array = self._pictures[name]
        return self._read(array, array.path, start, stop)

    def rows(self, start: int, stop: int) -> np.ndarray:
        """Return losses ``(stop - start, n)``, read-only, reading whole chunks and keeping recent ones."""
        first, last = start // self._height, -(-stop // self._height)
        blocks = []
        for number in range(first, last):
            offset = number * self._height
            blocks.append(self._chunk(number)[max(start - offset, 0) : stop - offset])
        if len(blocks) == 1:
            return blocks[0]
        joined = np.concatenate(blocks) if blocks else np.empty((0, self.shape[1]), self.dtype)
        joined.flags.writeable = False
        return joined

    def _chunk(self, number: int) -> np.ndarray:
        with self._lock:
            if number in self._chunks:
                self._chunks.move_to_end(number)
                return self._chunks[number]
        start = number * self._height
        block = self._read(self._loss, "loss", start, min(start + self._height, self._rows))
        block.flags.writeable = False
        with self._lock:
            self._chunks[number] = block
            kept = max(2, _CACHE_BYTES // max(1, block.nbytes))
            while len(self._chunks) > kept:
                self._chunks.popitem(last=False)
        return block

    def _open(self, store: Store) -> zarr.Group:
        try:
            return zarr.open_group(store, mode="r", zarr_format=3, use_consolidated=False)
        except FileNotFoundError as error:
            raise RunNotFoundError(
                f"{self._where} is no run: no Zarr v3 group; expected what run.save or a Recorder wrote"
            ) from error
        except Exception as error:
            raise self._truncated(f"its header cannot be read ({error})") from error

    def _head(self, group: zarr.Group) -> Mapping[str, Any]:
        head: Any = group.attrs.asdict().get(KEY)
        if not isinstance(head, Mapping) or not isinstance(head.get("schema"), int):
            raise RunNotFoundError(
                f"{self._where} is a Zarr store that rdmviz did not write; read it with xarray and make "
                "a run with TrainingRun.from_arrays"
            )
        if head["schema"] > SCHEMA:
            raise SchemaVersionError(
                f"{self._where} has schema {head['schema']}; this rdmviz reads up to {SCHEMA}. "
                "Update it: pip install --upgrade rdmviz"
            )
        return head

    def _array(self, group: zarr.Group, path: str) -> zarr.Array[Any]:
        try:
            member = group[path]
        except Exception as error:
            raise self._truncated(f"array {path!r} is missing or unreadable ({error})") from error
        if not isinstance(member, zarr.Array) or member.dtype.kind not in "fiub":
            raise self._truncated(f"{path!r} is not an array of numbers")
        codecs = tuple(type(codec) for codec in getattr(member.metadata, "codecs", ()))
        if codecs != CODECS:
            named = ", ".join(codec.__name__ for codec in codecs)
            raise self._truncated(f"array {path!r} is coded by {named}, which no rdmviz writes")
        return member

    def _column(
        self, group: zarr.Group, path: str, length: int | None, known: np.ndarray | None = None
    ) -> np.ndarray:
        array = self._array(group, path)
        if array.ndim != 1 or (length is not None and array.shape[0] < length):
            raise self._truncated(f"array {path!r} has shape {array.shape}; expected {length} values")
        begin = 0 if known is None else len(known)
        column = self._read(array, path, begin, array.shape[0] if length is None else length)
        if known is not None:
            column = np.concatenate([known, column])
        column.flags.writeable = False
        return column

    def _probe_column(self, group: zarr.Group, entry: Mapping[str, Any]) -> np.ndarray:
        path = f"probe/{entry['array']}"
        samples = self.shape[1]
        if entry.get("kind") != "text":
            return self._column(group, path, samples)
        ends = self._column(group, f"{path}_ends", samples)
        try:
            return decode_text(self._column(group, path, None), ends)
        except ValueError as error:
            raise self._truncated(f"text column {path!r} is damaged ({error})") from error

    def _picture_array(self, group: zarr.Group, entry: Mapping[str, Any]) -> zarr.Array[Any]:
        path = f"probe/{entry['array']}"
        array = self._array(group, path)
        shape, fine = array.shape, array.ndim in (3, 4) and array.dtype.name in ("uint8", "float32")
        if not fine or shape[0] != self.shape[1] or (array.ndim == 4 and shape[3] not in CHANNELS):
            raise self._truncated(f"pictures {path!r} have shape {shape} and dtype {array.dtype}")
        if 0 in shape or tuple(array.chunks[1:]) != tuple(shape[1:]):
            raise self._truncated(f"pictures {path!r} have chunks of {array.chunks}, not of whole pictures")
        return array

    def _entries(self, listed: Any) -> list[Mapping[str, Any]]:
        """Return the columns that the header lists, none of them pointing outside their group."""
        for entry in listed if isinstance(listed, list) else [listed]:
            if not isinstance(entry, Mapping) or "name" not in entry or not is_array_name(entry.get("array")):
                raise self._truncated(f"its header names a column {entry!r:.80}")
            name = entry["name"]
            if not isinstance(name, str) or name in ("", "step", "sample"):
                raise self._truncated(f"its header names a column {name!r:.80}")
        names = [entry["name"] for entry in listed]
        if len(set(names)) < len(names):
            raise self._truncated(f"its header repeats a column of {names!r:.80}")
        return list(listed)

    def _read(self, array: zarr.Array[Any], path: str, start: int, stop: int) -> np.ndarray:
        try:
            values = np.array(array[start:stop])
            lost = lost_chunk(array, values, start)
        except Exception as error:  # codecs, file systems and networks each raise their own
            raise self._truncated(
                f"rows {start} to {stop - 1} of {path!r} cannot be read ({error})"
            ) from error
        if lost is not None:
            raise self._truncated(f"rows {lost.start} to {lost.stop - 1} of {path!r} are missing")
        return values

    def _truncated(self, why: str) -> TruncatedStoreError:
        return TruncatedStoreError(
            f"{self._where} is damaged or unfinished: {why}. Record or copy the run again; "
            "parts that are whole can be read with zarr.open_group"
        )


def _cuts(head: Mapping[str, Any]) -> list[int]:
    """Return how many rows were left each time that some were dropped."""
    return [int(rows) for rows in head.get("cuts", ())]


class _LossOnDisk(BackendArray):  # type: ignore[no-untyped-call,misc,unused-ignore]  # untyped in some xarrays
    """What xarray indexes lazily (its interface for backends)."""

    def __init__(self, store: RunStore) -> None:
        self._store = store
        self.shape = store.shape
        self.dtype = store.dtype

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        return indexing.explicit_indexing_adapter(
            key, self.shape, indexing.IndexingSupport.BASIC, self._basic
        )

    def _basic(self, key: tuple[int | slice, ...]) -> np.ndarray:
        row, sample = key
        if isinstance(row, slice):
            chosen = range(*row.indices(self.shape[0]))
            if not chosen:
                return np.empty((0, self.shape[1]), self.dtype)[:, sample]
            low, high = min(chosen[0], chosen[-1]), max(chosen[0], chosen[-1])
            block = self._store.rows(low, high + 1)
            return block[:: chosen.step][:, sample]
        index = int(row) % self.shape[0]
        return np.asarray(self._store.rows(index, index + 1)[0, sample])


class _PicturesOnDisk(BackendArray):  # type: ignore[no-untyped-call,misc,unused-ignore]  # untyped in some xarrays
    """A column of pictures as xarray indexes it: what is asked for is read, datapoint by datapoint."""

    def __init__(self, store: RunStore, name: str, array: zarr.Array[Any]) -> None:
        self._store, self._name = store, name
        self.shape, self.dtype = array.shape, np.dtype(array.dtype)

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        return indexing.explicit_indexing_adapter(
            key, self.shape, indexing.IndexingSupport.OUTER_1VECTOR, self._outer
        )

    def _outer(self, key: tuple[Any, ...]) -> np.ndarray:
        first = key[0]
        chosen = np.atleast_1d(np.arange(self.shape[0])[first])
        values = np.empty((len(chosen), *self.shape[1:]), self.dtype)
        for part in np.split(np.arange(len(chosen)), np.flatnonzero(np.diff(chosen) != 1) + 1):
            if len(part):  # neighbours are read together
                start, stop = int(chosen[part[0]]), int(chosen[part[-1]]) + 1
                values[part] = self._store.pictures(self._name, start, stop)
        for axis in reversed(range(1, len(key))):
            values = values[(slice(None),) * axis + (key[axis],)]
        return values[0] if np.ndim(first) == 0 and not isinstance(first, slice) else values
