"""Noise in the directions that no structure fills, read off the bulk of a distance spectrum.

Points ``y_i`` in few dimensions, each with noise of its own in many: noisy points are apart even where the
``y`` coincide, so the matrix of distances is that of a smooth function of ``y`` minus this distance on the
diagonal, and all but the first eigenvalues come to rest at minus that distance.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rdmviz.compute.errors import DistanceError
from rdmviz.compute.theories.distances.matrices import METRICS, Metric
from rdmviz.compute.theories.distances.spectra import magnitudes

Floats = NDArray[np.float64]


def bulk_level(eigenvalues: ArrayLike) -> Floats:
    """Median of ``|λ_k|`` over all but Perron, ``(...)``: the distance of two points with the same signal.

    Without noise it is what the spacing of the points leaves, about the distance to the nearest
    neighbour, and falls with their number.

    Parameters
    ----------
    eigenvalues
        ``(..., N)``, Perron first.
    """
    return np.asarray(np.median(magnitudes(eigenvalues), axis=-1))


def ambient_noise(level: ArrayLike, metric: Metric = "arccos") -> Floats:
    """Total variance s² of isotropic noise in many dimensions that puts the bulk at a level.

    ``"arccos"``: relative to the squared length of the signal, ``s² = 1/cos(level) - 1``; infinite from π/2
    on, where no signal is left. ``"euclidean"``: ``s² = level²/2`` in the squared unit of the
    representations.

    Parameters
    ----------
    level
        :func:`bulk_level`, ``(...)``.
    metric
        The one by which the distances were measured.
    """
    values = np.asarray(level, np.float64)
    if not (values >= 0).all():
        raise DistanceError(
            f"The level of a bulk is a distance, at least 0; got {values[~(values >= 0)][0]}."
        )
    if metric == "euclidean":
        return np.square(values) / 2
    if metric != "arccos":
        raise DistanceError(f"There is no metric {metric!r}; choose one of {', '.join(METRICS)}.")
    below = values < np.pi / 2
    return np.where(below, 1 / np.cos(np.where(below, values, 0)) - 1, np.inf)
