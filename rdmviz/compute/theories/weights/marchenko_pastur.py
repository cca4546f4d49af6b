"""The bulk of a weight spectrum: the Marchenko-Pastur law of ``X = W W^T`` at its scale.

Entries of variance ``a / M`` without anything in common give X, ``N x N`` with ``r = N / M <= 1``,
eigenvalues of mean `a` between ``a (1 - sqrt r)²`` and ``a (1 + sqrt r)²``. The largest exceeds the
upper edge by a Tracy-Widom fluctuation of relative size ``N^(-2/3)``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rdmviz.compute.errors import WeightsError
from rdmviz.compute.rdm.nulls import marchenko_pastur_edge

Floats = NDArray[np.float64]

LEAST_ROWS = 8  # eigenvalues of a bulk that can be fitted


@dataclass(frozen=True)
class Bulk:
    """Marchenko-Pastur bulk fitted to spectra ``(..., N)``; arrays ``(...)``.

    Attributes
    ----------
    scale
        The `a` of the law: M times the variance of the entries that have nothing in common.
    lower, upper
        Edges of the bulk in the limit of large matrices.
    edge
        Largest eigenvalue that noise alone reaches at the level asked for: `upper` and the Tracy-Widom
        tolerance of a matrix of this size.
    n_outliers
        Eigenvalues above `edge`.
    fits
        Whether less than half of the spectrum stands above the edge.

    All but `fits` are NaN where the spectrum is NaN or the law does not fit.
    """

    scale: Floats
    lower: Floats
    upper: Floats
    edge: Floats
    n_outliers: Floats
    fits: NDArray[np.bool_]


def bulk_edges(scale: ArrayLike, ratio: ArrayLike) -> tuple[Floats, Floats]:
    """Lower and upper edge ``a (1 -+ sqrt r)²`` of the bulk, ``r = N / M`` in (0, 1].

    Raises
    ------
    WeightsError
        If the ratio is above 1: transpose, so that rows are the shorter side.
    """
    root = np.sqrt(checked_ratio(ratio))
    a = np.asarray(scale, dtype=np.float64)
    return a * (1 - root) ** 2, a * (1 + root) ** 2


def bulk_density(x: ArrayLike, scale: float, ratio: float) -> Floats:
    """Density of eigenvalues of X at `x`, of integral 1, to be drawn over a histogram.

    Infinite at 0 for square matrices.
    """
    low, high = bulk_edges(scale, ratio)
    x = np.asarray(x, dtype=np.float64)
    inside = np.sqrt(np.maximum((x - low) * (high - x), 0.0))
    with np.errstate(divide="ignore", invalid="ignore"):
        density = np.where(inside > 0, inside / (2 * np.pi * ratio * scale * x), 0.0)
    return np.where((x == 0) & (low == 0) & (scale > 0), np.inf, density)


def fit_bulk(eigenvalues: ArrayLike, shape: tuple[int, int], *, level: float = 0.99) -> Bulk:
    """Fit the law to spectra of X, without letting outliers move it.

    Parameters
    ----------
    eigenvalues
        ``(..., N)``, descending. Squared singular values do.
    shape
        N and M of the matrix, in any order.
    level
        Probability that noise alone stays below `edge` altogether.

    Raises
    ------
    WeightsError
        If there are not N eigenvalues, or fewer than 8: too few to tell a bulk from outliers. The
        entry-shuffled edge has no such bound.
    NullError
        If `level` is no probability.

    Notes
    -----
    See :func:`rdmviz.compute.rdm.nulls.marchenko_pastur_edge`: the scale is found from the middle half of the
    spectrum first and without the outliers then, until their number settles. A spectrum that is zero
    altogether has scale, edges and outliers 0; one of exactly low rank has edge 0.
    """
    n, m = sorted(shape)
    spectra = np.asarray(eigenvalues, dtype=np.float64)
    if n < LEAST_ROWS or spectra.ndim < 1 or spectra.shape[-1] != n:
        raise WeightsError(
            f"eigenvalues of shape {spectra.shape} of {shape[0]} x {shape[1]} matrices: expected {n} of "
            f"each, and {LEAST_ROWS} at least to tell a bulk from outliers; compare with shuffled_edges"
        )
    found = marchenko_pastur_edge(spectra, n, m, level=level)
    blank = np.where(found.fits, 1.0, np.nan)
    scale = found.noise * blank
    return Bulk(scale, *bulk_edges(scale, n / m), found.edge * blank, found.n_above * blank, found.fits)


def checked_ratio(ratio: ArrayLike) -> Floats:
    """Return `ratio` as it is, or refuse what is not in (0, 1].

    Raises
    ------
    WeightsError
        If it is not.
    """
    r = np.asarray(ratio, dtype=np.float64)
    if not ((r > 0) & (r <= 1)).all():
        raise WeightsError(
            f"ratio={ratio!r:.60}: expected N/M in (0, 1]; transpose: rows are the shorter side"
        )
    return r
