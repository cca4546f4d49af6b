"""Saving a whole run."""

from __future__ import annotations

import hashlib
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from zarr.abc.store import Store
from zarr.core.buffer import Buffer
from zarr.storage import LocalStore, MemoryStore

from rdmviz.errors import PlainError, StoreUnwritableError
from rdmviz.store.growing import GrowingStore, create
from rdmviz.store.locks import RecordingLock
from rdmviz.store.places import at, is_zip
from rdmviz.store.replacing import check_room, replacing, upload, write_zip

__all__ = ["save_run"]


def save_run(
    path: str | PathLike[str],
    rows: Callable[[int, int], np.ndarray],
    steps: np.ndarray,
    *,
    samples: int,
    dtype: np.dtype[Any],
    probe: Mapping[str, np.ndarray],
    metrics: Mapping[str, np.ndarray],
    name: str,
    attrs: Mapping[str, Any],
    overwrite: bool,
    snapshots: Mapping[str, xr.Dataset],
    lost: Sequence[Sequence[int]] = (),
) -> None:
    """Write a run to a new store; see :meth:`rdmviz.TrainingRun.save`.

    Parameters
    ----------
    rows : callable
        ``rows(start, stop)`` gives losses ``(stop - start, samples)`` of a block.
    steps : ndarray of int64, shape (T,)
        Training step of each row.
    samples, dtype
        Number of datapoints, and precision of their losses.
    probe, metrics : mapping
        Checked columns ``(n,)`` and curves ``(T,)``.
    snapshots : mapping
        Kind to layers on the dimension ``snapshot``; they are copied one by one.
    lost
        Gaps that the recording noted: first and last step, and how many rows.

    Raises
    ------
    StoreExistsError
        Something is at the path and may not be replaced.
    StoreLockedError
        It is being recorded.
    """
    place = at(path)
    check_room(place, overwrite=overwrite)

    def write(target: Store) -> None:
        create(target, samples, dtype, probe, name=name, attrs=attrs)
        store = GrowingStore(target)
        digest = hashlib.blake2b(digest_size=16)
        for start in range(0, len(steps), store.height):
            stop = min(start + store.height, len(steps))
            block = rows(start, stop)
            digest.update(np.ascontiguousarray(block).data)
            store.write(steps[start:stop], block)
        store.put_metrics(metrics)
        taken: list[int] = next((layers["step"].to_numpy().tolist() for layers in snapshots.values()), [])
        for index, step in enumerate(taken):
            parts = {
                kind: {str(name): layer[index].to_numpy() for name, layer in layers.data_vars.items()}
                for kind, layers in snapshots.items()
            }
            for named in parts.values():
                for value in named.values():
                    digest.update(np.ascontiguousarray(value).data)
            store.snapshots.check(step, parts)
            store.snapshots.add(step, parts)
            store.snapshots.write()
        store.identity = digest.hexdigest()  # not at random: the same run gives the same bytes
        store.commit(lost)

    with _held(place):
        _put(place, write, overwrite=overwrite)


@contextmanager
def _held(place: Path | str) -> Iterator[None]:
    """Keep recorders away from a local path."""
    if isinstance(place, str):
        yield
        return
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        lock = RecordingLock(place)
    except OSError as error:
        raise _unwritable(place, error) from error
    try:
        yield
    finally:
        lock.release()


def _put(place: Path | str, write: Callable[[Store], None], *, overwrite: bool) -> None:
    # Everything is written elsewhere first: a failure destroys nothing, and a run may replace the very
    # store that it is read from.
    if isinstance(place, Path) and not is_zip(place):
        part = place.with_name(f".{place.name}.{uuid.uuid4().hex[:8]}.part")
        try:
            write(LocalStore(part))
            with replacing(place, overwrite=overwrite):
                part.rename(place)
        except OSError as error:
            raise _unwritable(place, error) from error
        finally:
            shutil.rmtree(part, ignore_errors=True)
        return
    files: dict[str, Buffer] = {}
    write(MemoryStore(files))
    entries = {key: buffer.to_bytes() for key, buffer in files.items()}
    with replacing(place, overwrite=overwrite):
        if isinstance(place, Path):
            write_zip(entries, place)
        else:
            upload(entries, place)


def _unwritable(place: Path, error: OSError) -> OSError:
    if isinstance(error, PlainError):
        return error
    return StoreUnwritableError(f"{place} cannot be written ({error}); make room, or choose another path")
