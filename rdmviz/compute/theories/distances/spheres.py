"""Distance spectra of spheres in closed form: the lines that measured spectra are laid beside.

A function f of the angle between points of the unit sphere ``S^d`` has the spherical harmonics as
eigenfunctions. Per point and for uniformly spread points, degree l has the eigenvalue (Funk and Hecke)
``∫ f(θ) P_l(cos θ) sin^{d-1}θ dθ / ∫ sin^{d-1}θ dθ``, P_l the Gegenbauer polynomial with ``P_l(1) = 1``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rdmviz.compute.errors import DistanceError
from rdmviz.compute.theories.distances.matrices import METRICS, Metric

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class SphereLevels:
    """Levels of a sphere, by degree l = 0, 1, 2, ...

    Attributes
    ----------
    level
        ``λ / N``; degree 0 is Perron's: the mean distance. Of angles without noise, even degrees are at 0.
    multiplicity
        Number of harmonics of that degree.
    """

    level: Floats
    multiplicity: Ints


def sphere_levels(
    dimension: int,
    metric: Metric = "arccos",
    degrees: int = 8,
    *,
    noise: float = 0.0,
    points: float = math.inf,
) -> SphereLevels:
    """Levels of the distances between points spread uniformly over a unit sphere.

    Parameters
    ----------
    dimension
        d of ``S^d``, at least 1: 1 is a circle.
    metric
        ``"arccos"`` or ``"euclidean"`` (chords).
    degrees
        Number of degrees, from 0.
    noise
        Total variance s² of isotropic noise in many more dimensions: ``cos`` of the angle between two
        different points shrinks by ``1/(1 + s²)``, squared chords grow by ``2 s²``.
    points
        N: with noise, every level lies ``distance of a point to its copy / N`` lower.

    Raises
    ------
    DistanceError
        A value outside of these bounds.
    """
    if dimension < 1 or degrees < 1 or not 0 <= noise < math.inf or points < 2:
        raise DistanceError(
            "A sphere has a dimension of at least 1, levels of at least 1 degree, noise of finite variance "
            "and at least 2 points; "
            f"got dimension={dimension}, degrees={degrees}, noise={noise}, points={points}."
        )
    # f and the harmonics are analytic in the angle: Gauss' rule converges exponentially.
    nodes, weights = np.polynomial.legendre.leggauss(2 * (degrees + dimension) + 200)
    angle = (nodes + 1) * np.pi / 2
    cosine = np.cos(angle)
    if metric == "arccos":
        shrunk = cosine / (1 + noise)
        distance = angle if noise == 0 else np.arccos(shrunk)
        apart = math.acos(1 / (1 + noise))
    elif metric == "euclidean":
        distance = np.sqrt(np.square(2 * np.sin(angle / 2)) + 2 * noise)
        apart = math.sqrt(2 * noise)
    else:
        raise DistanceError(f"There is no metric {metric!r}; choose one of {', '.join(METRICS)}.")
    measure = weights * np.sin(angle) ** (dimension - 1)
    measure /= measure.sum()
    level = np.array([measure @ (distance * p) for p in _harmonics(dimension, degrees, cosine)])
    return SphereLevels(level - apart / points, _multiplicities(dimension, degrees))


def _harmonics(dimension: int, degrees: int, x: Floats) -> list[Floats]:
    """Gegenbauer polynomials with value 1 at 1, by their three-term recurrence."""
    found = [np.ones_like(x), x]
    for n in range(1, degrees):
        found.append(((2 * n + dimension - 1) * x * found[n] - n * found[n - 1]) / (n + dimension - 1))
    return found[:degrees]


def _multiplicities(dimension: int, degrees: int) -> Ints:
    d = dimension
    return np.array(
        [math.comb(n + d, d) - (math.comb(n + d - 2, d) if n > 1 else 0) for n in range(degrees)], np.int64
    )
