"""One BLAS thread for many small problems, and threads of our own that share them.

Frames are many products and eigenproblems of some 64 rows. A second BLAS thread gains nothing there, and
where a browser wants the other core its busy waiting costs several times the work itself (on two cores,
beside a browser that scrubs: 24 frames in about 55 ms with one thread, 260 to 420 ms with two).
"""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from functools import cache
from typing import Any

from threadpoolctl import ThreadpoolController


@cache
def _controller() -> Any:
    import scipy.linalg  # noqa: F401  # brings a BLAS of its own, which must be there to be counted

    return ThreadpoolController()


def one_blas_thread() -> AbstractContextManager[Any]:
    """Limit BLAS to one thread inside a ``with``; the process's own setting returns afterwards."""
    context: AbstractContextManager[Any] = _controller().limit(limits=1, user_api="blas")
    return context


def cores() -> int:
    """Return the number of processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
