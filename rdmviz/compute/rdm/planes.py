"""Coordinates of datapoints in a plane that stays, spanned by modes of another window."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from rdmviz.compute.errors import ComputeError
from rdmviz.compute.rdm.rows import slab_width

Floats = NDArray[np.float64]

_STILL = 1e-12  # of the size of all fluctuations: what moves less along a direction is rounding


def loadings_along(
    fluctuations: Callable[..., Floats],
    directions: Floats,
    nu: int,
    samples: NDArray[np.intp] | None = None,
) -> tuple[Floats, Floats]:
    """Covariance of datapoints with the fluctuation of the whole probe along each direction.

    ``y_k = C v_k / sqrt(v_k^T C v_k)`` by ``X^T (X v_k)``, in ``O(w n)`` per direction. Along an eigenvector
    of C itself that is ``sqrt(lambda_k) v_k``, its loading.

    Parameters
    ----------
    fluctuations
        ``fluctuations(samples)`` gives the detrended rows X of some datapoints, ``(w, m)``, loss.
    directions
        Unit vectors over all datapoints, ``(k, n)``.
    nu
        Degrees of freedom: ``C = X^T X / nu``.
    samples
        Datapoints whose coordinates are wanted, default all; the direction always counts them all.

    Returns
    -------
    loadings
        ``(k, m)``, loss; 0 along a direction in which nothing moves beyond rounding.
    variances
        ``v_k^T C v_k``, ``(k,)``, loss².

    Raises
    ------
    ComputeError
        If the directions are not over the datapoints of X.
    """
    directions = np.atleast_2d(np.asarray(directions, np.float64))
    n = directions.shape[1]
    width = slab_width(len(fluctuations(slice(0, 1))))
    slabs = [slice(left, left + width) for left in range(0, n, width)]
    courses: Floats | float = 0.0
    size = 0.0
    for here in slabs:
        x = fluctuations(here)
        along = directions[:, here]
        if x.shape[1] != along.shape[1]:
            raise ComputeError(
                f"directions over {n} datapoints, but X has {here.start + x.shape[1]}: take both from one run"
            )
        courses = courses + along @ x.T
        size += float(np.vdot(x, x))
    courses = np.asarray(courses)
    lengths = np.linalg.norm(courses, axis=1)
    moving = lengths > _STILL * np.sqrt(size)
    unit = courses[moving] / lengths[moving, None]
    if samples is None:  # slab by slab: made twice is faster than kept
        rows = np.concatenate([unit @ fluctuations(here) for here in slabs], axis=1)
    else:
        rows = unit @ fluctuations(samples)
    loadings = np.zeros((len(directions), rows.shape[1]))
    loadings[moving] = rows / np.sqrt(nu)
    return loadings, np.where(moving, lengths**2 / nu, 0.0)
