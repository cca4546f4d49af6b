"""Fewer points for the screen: what a curve with more points than pixels looks like, spikes and gaps kept."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def thinned(x: Floats, y: Floats, most: int) -> tuple[Floats, Floats]:
    """Return at most `most` points of a curve: the lowest and the highest of each stretch, in their order.

    Parameters
    ----------
    x, y
        The curve, ``(T,)``; NaN in ``y`` is a gap, and a stretch with a gap keeps one.
    most
        Number of points, 6 or more.
    """
    if len(x) <= most:
        return x, y
    bins = most // 3
    size = -(-len(x) // bins)
    padded = np.full(-(-len(x) // size) * size, np.nan)
    padded[: len(x)] = y
    stretches = padded.reshape(-1, size)
    gap = np.isnan(stretches)
    gap[-1, len(x) - size * (len(stretches) - 1) :] = False  # padding is no gap
    lowest = np.where(np.isnan(stretches), np.inf, stretches).argmin(axis=1)
    highest = np.where(np.isnan(stretches), -np.inf, stretches).argmax(axis=1)
    missing = np.where(gap.any(axis=1), gap.argmax(axis=1), lowest)
    places = np.stack([lowest, highest, missing], axis=1) + size * np.arange(len(stretches))[:, None]
    kept = np.unique(np.append(places.ravel(), [0, len(x) - 1]))
    kept = kept[kept < len(x)]
    return x[kept], y[kept]
