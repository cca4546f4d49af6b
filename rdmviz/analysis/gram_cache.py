"""The banded Gram of a run: computed once, kept as long as the run lives, and beside it if it was dear."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from numpy.typing import NDArray

from rdmviz.analysis.kept_gram import keep_gram, kept_gram
from rdmviz.analysis.on_dask import gram_on_dask
from rdmviz.analysis.one_thread import cores, one_blas_thread
from rdmviz.compute.rdm.gram import BandedGram, banded_gram
from rdmviz.compute.rdm.rows import Rows

if TYPE_CHECKING:
    from rdmviz.run import TrainingRun

Watch = Callable[[float], None]

_SHORTEST = 65  # serves the default window and the one before it

_grams: WeakKeyDictionary[TrainingRun, BandedGram] = WeakKeyDictionary()
_earlier: WeakKeyDictionary[TrainingRun, BandedGram] = WeakKeyDictionary()  # of the same run with fewer rows
_locks: WeakKeyDictionary[TrainingRun, threading.RLock] = WeakKeyDictionary()
_lock = threading.Lock()


def gram_of(run: TrainingRun, window: int, watch: Watch | None = None) -> BandedGram:
    """Return a banded Gram that serves windows of ``window + 1`` rows: a window and the one before it.

    The first call makes one for 65 rows or for as many as asked, or takes the one kept beside a stored run:
    all of it, or as much as still holds where rows were appended since, which is then extended. A call for a
    longer window makes one twice as long as the one before at least, so that trying windows reads the losses
    a few times, not each time. All other calls find it ready.
    """
    needed = min(window + 1, run.n_steps)
    with _lock:
        gram = _grams.get(run)
        if gram is not None and needed <= gram.max_window:
            return gram  # not even while the losses are read for a longer window does it wait
        lock = _locks.setdefault(run, threading.RLock())
    with lock:  # of this run: no other waits for it
        gram = _grams.get(run)
        if gram is None or needed > gram.max_window:
            reach = max(_SHORTEST, needed) if gram is None else max(needed, 2 * gram.max_window)
            earlier = _earlier.get(run)
            known = None if gram is not None else kept_gram(run) if earlier is None else earlier
            if known is not None and known.max_window < needed:
                known = None
            if known is not None and known.n_rows == run.n_steps:
                gram = known
            else:
                marks = None if run.store is None else run.store.chunk_marks()
                gram = _computed(run, reach if known is None else known.max_window, known, watch)
                if earlier is None:  # a run that grows is kept when it is opened the next time
                    keep_gram(run, gram, marks)
            with _lock:
                _grams[run] = gram
        return gram


def gram_bytes(rows: int) -> int:
    """Return the memory that the banded Gram of so many rows takes, for windows up to the default one."""
    reach = min(rows, _SHORTEST)
    return -(-rows // reach) * (2 * reach - 1) ** 2 * 8


def gram_is_ready(run: TrainingRun, window: int) -> bool:
    """Return whether windows of ``window + 1`` rows can be served without a look at the losses."""
    with _lock:
        gram = _grams.get(run)
    return gram is not None and min(window + 1, run.n_steps) <= gram.max_window


def hand_gram_over(run: TrainingRun, grown: TrainingRun) -> None:
    """Let the Gram of a run serve the same run with more rows."""
    with _lock:
        gram = _grams.get(run)
        if gram is not None:
            _earlier[grown] = gram


def _computed(run: TrainingRun, reach: int, known: BandedGram | None, watch: Watch | None) -> BandedGram:
    if run.chunked is not None:
        return gram_on_dask(run.chunked, reach, known)
    losses: NDArray[Any] | Rows = run.rows if run.in_memory is None else run.in_memory
    if watch is not None:
        losses = watched(run.rows, run.n_steps, watch)
    shape = run.n_steps, run.n_samples
    with one_blas_thread():
        return banded_gram(losses, reach, shape=shape, workers=cores(), known=known)


def watched(rows: Rows, n_rows: int, watch: Watch) -> Rows:
    """Return the reader of `rows`, which tells how far it got before each piece that it reads."""

    def read(start: int, stop: int) -> NDArray[Any]:
        watch(start / n_rows)
        return rows(start, stop)

    return read
