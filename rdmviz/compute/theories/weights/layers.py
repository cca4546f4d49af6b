"""One layer along a training: its spectra, their bulk, and what stands out of it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rdmviz.compute.errors import WeightsError
from rdmviz.compute.theories.weights.marchenko_pastur import LEAST_ROWS, Bulk, fit_bulk
from rdmviz.compute.theories.weights.matrices import short_side_first, snapshots_of, weight_eigenvalues
from rdmviz.compute.theories.weights.shuffling import ShuffledEdges, shuffled_edges
from rdmviz.compute.theories.weights.signal import overlaps, signal_strength
from rdmviz.compute.theories.weights.spacings import LEAST_LEVELS, level_spacings

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Outliers:
    """Eigenvalues above the edge of the noise, strongest first; K is the most that any snapshot has.

    Attributes
    ----------
    eigenvalue
        ``(S, K)``, NaN beyond the outliers of a snapshot, as all arrays here are.
    strength
        Signal b of :func:`.signal.signal_strength`: the squared singular value before the noise.
    relative
        ``c = b / a``: the signal shows above ``sqrt r``.
    overlap, overlap_long
        Squared cosine of its singular vectors with those of the signal, on the shorter side (q²) and on the
        longer.
    """

    eigenvalue: Floats
    strength: Floats
    relative: Floats
    overlap: Floats
    overlap_long: Floats


@dataclass(frozen=True)
class LayerSpectra:
    """Spectra of a layer of ``N x M`` weights, ``r = N / M <= 1``, at S snapshots.

    Attributes
    ----------
    shape
        N and M.
    eigenvalues
        Of ``X = W W^T``, ``(S, N)``, descending; NaN for snapshots that diverged.
    bulk
        Marchenko-Pastur fit of each; None for N below 8, too few for a fit.
    outliers
        Those above the edge of the bulk; None without a bulk.
    shuffled
        Edges by the entries in random order; None where they were not asked for.
    n_above_shuffled
        Eigenvalues above those, ``(S,)``, NaN for snapshots that diverged; None without them.
    to_wigner, to_poisson, spacing_ratio
        Of the spacings of the bulk, ``(S,)``, see :class:`.spacings.Spacings`; NaN where fewer than 24 levels
        are in it, some are equal, or there is no bulk.
    """

    shape: tuple[int, int]
    eigenvalues: Floats
    bulk: Bulk | None
    outliers: Outliers | None
    shuffled: ShuffledEdges | None
    n_above_shuffled: Floats | None
    to_wigner: Floats
    to_poisson: Floats
    spacing_ratio: Floats


def layer_spectra(weights: ArrayLike, *, draws: int = 4, level: float = 0.99, seed: int = 0) -> LayerSpectra:
    """Everything about the spectra of one layer.

    Parameters
    ----------
    weights
        Snapshots of one parameter, ``(S, out, in)``, or kernels ``(S, out, in, ...)``, which count as
        ``out x (in ...)`` matrices.
    draws
        Shuffled matrices per snapshot; 0 leaves the shuffled edges out.
    level
        Probability that noise alone stays below the edges, each.
    seed
        Of what is shuffled.

    Raises
    ------
    WeightsError
        If they are no snapshots of matrices with two rows and columns or more.
    NullError
        If `level` is no probability.
    """
    stack = snapshots_of(weights)
    found = spectra_of_eigenvalues(weight_eigenvalues(stack), short_side_first(stack.shape[1:]), level=level)
    if draws == 0:
        return found
    edges = shuffled_edges(stack, draws=draws, level=level, seed=seed)
    above = (found.eigenvalues > edges.edge[:, None]).sum(axis=1)
    n_above = np.where(np.isfinite(edges.edge), above, np.nan)
    return LayerSpectra(**vars(found) | {"shuffled": edges, "n_above_shuffled": n_above})


def spectra_of_eigenvalues(
    eigenvalues: ArrayLike, shape: tuple[int, int], *, level: float = 0.99
) -> LayerSpectra:
    """As :func:`layer_spectra`, from squared singular values alone: without shuffled edges.

    Parameters
    ----------
    eigenvalues
        ``(S, N)``, descending.
    shape
        The two sides of the matrix, in any order.

    Raises
    ------
    WeightsError
        If there are not N eigenvalues, or a side is a single row.
    """
    n, m = short_side_first(shape)
    values = np.asarray(eigenvalues, dtype=np.float64)
    if values.ndim != 2 or values.shape[1] != n:
        raise WeightsError(
            f"eigenvalues of shape {values.shape} of {n} x {m} matrices: expected (snapshots, {n})"
        )
    spacing = np.full((3, len(values)), np.nan)
    if n < LEAST_ROWS:
        return LayerSpectra((n, m), values, None, None, None, None, *spacing)
    bulk = fit_bulk(values, (n, m), level=level)
    for s in np.flatnonzero(np.isfinite(bulk.n_outliers)):
        spacing[:, s] = _spacing(values[s, int(bulk.n_outliers[s]) :])
    return LayerSpectra((n, m), values, bulk, _outliers(values, bulk, n / m), None, None, *spacing)


def _outliers(eigenvalues: Floats, bulk: Bulk, ratio: float) -> Outliers:
    counts = np.nan_to_num(bulk.n_outliers).astype(np.intp)
    most = int(counts.max(initial=0))
    blank = np.where(np.arange(most) < counts[:, None], 1.0, np.nan)
    scale = bulk.scale[:, None]
    strength = signal_strength(eigenvalues[:, :most], scale, ratio) * blank
    with np.errstate(divide="ignore"):
        relative = strength / scale  # infinite where there is no noise
    short, long = overlaps(strength, scale, ratio)
    return Outliers(eigenvalues[:, :most] * blank, strength, relative, short * blank, long * blank)


def _spacing(levels: Floats) -> tuple[float, float, float]:
    """Distances from Wigner and Poisson and the mean ratio, of levels in descending order."""
    kept = len(levels) - 2 * int(0.1 * len(levels))
    if kept < LEAST_LEVELS or not (-np.diff(levels) > 1e-12 * levels[0]).all():
        return math.nan, math.nan, math.nan
    found = level_spacings(levels)
    return found.to_wigner, found.to_poisson, found.ratio
