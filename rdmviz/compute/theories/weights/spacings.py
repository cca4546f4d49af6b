"""Distances between neighbouring eigenvalues, which repel each other in random matrices.

Unfolded spacings have mean 1. Those of a real random matrix follow the Wigner surmise
``(pi/2) s exp(-pi s²/4)`` closely; levels that know nothing of each other have ``exp(-s)``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.polynomial import Chebyshev
from numpy.typing import ArrayLike, NDArray

from rdmviz.compute.errors import WeightsError
from rdmviz.compute.rdm.nulls import marchenko_pastur_cdf

Floats = NDArray[np.float64]
Unfolding = Literal["smooth", "marchenko_pastur"]

WIGNER_RATIO = 0.5307
"""Mean of the smaller over the larger of two neighbouring spacings in random matrices (Atas et al. 2013)."""
POISSON_RATIO = 2 * np.log(2) - 1
"""The same for levels that know nothing of each other, .386."""

LEAST_LEVELS = 24  # fewer say nothing of their spacings
_DEGREE = 7  # of the smooth staircase: bends as a bulk does, not as single levels do


@dataclass(frozen=True)
class Spacings:
    """Spacings of one spectrum.

    Attributes
    ----------
    unfolded
        In units of their local mean, ascending along the spectrum.
    ratio
        Mean of the smaller over the larger of neighbouring spacings, which needs no unfolding: compare with
        ``WIGNER_RATIO`` and ``POISSON_RATIO``.
    to_wigner, to_poisson
        Largest difference of the distribution of spacings from that of the Wigner surmise, and from
        ``exp(-s)``: Kolmogorov-Smirnov distances.
    """

    unfolded: Floats
    ratio: float
    to_wigner: float
    to_poisson: float


def wigner_surmise(s: ArrayLike) -> Floats:
    """Density of the surmise, ``(pi/2) s exp(-pi s²/4)``."""
    s = np.asarray(s, dtype=np.float64)
    return np.asarray(np.pi / 2 * s * np.exp(-np.pi / 4 * s**2))


def level_spacings(
    eigenvalues: ArrayLike,
    *,
    unfolding: Unfolding = "smooth",
    scale: float | None = None,
    ratio: float | None = None,
    trim: float = 0.1,
) -> Spacings:
    """Unfolded spacings of the bulk of one spectrum against the Wigner surmise.

    Parameters
    ----------
    eigenvalues
        Of X, ``(N,)`` in any order, without outliers.
    unfolding
        How the local density of levels is known: ``"smooth"``, a polynomial of degree 7 through the counts of
        levels, whatever the shape of the bulk; ``"marchenko_pastur"``, that law with `scale` and `ratio`.
    trim
        Share of levels left out at either end, where the density is not smooth.

    Raises
    ------
    WeightsError
        If fewer than 24 levels are left, some are equal (a matrix of low rank) or no numbers, or an option
        has no meaning.
    """
    levels = np.sort(np.asarray(eigenvalues, dtype=np.float64))
    if not 0 <= trim < 0.5:
        raise WeightsError(f"trim={trim!r}: expected a share in [0, .5)")
    if levels.ndim != 1 or not np.isfinite(levels).all():
        raise WeightsError(f"eigenvalues of shape {levels.shape}: expected one spectrum of finite values")
    cut = int(trim * len(levels))
    levels = levels[cut : len(levels) - cut]
    if len(levels) < LEAST_LEVELS:
        raise WeightsError(
            f"{len(levels)} levels: expected {LEAST_LEVELS} at least to speak of their spacings"
        )
    gaps = np.diff(levels)
    if not (gaps > 1e-12 * abs(levels[-1])).all():
        raise WeightsError(
            f"{int((gaps <= 1e-12 * abs(levels[-1])).sum())} of {len(gaps)} spacings are zero to rounding: a "
            "matrix of low rank has no levels there"
        )
    if unfolding not in get_args(Unfolding):
        choices = ", ".join(map(repr, get_args(Unfolding)))
        raise WeightsError(f"unfolding={unfolding!r} is unknown; choose one of {choices}")
    spacings = np.diff(_staircase(levels, unfolding, scale, ratio))
    spacings = np.maximum(spacings, 0.0)
    spacings /= spacings.mean()
    order = np.sort(spacings)
    pairs = np.sort(np.stack([gaps[:-1], gaps[1:]]), axis=0)
    return Spacings(
        spacings,
        float((pairs[0] / pairs[1]).mean()),
        _distance(1 - np.exp(-np.pi / 4 * order**2)),
        _distance(1 - np.exp(-order)),
    )


def _staircase(levels: Floats, unfolding: Unfolding, scale: float | None, ratio: float | None) -> Floats:
    """How many levels are expected below each level, up to a constant and a factor."""
    if unfolding == "smooth":
        x = np.sqrt(np.maximum(levels, 0.0))  # singular values: their density is bounded at 0
        counts = np.arange(len(levels), dtype=np.float64)
        return np.asarray(Chebyshev.fit(x, counts, _DEGREE)(x))
    if scale is None or ratio is None or not scale > 0 or not 0 < ratio <= 1:
        raise WeightsError(
            f"unfolding='marchenko_pastur' with scale={scale!r}, ratio={ratio!r}: expected those of a fitted "
            "bulk"
        )
    expected = len(levels) * marchenko_pastur_cdf(levels / scale, ratio)
    if not (np.diff(expected) > 0).all():
        raise WeightsError(
            "levels lie outside of the Marchenko-Pastur bulk: leave out more of them, or choose "
            "unfolding='smooth'"
        )
    return expected


def _distance(expected: Floats) -> float:
    """Kolmogorov-Smirnov distance, of the distribution at the sorted values."""
    steps = np.arange(len(expected) + 1) / len(expected)
    return float(max((steps[1:] - expected).max(), (expected - steps[:-1]).max()))
