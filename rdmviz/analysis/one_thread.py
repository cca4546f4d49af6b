"""One BLAS thread for many small problems, and threads of our own that share them.

Frames are many products and eigenproblems of some 64 rows. A second BLAS thread gains nothing there, and
where a browser wants the other core its busy waiting costs several times the work itself (on two cores,
beside a browser that scrubs: 24 frames in about 55 ms with one thread, 260 to 420 ms with two).
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from threadpoolctl import ThreadpoolController

_lock = threading.Lock()
_inside = 0  # how many want one thread
_limit: Any = None


@cache
def _controller() -> Any:
    import scipy.linalg  # noqa: F401  # brings a BLAS of its own, which must be there to be counted

    return ThreadpoolController()


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Limit BLAS to one thread inside a ``with``; the process's own setting returns after the last of them.

    The setting belongs to the process: where several threads were to keep and restore it each for itself,
    the last to leave would put back what the first had set.
    """
    global _inside, _limit
    with _lock:
        if _inside == 0:
            _limit = _controller().limit(limits=1, user_api="blas")
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                _let_go()
                _limit.restore_original_limits()
                _let_go()


def _let_go() -> None:
    """From 3.7 on, threadpoolctl heeds only the thread that set a limit first: here it may be any of ours."""
    for library in _controller().lib_controllers:
        if hasattr(library, "clear_controlling_thread"):
            library.clear_controlling_thread(force=True)


def cores() -> int:
    """Return the number of processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
