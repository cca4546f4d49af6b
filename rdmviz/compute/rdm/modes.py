"""Collective modes of one window: eigenvectors of the loss covariance in the space of datapoints."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from numbers import Integral

import numpy as np
from numpy.typing import NDArray

from rdmviz.compute.errors import FlatWindowError, NonFiniteLossError, WindowError
from rdmviz.compute.rdm.detrending import check_window, degrees_of_freedom
from rdmviz.compute.rdm.one_window import OneWindow, WindowSums, fitted_displacement
from rdmviz.compute.rdm.rows import Rows, read_window
from rdmviz.compute.rdm.windows import FLAT, SMALLEST, stillness

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
    displacement
        Last minus first row of the straight line fitted to the window, ``(n,)``, loss.
    nu
        Divisor, ``window - degree - 1``.
    fluctuations
        ``fluctuations(samples)`` gives the detrended rows X of some datapoints, ``(window, m)``, loss;
        ``C = X^T X / nu``. All of them without an argument.
    """

    eigenvalues: Floats
    vectors: Floats
    left: Floats
    displacement: Floats
    nu: int
    fluctuations: Callable[..., Floats] = field(repr=False)

    @property
    def drift(self) -> Floats:
        """Displacement along each vector, ``(k,)``, loss; negative where the positive side falls."""
        return np.asarray(self.vectors @ self.displacement)

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
    window, modes = check_window(window, detrend, n_rows), check_modes(modes)
    check_ends(end, window, n_rows)
    held = OneWindow(read_window(rows, end, window), detrend)
    sums = held.sums()
    check_moving(sums, end, window, detrend)
    nu = degrees_of_freedom(window, detrend)
    if held.narrow:
        values, vectors = leading(sums.kernel, modes, window)
        left = vectors @ held.fluctuations().T
        left /= np.linalg.norm(left, axis=1, keepdims=True)
        return oriented(values / nu, vectors, left, fitted_displacement(held.losses), nu, held.fluctuations)
    values, left = leading(sums.kernel, modes, held.losses.shape[1])
    along, displacement = held.along(left)
    return oriented(values / nu, along, left, displacement, nu, held.fluctuations)


def check_ends(end: int, window: int, n_rows: int) -> tuple[int, int]:
    """Return first and one-past-last row of the window that ends at row `end`, or raise `WindowError`."""
    if not window - 1 <= end < n_rows:
        raise WindowError(
            f"no full window of {window} rows ends at row {end}; the first ends at row {window - 1}, "
            f"the last at row {n_rows - 1}"
        )
    return end - window + 1, end + 1


def check_moving(sums: WindowSums, end: int, window: int, detrend: str) -> None:
    """Raise :class:`FlatWindowError` or :class:`NonFiniteLossError` where a window has no modes to show."""
    with np.errstate(over="ignore"):
        moved = float(np.trace(sums.kernel))
    floor = stillness(FLAT**2 * sums.size)
    if not np.isfinite(floor + moved):
        raise NonFiniteLossError(
            f"the window of {window} rows that ends at row {end} holds losses up to "
            f"{sums.largest:.3g}, whose squares are too large for float64; record the losses "
            "in other units"
        )
    if moved <= floor:
        tiny = f"; squares of losses up to {sums.largest:.3g} are too small for float64, record other units"
        raise FlatWindowError(
            f"nothing moves in the window of {window} rows that ends at row {end} once the {detrend} part is "
            "removed; it has no modes" + (tiny if 0 < sums.largest < SMALLEST else "")
        )


def oriented(
    values: Floats,
    vectors: Floats,
    left: Floats,
    displacement: Floats,
    nu: int,
    fluctuations: Callable[..., Floats],
) -> WindowModes:
    """Modes of unit norm whose side with more mass is positive; `vectors` may be of any length."""
    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    signs = orientation(vectors)[:, None]
    return WindowModes(values, vectors * signs, left * signs, displacement, nu, fluctuations)


def leading(kernel: Floats, modes: int, other_side: int) -> tuple[Floats, Floats]:
    """Eigenvalues of a kernel ``(m,)``, descending, and its leading unit eigenvectors ``(k, m)``.

    Those that are zero within rounding are left out; `other_side` is the other side of X.
    """
    values, basis = np.linalg.eigh(kernel)
    values = np.maximum(values[::-1], 0.0)
    real = values > max(len(kernel), other_side) * np.finfo(np.float64).eps * values[0]
    return values, basis[:, ::-1][:, : min(modes, int(real.sum()))].T


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
