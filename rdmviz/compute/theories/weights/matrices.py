"""Weights of a layer as matrices with their short side first, and their eigenvalues."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse.linalg import LinearOperator, eigsh

from rdmviz.compute.errors import WeightsError

Floats = NDArray[np.float64]

_LARGEST = 1e150  # weights from here on have no squares in float64
_DENSE = 128  # up to this short side LAPACK is as fast as Lanczos


def short_side_first(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return N and M, ``N <= M``, of a parameter ``(out, in, ...)``: kernels count as ``out x (in ...)``.

    Raises
    ------
    WeightsError
        If it has fewer than two dimensions, or one of the sides is a single row: its one eigenvalue is the
        squared length of the row, and no bulk is there to compare it with.
    """
    if len(shape) < 2:
        raise WeightsError(
            f"weights of shape {shape}: expected a matrix (out, in) or a kernel (out, in, ...)"
        )
    n, m = sorted((shape[0], math.prod(shape[1:])))
    if n < 2:
        raise WeightsError(
            f"weights of shape {shape} are a {shape[0]} x {math.prod(shape[1:])} matrix: a single row or "
            "column has one eigenvalue and no bulk; choose a layer with two rows and columns or more"
        )
    return n, m


def as_matrix(weights: ArrayLike) -> Floats:
    """One parameter as a finite ``N x M`` matrix with ``N <= M``, transposed where it has to be.

    Raises
    ------
    WeightsError
        If it holds NaN or infinities, no real numbers, or a single row.
    """
    array = _real(weights)
    n, m = short_side_first(array.shape)
    matrix = array.reshape(len(array), -1).astype(np.float64)
    if not np.isfinite(matrix).all():
        bad = int(np.argmin(np.isfinite(matrix).ravel()))
        raise WeightsError(
            f"weights of shape {array.shape} hold {matrix.ravel()[bad]} at entry {bad}: a training that "
            "diverged has no spectrum; choose an earlier snapshot"
        )
    return matrix if matrix.shape == (n, m) else matrix.T


def weight_eigenvalues(weights: ArrayLike) -> Floats:
    """Eigenvalues of ``X = W W^T`` for every snapshot of a layer.

    Parameters
    ----------
    weights
        Snapshots of one parameter, ``(S, out, in)``, or kernels ``(S, out, in, ...)``.

    Returns
    -------
    ndarray
        ``(S, N)``, descending, N the shorter side; NaN for a snapshot that holds NaN, infinities or
        weights of 1e150 and more: a training that diverged.

    Raises
    ------
    WeightsError
        If the snapshots are no such stack, or have a single row or column.
    """
    stack = snapshots_of(weights)
    n, _ = short_side_first(stack.shape[1:])
    out = np.full((len(stack), n), np.nan)
    for row, snapshot in zip(out, stack, strict=True):
        if usable(snapshot):
            matrix = as_matrix(snapshot)
            row[:] = np.maximum(np.linalg.eigvalsh(matrix @ matrix.T)[::-1], 0.0)
    return out


def usable(snapshot: NDArray[Any]) -> bool:
    """Return whether the squares of all weights are numbers."""
    return bool(float(np.abs(snapshot).max()) < _LARGEST)  # False for NaN


def snapshots_of(weights: ArrayLike) -> NDArray[Any]:
    """Return a stack ``(S, out, in, ...)`` of real numbers as it is, or refuse it.

    Raises
    ------
    WeightsError
        If it has fewer than three dimensions, no snapshot, or no real numbers.
    """
    stack = _real(weights)
    if stack.ndim < 3 or not len(stack):
        raise WeightsError(
            f"weights of shape {stack.shape}: expected snapshots (S, out, in, ...); of one snapshot give "
            "weights[None]"
        )
    return stack


def top_eigenvalue(matrix: NDArray[Any], tolerance: float = 1e-5) -> float:
    """Largest eigenvalue of ``W W^T`` to a relative `tolerance`, without forming it where W is large.

    Takes float32 as it is, for speed.
    """
    n = len(matrix)
    if n <= _DENSE:
        double: Floats = matrix.astype(np.float64)
        return max(float(np.linalg.eigvalsh(double @ double.T)[-1]), 0.0)
    if not matrix.any():
        return 0.0
    across = np.ascontiguousarray(matrix.T)
    product = LinearOperator((n, n), matvec=lambda x: matrix @ (across @ x), dtype=matrix.dtype)
    start = np.random.default_rng(0).standard_normal(n).astype(matrix.dtype)
    return float(eigsh(product, 1, which="LA", v0=start, tol=tolerance, return_eigenvectors=False)[0])


def _real(weights: ArrayLike) -> NDArray[Any]:
    array = np.asarray(weights)
    if array.dtype.kind not in "fiub":
        raise WeightsError(f"weights of dtype {array.dtype}: expected real numbers")
    return array
