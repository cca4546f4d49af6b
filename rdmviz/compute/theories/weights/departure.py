"""When an outlier leaves the bulk for good."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rdmviz.compute.errors import WeightsError
from rdmviz.compute.theories.weights.marchenko_pastur import checked_ratio

Floats = NDArray[np.float64]

_NEAR = 4.0  # thresholds up to which the signal's growth is taken for a straight line
_FEWEST = 3  # outliers that a line is laid through


@dataclass(frozen=True)
class Departure:
    """When the strongest outlier left the bulk.

    Attributes
    ----------
    detected
        Time of the first snapshot from which on every one has an outlier; NaN if the last has none.
    crossing
        Time at which the signal passed the threshold, by a line through ``sqrt c`` of the outliers up to four
        thresholds strong: outliers of finite matrices are seen later than their signal passes, since they
        have to leave the noise of the edge first. NaN without three of them, or without a snapshot before.
    """

    detected: float
    crossing: float


def departure(times: ArrayLike, relative: ArrayLike, ratio: float) -> Departure:
    """Find the time at which the strongest outlier of a layer left its bulk.

    Parameters
    ----------
    times
        Of the snapshots, increasing, ``(S,)``.
    relative
        ``c = b / a`` of the strongest outlier, ``(S,)``, NaN where there is none.
    ratio
        N/M in (0, 1].

    Raises
    ------
    WeightsError
        If they are not one each per snapshot, or the times do not increase.
    """
    t, c = (np.asarray(x, dtype=np.float64) for x in (times, relative))
    threshold = float(np.sqrt(checked_ratio(ratio)))
    if t.ndim != 1 or not len(t) or t.shape != c.shape or not (np.diff(t) > 0).all():
        raise WeightsError(
            f"times of shape {t.shape} and strengths of shape {c.shape}: expected one each per snapshot, "
            "times increasing"
        )
    inside = np.flatnonzero(np.isnan(c))
    first = int(inside[-1]) + 1 if len(inside) else 0
    if first == len(t):
        return Departure(float("nan"), float("nan"))
    near = first + np.flatnonzero(c[first:] < _NEAR * threshold)
    if first == 0 or len(near) < _FEWEST:
        return Departure(float(t[first]), float("nan"))
    grown = np.sqrt(c[near])
    centred = grown - grown.mean()
    slope = centred @ t[near] / (centred @ centred)
    return Departure(float(t[first]), float(t[near].mean() + slope * (np.sqrt(threshold) - grown.mean())))
