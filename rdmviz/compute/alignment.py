"""Which row of a run belongs to a place on an axis that several runs share."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Rows = NDArray[np.intp]


def nearest_rows(axis: ArrayLike, places: ArrayLike) -> Rows:
    """Row whose coordinate is nearest to each place, the earlier of two; -1 outside the run, ``(m,)``.

    Parameters
    ----------
    axis
        Coordinate of each row, increasing, ``(T,)``.
    places
        Coordinates on the shared axis, ``(m,)``.
    """
    axis, places = np.asarray(axis, np.float64), np.asarray(places, np.float64)
    right = np.clip(np.searchsorted(axis, places), 1, max(len(axis) - 1, 1))
    left = right - 1
    right = np.minimum(right, len(axis) - 1)
    rows = np.where(places - axis[left] <= axis[right] - places, left, right)
    return np.where((places >= axis[0]) & (places <= axis[-1]), rows, -1)


def record_lows(losses: ArrayLike) -> tuple[Rows, Floats]:
    """Rows at which a series falls below everything before, and its values there; skips NaN and infinity.

    Parameters
    ----------
    losses
        ``(T,)``.

    Returns
    -------
    rows, lows
        ``(r,)`` each; the lows fall strictly.
    """
    losses = np.asarray(losses, np.float64)
    finite = np.where(np.isfinite(losses), losses, np.inf)
    lowest_before = np.concatenate([[np.inf], np.minimum.accumulate(finite)[:-1]])
    rows = np.flatnonzero(finite < lowest_before)
    return rows, finite[rows]


def first_reach(losses: ArrayLike, steps: ArrayLike, levels: ArrayLike) -> tuple[Rows, Floats]:
    """Where a series first comes down to each level: the row that is there, and the step in between.

    Parameters
    ----------
    losses, steps
        A series and the increasing step of each of its rows, ``(T,)``.
    levels
        ``(m,)``, in any order.

    Returns
    -------
    rows, steps
        ``(m,)`` each. The step is that of the straight line between the row and the one before it, and falls
        with rising level. -1 and NaN for levels above the first finite value, where the series was never
        seen coming down to them, and below all values.
    """
    losses, steps = np.asarray(losses, np.float64), np.asarray(steps, np.float64)
    levels = np.asarray(levels, np.float64)
    rows, lows = record_lows(losses)
    if not len(rows):
        return np.full(levels.shape, -1, np.intp), np.full(levels.shape, np.nan)
    number = np.searchsorted(-lows, -levels)
    reached = (levels <= lows[0]) & (number < len(rows))
    row = rows[np.minimum(number, len(rows) - 1)]
    before = np.maximum(row - 1, 0)
    crossed = reached & (number > 0) & np.isfinite(losses[before])
    with np.errstate(invalid="ignore", over="ignore"):
        back = np.where(
            crossed, (levels - losses[row]) / np.where(crossed, losses[before] - losses[row], 1), 0
        )
    step = steps[row] - back * (steps[row] - steps[before])
    return np.where(reached, row, -1), np.where(reached, step, np.nan)
