"""Modes of consecutive windows and their overlaps, from the banded Gram alone.

With ``v_k = X^T u_k / sqrt(nu lambda_k)`` the overlaps of the modes of neighbouring windows are
``V_t^T V_(t-1) = S_t^-1 U_t^T (X_t X_(t-1)^T) U_(t-1) S_(t-1)^-1``, and the products of rows on the right
are in a block of the Gram one row larger than the window. Each window is detrended by itself; its left
vectors ``u_k`` are free of the polynomial, so the products need not be.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rdmviz.compute.rdm.detrending import basis
from rdmviz.compute.rdm.gram import BandedGram
from rdmviz.compute.rdm.rows import Rows, fluctuations_of, read_window
from rdmviz.compute.rdm.windows import FLAT, WindowTraces

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Neighbours:
    """Modes of the windows that end at consecutive rows.

    Attributes
    ----------
    values
        All eigenvalues of ``X X^T``, ``nu`` times those of the covariance, ``(B, window)``, descending,
        loss²; those that are rounding are 0, as are all where nothing moves.
    left
        Unit time courses of the leading modes, ``(B, window, k)``.
    overlaps
        ``v_i . v_j`` of the modes of each window with those of the window before, ``(B, k, k)``; 0 where one
        of the two does not move or the mode is rounding.
    """

    values: Floats
    left: Floats
    overlaps: Floats


def solve_neighbours(
    gram: BandedGram, traces: WindowTraces, rows: Rows, ends: range, modes: int
) -> Neighbours:
    """Solve the windows that end at consecutive rows, and overlap each with the one before.

    Parameters
    ----------
    gram
        Serves windows of ``traces.window + 1`` rows, or as many as there are.
    traces
        Of the windows.
    rows
        Reads losses, for windows whose Gram has lost digits.
    ends
        Rows, from ``traces.window - 1`` on, step 1.
    modes
        Number of leading modes, at most the window.
    """
    window, start = traces.window, max(ends.start - 1, traces.window - 1)
    values = np.zeros((ends.stop - start, window))
    left = np.zeros((len(values), window, modes))
    overlaps = np.zeros((len(values), modes, modes))
    moving = np.flatnonzero(traces.trace[start : ends.stop] > 0)  # neither flat nor a gap
    if len(moving):
        products = [neighbour_products(gram, traces, rows, start + int(i)) for i in moving]
        values[moving], left[moving] = _solve(np.stack([p[-window:] for p in products]), traces, modes)
        scaled = over_roots(left[moving], values[moving, :modes])
        met = np.flatnonzero(np.diff(moving) == 1)
        for i in met:
            overlaps[moving[i + 1]] = (products[i + 1][:window] @ scaled[i + 1]).T @ scaled[i]
    here = slice(ends.start - start, None)
    return Neighbours(values[here], left[here], overlaps[here])


def neighbour_products(gram: BandedGram, traces: WindowTraces, rows: Rows, end: int) -> Floats:
    """Inner products of the rows of the window before and of a window with those of the window.

    Returns
    -------
    The first `window` rows are ``X_(t-1) X_t^T``, the last ``X_t X_t^T``, each ``(window, window)``, correct
    up to what the detrending of the windows removes. Those that come from the Gram share all rows but one.
    Where there is no finite row before, only the last are meant.
    """
    window, detrend = traces.window, traces.detrend
    follows = end >= window and bool(gram.finite[end - window])
    if not traces.from_rows[max(end - 1, 0) : end + 1].any():
        return gram.block(end, window + follows, anchored=detrend != "none")[:, -window:]
    losses = read_window(rows, end, window + follows)
    # Each detrended by itself: a jump that the one before still holds must not reach into the other.
    x = fluctuations_of(losses[-window:], detrend)
    return np.concatenate([fluctuations_of(losses[:window], detrend), x] if follows else [x]) @ x.T


def over_roots(left: Floats, values: Floats) -> Floats:
    """Time courses ``(..., window, k)`` over ``sqrt(nu lambda)``, so that ``v = X^T u``; 0 for no mode."""
    roots = np.sqrt(np.maximum(values, 0.0))[..., None, :]
    return np.divide(left, roots, out=np.zeros_like(left), where=roots > 0)


def without_rounding(values: Floats, products: Floats) -> Floats:
    """Descending eigenvalues ``(..., k)``, 0 where they are rounding of the first or of what was removed.

    `products` are those of the rows before they were detrended, ``(..., window, window)``.
    """
    removed = (FLAT * np.diagonal(products, axis1=-2, axis2=-1)).sum(axis=-1)  # FLAT first: sums may overflow
    floor = 64 * FLAT * np.maximum(values[..., 0], 0.0) + removed
    return np.where(values > floor[..., None], values, 0.0)


def _solve(products: Floats, traces: WindowTraces, modes: int) -> tuple[Floats, Floats]:
    """All eigenvalues ``(B, window)`` and the leading left vectors ``(B, window, modes)``."""
    q = basis(traces.window, traces.detrend)
    half = q.T @ products
    cross = q @ half
    kernels = products - cross - cross.transpose(0, 2, 1) + q @ (half @ q) @ q.T
    values, vectors = np.linalg.eigh(kernels)
    values, left = values[:, ::-1], vectors[:, :, ::-1][:, :, :modes]
    # Polynomials are in the null space of the kernel: rounding leaves some, and drift is large.
    left = left - q @ (q.T @ left)
    return without_rounding(values, products), left
