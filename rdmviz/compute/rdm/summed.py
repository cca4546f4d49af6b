"""The summed loss of a run in its trailing windows, with the digits that sums of large losses would lose.

Where the mean is large, windows look at sums of anchored rows (the segment's anchor is a constant to them);
where the losses have fallen far below the anchor, at the sums of the losses themselves.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from rdmviz.compute.rdm.detrending import degrees_of_freedom, detrended
from rdmviz.compute.rdm.gram import BandedGram
from rdmviz.compute.rdm.sums import window_sums

Floats = NDArray[np.float64]

_CHUNK_ENTRIES = 4 << 20


def of_row_sums(
    gram: BandedGram, window: int, *indicators: Callable[[Floats, NDArray[np.int64]], Floats]
) -> list[Floats]:
    """Values of indicators of the summed loss that a constant does not change, ``(T,)`` each.

    NaN where they leave the range of float64.

    Parameters
    ----------
    gram
        Banded Gram with ``max_window >= window``.
    window
        Rows per window.
    indicators
        Each gives values per row, from trailing windows of a series, and of the run's row of each value.
    """
    first = gram.max_window - window
    series = gram.anchored_sums[:, first:].copy()
    series[~gram.valid()[:, first:]] = np.nan
    n_segments, size = series.shape
    start = (np.arange(n_segments)[:, None] - 1) * gram.max_window + 1 + first
    row = np.clip(start + np.arange(size), 0, gram.n_rows - 1)
    curves = []
    with np.errstate(over="ignore", invalid="ignore"):
        # Both sums round relative to what was added up.
        anchored = window_sums(gram.rounding_scales()[:, first:], window, gram.max_window)
        plain = window_sums(gram.row_norms()[:, first:], window, gram.max_window)
        fell = (plain < anchored).ravel()[: gram.n_rows]
        for indicator in indicators:
            found = indicator(series.ravel(), row.ravel()).reshape(series.shape)[:, window - 1 :]
            curve = np.ascontiguousarray(found).ravel()[: gram.n_rows]
            if fell.any():
                curve = np.where(fell, indicator(gram.row_sums, np.arange(gram.n_rows)), curve)
            curves.append(np.where(np.isfinite(curve), curve, np.nan))
    return curves


def detrended_variance(series: Floats, window: int, detrend: str) -> Floats:
    """Variance of a series in each trailing window after detrending, ``(T,)``; NaN before the first."""
    out = np.full(len(series), np.nan)
    windows = sliding_window_view(series, window)
    size = max(1, _CHUNK_ENTRIES // window)
    for start in range(0, len(windows), size):
        part = windows[start : start + size].T
        if detrend != "none":
            part = detrended(part - part[window // 2], detrend)
        end = start + window - 1
        out[end : end + part.shape[1]] = np.einsum("ij,ij->j", part, part)
    return out / degrees_of_freedom(window, detrend)
