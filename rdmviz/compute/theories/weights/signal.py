"""Where a signal stands in a weight spectrum: the transition of Baik, Ben Arous and Péché.

``W = noise + sqrt(b) u v^T`` with unit vectors u (shorter side) and v, noise of bulk scale `a`: see
:mod:`.marchenko_pastur`. With ``c = b / a`` an outlier leaves the bulk where ``c > sqrt r``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rdmviz.compute.theories.weights.marchenko_pastur import bulk_edges, checked_ratio

Floats = NDArray[np.float64]


def signal_threshold(scale: ArrayLike, ratio: ArrayLike) -> Floats:
    """Weakest strength b that shows, ``a sqrt r``."""
    return np.asarray(np.asarray(scale, dtype=np.float64) * np.sqrt(checked_ratio(ratio)))


def signal_line(strength: ArrayLike, scale: ArrayLike, ratio: ArrayLike) -> Floats:
    """Largest eigenvalue of X for a signal: ``(b + r a)(b + a) / b``, below the threshold the bulk's edge."""
    b, a, r = (np.asarray(x, dtype=np.float64) for x in (strength, scale, checked_ratio(ratio)))
    shows = b > signal_threshold(a, r)
    safe = np.where(shows, b, 1.0)
    return np.where(shows, (safe + r * a) * (safe + a) / safe, bulk_edges(a, r)[1])


def signal_strength(eigenvalue: ArrayLike, scale: ArrayLike, ratio: ArrayLike) -> Floats:
    """Strength b of the signal that puts an outlier at `eigenvalue`: the inverse of :func:`signal_line`.

    At or below the bulk's edge the threshold itself: the most that could be hidden there.
    """
    x, a, r = (np.asarray(x, dtype=np.float64) for x in (eigenvalue, scale, checked_ratio(ratio)))
    twice = x - a * (1 + r)  # 2b - a sqrt(..) solves b² - twice b + r a² = 0
    root = np.sqrt(np.maximum(twice**2 - 4 * r * a**2, 0.0))
    return np.maximum((twice + root) / 2, signal_threshold(a, r))


def overlaps(strength: ArrayLike, scale: ArrayLike, ratio: ArrayLike) -> tuple[Floats, Floats]:
    """Squared cosine of the top singular vectors with u and v, 0 up to the threshold.

    ``q² = (1 - r/c²) / (1 + r/c)`` on the shorter side, ``(1 - r/c²) / (1 + 1/c)`` on the longer. Without
    noise both are 1; without noise and signal 0.
    """
    b, a, r = (np.asarray(x, dtype=np.float64) for x in (strength, scale, checked_ratio(ratio)))
    shows = b > signal_threshold(a, r)
    inverse = np.where(shows, a, 0.0) / np.where(shows, b, 1.0)  # 1/c, which no vanishing noise can overflow
    short, long = ((1 - r * inverse**2) / (1 + part * inverse) for part in (r, 1.0))
    return np.where(shows, short, 0.0), np.where(shows, long, 0.0)
