"""Curves that need an eigenproblem per window: computed for the steps that are read, when they are read."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xarray.backends import BackendArray
from xarray.core import indexing

from rdmviz.analysis.one_thread import cores

Floats = NDArray[np.float64]


class LazyCurve(BackendArray):  # type: ignore[misc, unused-ignore]
    """One number per row, computed on first reading and remembered.

    Uses xarray's own protocol for lazily loaded variables, so slices of the curve cost what they show.

    Parameters
    ----------
    compute
        Values at an array of rows.
    rows
        Row of each value of the curve.
    batch
        Values per call of `compute`; calls share the processor's cores.
    """

    def __init__(
        self, compute: Callable[[NDArray[np.intp]], Floats], rows: NDArray[np.intp], batch: int
    ) -> None:
        self.shape = (len(rows),)
        self.dtype = np.dtype(np.float64)
        self._compute, self._rows, self._batch = compute, rows, batch
        self._values = np.full(len(rows), np.nan)
        self._known = np.zeros(len(rows), dtype=bool)
        self._lock = threading.Lock()

    def variable(self) -> Any:
        """Return the curve as data of an xarray variable."""
        return indexing.LazilyIndexedArray(self)

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        """Values at an xarray indexer."""
        return indexing.explicit_indexing_adapter(
            key, self.shape, indexing.IndexingSupport.OUTER_1VECTOR, self._read
        )

    def _read(self, key: tuple[Any, ...]) -> Any:
        with self._lock:
            missing = np.zeros(self.shape, dtype=bool)
            missing[key] = True
            missing &= ~self._known
            self._fill(np.flatnonzero(missing))
            return self._values[key].copy()

    def _fill(self, places: NDArray[np.intp]) -> None:
        batches = [places[i : i + self._batch] for i in range(0, len(places), self._batch)]
        workers = min(len(batches), cores())
        if workers < 2:
            results = [self._compute(self._rows[batch]) for batch in batches]
        else:
            with ThreadPoolExecutor(workers) as pool:
                results = list(pool.map(lambda batch: self._compute(self._rows[batch]), batches))
        for batch, values in zip(batches, results, strict=True):
            self._values[batch] = values
            self._known[batch] = True

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle and copy as plain values: a copy elsewhere has no losses to compute from."""
        return _known, (self._read((slice(None),)),)


def _known(values: Floats) -> LazyCurve:
    curve = LazyCurve(lambda rows: values[rows], np.arange(len(values)), len(values))
    curve._read((slice(None),))
    return curve
