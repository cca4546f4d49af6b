"""Which directions last along a run: overlap of the leading eigenvectors of its snapshots."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rdmviz.compute.errors import DistanceError

Floats = NDArray[np.float64]


def overlap_along(vectors: ArrayLike) -> Floats:
    """Mean squared cosine between the subspaces of every two snapshots, ``(T, T)``, from 0 to 1.

    ``|A Bᵀ|_F² / k``, blind to signs, order and turns within a subspace. Two random subspaces of N points
    have ``k / N`` in common (:func:`~rdmviz.compute.rdm.subspaces.chance_overlap`). Take k where the spectrum
    breaks off: a subspace that cuts a multiplet turns by itself.

    Parameters
    ----------
    vectors
        Orthonormal rows per snapshot, ``(T, k, N)``.
    """
    rows = np.asarray(vectors, np.float64)
    if rows.ndim != 3 or 0 in rows.shape:
        raise DistanceError(f"Vectors are snapshots × vectors × points; got shape {rows.shape}.")
    snapshots, k, n = rows.shape
    flat = rows.reshape(-1, n)
    squares = np.square(flat @ flat.T).reshape(snapshots, k, snapshots, k)
    shared: Floats = np.minimum(squares.sum(axis=(1, 3)) / k, 1.0)
    return shared
