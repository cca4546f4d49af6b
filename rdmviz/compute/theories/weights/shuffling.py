"""The same entries in another order: the edge of a spectrum that has no structure but its entries' law."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rdmviz.compute.errors import WeightsError
from rdmviz.compute.rdm.nulls import largest_of_noise
from rdmviz.compute.theories.weights.matrices import short_side_first, snapshots_of, top_eigenvalue, usable

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ShuffledEdges:
    """Edges of snapshots of one layer, by shuffling.

    Attributes
    ----------
    edge
        Largest eigenvalue that the entries reach in any order, at the level asked for, ``(S,)``.
    largest
        Largest eigenvalue of each shuffled matrix, ``(S, draws)``.

    NaN for snapshots that diverged, see :func:`.matrices.weight_eigenvalues`.
    """

    edge: Floats
    largest: Floats


def shuffled(weights: NDArray[Any], generator: np.random.Generator) -> NDArray[Any]:
    """Return an array of the same shape and entries, in random order."""
    return generator.permutation(weights.ravel()).reshape(weights.shape)


def shuffled_edges(
    weights: ArrayLike, *, draws: int = 4, level: float = 0.99, seed: int = 0
) -> ShuffledEdges:
    """Edge of every snapshot of a layer from its own entries in random order.

    Right for entries of any law, heavy tails and a common mean included, where a fitted bulk is right for
    entries of one variance.

    Parameters
    ----------
    weights
        Snapshots of one parameter, ``(S, out, in)``, or kernels ``(S, out, in, ...)``.
    draws
        Shuffled matrices per snapshot.
    level
        Probability that shuffled entries stay below the edge.
    seed
        Of the order.

    Raises
    ------
    WeightsError
        If there are no snapshots of matrices, or draws is not 1 or more.
    NullError
        If `level` is no probability.

    Notes
    -----
    The edge is the mean of the largest eigenvalues, raised by as much as the Tracy-Widom law of a matrix of
    this size lies above its mean at the level, and not below any of the draws. So few draws do: they need to
    find the place of the edge only, not its tail (take more where a few entries are much larger than the
    rest: then the largest eigenvalue scatters more than that law). A strong signal is still in the shuffled
    entries, spread over all of them, and its variance with it: the edge for weak signals beside it is
    somewhat high.
    """
    stack = snapshots_of(weights)
    n, m = short_side_first(stack.shape[1:])
    asked: object = draws
    if isinstance(asked, bool) or not isinstance(asked, Integral) or draws < 1:
        raise WeightsError(f"draws={draws!r}: expected a whole number, 1 or more")
    # Mean of the Tracy-Widom law is near its quantile at .519.
    rise = largest_of_noise(n, m, level) - largest_of_noise(n, m, 0.519)
    generator = np.random.default_rng(seed)
    largest = np.full((len(stack), draws), np.nan)
    edge = np.full(len(stack), np.nan)
    for s, snapshot in enumerate(stack):
        if not usable(snapshot):
            continue
        size = float(np.abs(snapshot).max())
        if size == 0:
            largest[s], edge[s] = 0.0, 0.0
            continue
        entries = (snapshot.astype(np.float64) / size).astype(np.float32)
        largest[s] = [top_eigenvalue(shuffled(entries, generator).reshape(n, m)) for _ in range(draws)]
        edge[s] = max(largest[s].mean() + rise * entries.var(dtype=np.float64), largest[s].max())
        largest[s] *= size**2
        edge[s] *= size**2
    return ShuffledEdges(edge, largest)
