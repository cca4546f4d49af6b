"""How much two subspaces of datapoints have in common, and how much they would have by chance."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def subspace_overlap(a: Floats, b: Floats) -> float:
    """Mean squared cosine between two k-dimensional subspaces, ``|A B'|_F² / k``, from 0 to 1.

    Parameters
    ----------
    a, b
        Orthonormal rows, ``(k, n)`` each. Any other basis of the same subspaces gives the same value.
    """
    return min(1.0, float(np.square(a @ b.T).sum()) / len(a))


def chance_overlap(modes: int, n_samples: int) -> tuple[float, float]:
    """Mean and standard deviation of the overlap of two uniformly random k-dimensional subspaces.

    ``k / n``, and ``sqrt(2) (1 - k/n) / sqrt((n - 1)(n + 2))``: second moments of a random projector.
    """
    share = modes / n_samples
    return share, math.sqrt(2 / ((n_samples - 1) * (n_samples + 2))) * (1 - share)


def relabelled_overlap(a: Floats, b: Floats) -> float:
    """Mean overlap over all ``n!`` relabellings of the datapoints of one subspace.

    ``k/n + (s_a - k)(s_b - k) / (k n (n - 1))``, where ``s = 1'P1`` is the squared length of the projection
    of the vector of ones. Above ``k / n`` where both subspaces hold the direction in which all losses rise
    and fall together: that is shared by any two runs, whatever their datapoints do.
    """
    k, n = a.shape
    s_a, s_b = (float(np.square(v.sum(axis=1)).sum()) for v in (a, b))
    return float(k / n + (s_a - k) * (s_b - k) / (k * n * (n - 1)))
