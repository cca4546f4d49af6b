"""What went wrong, told on the screen and not as a traceback in a cell."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rdmviz.errors import ComputeError, RunNotFoundError, TruncatedStoreError
from rdmviz.run import TrainingRun
from rdmviz.widgets.state import ExplorerState

_TOLD = (ComputeError, RunNotFoundError, TruncatedStoreError, OSError, MemoryError)


def gone(run: TrainingRun) -> str:
    """Return what to say of a run whose folder was moved or deleted under the explorer; else nothing."""
    folder = None if run.store is None else run.store.folder
    if folder is None or folder.exists():
        return ""
    return (
        f"The run at {folder} is gone: it was moved or deleted. What is drawn can still be looked at; "
        "once the run is in its place again, all else goes on."
    )


@contextmanager
def told(state: ExplorerState, part: str) -> Iterator[None]:
    """Put an error of `part` of the explorer on the screen until that part works again.

    A run that is deleted, cut short or unreachable under an open explorer, and memory that does not suffice,
    are told; mistakes in the program are not.
    """
    try:
        yield
    except _TOLD as error:
        words = "there is not enough memory for this" if isinstance(error, MemoryError) else str(error)
        words = gone(state.run) or words
        with state.lock:  # other threads have troubles of their own
            state.troubles = {**state.troubles, part: words}
    else:
        if part in state.troubles:
            with state.lock:
                state.troubles = {name: words for name, words in state.troubles.items() if name != part}
