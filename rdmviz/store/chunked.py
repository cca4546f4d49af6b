"""A stored run as a dask array, whose chunks any worker that reaches the store can read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from rdmviz.errors import MissingExtraError, OptionError, TruncatedStoreError
from rdmviz.store.places import reading
from rdmviz.store.reader import RunStore

__all__ = ["chunked"]

_CHUNK = "64MiB"


def chunked(store: RunStore, place: Path | str, chunks: Any) -> Any:
    """Return the committed losses of a store as a dask array ``(T, n)``.

    Parameters
    ----------
    store
        Opened at `place`.
    chunks
        Rows per chunk, or ``(rows, datapoints)`` as dask understands them; ``"auto"`` gives whole chunks of
        the store, about 64 MB together.

    Raises
    ------
    MissingExtraError
        dask is not installed.
    OptionError
        The chunks do not fit.
    """
    try:
        import dask.array
        from dask.array.core import normalize_chunks
    except ImportError as error:
        raise MissingExtraError('reading a run with dask needs it: pip install "rdmviz[dask]"') from error
    losses = _StoredLosses(store, place)
    rows, samples = losses.shape
    asked = (chunks, -1) if isinstance(chunks, (str, int)) and not isinstance(chunks, bool) else chunks
    try:
        if not isinstance(asked, tuple) or len(asked) != 2:
            raise ValueError("neither a number of rows nor a pair")
        whole = normalize_chunks(
            asked,
            losses.shape,
            limit=_CHUNK,
            dtype=losses.dtype,
            previous_chunks=((min(store.chunk_rows, rows),), (samples,)),
        )
        if min(min(sizes) for sizes in whole) < 1:
            raise ValueError("a chunk holds one row and one datapoint at least")
    except (ValueError, TypeError, KeyError, ArithmeticError) as error:
        raise OptionError(
            f"chunks={chunks!r:.60} do not fit {rows} rows of {samples} datapoints ({error}); "
            "give 'auto', a number of rows, or (rows, datapoints)"
        ) from error
    return dask.array.from_array(losses, chunks=whole, meta=np.empty((0, 0), losses.dtype))


class _StoredLosses:
    """What dask slices: opened again where it is unpickled, and read when it is sliced."""

    ndim = 2

    def __init__(self, store: RunStore, place: Path | str) -> None:
        self._store: RunStore | None = store
        self._place, self._identity, self._marks = place, store.identity, store.chunk_marks()
        self.shape, self.dtype = store.shape, store.dtype

    def __getitem__(self, key: Any) -> np.ndarray:
        rows, samples = key if isinstance(key, tuple) else (key, slice(None))
        if not isinstance(rows, slice):
            return np.asarray(self[slice(rows, rows + 1), samples][0])
        start, stop, step = rows.indices(self.shape[0])
        if self._store is None:
            self._store = RunStore(reading(self._place), str(self._place))
        self._check(self._store, start, stop)
        losses = self._store.rows(start, stop)[::step, samples]
        if self._store.replaced():  # while they were read
            raise self._another()
        return losses

    def _check(self, store: RunStore, start: int, stop: int) -> None:
        """Raise where the store is no longer the one that was opened; appended rows are no harm."""
        full = slice(start // store.chunk_rows, min(stop, self.shape[0]) // store.chunk_rows)
        marks = store.chunk_marks(full.start * store.chunk_rows, full.stop * store.chunk_rows)
        if store.identity != self._identity or (marks != self._marks[full]).any():
            raise self._another()

    def _another(self) -> TruncatedStoreError:
        return TruncatedStoreError(f"{self._place} was replaced since it was opened; open the new run")

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_store": None}

    def __dask_tokenize__(self) -> Any:
        return "rdmviz", str(self._place), self.shape, str(self.dtype), self._identity, self._marks.tobytes()
