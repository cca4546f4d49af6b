"""Spectrum of the covariance of losses over independent draws, one row each."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rdmviz.compute.errors import FlatWindowError, NonFiniteLossError
from rdmviz.compute.rdm.continuation import continued
from rdmviz.compute.rdm.modes import window_modes

Floats = NDArray[np.float64]


def modes_of_draws(losses: NDArray[Any], modes: int) -> tuple[Floats, Floats]:
    """Eigenvalues and leading eigenvectors of the centred covariance of all rows.

    Parameters
    ----------
    losses
        ``(draws, n)``, two rows or more.
    modes
        How many eigenvectors.

    Returns
    -------
    eigenvalues
        All that can differ from zero, descending, ``min(draws - 1, n)`` of them, loss²; 0 where no loss moves
        beyond rounding, NaN where one is not finite.
    vectors
        Unit vectors ``(min(modes, draws - 1, n), n)``, oriented so that the side with more mass is positive;
        NaN for modes that are zero within rounding.
    """
    draws, n = losses.shape
    side = min(draws - 1, n)
    values, vectors = np.zeros(side), np.full((min(modes, side), n), np.nan)
    try:
        found = window_modes(
            lambda start, stop: losses[start:stop], draws - 1, draws, "constant", modes, draws
        )
    except FlatWindowError:
        return values, vectors
    except NonFiniteLossError:
        return np.full(side, np.nan), vectors
    vectors[: len(found.vectors)] = found.vectors[: len(vectors)]
    return found.eigenvalues[:side], vectors


def steady_signs(vectors: Floats) -> Floats:
    """Signs that let modes point the same way from one spectrum to the next, ``(S, k)`` of +1 and -1.

    Each mode points along the one that it continues in the spectrum before, or overlaps most.

    Parameters
    ----------
    vectors
        Unit vectors ``(S, k, n)`` of S spectra in order; NaN is no part of a vector.
    """
    signs = np.ones(vectors.shape[:2])
    before: Floats | None = None
    modes = np.arange(vectors.shape[1])
    for place, mode in enumerate(np.nan_to_num(vectors)):
        if before is not None:
            signs[place] = np.diag(continued(mode @ before.T, modes, modes, len(modes))[0])
        if mode.any():
            before = mode * signs[place][:, None]
    return signs
