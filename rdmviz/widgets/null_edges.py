"""The null edge of the step on screen, in a thread of its own: frames go first, and nothing waits for it."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final

from rdmviz.analysis import ModePath, null_edge
from rdmviz.errors import ComputeError, RunNotFoundError, TruncatedStoreError
from rdmviz.run import TrainingRun

_KEPT: Final = 1024
_WAIT: Final = 0.05  # seconds that each surrogate lets the answers to a scrub go first, at most
_LEVEL: Final = 0.95

_NO_EDGE: Final = (ComputeError, RunNotFoundError, TruncatedStoreError, OSError, MemoryError)

Found = dict[str, Any]
Key = tuple[int, int, str]


class _Superseded(Exception):  # noqa: N818  # a wish, not an error
    pass


class NullEdges:
    """Edges by AR(1) surrogates, computed one at a time, the last one asked for; kept by row and window.

    Parameters
    ----------
    lock
        Held by whoever answers the browser; surrogates are drawn in between.
    """

    def __init__(self, lock: Any) -> None:
        self._lock = lock
        self._kept: OrderedDict[Key, Found] = OrderedDict()
        self._wanted: Key | None = None
        self._asked: tuple[Key, ModePath, TrainingRun, Callable[[Found], None]] | None = None
        self._mine = threading.Lock()
        self.thread: threading.Thread | None = None

    def ask(self, path: ModePath, row: int, tell: Callable[[Found], None], run: TrainingRun) -> None:
        """Call ``tell`` with ``edge``, ``above`` and ``words`` of the window that ends at a row.

        At once if they are kept; else from another thread, unless another row is asked for before.
        """
        key = row, path.window, path.detrend
        with self._mine:
            kept = self._kept.get(key)
            if kept is None:
                self._wanted, self._asked = key, (key, path, run, tell)
                if self.thread is None:
                    self.thread = threading.Thread(target=self._work, name="rdmviz-null-edge", daemon=True)
                    self.thread.start()
        if kept is not None:
            tell(kept)

    def stop(self) -> None:
        """End the computation."""
        with self._mine:
            self._wanted = self._asked = None

    def _work(self) -> None:
        try:
            self._work_on()
        finally:
            with self._mine:
                if self.thread is threading.current_thread():  # after an error: the next question starts anew
                    self.thread = None

    def _work_on(self) -> None:
        while True:
            with self._mine:
                if self._asked is None:
                    self.thread = None
                    return
                (key, path, run, tell), self._asked = self._asked, None
                kept = self._kept.get(key)  # asked for again while it was being computed
            try:
                found = self._found(key, path, run) if kept is None else kept
            except _Superseded:
                continue
            with self._mine:
                self._kept[key] = found
                if len(self._kept) > _KEPT:
                    self._kept.popitem(last=False)
                stale = self._wanted != key
            if not stale:
                tell(found)

    def _found(self, key: Key, path: ModePath, run: TrainingRun) -> Found:
        def between() -> None:
            if self._wanted != key:
                raise _Superseded
            if self._lock.acquire(timeout=_WAIT):
                self._lock.release()

        try:
            edge = null_edge(
                run, int(run.steps[key[0]]), path.window, path.detrend, level=_LEVEL, between=between
            )
        except _NO_EDGE as error:
            return {"edge": None, "above": None, "words": f"no null edge: {error}"}
        above = int(edge["n_above"])
        many = f"{above} mode{'' if above == 1 else 's'}"
        if above == edge.sizes["mode"]:
            many = f"all {above} modes"
        words = f"{many} above the null ({100 * _LEVEL:.0f}%, AR(1) surrogates)"
        return {"edge": float(edge["edge"]), "above": above, "words": words}
