"""Extreme eigenvalues of symmetric matrices: by Lanczos where they are large, by LAPACK where it fails."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cho_factor, cho_solve, eigh, eigvalsh, solve_triangular
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh

Floats = NDArray[np.float64]

_DENSE = 150  # up to this size LAPACK is as fast


def top_eigenpair(matrix: Floats) -> tuple[float, Floats]:
    """Largest eigenvalue of a symmetric matrix, and its vector."""
    n = len(matrix)
    if n > _DENSE and matrix.any():
        try:
            values, vectors = eigsh(matrix, 1, which="LA", v0=_start(n), tol=1e-10)
            return float(values[0]), np.asarray(vectors[:, 0])
        except ArpackNoConvergence:  # crowded at the top
            pass
    values, vectors = eigh(matrix, subset_by_index=[n - 1, n - 1])
    return float(values[0]), np.asarray(vectors[:, 0])


def least_eigenvalue(matrix: Floats) -> float:
    """Smallest eigenvalue of a symmetric matrix; of a positive one by its inverse, fast where near 0."""
    n = len(matrix)
    if n > _DENSE:
        try:
            factor = cho_factor(matrix, lower=True)
            inverse = LinearOperator((n, n), matvec=lambda x: cho_solve(factor, x), dtype=np.float64)
            return 1 / float(
                eigsh(inverse, 1, which="LA", v0=_start(n), tol=1e-8, return_eigenvectors=False)[0]
            )
        except (LinAlgError, ArpackNoConvergence):
            pass
    return float(eigvalsh(matrix, subset_by_index=[0, 0])[0])


def top_relative(matrix: Floats, lower: Floats) -> float:
    """Largest eigenvalue of a symmetric matrix relative to ``L L^T``, L lower triangular."""
    n = len(matrix)
    if n > _DENSE:

        def between(x: Floats) -> Floats:
            up = solve_triangular(lower, x, lower=True, trans="T", check_finite=False)
            return np.asarray(solve_triangular(lower, matrix @ up, lower=True, check_finite=False))

        try:
            product = LinearOperator((n, n), matvec=between, dtype=np.float64)
            return float(eigsh(product, 1, which="LA", v0=_start(n), tol=1e-8, return_eigenvectors=False)[0])
        except ArpackNoConvergence:
            pass
    return float(eigvalsh(matrix, lower @ lower.T, subset_by_index=[n - 1, n - 1])[0])


def _start(n: int) -> Floats:
    return np.random.default_rng(0).standard_normal(n)  # the same every time
