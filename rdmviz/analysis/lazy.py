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

from rdmviz.analysis.one_thread import cores, one_blas_thread

Floats = NDArray[np.float64]


class LazyCurves:
    """Curves that come from one computation per row, done on first reading of any of them and remembered.

    Parameters
    ----------
    compute
        Values at an array of rows, ``(rows, curves)``.
    rows
        Row of each value of the curves.
    curves
        Number of curves.
    batch
        Rows per call of `compute`; calls share the processor's cores.
    """

    def __init__(
        self, compute: Callable[[NDArray[np.intp]], Floats], rows: NDArray[np.intp], curves: int, batch: int
    ) -> None:
        self._compute, self._rows, self._batch = compute, rows, batch
        self._values = np.full((len(rows), curves), np.nan)
        self._known = np.zeros(len(rows), dtype=bool)
        self._lock = threading.Lock()

    def curve(self, number: int) -> Any:
        """Return one of the curves as data of an xarray variable."""
        return indexing.LazilyIndexedArray(LazyCurve(self, number))

    def read(self, key: Any, number: int) -> Any:
        """Values of one curve at an index, computed where they are not known yet."""
        with self._lock:
            missing = np.zeros(len(self._rows), dtype=bool)
            missing[key] = True
            missing &= ~self._known
            self._fill(np.flatnonzero(missing))
            return self._values[:, number][key].copy()

    def __len__(self) -> int:
        return len(self._rows)

    def _fill(self, places: NDArray[np.intp]) -> None:
        batches = [places[i : i + self._batch] for i in range(0, len(places), self._batch)]
        workers = min(len(batches), cores())
        if workers < 2:
            results = [self._compute(self._rows[batch]) for batch in batches]
        else:
            with one_blas_thread(), ThreadPoolExecutor(workers) as pool:
                results = list(pool.map(lambda batch: self._compute(self._rows[batch]), batches))
        for batch, values in zip(batches, results, strict=True):
            self._values[batch] = values
            self._known[batch] = True


class LazyCurve(BackendArray):  # type: ignore[misc, unused-ignore]  # untyped in some xarrays
    """One of them, by xarray's own protocol for lazily loaded variables: slices cost what they show."""

    def __init__(self, curves: LazyCurves, number: int) -> None:
        self.shape = (len(curves),)
        self.dtype = np.dtype(np.float64)
        self._curves, self._number = curves, number

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        """Values at an xarray indexer."""
        return indexing.explicit_indexing_adapter(
            key,
            self.shape,
            indexing.IndexingSupport.OUTER_1VECTOR,
            lambda index: self._curves.read(index, self._number),
        )

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle and copy as plain values: a copy elsewhere has no losses to compute from."""
        return _known, (self._curves.read(slice(None), self._number),)


def _known(values: Floats) -> LazyCurve:
    curves = LazyCurves(lambda rows: values[rows, None], np.arange(len(values)), 1, len(values))
    curves.read(slice(None), 0)
    return LazyCurve(curves, 0)
