"""Plain early-warning indicators of one series on trailing windows, in one pass over the series.

Sums over a window are put together from two parts that meet at a row inside it (a running sum backwards from
that row and one forwards), of values relative to the value at that row. So nothing is ever subtracted that
lies outside the window, and the relative error stays below ``window * eps`` whatever came before: plain
running sums would carry the digits of an early plateau into the end of a run.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rdmviz.compute.errors import LossShapeError, WindowError

Floats = NDArray[np.float64]

_TINY = float(np.finfo(np.float64).tiny)  # products below this have lost digits


def rolling_variance(series: ArrayLike, window: int) -> Floats:
    """Variance (ddof 1) of the trailing window at each row, ``(T,)``; NaN where not full or not finite."""
    x = _series(series, window, 2)
    n, _, _, var, _, _ = _moments(x, x, window)
    return _trailing(np.maximum(var, 0.0) / (n - 1), window, len(x))


def rolling_autocorrelation(series: ArrayLike, window: int, lag: int = 1) -> Floats:
    """Pearson correlation of the trailing window with itself `lag` rows later, ``(T,)``.

    As in ewstools: the correlation of ``window - lag`` pairs, each side with its own mean. NaN before the
    first full window and where one of the sides is constant, or its squares are too small for float64.

    Raises
    ------
    WindowError
        If fewer than two pairs are left.
    """
    x = _series(series, window, lag + 2)
    if lag < 1:
        raise WindowError(f"lag={lag}: expected at least one row")
    _, _, _, early, late, both = _moments(x[:-lag], x[lag:], window - lag)
    # A constant side comes out exactly 0: its values are taken relative to one of them.
    scale = np.sqrt(np.maximum(early, 0.0)) * np.sqrt(np.maximum(late, 0.0))
    correlation = np.divide(both, scale, out=np.full_like(both, np.nan), where=scale >= _TINY)
    return _trailing(np.clip(correlation, -1.0, 1.0), window, len(x))


def rolling_slope(series: ArrayLike, window: int, times: ArrayLike | None = None) -> Floats:
    """Least-squares slope of the trailing window per unit of `times` (rows by default), ``(T,)``."""
    x = _series(series, window, 2)
    t = np.arange(len(x), dtype=np.float64) if times is None else np.asarray(times, dtype=np.float64)
    if t.shape != x.shape:
        raise LossShapeError(
            f"times of shape {t.shape} for a series of shape {x.shape}; expected one per row"
        )
    _, _, _, spread, _, both = _moments(t, x, window)
    return _trailing(
        np.divide(both, spread, out=np.full_like(both, np.nan), where=spread > 0), window, len(x)
    )


def of_one_window(series: Floats, times: Floats) -> tuple[float, float, float]:
    """Variance (ddof 1), lag-1 autocorrelation and slope of one window, ``(w,)`` finite values at `times`.

    As the rolling ones, for one window at a time. NaN where a correlation or slope has no meaning.
    """
    x, t = _centred(series), _centred(times)
    early, late = _centred(series[:-1]), _centred(series[1:])
    scale = np.sqrt(early @ early) * np.sqrt(late @ late)
    spread = t @ t
    correlation = min(max(early @ late / scale, -1.0), 1.0) if scale >= _TINY and len(x) > 2 else np.nan
    slope = t @ x / spread if spread > 0 else np.nan
    return float(x @ x) / (len(x) - 1), float(correlation), float(slope)


def _centred(values: Floats) -> Floats:
    relative = values - values[0]  # constant values come out exactly 0
    return np.asarray(relative - relative.mean())


def _series(series: ArrayLike, window: int, shortest: int) -> Floats:
    x = np.asarray(series, dtype=np.float64)
    if x.ndim != 1:
        raise LossShapeError(f"series of shape {x.shape}: expected one value per row")
    if not shortest <= window <= len(x):
        raise WindowError(
            f"window={window}: expected {shortest} rows at least and at most the {len(x)} of the series"
        )
    return np.where(np.isfinite(x), x, np.nan)


def _trailing(values: Floats, window: int, n_rows: int) -> Floats:
    """Values of the full windows at the row each ends at."""
    out = np.full(n_rows, np.nan)
    out[window - 1 :] = values
    return out


def _moments(a: Floats, b: Floats, window: int) -> tuple[int, Floats, Floats, Floats, Floats, Floats]:
    """Window length, sums and centred second moments (aa, bb, ab) of all windows of two series.

    Sums are of the values relative to those at the row where the two parts of the window meet.
    """
    n_rows, w = len(a), window
    n_blocks = -(-n_rows // w)
    # Pad both ends: block k spans rows [k w, (k+1) w); its pivot is its first row.
    left, right = np.full((2, n_blocks + 1, w), np.nan), np.zeros((2, n_blocks + 1, w))
    for i, series in enumerate((a, b)):
        padded = np.full((n_blocks + 1) * w, np.nan)
        padded[:n_rows] = series
        blocks = padded.reshape(-1, w)
        right[i] = blocks - blocks[:, :1]  # forwards from this block's pivot
        left[i, :-1] = blocks[:-1] - blocks[1:, :1]  # backwards from the next block's pivot
    forward = np.cumsum(_products(right), axis=2)
    backward = np.cumsum(_products(left)[:, :, ::-1], axis=2)[:, :, ::-1]
    start = np.arange(n_rows - w + 1)
    block, offset = np.divmod(start, w)
    # A window that starts on a pivot is one part; any other ends `offset - 1` rows past the next pivot.
    whole = offset == 0
    totals = np.where(
        whole,
        forward[:, block, w - 1],
        backward[:, block, offset] + forward[:, block + ~whole, offset - 1],
    )
    sum_a, sum_b, aa, bb, ab = totals
    return w, sum_a, sum_b, aa - sum_a**2 / w, bb - sum_b**2 / w, ab - sum_a * sum_b / w


def _products(parts: Floats) -> Floats:
    a, b = parts
    return np.stack([a, b, a * a, b * b, a * b])
