"""Orientation of modes along a run: scrubbing must not flip a picture, whatever the path by which one came.

The modes of each window are turned onto those of the window one row before: signs, and bases of modes with
equal eigenvalues. The first window, and any after a gap, follow a fixed rule. Neighbouring windows share all
rows but one, so partners are plain; keyframes further apart lose them, and flip (a quarter of a window apart,
1 to 9 in 100 steps turned a mode after the first). The overlaps come from the banded Gram, so the chain costs
one small eigenproblem per row and no look at the datapoints.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from rdmviz.compute.rdm.continuation import SPARE, continued, degenerate_blocks, turn_onto
from rdmviz.compute.rdm.gram import BandedGram
from rdmviz.compute.rdm.neighbours import solve_neighbours
from rdmviz.compute.rdm.rows import Rows
from rdmviz.compute.rdm.windows import WindowTraces

Floats = NDArray[np.float64]

_BATCH, _AHEAD = 64, 16  # windows per batch of eigenproblems, at most, and beyond what was asked for


class SignChain:
    """Orientation of the leading modes of every window, decided row by row, once.

    Keeps the oriented time courses of all windows in single precision, about as much as the Gram.

    Parameters
    ----------
    gram
        Banded Gram that serves windows of ``traces.window + 1`` rows.
    traces
        Of the windows whose modes are to be oriented.
    rows
        Reads losses, for windows whose Gram has lost digits.
    modes
        Number of leading modes; a few more are followed.
    fixed
        Left vectors ``(k, window)`` of the window that ends at a row, oriented by the fixed rule; called
        where there is no window before.
    """

    def __init__(
        self, gram: BandedGram, traces: WindowTraces, rows: Rows, modes: int, fixed: Callable[[int], Floats]
    ) -> None:
        gram.require(min(traces.window + 1, gram.n_rows))
        self._gram, self._traces, self._rows, self._fixed = gram, traces, rows, fixed
        self._seen = modes
        self._modes = min(modes + SPARE, traces.window)
        self._courses = np.zeros((gram.n_rows, traces.window, self._modes), dtype=np.float32)
        self._next = traces.window - 1
        self._before: tuple[Floats, NDArray[np.int64]] | None = None  # turn and blocks of the last row

    def go_on_in(self, gram: BandedGram, traces: WindowTraces, rows: Rows) -> None:
        """Take over the Gram and traces of the same run with more rows."""
        self._gram, self._traces, self._rows = gram, traces, rows
        courses = np.zeros((gram.n_rows, *self._courses.shape[1:]), dtype=np.float32)
        courses[: len(self._courses)] = self._courses
        self._courses = courses

    def turn(self, end: int, left: Floats, eigenvalues: Floats) -> Floats:
        """Turn, ``(k, k)``, for the modes of the window that ends at row `end`: ``turn @ vectors``.

        Parameters
        ----------
        end
            Row; its window must be finite and must move.
        left, eigenvalues
            The modes as they are: ``u_k = X v_k / |X v_k|``, ``(k, window)``, and their eigenvalues.
        """
        while self._next <= end:
            stop = min(self._next + _BATCH, end + _AHEAD, self._gram.n_rows)
            self._extend(range(self._next, stop))
        return turn_onto(self._courses[end], left, eigenvalues)

    def _extend(self, ends: range) -> None:
        found = solve_neighbours(self._gram, self._traces, self._rows, ends, self._modes)
        all_blocks = degenerate_blocks(found.values[:, : self._modes])
        for i, (end, blocks) in enumerate(zip(ends, all_blocks, strict=True)):
            if not self._traces.trace[end] > 0:  # flat, or a gap
                self._before = None
                continue
            if self._before is None:
                fixed = self._fixed(end)
                turn, _ = continued((fixed @ found.left[i]).T, blocks, np.arange(len(fixed)), len(fixed))
            else:
                turn_before, blocks_before = self._before
                turn, _ = continued(found.overlaps[i] @ turn_before, blocks, blocks_before, self._seen)
            self._before = turn, blocks
            self._courses[end] = found.left[i] @ turn
        self._next = ends.stop
