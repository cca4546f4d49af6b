"""In-window detrending: polynomials removed from the rows of a window before its covariance is taken."""

from __future__ import annotations

from functools import lru_cache
from numbers import Integral
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from rdmviz.compute.errors import DetrendError, WindowError

Detrend = Literal["none", "constant", "linear", "quadratic"]
DETRENDS: tuple[str, ...] = get_args(Detrend)


def degree(detrend: str) -> int:
    """Degree of the polynomial that is removed; -1 for ``"none"``.

    Raises
    ------
    DetrendError
        If `detrend` is not one of ``none``, ``constant``, ``linear``, ``quadratic``.
    """
    if detrend not in DETRENDS:
        raise DetrendError(f"detrend={detrend!r} is unknown; choose one of {', '.join(map(repr, DETRENDS))}")
    return DETRENDS.index(detrend) - 1


def check_window(window: int, detrend: str, n_rows: int) -> int:
    """Return `window` as an int if it fits `n_rows` rows and the detrending, else say what would.

    Raises
    ------
    WindowError
        If `window` is not a whole number, holds fewer than two rows, leaves no degree of freedom
        after the detrending, or is longer than the run.
    DetrendError
        If `detrend` is unknown.
    """
    shortest = max(2, degree(detrend) + 2)
    given: object = window
    if isinstance(given, bool) or not isinstance(given, Integral):
        raise WindowError(f"window={window!r} must be a whole number of rows")
    if window < shortest:
        raise WindowError(
            f"window={window} is too short: detrend={detrend!r} needs at least {shortest} rows in a window"
        )
    if window > n_rows:
        raise WindowError(
            f"window={window} is longer than the {n_rows} recorded rows; "
            f"choose a window of {shortest} to {n_rows} rows, or record more often"
        )
    return int(window)


def degrees_of_freedom(window: int, detrend: str) -> int:
    """``nu = window - degree - 1``, the divisor that makes the window covariance unbiased."""
    return window - degree(detrend) - 1


@lru_cache(maxsize=256)
def basis(window: int, detrend: str) -> NDArray[np.float64]:
    """Orthonormal polynomials on the rows of a window, shape ``(window, degree + 1)``, read-only.

    Detrending is the projection ``A = I - Q Q^T``; for ``"none"`` Q has no columns. Legendre
    polynomials on [-1, 1] keep the QR factorisation at rounding level for any window.
    """
    grid = np.linspace(-1.0, 1.0, window)
    columns = np.polynomial.legendre.legvander(grid, max(degree(detrend), 0))
    q = np.ascontiguousarray(np.linalg.qr(columns)[0][:, : degree(detrend) + 1])
    q.flags.writeable = False
    return q


@lru_cache(maxsize=256)
def _to_basis(window: int, detrend: str) -> NDArray[np.float64]:
    """Matrix that takes Legendre polynomials on [-1, 1] to :func:`basis`."""
    columns = np.polynomial.legendre.legvander(np.linspace(-1.0, 1.0, window), max(degree(detrend), 0))
    size = degree(detrend) + 1
    return np.asarray(np.linalg.inv(basis(window, detrend).T @ columns[:, :size]))


def extrapolated(window: int, detrend: str, rows_ahead: int) -> NDArray[np.float64]:
    """Values of the polynomials of :func:`basis` at a row beyond the window, ``(degree + 1,)``.

    `rows_ahead` is counted from the window's last row.
    """
    place = np.array([1.0 + 2.0 * rows_ahead / (window - 1)])
    columns = np.polynomial.legendre.legvander(place, max(degree(detrend), 0))[0]
    return np.asarray(columns[: degree(detrend) + 1] @ _to_basis(window, detrend))


def detrended(rows: NDArray[np.float64], detrend: str) -> NDArray[np.float64]:
    """Rows minus their polynomial trend, ``X = (I - Q Q^T) rows``, shape ``(window, n)``.

    The projection is applied twice: the second pass removes what rounding left of a trend much
    larger than the fluctuations.
    """
    q = basis(len(rows), detrend)
    if q.shape[1] == 0:
        return rows
    once = rows - q @ (q.T @ rows)
    return once - q @ (q.T @ once)
