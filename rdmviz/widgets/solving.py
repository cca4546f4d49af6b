"""Curves that take an eigenproblem per window: which rows of a span are solved for one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rdmviz.widgets.state import ExplorerState


def rows_to_solve(state: ExplorerState, entries: int) -> tuple[NDArray[np.intp], int]:
    """Return the rows of the span that are solved, and one of how many they are.

    Parameters
    ----------
    state
        Says the span, and how large each eigenproblem is.
    entries
        Of all matrices together that there is time for. Two rows are solved at least, the last among them.
    """
    low, high = (int(state.run.index_of(step)) for step in state.span)
    affordable = max(2, entries // min(state.window, state.run.n_samples) ** 2)
    every = -(-(high + 1 - low) // affordable)
    return rows_and_last(low, high, every), every


def rows_and_last(low: int, high: int, every: int) -> NDArray[np.intp]:
    """Return one of so many rows from ``low`` to ``high``, and the last one."""
    return np.unique(np.r_[low : high + 1 : every, high])
