"""Snapshots in the store of a run: one chunk each per layer, written when taken, counted last.

::

    zarr.json            attribute "rdmviz", entry "snapshots": count, and the layers of each kind
    snapshots/step             int64 (snapshot)
    snapshots/<kind>/<layer>   floats (snapshot, ...); kinds are weights, singular_values, representations,
                               gaussian

As with rows, arrays may be longer than the count says, and only what it counts is read. Who does not know
snapshots reads the run without them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any, Final, TypeAlias

import numpy as np
import zarr
from xarray.backends import BackendArray
from xarray.core import indexing

from rdmviz.errors import SnapshotError
from rdmviz.snapshots import GAUSSIAN, KINDS, SHAPES, check_names, fits, snapshot_dims
from rdmviz.store.layout import array_names

__all__ = ["Parts", "SnapshotWriter", "StoredSnapshots"]

Parts: TypeAlias = Mapping[str, Mapping[str, np.ndarray]]  # kind, layer
Layers: TypeAlias = dict[tuple[str, str], tuple[tuple[int, ...], np.dtype[Any]]]
_STEPS: Final = "snapshots/step"
_ROOM: Final = 16  # arrays grow by doubling: a header that is written anew costs more than a small layer
_MANY: Final = 4096  # numbers in a chunk, where a snapshot is one
_MOST_WAITING: Final = 2**28
_LARGEST: Final = 2**31 - 2**10  # bytes that Blosc takes at once


class SnapshotWriter:
    """Writes snapshots of a run.

    Parameters
    ----------
    new : callable
        ``new(path, shape, chunks, dtype, dims)`` makes an array in the store.
    samples : int
        Number of datapoints of the run.
    """

    def __init__(self, new: Callable[..., zarr.Array[Any]], samples: int) -> None:
        self._new, self._samples = new, samples
        self._steps: list[int] = []
        self._waiting: dict[int, Parts] = {}
        self.left_out: list[int] = []
        self._layers: Layers = {}
        self._names: dict[str, dict[str, str]] = {}
        self._arrays: dict[str, zarr.Array[Any]] = {}

    @property
    def waiting(self) -> list[int]:
        """Steps of the snapshots that were taken and are not written yet."""
        return list(self._waiting)

    @property
    def head(self) -> dict[str, Any] | None:
        """What the header of the run says of the snapshots that are whole; None without any."""
        if not self._steps:
            return None
        listed = {
            kind: [{"name": name, "array": array} for name, array in named.items()]
            for kind, named in self._names.items()
        }
        return {"count": len(self._steps), **listed}

    def check(self, step: int, parts: Parts) -> None:
        """Check that a snapshot may follow those there are; nothing is changed.

        Raises
        ------
        SnapshotError
            Its step is not after the last one's, it has other layers or shapes than the one before, or a
            layer is too large.
        """
        last = max([*self._steps[-1:], *self._waiting], default=None)
        if unknown := sorted(set(parts) - set(KINDS)):
            raise SnapshotError(f"snapshot of {unknown[0]!r:.60}; expected {', '.join(KINDS)}")
        if last is not None and step <= last:
            raise SnapshotError(f"snapshot of step {step} after one of step {last}")
        layers = _described(parts)
        for kind, named in parts.items():
            check_names(kind, {name: value.ndim + 1 for name, value in named.items()})
        for (kind, name), (shape, dtype) in layers.items():
            nbytes = math.prod(shape) * dtype.itemsize
            if dtype.kind != "f" or not fits(kind, name, (1, *shape), self._samples) or nbytes > _LARGEST:
                raise SnapshotError(
                    f"{kind} of {name!r} at step {step} have shape {shape} and dtype {dtype}, {nbytes} "
                    f"bytes; expected floats {SHAPES[kind].format(n=self._samples)}, at most {_LARGEST} "
                    "bytes. Leave the layer out, or record fewer datapoints"
                )
        for kind, name in dict.fromkeys([*self._layers, *layers]) if self._layers else ():
            before, now = (known.get((kind, name)) for known in (self._layers, layers))
            if before != now:
                raise SnapshotError(
                    f"snapshot of step {step}: {kind} of {name!r} {_shown(now)}; the one before "
                    f"{_shown(before)}. Layers may not change within a run: record into a new one"
                )

    def add(self, step: int, parts: Parts) -> None:
        """Take a snapshot that was checked, to be written next; its arrays may not change until then."""
        if not self._layers:
            self._layers = _described(parts)
            self._names = {kind: array_names(named) for kind, named in parts.items()}
        self._waiting[step] = parts

    def write(self) -> None:
        """Write the snapshots that were taken; each counts once all of it is there.

        Raises
        ------
        OSError
            The store cannot be written to. What could not be written waits for the next time, up to 256 MiB:
            beyond, the last snapshot is left out, and a warning tells of it.
        """
        while self._waiting:
            step = next(iter(self._waiting))
            self._write(step, self._waiting[step])
            self._waiting.pop(step, None)

    def limit(self) -> int | None:
        """Leave out the last snapshot, if those that wait take too much memory, and return its step."""
        sizes = [value.nbytes for parts in list(self._waiting.values()) for value in _values(parts)]
        if sum(sizes) <= _MOST_WAITING:
            return None
        step, _ = self._waiting.popitem()
        self.left_out.append(step)
        return step

    def _write(self, step: int, parts: Parts) -> None:
        for kind, named in parts.items():
            for name, value in named.items():
                path = f"snapshots/{kind}/{self._names[kind][name]}"
                self._put(path, value, snapshot_dims(kind, self._names[kind][name], value.ndim + 1))
        self._put(_STEPS, np.array(step, np.int64), ("snapshot",))
        self._steps.append(step)

    def resume(self, group: zarr.Group, stored: StoredSnapshots, last: int | None = None) -> None:
        """Go on after the snapshots that are in the store.

        Parameters
        ----------
        group
            Of the run, opened for writing.
        stored
            The snapshots that it holds.
        last : int, optional
            Those of later steps no longer count.
        """
        self._steps = [step for step in stored.steps.tolist() if last is None or step <= last]
        if not self._steps:
            return
        self._names = {kind: dict(named) for kind, named in stored.stored_as.items()}
        for kind, named in self._names.items():
            for name, array in named.items():
                held = stored.arrays(kind)[name]
                self._layers[kind, name] = tuple(held.shape[1:]), np.dtype(held.dtype)
                self._reopen(group, f"snapshots/{kind}/{array}")
        self._reopen(group, _STEPS)

    def _reopen(self, group: zarr.Group, path: str) -> None:
        array = group[path]
        assert isinstance(array, zarr.Array)  # it was opened for reading before
        self._arrays[path] = array.with_config({"write_empty_chunks": True})

    def _put(self, path: str, value: np.ndarray, dims: tuple[str, ...]) -> None:
        index = len(self._steps)
        if path not in self._arrays:
            shape, chunks = (_ROOM, *value.shape), (1 if value.ndim else _MANY, *value.shape)
            self._arrays[path] = self._new(path, shape, chunks, value.dtype, dims)
        array = self._arrays[path]
        if array.shape[0] <= index:
            array.resize((2 * array.shape[0], *array.shape[1:]))
        array[index : index + 1] = value[np.newaxis]


class StoredSnapshots:
    """The snapshots that a store counted when it was opened; arrays are opened when they are asked for.

    Parameters
    ----------
    listed
        The entry of the header; None for a run without snapshots.
    samples : int
        Number of datapoints of the run.
    entries : callable
        Checks a list of names in the header.
    opened : callable
        ``opened(path)`` gives an array of the store.
    read : callable
        ``read(array, path, start, stop)`` gives rows of one, whole and checked.
    truncated : callable
        Makes the error for a store that is damaged.
    """

    def __init__(
        self,
        listed: Any,
        samples: int,
        *,
        entries: Callable[[Any], list[Mapping[str, Any]]],
        opened: Callable[[str], zarr.Array[Any]],
        read: Callable[[zarr.Array[Any], str, int, int], np.ndarray],
        truncated: Callable[[str], Exception],
    ) -> None:
        self._samples, self._opened, self._read, self._truncated = samples, opened, read, truncated
        head = {"count": 0} if listed is None else listed
        count = head.get("count") if isinstance(head, Mapping) else None
        if not isinstance(count, int) or isinstance(count, bool) or count < 0:
            raise truncated(f"its header counts snapshots {listed!r:.80}")
        self._count = count
        # what is not known here is of a newer rdmviz, and no reason not to read the others
        self.stored_as: dict[str, dict[str, str]] = {
            kind: {
                entry["name"]: entry["array"]
                for entry in entries(head[kind])
                if kind != "gaussian" or entry["name"] in GAUSSIAN
            }
            for kind in KINDS
            if kind in head and count
        }
        if "gaussian" in self.stored_as:
            try:
                check_names("gaussian", dict.fromkeys(self.stored_as["gaussian"], 1))
            except SnapshotError as error:
                raise truncated(f"in its header, {error}") from error
        self._kinds: dict[str, dict[str, indexing.LazilyIndexedArray]] = {}

    @property
    def names(self) -> dict[str, list[str]]:
        """Layers of each kind there is, in the order of the network."""
        return {kind: list(named) for kind, named in self.stored_as.items()}

    @cached_property
    def steps(self) -> np.ndarray:
        """Training step of each snapshot, int64 (S,), read-only."""
        steps = np.empty(0, np.int64)
        if self._count:
            array = self._opened(_STEPS)
            if array.ndim != 1 or array.dtype != np.int64 or array.shape[0] < self._count:
                raise self._truncated(f"{_STEPS!r} has shape {array.shape} and dtype {array.dtype}")
            steps = self._read(array, _STEPS, 0, self._count)
            if (steps[1:] <= steps[:-1]).any():
                raise self._truncated("the steps of its snapshots do not increase")
        steps.flags.writeable = False
        return steps

    def arrays(self, kind: str) -> Mapping[str, indexing.LazilyIndexedArray]:
        """Return the arrays ``(S, ...)`` of a kind for xarray, by layer, read when values are asked for."""
        if kind not in self._kinds:
            self._kinds[kind] = {
                name: indexing.LazilyIndexedArray(
                    _SnapshotsOnDisk(self._checked(kind, name, path), path, self._count, self._read)
                )
                for name, path in (
                    (name, f"snapshots/{kind}/{array}") for name, array in self.stored_as[kind].items()
                )
            }
        return self._kinds[kind]

    def _checked(self, kind: str, name: str, path: str) -> zarr.Array[Any]:
        array = self._opened(path)
        shape, enough = array.shape, array.shape[:1] >= (self._count,)
        if not (enough and array.dtype.kind == "f" and fits(kind, name, shape, self._samples)):
            raise self._truncated(
                f"{path!r} has shape {shape} and dtype {array.dtype}; its header counts {self._count} "
                f"snapshots and the run has {self._samples} datapoints"
            )
        if array.chunks[1:] != shape[1:] or (array.chunks[0] != 1 and len(shape) > 1):
            raise self._truncated(f"{path!r} has chunks of {array.chunks}, not of one snapshot each")
        return array


class _SnapshotsOnDisk(BackendArray):  # type: ignore[no-untyped-call,misc,unused-ignore]  # untyped in some xarrays
    """The snapshots of a layer as xarray indexes them: those asked for are read, one at a time."""

    def __init__(
        self,
        array: zarr.Array[Any],
        path: str,
        count: int,
        read: Callable[[zarr.Array[Any], str, int, int], np.ndarray],
    ) -> None:
        self._array, self._path, self._read = array, path, read
        self.shape, self.dtype = (count, *array.shape[1:]), np.dtype(array.dtype)

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        return indexing.explicit_indexing_adapter(
            key, self.shape, indexing.IndexingSupport.OUTER_1VECTOR, self._outer
        )

    def _outer(self, key: tuple[Any, ...]) -> np.ndarray:
        first, rest = key[0], key[1:]
        chosen = np.arange(self.shape[0])[first]
        if np.ndim(chosen) == 0:
            return self._one(int(chosen), rest)
        if len(chosen):
            return np.stack([self._one(int(index), rest) for index in chosen])
        return _part(np.empty((0, *self.shape[1:]), self.dtype), rest, 1)

    def _one(self, index: int, rest: tuple[Any, ...]) -> np.ndarray:
        return _part(self._read(self._array, self._path, index, index + 1)[0], rest, 0)


def _part(values: np.ndarray, key: tuple[Any, ...], first: int) -> np.ndarray:
    """Index axes from `first` on, each by itself."""
    for axis in reversed(range(len(key))):
        values = values[(slice(None),) * (first + axis) + (key[axis],)]
    return np.asarray(values)


def _described(parts: Parts) -> Layers:
    return {
        (kind, name): (value.shape, value.dtype)
        for kind, named in parts.items()
        for name, value in named.items()
    }


def _values(parts: Parts) -> Iterator[np.ndarray]:
    return (value for named in parts.values() for value in named.values())


def _shown(described: tuple[tuple[int, ...], np.dtype[Any]] | None) -> str:
    return "are not there" if described is None else f"have shape {described[0]} and dtype {described[1]}"
