"""An alarm on one curve, calibrated on control runs.

A curve is held against the mean of some windows after the first transient, or, where it has one, against a
zero of its own. Its rise at a row is what it has kept above that for three windows in a row, and it alarms
where the rise exceeds a level: the lowest that leaves no more of the control runs alarmed than are allowed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

__all__ = ["Baseline", "calibrated"]

_IN_A_ROW = 3


@dataclass(frozen=True)
class Baseline:
    """The windows that a curve is held against.

    Attributes
    ----------
    settled : int
        Rows of the first transient; no window of the baseline holds one.
    window : int
        Rows per window.
    windows : int
        How many of them, one row apart.
    """

    settled: int
    window: int
    windows: int

    @property
    def first(self) -> int:
        """Row at which the first window of the baseline ends."""
        return self.settled + self.window - 1

    @property
    def watched(self) -> int:
        """First row at which a rise is known: three windows after the baseline."""
        return self.first + self.windows + _IN_A_ROW - 1

    def rises(self, curve: np.ndarray, zero: float | None = None) -> np.ndarray:
        """Return the rise at every row that is watched, shape (T - watched,).

        Parameters
        ----------
        curve : ndarray, shape (T,)
            On the scale on which it is to be judged; the value at a row is of the window that ends there.
        zero : float, optional
            What it is held against; by default its mean over the baseline.
        """
        if zero is None:
            zero = float(curve[self.first : self.first + self.windows].mean())
        after = curve[self.first + self.windows :] - zero
        return np.asarray(np.lib.stride_tricks.sliding_window_view(after, _IN_A_ROW).min(axis=1))


def calibrated(highest: Iterable[float], rate: float) -> float:
    """Return the level that at most a share of the control runs exceeds.

    Parameters
    ----------
    highest : iterable of float
        Largest rise of the curve in each control run.
    rate : float
        Allowed share of control runs that alarm.
    """
    ordered = sorted(highest, reverse=True)
    return ordered[int(rate * len(ordered))]
