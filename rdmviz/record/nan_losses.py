"""Losses that are NaN: a mistake in the first row, what the training came to in a later one."""

from __future__ import annotations

import warnings

import numpy as np

from rdmviz.errors import NonFiniteLossError

__all__ = ["NanTold", "check_first_row"]


def check_first_row(step: int, losses: np.ndarray) -> None:
    """Check the first row of a recording.

    Raises
    ------
    NonFiniteLossError
        A loss is NaN.
    """
    lost = np.isnan(losses)
    if lost.any():
        raise NonFiniteLossError(
            f"the loss of datapoint {int(lost.argmax())} ({int(lost.sum())} of {len(lost)} in all) is "
            f"NaN at step {step}, the first that is recorded; expected numbers. Leave such datapoints "
            "out of the probe, or mend loss_fn where it gives none"
        )


class NanTold:
    """Warns of the first row with a loss that is NaN, and of no other."""

    def __init__(self) -> None:
        self._told = False

    def __call__(self, step: int, losses: np.ndarray, stacklevel: int) -> None:
        """Warn in the name of a caller so many calls up, if there is something to tell."""
        lost = np.isnan(losses)
        if lost.any() and not self._told:
            self._told = True
            warnings.warn(
                f"the loss of {int(lost.sum())} of {len(lost)} datapoints is NaN at step {step}; it is "
                "recorded as such, here and later",
                RuntimeWarning,
                stacklevel=stacklevel + 1,
            )
