"""Distances between the representations of fixed points, geodesic or Euclidean, to the last digits.

Distances come from a Gram matrix, which is fast and loses digits where points nearly coincide. So points are
centred first, and pairs that are close for their distance from the centre (for angles: nearly opposite, too)
are subtracted one by one: what coincides is at distance zero exactly.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rdmviz.compute.errors import DistanceError, RepresentationError

Floats = NDArray[np.float64]
Metric = Literal["arccos", "euclidean"]
METRICS: tuple[Metric, ...] = ("arccos", "euclidean")

_CLOSE = 1e-3  # of the squared radii: above it a squared distance keeps 12 digits
_PAIR_NUMBERS = 1 << 22  # numbers held at once while pairs are subtracted one by one


def distance_matrix(representation: ArrayLike, metric: Metric = "arccos") -> Floats:
    """Distances between N points, ``(N, N)``, symmetric with a zero diagonal.

    Parameters
    ----------
    representation
        One vector per point, ``(N, d)``, N at least 2.
    metric
        ``"arccos"``: angle between the vectors in radians, from 0 to π, whatever their lengths.
        ``"euclidean"``: length of their difference.

    Raises
    ------
    RepresentationError
        Not N by d finite numbers, or a zero vector where angles are asked for.
    DistanceError
        The metric is neither.
    """
    return _distances(_points(representation, "The representation"), metric, "The representation")


def distance_matrices(representations: ArrayLike | Iterable[ArrayLike], metric: Metric = "arccos") -> Floats:
    """Distances at every snapshot, ``(T, N, N)``; one matrix at a time: :func:`each_distance_matrix`.

    Parameters
    ----------
    representations
        The same points at every snapshot, ``(T, N, d)``, or T arrays ``(N, d)``.
    metric
        As in :func:`distance_matrix`.

    Raises
    ------
    RepresentationError, DistanceError
        As in :func:`distance_matrix`, and where points or width change from one snapshot to the next.
    """
    matrices = list(each_distance_matrix(representations, metric))
    if not matrices:
        raise RepresentationError(
            "There is no snapshot of representations; at least one (N, d) array is needed."
        )
    return np.stack(matrices)


def each_distance_matrix(
    representations: ArrayLike | Iterable[ArrayLike], metric: Metric = "arccos"
) -> Iterator[Floats]:
    """Yield the distances of one snapshot after the other, so that only one is held.

    Parameters and errors as in :func:`distance_matrices`; an iterator is read as it goes.
    """
    first: tuple[int, ...] | None = None
    for number, snapshot in enumerate(_iterated(representations)):
        name = f"Snapshot {number}"
        points = _points(snapshot, name)
        if first is None:
            first = points.shape
        elif points.shape != first:
            raise RepresentationError(
                f"{name} holds {points.shape[0]} points of width {points.shape[1]}, snapshot 0 "
                f"{first[0]} of width {first[1]}. A run is followed through one layer and one set of points: "
                "pass the snapshots with one shape, or each other shape in a call of its own."
            )
        yield _distances(points, metric, name)


def duplicates(distances: Floats) -> int:
    """Count the points at distance zero from a point before them; each adds a zero to the spectrum.

    Parameters
    ----------
    distances
        ``(N, N)``.
    """
    return int(np.tril(distances == 0, -1).any(axis=1).sum())


def _iterated(representations: ArrayLike | Iterable[ArrayLike]) -> Iterator[ArrayLike]:
    if isinstance(representations, np.ndarray) and representations.ndim != 3:
        raise RepresentationError(
            f"Representations along a run are snapshots × points × width; got shape {representations.shape}. "
            "One snapshot of shape (N, d) goes in as representations[None]."
        )
    try:
        snapshots = iter(representations)  # type: ignore[arg-type]  # a single number is array-like, too
    except TypeError:
        raise RepresentationError(
            f"Representations along a run are one (N, d) array per snapshot; got {representations!r}."
        ) from None
    yield from snapshots


def _points(representation: ArrayLike, name: str) -> Floats:
    points = np.asarray(representation)
    if points.ndim != 2 or points.dtype.kind not in "iuf":
        raise RepresentationError(
            f"{name} has shape {points.shape} and dtype {points.dtype}; one vector of real numbers per point "
            "was expected, (N, d). Flatten or average what else there is, such as positions of a text."
        )
    if points.shape[0] < 2 or points.shape[1] < 1:
        raise RepresentationError(
            f"{name} has shape {points.shape}; distances need at least two points with at least one "
            "number each."
        )
    points = points.astype(np.float64)
    wrong = np.flatnonzero(~np.isfinite(points).all(axis=1))
    if len(wrong):
        raise RepresentationError(
            f"{name} has NaN or infinite numbers in {len(wrong)} of {len(points)} points, point {wrong[0]} "
            "first. Leave these points or this snapshot out."
        )
    return points


def _distances(points: Floats, metric: Metric, name: str) -> Floats:
    if metric == "arccos":
        return _angles(points, name)
    if metric == "euclidean":
        # Squares of very large or small numbers leave float64; a power of two costs no digit.
        scale = _scale(np.abs(points).max())
        lengths: Floats = np.sqrt(_squared(points / scale)) * scale
        return lengths
    raise DistanceError(f"There is no metric {metric!r}; choose one of {', '.join(METRICS)}.")


def _angles(points: Floats, name: str) -> Floats:
    largest = np.abs(points).max(axis=1, keepdims=True)
    zero = np.flatnonzero(largest == 0)
    if len(zero):
        raise RepresentationError(
            f"{name} has {len(zero)} zero vectors among {len(points)} points, point {zero[0]} first: "
            "no direction, no angle to them under arccos. Leave these points out, or use metric='euclidean'."
        )
    directions = points / _scale(largest)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    squared = _squared(directions)
    angles = 2 * np.arcsin(np.minimum(np.sqrt(squared) / 2, 1))
    opposite = np.argwhere(np.tril(squared > 4 - 4 * _CLOSE, -1))
    for rows, columns in _blocks(opposite, points.shape[1]):
        sums = np.linalg.norm(directions[rows] + directions[columns], axis=1)
        angles[rows, columns] = angles[columns, rows] = np.pi - 2 * np.arcsin(sums / 2)
    return angles


def _scale(largest: Floats) -> Floats:
    """Power of two just below a magnitude; 1 for zero."""
    return np.asarray(np.ldexp(1.0, np.frexp(largest)[1] - 1))


def _squared(points: Floats) -> Floats:
    """Squared Euclidean distances."""
    centred = points - points.mean(axis=0)
    gram = centred @ centred.T
    radii = np.diag(gram)
    both = radii[:, None] + radii
    squared: Floats = np.maximum(both - 2 * gram, 0)
    np.fill_diagonal(squared, 0)
    for rows, columns in _blocks(np.argwhere(np.tril(squared <= _CLOSE * both, -1)), points.shape[1]):
        exact = np.square(points[rows] - points[columns]).sum(axis=1)
        squared[rows, columns] = squared[columns, rows] = exact
    return squared


def _blocks(pairs: NDArray[np.intp], width: int) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    size = max(1, _PAIR_NUMBERS // width)
    for start in range(0, len(pairs), size):
        yield pairs[start : start + size, 0], pairs[start : start + size, 1]
