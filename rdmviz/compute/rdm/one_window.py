"""The detrended rows of one window, slab by slab of datapoints: what is held does not grow with ``n``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rdmviz.compute.rdm.rows import SLAB_BYTES, fluctuations_of, slab_width

Floats = NDArray[np.float64]

_KEPT_BYTES = 4 * SLAB_BYTES  # of detrended rows: the second look at them is free
_UNSEEN = 1e-60
"""Products of datapoints that small beside others change no eigenvalue, and solvers may fail over them."""


@dataclass(frozen=True)
class WindowSums:
    """Sums over the datapoints of a window; those of disjoint datapoints add up.

    Attributes
    ----------
    kernel
        ``X X^T`` of the detrended rows, ``(window, window)``, loss²; of a whole window with fewer datapoints
        than rows the smaller ``X^T X``, ``(n, n)``. Its non-zero spectrum is ``nu`` times that of the
        covariance.
    size
        Sum of the squared losses themselves: the scale that rounding works on, loss².
    largest
        Largest absolute loss.
    """

    kernel: Floats
    size: float
    largest: float

    def __add__(self, other: WindowSums) -> WindowSums:
        """Add up both sets of datapoints."""
        return WindowSums(
            self.kernel + other.kernel, self.size + other.size, max(self.largest, other.largest)
        )


class OneWindow:
    """Rows of one window.

    Parameters
    ----------
    losses
        ``(window, n)``, finite, any real dtype; kept as they are.
    detrend
        What is removed from them.
    """

    def __init__(self, losses: NDArray[Any], detrend: str) -> None:
        self.losses, self.detrend = losses, detrend
        self._kept: list[tuple[slice, Floats]] = []  # the slabs of a window that is small as a whole

    @property
    def narrow(self) -> bool:
        """Whether there are fewer datapoints than rows."""
        return bool(self.losses.shape[1] < len(self.losses))

    def sums(self, *, part: bool = False) -> WindowSums:
        """Sum over the datapoints; infinite or NaN where squares leave the range of float64.

        With ``part=True`` in the form that can be added to that of other datapoints, however few these are.
        """
        window, narrow = len(self.losses), self.narrow and not part
        kernel, size, largest = np.zeros((0 if narrow else window,) * 2), 0.0, 0.0
        with np.errstate(over="ignore", invalid="ignore"):
            for here, x in self._slabs():
                raw = self.losses[:, here].astype(np.float64)
                if not narrow:
                    kernel += x @ x.T
                size += float(np.vdot(raw, raw))
                largest = max(largest, float(np.abs(raw).max()))
            if narrow:
                x = self.fluctuations()
                kernel = x.T @ x
                kernel[np.abs(kernel) < _UNSEEN * np.abs(kernel).max()] = 0.0
        return WindowSums(kernel, size, largest)

    def along(self, courses: Floats) -> tuple[Floats, Floats]:
        """Return ``X^T u`` ``(k, n)`` of time courses ``(k, window)``, and the displacement ``(n,)``."""
        n = self.losses.shape[1]
        vectors, displacement = np.empty((len(courses), n)), np.empty(n)
        for here, x in self._slabs():
            vectors[:, here] = courses @ x
            displacement[here] = fitted_displacement(self.losses[:, here])
        return vectors, displacement

    def fluctuations(self, samples: Any = slice(None)) -> Floats:
        """Detrended losses of some datapoints, ``(window, m)``, loss."""
        return fluctuations_of(self.losses[:, samples], self.detrend)

    def _slabs(self) -> Iterator[tuple[slice, Floats]]:
        width, (rows, n) = slab_width(len(self.losses)), self.losses.shape
        pieces = [slice(left, min(left + width, n)) for left in range(0, n, width)]
        if 8 * rows * n > _KEPT_BYTES:
            yield from ((here, self.fluctuations(here)) for here in pieces)
            return
        if not self._kept:
            self._kept = [(here, self.fluctuations(here)) for here in pieces]
        yield from self._kept


def fitted_displacement(losses: NDArray[Any]) -> Floats:
    """Last minus first row of the straight line fitted to a window, ``(n,)``."""
    t = np.arange(len(losses)) - (len(losses) - 1) / 2
    moved = losses.astype(np.float64) - losses[len(losses) // 2]
    return np.asarray((t / (t @ t)) @ moved * (len(losses) - 1))
