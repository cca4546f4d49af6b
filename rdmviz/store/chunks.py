"""Chunks that are not there: Zarr reads them as fill values, which are numbers that never were."""

from __future__ import annotations

from typing import Any

import numpy as np
import zarr
from zarr.core.sync import sync

__all__ = ["lost_chunk"]


def lost_chunk(array: zarr.Array[Any], values: np.ndarray, start: int) -> range | None:
    """Return the rows of the first chunk that is not in the store, or None if all are.

    The store is asked only about chunks that read as fill values throughout: rdmviz writes every chunk,
    also one of zeros or NaN.

    Parameters
    ----------
    array : zarr Array
        Chunked along its first dimension only.
    values : ndarray
        What was read of rows ``start .. start + len(values) - 1``.
    """
    height, stop = array.chunks[0], start + len(values)
    fill = np.asarray(array.fill_value)
    for number in range(start // height, -(-stop // height)):
        rows = range(max(start, number * height), min(stop, (number + 1) * height))
        block = values[rows.start - start : rows.stop - start]
        filled = np.isnan(block) if fill.dtype.kind == "f" and np.isnan(fill) else block == fill
        if not filled.all():
            continue
        key = array.metadata.encode_chunk_key((number, *(0 for _ in array.shape[1:])))
        if not sync((array.store_path / key).exists()):
            return rows
    return None
