"""Rows of losses as they are read: from an array or a function, whole windows or slabs of datapoints."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rdmviz.compute.errors import LossShapeError, NonFiniteLossError
from rdmviz.compute.rdm.detrending import detrended

Floats = NDArray[np.float64]

Rows = Callable[[int, int], NDArray[Any]]
"""Reads losses: ``rows(start, stop)`` gives the block of shape ``(stop - start, n)``, any real dtype."""

SLAB_BYTES = 2 << 20  # anchored float64 rows of one product: they stay in the cache
_LEAST_WIDTH = 256  # narrower products waste the processor


def slab_width(n_rows: int) -> int:
    """Return the number of datapoints whose anchored rows are worked on at once."""
    return max(_LEAST_WIDTH, SLAB_BYTES // (8 * n_rows))


def anchor_row(wanted: int, usable: NDArray[np.bool_] | None = None) -> int | None:
    """Return the row that others are taken relative to: the usable one nearest `wanted`, None without."""
    if usable is None:
        return wanted
    candidates = np.flatnonzero(usable)
    if not len(candidates):
        return None
    return int(candidates[np.argmin(np.abs(candidates - wanted))])


def anchored(block: NDArray[Any], usable: NDArray[np.bool_]) -> Iterator[NDArray[np.float64]]:
    """Rows minus an anchor, in slabs of datapoints; rows that are not usable come out zero."""
    anchor = anchor_row(len(block) // 2, usable)
    if anchor is None:
        return
    width = slab_width(len(block))
    for left in range(0, block.shape[1], width):
        part = block[:, left : left + width].astype(np.float64)
        part -= part[anchor].copy()
        part[~usable] = 0.0
        yield part


def row_source(losses: NDArray[Any] | Rows, shape: tuple[int, int] | None) -> tuple[Rows, tuple[int, int]]:
    """Return a reader of rows, and ``(rows, datapoints)``, of losses given as an array or a function."""
    if callable(losses):
        if shape is None:
            raise LossShapeError("losses given as a function need shape=(rows, datapoints)")
        rows = losses
    else:
        array = np.asarray(losses)
        shape = array.shape

        def rows(start: int, stop: int) -> NDArray[Any]:
            return array[start:stop]

        _require_real(array)
    if len(shape) != 2 or shape[1] < 2:
        raise LossShapeError(
            f"losses of shape {tuple(shape)}: expected (rows, datapoints) with two datapoints or more"
        )
    return rows, (int(shape[0]), int(shape[1]))


def read_block(rows: Rows, start: int, stop: int, n_samples: int) -> NDArray[Any]:
    """Read rows ``start .. stop-1``, ``(stop - start, n)``, and check what came."""
    given = rows(start, stop)
    if isinstance(given, np.ma.MaskedArray):
        raise LossShapeError(f"rows {start} to {stop - 1} are a masked array; fill it, with NaN for gaps")
    block = np.asarray(given)
    _require_real(block)
    if block.shape != (stop - start, n_samples):
        raise LossShapeError(
            f"rows({start}, {stop}) gave shape {block.shape}, expected {(stop - start, n_samples)}"
        )
    return block


def _require_real(array: NDArray[Any]) -> None:
    if array.dtype.kind not in "fiu":
        raise LossShapeError(
            f"losses of dtype {array.dtype}: expected real numbers (floating point or integer)"
        )


def read_window(rows: Rows, end: int, window: int) -> NDArray[Any]:
    """Losses of the window that ends at row `end`, ``(window, n)``, in the dtype they are kept in.

    Raises
    ------
    NonFiniteLossError
        If one is NaN or infinite.
    """
    losses = np.asarray(rows(end - window + 1, end + 1))
    with np.errstate(over="ignore", invalid="ignore"):
        suspect = not np.isfinite(losses.sum(dtype=np.float64))
    if suspect:
        bad = end - window + 1 + np.flatnonzero(~np.isfinite(losses).all(axis=1))
        if len(bad):
            raise NonFiniteLossError(
                f"the window of {window} rows that ends at row {end} holds NaN or infinite losses, first at "
                f"row {bad[0]}; choose a window without it"
            )
    return losses


def fluctuations_of(losses: NDArray[Any], detrend: str) -> Floats:
    """Detrended rows ``X`` of one window, ``(window, n)``; its covariance is ``C = X^T X / nu``."""
    if detrend == "none":
        return losses.astype(np.float64)
    return detrended(np.subtract(losses, losses[len(losses) // 2], dtype=np.float64), detrend)
