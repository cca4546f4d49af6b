"""Mean loss of classes of datapoints along a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from rdmviz.run import TrainingRun

_BLOCK_VALUES: Final = 1 << 22  # losses in memory at a time, as float64


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
    means = np.empty((membership.shape[1], run.n_steps))
    block = max(1, _BLOCK_VALUES // run.n_samples)
    for start in range(0, run.n_steps, block):
        stop = min(start + block, run.n_steps)
        with np.errstate(invalid="ignore"):  # infinite times zero: the gap that is wanted
            means[:, start:stop] = (run.rows(start, stop).astype(float) @ membership).T
    return means


def losses_of(run: TrainingRun, samples: NDArray[np.intp]) -> NDArray[np.float64]:
    """Losses of some datapoints at each recorded row, ``(len(samples), T)``, read a few rows at a time."""
    losses = np.empty((len(samples), run.n_steps))
    block = max(1, _BLOCK_VALUES // run.n_samples)
    for start in range(0, run.n_steps, block):
        stop = min(start + block, run.n_steps)
        losses[:, start:stop] = run.rows(start, stop)[:, samples].T
    return losses
