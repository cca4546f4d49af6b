"""Groups of datapoints that fluctuate together, and orders that show them as blocks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import leaves_list, linkage, optimal_leaf_ordering
from scipy.spatial.distance import pdist, squareform

from rdmviz.compute.errors import ComputeError
from rdmviz.compute.rdm.scales import scaled

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MAX_COUNT = 6
_SAMPLED = 400  # Ward linkage is quadratic; further datapoints join the nearest centroid
_LOYALTY = 0.05  # of silhouette
ALIKE = 1e-9  # of the largest coordinate: points nearer than this differ by rounding
_SERIATED = 256  # optimal leaf ordering is cubic; larger groups keep the tree's own order


def embedding(eigenvalues: Floats, vectors: Floats, scale: str = "linear") -> Floats:
    """Coordinates ``sqrt(lambda_k) v_k[i]`` of datapoints, ``(n, k)``: distances are of loss fluctuations.

    Parameters
    ----------
    eigenvalues, vectors
        Leading eigenvalues ``(k,)`` and their unit eigenvectors ``(k, n)``.
    scale
        On which they are told apart (see :func:`rdmviz.compute.rdm.scales.scaled`).

    Raises
    ------
    ComputeError
        If `scale` is unknown.
    """
    points = (np.sqrt(eigenvalues[: len(vectors)])[:, None] * vectors).T
    return np.ascontiguousarray(scaled(points, scale))


def cluster(
    points: Floats, count: int | None = None, mass: Floats | None = None, before: int | None = None
) -> Ints:
    """Group of each point, ``(n,)``, numbered from 0 by falling mass.

    Ward linkage of up to 400 points (all of them, or evenly spaced by rank of their mass, so that the
    strongest are among them); further points join the nearest centroid. Nothing is random.

    Parameters
    ----------
    points
        Coordinates, ``(n, k)``.
    count
        Number of groups; by default the one of 2 to 6 with the largest mean silhouette. Fewer where
        fewer points differ by more than a billionth of the largest coordinate, and at most 400.
    mass
        Of each point, ``(n,)``, at least 0; by default its squared norm.
    before
        Number of groups before, where `count` is not given: it stays unless another one's silhouette is
        larger by .05, so that groups do not split and merge where two numbers do equally well.

    Raises
    ------
    ComputeError
        If `count` is not between 1 and n.
    """
    n = len(points)
    if count is not None and not 1 <= count <= n:
        raise ComputeError(f"count={count}: expected 1 to {n} groups of {n} datapoints")
    if mass is None:
        mass = np.einsum("ij,ij->i", points, points)
    chosen = sampled(mass, _SAMPLED)
    sample = points[chosen]
    tree = linkage(sample, "ward")
    tree[tree[:, 2] <= ALIKE * np.abs(sample).max(), 2] = 0.0
    if count is None:
        square = squareform(pdist(sample))
        labels = max(
            _cuts(tree, range(2, max(2, min(MAX_COUNT, len(sample) - 1)) + 1)),
            key=lambda cut: silhouette(square, cut) + _LOYALTY * (int(cut.max()) + 1 == before),
        )
    else:
        (labels,) = _cuts(tree, [min(count, len(sample))])
    if n > len(chosen):
        groups = range(int(labels.max()) + 1)
        centroids = np.stack([sample[labels == g].mean(axis=0) for g in groups])
        nearest = np.argmin(-2 * points @ centroids.T + np.einsum("gk,gk->g", centroids, centroids), axis=1)
        nearest[chosen] = labels
        labels = nearest
    return numbered_by_mass(labels, mass)


def sampled(mass: Floats, most: int) -> Ints:
    """At most so many points, evenly spaced by rank of their mass from the largest, ``(m,)``."""
    n = len(mass)
    if n <= most:
        return np.arange(n)
    ranked = np.argsort(-mass, kind="stable")
    return np.asarray(ranked[np.linspace(0, n - 1, most).round().astype(int)])


def numbered_by_mass(labels: Ints, mass: Floats) -> Ints:
    """Renumber groups ``0..max(labels)`` by falling mass; -1, of points in no group, stays."""
    total = np.bincount(labels[labels >= 0], weights=mass[labels >= 0])
    rank = np.empty(len(total), dtype=np.int64)
    rank[np.argsort(-total, kind="stable")] = np.arange(len(total))
    return np.asarray(np.append(rank, -1)[labels])


def separation(points: Floats, labels: Ints, mass: Floats) -> float:
    """Mean silhouette of labelled points, of up to 400 of them chosen as :func:`cluster` does.

    Points in no group, -1, are left out.
    """
    chosen = sampled(mass, _SAMPLED)
    chosen = chosen[labels[chosen] >= 0]
    if not len(chosen):
        return -1.0
    compact = np.unique(labels[chosen], return_inverse=True)[1]
    return silhouette(squareform(pdist(points[chosen])), compact)


def silhouette(distances: Floats, labels: Ints) -> float:
    """Mean silhouette (Rousseeuw 1987) of groups ``0..max(labels)``, in [-1, 1]; -1 for a single group.

    Parameters
    ----------
    distances
        Square matrix ``(m, m)``.
    labels
        Group of each point, ``(m,)``; points alone in their group count 0.
    """
    sizes = np.bincount(labels)
    if len(sizes) < 2:
        return -1.0
    member = np.eye(len(sizes))[labels]
    sums = distances @ member
    own = np.arange(len(labels)), labels
    inside = sums[own] / np.maximum(sizes[labels] - 1, 1)
    outside = sums / sizes
    outside[own] = np.inf
    nearest = outside.min(axis=1)
    scale = np.maximum(inside, nearest)
    score = np.where(
        (sizes[labels] > 1) & (scale > 0), (nearest - inside) / np.where(scale > 0, scale, 1.0), 0.0
    )
    return float(score.mean())


def seriation(fluctuations: Floats, labels: Ints) -> Ints:
    """Order of datapoints in which a covariance shows its blocks: by group, alike next to alike within one.

    Parameters
    ----------
    fluctuations
        Detrended losses ``(window, m)`` of the datapoints to be ordered.
    labels
        Their groups, ``(m,)``; lower labels come first, those in no group, -1, last.

    Returns
    -------
    Permutation of ``0..m-1``. Within a group: leaves of average linkage on correlation distance, in optimal
    order (Bar-Joseph et al. 2001) for groups of up to 256, in the one of both directions that runs along with
    the datapoints as given. Datapoints at rest come last in their group.
    """
    norms = np.linalg.norm(fluctuations, axis=0)
    directions = np.divide(fluctuations, norms, out=np.zeros_like(fluctuations), where=norms > 0)
    parts = []
    for group in sorted(set(labels.tolist()), key=lambda group: (group < 0, group)):
        moving = np.flatnonzero((labels == group) & (norms > 0))
        if len(moving) > 2:
            cosine = directions[:, moving].T @ directions[:, moving]
            distances = squareform(np.clip(1.0 - cosine, 0.0, 2.0), checks=False)
            tree = linkage(distances, "average")
            if len(moving) <= _SERIATED:
                tree = optimal_leaf_ordering(tree, distances)
            leaves = leaves_list(tree)
            against = (leaves - leaves.mean()) @ np.arange(len(leaves)) < 0
            moving = moving[leaves[::-1] if against else leaves]
        parts += [moving, np.flatnonzero((labels == group) & (norms == 0))]
    return np.concatenate(parts).astype(np.int64)


def _cuts(tree: Floats, counts: Sequence[int]) -> list[Ints]:
    """Cut a tree into groups of its leaves: so many, or fewer where merges tie.

    As `fcluster` has them with ``"maxclust"``, at a tenth of its time for the few cuts near the root.
    """
    n = len(tree) + 1
    sizes = np.append(np.ones(n), tree[:, 3]).astype(np.int64)
    starts, borders = {2 * n - 2: 0}, []
    for row in range(
        n - 2, n - 1 - max(counts), -1
    ):  # in their own order the leaves of a node are neighbours
        left, right = int(tree[row, 0]), int(tree[row, 1])
        starts[left] = starts.pop(n + row)
        starts[right] = starts[left] + int(sizes[left])
        borders.append(starts[right])
    leaves = leaves_list(tree)
    cuts = []
    for count in counts:
        beyond = tree[n - 1 - count, 2] if count < n else 0.0
        begins = np.zeros(n, dtype=np.int64)
        begins[borders[: int((tree[n - count :, 2] > beyond).sum())]] = 1
        labels = np.empty(n, dtype=np.int64)
        labels[leaves] = begins.cumsum()
        cuts.append(labels)
    return cuts
