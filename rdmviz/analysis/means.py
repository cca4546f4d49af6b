"""Mean loss of classes of datapoints along a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from rdmviz.run import TrainingRun


def class_means(run: TrainingRun, codes: NDArray[np.intp]) -> NDArray[np.float64]:
    """Mean loss of each class at each recorded row, ``(classes, T)``.

    Parameters
    ----------
    run
        The run, T recorded rows of n losses.
    codes
        Class of each datapoint, ``(n,)``, from 0, none of them empty. A row's mean is NaN where one of its
        losses is NaN or infinite.
    """
    membership = np.eye(codes.max() + 1)[codes] / np.bincount(codes)
    with np.errstate(invalid="ignore"):  # infinite times zero: the gap that is wanted
        means = run.rows(0, run.n_steps).astype(float) @ membership
    return np.ascontiguousarray(means.T)
