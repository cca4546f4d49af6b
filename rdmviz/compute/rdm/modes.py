"""Collective modes of one window: eigenvectors of the loss covariance in the space of datapoints."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral

import numpy as np
from numpy.typing import NDArray

from rdmviz.compute.errors import FlatWindowError, NonFiniteLossError, WindowError
from rdmviz.compute.rdm.detrending import check_window, degrees_of_freedom
from rdmviz.compute.rdm.rows import Rows, fluctuations_of, read_window
from rdmviz.compute.rdm.windows import FLAT

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class WindowModes:
    """Spectrum and leading eigenvectors of the covariance of one window.

    Attributes
    ----------
    eigenvalues
        All that can differ from zero, descending, at least 0, loss²; ``min(window, n)`` of them.
    vectors
        Unit eigenvectors of the leading modes, ``(k, n)``; modes that are zero within rounding are left out.
        Oriented so that the side with more mass is positive.
    left
        Unit time courses of the modes over the window, ``u_k = X v_k / |X v_k|``, ``(k, window)``.
    drift
        Displacement of the losses along each vector from the window's first row to its last, as the straight
        line fitted to the window has it, loss; negative where the losses of the positive side fall.
    fluctuations
        Detrended rows X, ``(window, n)``, loss; ``C = X^T X / nu``.
    nu
        Divisor, ``window - degree - 1``.
    """

    eigenvalues: Floats
    vectors: Floats
    left: Floats
    drift: Floats
    fluctuations: Floats
    nu: int

    @property
    def trace(self) -> float:
        """Total variance, loss²."""
        return float(self.eigenvalues.sum())


def window_modes(rows: Rows, end: int, window: int, detrend: str, modes: int, n_rows: int) -> WindowModes:
    """Modes of the window that ends at row `end`, by the smaller of the two equivalent eigenproblems.

    Parameters
    ----------
    rows
        Reads losses.
    end, window, detrend
        Last row of the window, its number of rows, and what is removed from them.
    modes
        At most so many eigenvectors.
    n_rows
        Number of recorded rows.

    Raises
    ------
    FlatWindowError
        If nothing moves in the window beyond rounding.
    NonFiniteLossError
        If it holds a loss that is NaN, infinite or too large to be squared.
    WindowError, DetrendError
        If the window does not fit the rows or the detrending, or `modes` is not a whole number of 1 or more.
    """
    window = check_window(window, detrend, n_rows)
    if not window - 1 <= end < n_rows:
        raise WindowError(
            f"no full window of {window} rows ends at row {end}; the first ends at row {window - 1}, "
            f"the last at row {n_rows - 1}"
        )
    modes = check_modes(modes)
    losses = read_window(rows, end, window)
    x = fluctuations_of(losses, detrend)
    nu = degrees_of_freedom(window, detrend)
    floor = FLAT**2 * float(np.vdot(losses, losses))
    moved = float(np.vdot(x, x))
    if not np.isfinite(floor + moved):
        raise NonFiniteLossError(
            f"the window of {window} rows that ends at row {end} holds losses up to "
            f"{np.abs(losses).max():.3g}, whose squares are too large for float64; record the losses "
            "in other units"
        )
    if moved <= floor:
        raise FlatWindowError(
            f"nothing moves in the window of {window} rows that ends at row {end} once the {detrend} part is "
            "removed; it has no modes"
        )
    n = x.shape[1]
    small = x @ x.T if window <= n else x.T @ x
    values, basis = np.linalg.eigh(small)
    values = np.maximum(values[::-1], 0.0)
    real = values > max(window, n) * np.finfo(np.float64).eps * values[0]
    count = min(modes, int(real.sum()))
    leading = basis[:, ::-1][:, :count].T
    other = leading @ (x if window <= n else x.T)
    other /= np.linalg.norm(other, axis=1, keepdims=True)
    left, vectors = (leading, other) if window <= n else (other, leading)
    signs = orientation(vectors)[:, None]
    left, vectors = left * signs, vectors * signs
    return WindowModes(values / nu, vectors, left, vectors @ fitted_displacement(losses), x, nu)


def check_modes(modes: int) -> int:
    """Return `modes` as an int, or raise :class:`WindowError` if it is not a whole number of 1 or more."""
    asked: object = modes
    if isinstance(asked, bool) or not isinstance(asked, Integral) or modes < 1:
        raise WindowError(f"modes={modes!r}: ask for at least one, as a whole number")
    return int(modes)


def orientation(vectors: Floats) -> Floats:
    """Sign (+1 or -1) per vector that makes the side with more squared mass positive, ``(k,)``."""
    balance = np.einsum("kn,kn->k", vectors, np.abs(vectors))
    largest = vectors[np.arange(len(vectors)), np.abs(vectors).argmax(axis=1)]
    return np.where(np.where(np.abs(balance) > 1e-9, balance, largest) < 0, -1.0, 1.0)


def fitted_displacement(losses: Floats) -> Floats:
    """Last minus first row of the straight line fitted to a window, ``(n,)``."""
    t = np.arange(len(losses)) - (len(losses) - 1) / 2
    return np.asarray((t / (t @ t)) @ (losses - losses[len(losses) // 2]) * (len(losses) - 1))
