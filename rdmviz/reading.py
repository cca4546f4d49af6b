"""Reading rows of a dask array a few at a time."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

__all__ = ["ReadAhead"]

_BYTES = 64 << 20


class ReadAhead:
    """Rows of a dask array, and some more than were asked for.

    A chunk may have to be read or generated whole for any row of it, so one read for many rows costs what one
    for a few does.

    Parameters
    ----------
    losses
        Dask array ``(T, n)``.
    """

    def __init__(self, losses: Any) -> None:
        self._losses = losses
        self._rows = max(1, _BYTES // (losses.shape[1] * losses.dtype.itemsize))
        self._lock = threading.Lock()
        self._start, self._block = 0, np.empty((0, losses.shape[1]), losses.dtype)

    def __call__(self, start: int, stop: int) -> np.ndarray:
        """Return rows ``start .. stop-1``, read-only."""
        with self._lock:
            if not self._start <= start <= stop <= self._start + len(self._block):
                block = np.asarray(self._losses[start : max(stop, start + self._rows)])
                block.flags.writeable = False
                self._start, self._block = start, block
            return self._block[start - self._start : stop - self._start]
