"""Temperatures at which a network's spins order or freeze.

In units in which the Boltzmann constant is 1: those of weights.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import eigh_tridiagonal

from rdmviz.compute.errors import SpinModelError
from rdmviz.compute.theories.spins.bonds import checked_couplings
from rdmviz.compute.theories.spins.extremes import top_eigenpair


def random_layers_temperature(sizes: Sequence[int], variances: Sequence[float]) -> float:
    """Glass temperature of layers of independent weights, in the limit of wide layers.

    ``T_c²`` is the largest eigenvalue of the tridiagonal matrix with ``sigma_l² sqrt(n_l n_{l+1})``
    beside its diagonal.

    Parameters
    ----------
    sizes
        Spins in each layer, inputs first, ``L + 1`` of them.
    variances
        Of the entries of each weight matrix, ``L`` of them.

    Raises
    ------
    SpinModelError
        If there is not one variance for each pair of layers, or a number is negative.
    """
    n, v = np.asarray(sizes, dtype=np.float64), np.asarray(variances, dtype=np.float64)
    if n.ndim != 1 or v.shape != (len(n) - 1,) or not len(v) or not ((n >= 1).all() and (v >= 0).all()):
        raise SpinModelError(
            f"sizes={sizes!r:.60} with variances={variances!r:.60}: expected the sizes of two layers or "
            "more and one variance for each pair of neighbours"
        )
    beside = v * np.sqrt(n[:-1] * n[1:])
    top = eigh_tridiagonal(
        np.zeros(len(n)), beside, eigvals_only=True, select="i", select_range=(len(v), len(v))
    )
    return float(np.sqrt(max(top[0], 0.0)))


def equal_layers_temperature(strength: float, matrices: int) -> float:
    """Glass temperature of layers of equal width: ``sqrt(2 C cos(pi / (L + 2)))``.

    Parameters
    ----------
    strength
        ``C = width * variance of the weights``.
    matrices
        Weight matrices L.

    Raises
    ------
    SpinModelError
        If C is negative or L below 1.
    """
    if not (strength >= 0 and matrices >= 1):
        raise SpinModelError(f"strength={strength!r}, matrices={matrices!r}: expected C >= 0 and L >= 1")
    return float(np.sqrt(2 * strength * np.cos(np.pi / (matrices + 2))))


def glass_temperature(couplings: ArrayLike) -> float:
    """Glass temperature T_SG of one network: root of the spectral radius of the squared couplings.

    Below it the paramagnet's response diverges in directions that mean nothing. 0 without couplings.

    Raises
    ------
    SpinModelError
        If the couplings are not symmetric and finite.
    """
    return float(np.sqrt(top_eigenpair(checked_couplings(couplings) ** 2)[0]))


def naive_temperature(couplings: ArrayLike) -> float:
    """Ordering temperature of naive mean field: the largest eigenvalue of J.

    Too high, for want of the reaction of a spin's neighbours to it: for comparison only.

    Raises
    ------
    SpinModelError
        If the couplings are not symmetric and finite.
    """
    return max(top_eigenpair(checked_couplings(couplings))[0], 0.0)
