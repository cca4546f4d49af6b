"""The banded Gram of a run: computed once, kept as long as the run lives, and beside it if it was dear."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from rdmviz.analysis.kept_gram import keep_gram, kept_gram
from rdmviz.analysis.on_dask import gram_on_dask
from rdmviz.analysis.one_thread import cores, one_blas_thread
from rdmviz.compute.rdm.gram import BandedGram, banded_gram

if TYPE_CHECKING:
    from rdmviz.run import TrainingRun

_SHORTEST = 65  # serves the default window and the one before it

_grams: WeakKeyDictionary[TrainingRun, BandedGram] = WeakKeyDictionary()
_locks: WeakKeyDictionary[TrainingRun, threading.RLock] = WeakKeyDictionary()
_lock = threading.Lock()


def gram_of(run: TrainingRun, window: int) -> BandedGram:
    """Return a banded Gram that serves windows of ``window + 1`` rows: a window and the one before it.

    The first call makes one for 65 rows or for as many as asked, or takes the one kept beside a stored run:
    all of it, or as much as still holds where rows were appended since, which is then extended. A call for a
    longer window makes one twice as long as the one before at least, so that trying windows reads the losses
    a few times, not each time. All other calls find it ready.
    """
    with _lock:
        lock = _locks.setdefault(run, threading.RLock())
    with lock:  # of this run: no other waits for it
        gram = _grams.get(run)
        needed = min(window + 1, run.n_steps)
        if gram is None or needed > gram.max_window:
            reach = max(_SHORTEST, needed) if gram is None else max(needed, 2 * gram.max_window)
            known = kept_gram(run) if gram is None else None
            if known is not None and known.max_window < needed:
                known = None
            if known is not None and known.n_rows == run.n_steps:
                gram = known
            else:
                marks = None if run.store is None else run.store.chunk_marks()
                gram = _computed(run, reach if known is None else known.max_window, known)
                keep_gram(run, gram, marks)
            with _lock:
                _grams[run] = gram
        return gram


def _computed(run: TrainingRun, reach: int, known: BandedGram | None) -> BandedGram:
    if run.chunked is not None:
        return gram_on_dask(run.chunked, reach, known)
    losses = run.rows if run.in_memory is None else run.in_memory
    shape = run.n_steps, run.n_samples
    with one_blas_thread():
        return banded_gram(losses, reach, shape=shape, workers=cores(), known=known)
