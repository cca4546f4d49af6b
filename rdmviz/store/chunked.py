"""A stored run as a dask array, whose chunks any worker that reaches the store can read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from rdmviz.errors import MissingExtraError, OptionError
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
    try:
        whole = normalize_chunks(
            (chunks, -1) if isinstance(chunks, (str, int)) else chunks,
            losses.shape,
            limit=_CHUNK,
            dtype=losses.dtype,
            previous_chunks=((min(store.chunk_rows, rows),), (samples,)),
        )
    except (ValueError, TypeError, KeyError) as error:
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
        self._place = place
        self.shape, self.dtype = store.shape, store.dtype

    def __getitem__(self, key: tuple[slice, slice]) -> np.ndarray:
        if self._store is None:
            self._store = RunStore(reading(self._place), str(self._place))
        rows, samples = key
        start, stop, _ = rows.indices(self.shape[0])
        return self._store.rows(start, stop)[:: rows.step or 1, samples]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_store": None}

    def __dask_tokenize__(self) -> Any:
        return "rdmviz", str(self._place), self.shape, str(self.dtype)
