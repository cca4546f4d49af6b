"""Medians over seeds with an interval that assumes nothing about how seeds are distributed."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

__all__ = ["Interval", "coverage", "interval"]


@dataclass(frozen=True)
class Interval:
    """The middle of some seeds, and how far they reach.

    Attributes
    ----------
    median, low, high
        Of the seeds that have the figure; NaN where none has.
    seeds, missing
        How many there are, and how many of them do not have it.
    """

    median: float
    low: float
    high: float
    seeds: int
    missing: int


def coverage(seeds: int) -> float:
    """Return the probability that the extremes of some seeds hold the median of all seeds.

    Each seed lies above that median with probability 1/2, so all of n lie on one side with 2 / 2**n.
    """
    return 1 - 2.0 ** (1 - seeds)


def interval(values: Iterable[float]) -> Interval:
    """Return median and extremes of figures, one per seed; NaN are counted as missing."""
    given = np.array(list(values), dtype=float)
    there = given[~np.isnan(given)]
    if not there.size:
        return Interval(math.nan, math.nan, math.nan, given.size, given.size)
    return Interval(
        float(np.median(there)),
        float(there.min()),
        float(there.max()),
        given.size,
        given.size - there.size,
    )
