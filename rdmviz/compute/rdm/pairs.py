"""Pairs of datapoints in one window: correlations, and means over blocks of pairs."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def directions(fluctuations: Floats, floor: ArrayLike = 0.0) -> Floats:
    """Columns of unit norm, ``(window, m)``; NaN for datapoints that do not move.

    Parameters
    ----------
    fluctuations
        Detrended losses X, ``(window, m)``, loss.
    floor
        Sum of squares up to which a datapoint does not move, loss², one or ``(m,)``.
    """
    squares = np.einsum("ij,ij->j", fluctuations, fluctuations)
    norms = np.sqrt(squares, where=squares > floor, out=np.full(squares.shape, np.nan))
    return np.asarray(fluctuations / norms)


def correlation(fluctuations: Floats, floor: ArrayLike = 0.0) -> Floats:
    """Correlations of all pairs, ``(m, m)``; NaN where one of the two does not move (see `directions`)."""
    unit = directions(fluctuations, floor)
    return np.clip(unit.T @ unit, -1.0, 1.0)


def block_means(columns: Floats, starts: ArrayLike) -> Floats:
    """Mean column of each block of neighbouring datapoints, ``(window, blocks)``.

    Products of these are means over blocks of pairs: of covariances if the columns are fluctuations, of
    correlations if they are `directions`.

    Parameters
    ----------
    columns
        ``(window, m)``; those that are NaN are left out, a block without others is NaN.
    starts
        First column of each block, ascending from 0.
    """
    first = np.asarray(starts, dtype=np.intp)
    known = np.isfinite(columns[0])
    counts = np.add.reduceat(known.astype(np.float64), first)
    sums = np.add.reduceat(np.where(known, columns, 0.0), first, axis=1)
    return np.asarray(np.divide(sums, counts, where=counts > 0, out=np.full(sums.shape, np.nan)))
