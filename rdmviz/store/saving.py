"""Saving a whole run."""

from __future__ import annotations

import hashlib
import shutil
import uuid
from collections.abc import Callable, Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from rdmviz.store.layout import chunk_rows
from rdmviz.store.places import at, is_zip
from rdmviz.store.replacing import check_room, replacing, upload, write_zip
from rdmviz.store.writer import RunWriter

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

    Raises
    ------
    StoreExistsError
        Something is at the path and may not be replaced.
    """
    place = at(path)
    check_room(place, overwrite=overwrite)

    def write(target: Path | None) -> RunWriter:
        writer = RunWriter(target, samples, probe=probe, name=name, attrs=attrs, dtype=dtype)
        digest = hashlib.blake2b(digest_size=16)
        height = chunk_rows(samples, dtype.itemsize)
        for start in range(0, len(steps), height):
            stop = min(start + height, len(steps))
            block = rows(start, stop)
            digest.update(np.ascontiguousarray(block).data)
            writer.append_block(steps[start:stop], block)
        writer.put_metrics(metrics)
        taken: list[int] = next((layers["step"].to_numpy().tolist() for layers in snapshots.values()), [])
        for index, step in enumerate(taken):
            parts = {
                kind: {str(name): layer[index].to_numpy() for name, layer in layers.data_vars.items()}
                for kind, layers in snapshots.items()
            }
            for named in parts.values():
                for value in named.values():
                    digest.update(np.ascontiguousarray(value).data)
            writer.put_snapshot(step, parts)
        writer.identity = digest.hexdigest()  # not at random: the same run gives the same bytes
        writer.close()
        return writer

    # Everything is written elsewhere first: a failure destroys nothing, and a run may replace the very
    # store that it is read from.
    if isinstance(place, Path) and not is_zip(place):
        part = place.with_name(f".{place.name}.{uuid.uuid4().hex[:8]}.part")
        try:
            write(part)
            with replacing(place, overwrite=overwrite):
                part.rename(place)
        finally:
            shutil.rmtree(part, ignore_errors=True)
        return
    writer = write(None)
    with replacing(place, overwrite=overwrite):
        if isinstance(place, Path):
            write_zip(writer.memory, place)
        else:
            upload(writer.memory, place)
