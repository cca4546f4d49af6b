"""Observables of a covariance spectrum, from its traces where they suffice and from eigenvalues where not.

Eigenvalue arrays have the spectrum along their last axis; zeros that are left out change nothing but the
``"variance"`` heat capacity, which is told the number of datapoints.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
HeatCapacity = Literal["variance", "capacity", "total"]
HEAT_CAPACITIES: tuple[str, ...] = get_args(HeatCapacity)


def participation_ratio(trace: Floats, square: Floats) -> Floats:
    """``(Tr C)² / Tr C²``: how many modes carry the fluctuations, at least 1; NaN where nothing moves.

    Parameters
    ----------
    trace, square
        ``Tr C`` and ``Tr C²``, same shape.
    """
    return _ratio(trace, np.sqrt(square)) ** 2


def participation_ratio_unbiased(trace: Floats, square: Floats, nu: int) -> Floats:
    """Participation ratio with ``Tr C²`` replaced by its unbiased estimate from `nu` independent rows.

    ``nu² / ((nu - 1)(nu + 2)) [Tr C² - (Tr C)² / nu]`` removes the bias of a short window, which alone gives
    white noise ``n nu / (n + nu + 1)``. Successive training steps are correlated, so the correction is
    partial there. NaN where the estimate is not positive beyond rounding, and for ``nu < 2``.
    """
    if nu < 2:
        return np.full(np.shape(trace), np.nan)
    excess = 1.0 / participation_ratio(trace, square) - 1.0 / nu
    excess = np.where(excess > 1e-9 / nu, excess, np.nan)
    return np.asarray((nu - 1) * (nu + 2) / nu**2 / excess)


def heat_capacity_variance(trace: Floats, square: Floats, n_samples: int) -> Floats:
    """Variance of all `n_samples` eigenvalues, zeros counted: ``Tr C²/n - (Tr C/n)²``, loss⁴.

    Equal to ``(Tr C)²/n (1/PR - 1/n)``.
    """
    return np.asarray(np.maximum(square / n_samples - (trace / n_samples) ** 2, 0.0))


def heat_capacity_of_purity(trace: ArrayLike, purity: ArrayLike, n_samples: int) -> Floats:
    """:func:`heat_capacity_variance` from ``Tr C`` and ``Tr C² / (Tr C)²``; NaN where it leaves float64.

    That is for losses beyond 1e77, or below 1e-77, where digits would be lost; 0 where nothing moves.
    """
    trace, purity = np.asarray(trace), np.asarray(purity)
    relative = heat_capacity_variance(np.ones(purity.shape), purity, n_samples)
    with np.errstate(over="ignore", under="ignore"):
        capacity = np.where(trace == 0, 0.0, relative * trace * trace)
    known = (capacity < np.inf) & ((capacity >= np.finfo(np.float64).tiny) | (relative == 0) | (trace == 0))
    return np.where(known, capacity, np.nan)


def heat_capacity_capacity(eigenvalues: Floats) -> Floats:
    """Capacity of entanglement ``sum p ln² p - (sum p ln p)²`` for ``p = lambda/Tr C`` (arXiv:1708.08924)."""
    p, log_p = _weights(eigenvalues)
    mean = (p * log_p).sum(axis=-1, keepdims=True)
    return np.asarray((p * (log_p - mean) ** 2).sum(axis=-1))


def spectral_gap(eigenvalues: Floats) -> Floats:
    """Difference of the two largest eigenvalues, descending along the last axis, loss²."""
    return np.asarray(eigenvalues[..., 0] - (eigenvalues[..., 1] if eigenvalues.shape[-1] > 1 else 0.0))


def explained(eigenvalues: Floats) -> Floats:
    """Shares ``p = lambda / Tr C`` of the trace, same shape; NaN where nothing moves."""
    return _weights(eigenvalues)[0]


def entropy(eigenvalues: Floats) -> Floats:
    """Von Neumann entropy ``-sum p ln p`` of the density matrix ``C / Tr C``, nats."""
    p, log_p = _weights(eigenvalues)
    return np.asarray(np.maximum(-(p * log_p).sum(axis=-1), 0.0))


def effective_rank(eigenvalues: Floats) -> Floats:
    """Exponential of :func:`entropy`: number of modes as entropy counts them."""
    return np.asarray(np.exp(entropy(eigenvalues)))


def _weights(eigenvalues: Floats) -> tuple[Floats, Floats]:
    """``p`` and ``ln p`` (0 where p is 0); NaN where nothing moves."""
    values = np.maximum(eigenvalues, 0.0)
    p = _ratio(values, values.sum(axis=-1, keepdims=True))
    return p, np.log(np.where(p == 0, 1.0, p))


def _ratio(numerator: Floats, denominator: Floats) -> Floats:
    """Quotient, NaN where the denominator is zero."""
    numerator, denominator = np.broadcast_arrays(numerator, denominator)
    out = np.full(numerator.shape, np.nan)
    np.divide(numerator, denominator, out=out, where=denominator != 0)
    return out
