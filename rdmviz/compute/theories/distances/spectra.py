"""Spectra of distance matrices: one positive Perron eigenvalue, and the rest at or below zero.

Distances in a Euclidean space, and angles, are of negative type (Bogomolny, Bohigas, Schmit): a matrix of
them has one positive eigenvalue, close to N times the mean distance, whose eigenvector has one sign. What
the points look like is in the rest. Everywhere here eigenvalue 0 is Perron's and eigenvalue k, from 1, the
k-th most negative.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rdmviz.compute.errors import DistanceError, RepresentationError
from rdmviz.compute.theories.distances.matrices import Metric, duplicates, each_distance_matrix

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class DistanceSpectra:
    """Spectra along a run.

    Attributes
    ----------
    eigenvalues
        ``(T, N)``: Perron first, then from the most negative up.
    vectors
        Unit eigenvectors of the most negative eigenvalues, ``(T, k, N)``; the entry of largest magnitude is
        positive.
    duplicates
        Points that coincide with one before them, ``(T,)``.
    """

    eigenvalues: Floats
    vectors: Floats
    duplicates: Ints

    @property
    def perron(self) -> Floats:
        """The positive eigenvalue, ``(T,)``; 0 where all points coincide."""
        return self.eigenvalues[:, 0]


def distance_spectrum(distances: ArrayLike, vectors: int = 0) -> tuple[Floats, Floats]:
    """Eigenvalues of one matrix of distances, and the eigenvectors of the most negative ones.

    Parameters
    ----------
    distances
        ``(N, N)``, symmetric, zero on the diagonal, nowhere negative.
    vectors
        How many eigenvectors, at most N - 1.

    Returns
    -------
    eigenvalues, vectors
        ``(N,)``, Perron first and then from the most negative up; ``(vectors, N)``.

    Raises
    ------
    DistanceError
        The matrix is none of distances, or has fewer eigenvectors than asked for.
    """
    matrix = np.asarray(distances, np.float64)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or len(matrix) < 2:
        raise DistanceError(f"Distances are N × N with N at least 2; got shape {matrix.shape}.")
    if not (np.isfinite(matrix).all() and (matrix >= 0).all() and not matrix.diagonal().any()):
        raise DistanceError(
            "Distances are finite, nowhere negative and zero on the diagonal; "
            f"got values from {matrix.min()} to {matrix.max()}, "
            f"diagonal from {matrix.diagonal().min()} to {matrix.diagonal().max()}."
        )
    if not np.allclose(matrix, matrix.T, rtol=1e-9, atol=0):
        raise DistanceError("Distances are symmetric; this matrix is not its own transpose.")
    if not 0 <= vectors < len(matrix):
        raise DistanceError(
            f"Beside Perron's, {len(matrix)} points have {len(matrix) - 1} eigenvectors; "
            f"got vectors={vectors}."
        )
    if not vectors:
        return np.roll(np.linalg.eigvalsh(matrix), 1), np.empty((0, len(matrix)))
    values, columns = np.linalg.eigh(matrix)
    found = columns[:, :vectors].T
    largest = np.take_along_axis(found, np.abs(found).argmax(axis=1)[:, None], axis=1)
    return np.roll(values, 1), found * np.sign(largest)


def distance_spectra(
    representations: ArrayLike | Iterable[ArrayLike], metric: Metric = "arccos", vectors: int = 3
) -> DistanceSpectra:
    """Spectra of the distances between fixed points, at every snapshot of a run.

    Parameters
    ----------
    representations
        ``(T, N, d)``, or any iterable of ``(N, d)`` arrays; one snapshot's distances are held at a time.
    metric
        ``"arccos"`` or ``"euclidean"``, see :func:`~.matrices.distance_matrix`.
    vectors
        Eigenvectors kept per snapshot, at most N - 1.

    Raises
    ------
    RepresentationError, DistanceError
        See :func:`~.matrices.distance_matrices`.
    """
    eigenvalues, found, counts = [], [], []
    for distances in each_distance_matrix(representations, metric):
        values, rows = distance_spectrum(distances, vectors)
        eigenvalues.append(values)
        found.append(rows)
        counts.append(duplicates(distances))
    if not eigenvalues:
        raise RepresentationError(
            "There is no snapshot of representations; at least one (N, d) array is needed."
        )
    return DistanceSpectra(np.stack(eigenvalues), np.stack(found), np.array(counts, np.int64))


def magnitudes(eigenvalues: ArrayLike) -> Floats:
    """Return ``|λ_k|``, k from 1, falling: ``(..., N - 1)``; what is zero to rounding, or above zero, is 0.

    Parameters
    ----------
    eigenvalues
        ``(..., N)``, Perron first.
    """
    values = np.asarray(eigenvalues, np.float64)
    if values.ndim < 1 or values.shape[-1] < 2:
        raise DistanceError(f"A spectrum has at least two eigenvalues, (..., N); got shape {values.shape}.")
    rounding = values.shape[-1] * np.finfo(np.float64).eps * np.abs(values[..., :1])
    return np.where(values[..., 1:] < -rounding, -values[..., 1:], 0.0)
