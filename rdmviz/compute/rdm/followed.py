"""Orientation of modes along a run for long windows, where solving every window is too dear.

`SignChain` solves one eigenproblem per row, which for a window of 512 rows costs tens of milliseconds
each. Here the time courses of the modes are followed instead: moved on by one row they are nearly those
of the next window, and one step of subspace iteration with a Rayleigh-Ritz projection brings them up to
date. Only orientation comes from the followed courses; the modes that are shown are always solved exactly.
It works on the banded Gram and never looks at the datapoints.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rdmviz.compute.rdm.continuation import SPARE, continued, degenerate_blocks, turn_onto
from rdmviz.compute.rdm.detrending import basis
from rdmviz.compute.rdm.gram import BandedGram
from rdmviz.compute.rdm.neighbours import neighbour_products, over_roots, without_rounding
from rdmviz.compute.rdm.rows import Rows
from rdmviz.compute.rdm.windows import WindowTraces

Floats = NDArray[np.float64]

_KEPT_EVERY = 16  # rows between the courses that are kept; those between are followed again when asked for
_DEGENERATE = 1e-6  # followed eigenvalues are not exact: equal ones come out this close


class _Followed(NamedTuple):
    courses: Floats  # oriented, (window, modes)
    values: Floats  # of X X^T, (modes,)


class FollowedSigns:
    """Orientation of the leading modes of every window, from time courses followed row by row, once.

    Takes the same arguments as :class:`rdmviz.compute.rdm.signs.SignChain` and answers as it does.
    """

    def __init__(
        self, gram: BandedGram, traces: WindowTraces, rows: Rows, modes: int, fixed: Callable[[int], Floats]
    ) -> None:
        gram.require(min(traces.window + 1, gram.n_rows))
        self._gram, self._traces, self._rows, self._fixed = gram, traces, rows, fixed
        self._basis = basis(traces.window, traces.detrend)
        self._seen = modes
        self._modes = max(1, min(modes + SPARE, traces.window - 1))
        self._kept: list[_Followed | None] = []
        self._latest: tuple[int, _Followed | None] = (-1, None)

    def go_on_in(self, gram: BandedGram, traces: WindowTraces, rows: Rows) -> None:
        """Take over the Gram and traces of the same run with more rows."""
        self._gram, self._traces, self._rows = gram, traces, rows

    def turn(self, end: int, left: Floats, eigenvalues: Floats) -> Floats:
        """Turn, ``(k, k)``, for the modes of the window that ends at row `end`: ``turn @ vectors``."""
        followed = self._at(end)
        return np.eye(len(left)) if followed is None else turn_onto(followed.courses, left, eigenvalues)

    def _at(self, end: int) -> _Followed | None:
        """Modes as they are followed to a window; None where nothing moves."""
        first = self._traces.window - 1
        place = (end - first) // _KEPT_EVERY
        while len(self._kept) <= place:
            row = first + len(self._kept) * _KEPT_EVERY
            self._kept.append(self._follow(row, row - _KEPT_EVERY, self._kept[-1] if self._kept else None))
        start, followed = first + place * _KEPT_EVERY, self._kept[place]
        if start < self._latest[0] <= end:
            start, followed = self._latest
        followed = self._follow(end, start, followed)
        self._latest = (end, followed)
        return followed

    def _follow(self, end: int, start: int, followed: _Followed | None) -> _Followed | None:
        """Take the modes from row `start` on to row `end`."""
        for row in range(max(start, self._traces.window - 2) + 1, end + 1):
            followed = self._next(row, followed)
        return followed

    def _next(self, row: int, before: _Followed | None) -> _Followed | None:
        if not self._traces.trace[row] > 0:  # flat, or a gap
            return None
        products = neighbour_products(self._gram, self._traces, self._rows, row)
        if before is None:
            return self._afresh(row, products)
        window = self._traces.window
        guess = np.zeros((window, self._modes + 1))
        guess[:-1, :-1] = before.courses[1:]
        guess[-1, -1] = 1.0  # the new row may bring a mode of its own
        subspace, _ = np.linalg.qr(self._detrended(products[-window:] @ self._detrended(guess)))
        subspace = self._detrended(subspace)  # where modes are few, the rest of it is anything
        wide = products @ subspace
        values, vectors = np.linalg.eigh(subspace.T @ wide[-window:])
        values = without_rounding(values[::-1], products[-window:])[: self._modes]
        vectors = vectors[:, ::-1][:, : self._modes]
        reach = over_roots(wide[:window] @ vectors, values)  # the modes' courses over the window before
        overlaps = reach.T @ over_roots(before.courses, before.values)
        blocks = degenerate_blocks(values, _DEGENERATE)
        known = degenerate_blocks(before.values, _DEGENERATE)
        turn, _ = continued(overlaps, blocks, known, self._seen)
        return _Followed(subspace @ (vectors @ turn), values)

    def _afresh(self, row: int, products: Floats) -> _Followed:
        """Solve for the courses where there is no window before, and orient them by the fixed rule."""
        here = products[-self._traces.window :]
        values, vectors = np.linalg.eigh(self._detrended(self._detrended(here).T))
        values = without_rounding(values[::-1], here)[: self._modes]
        courses = self._detrended(vectors[:, ::-1][:, : self._modes])
        fixed = self._fixed(row)
        blocks = degenerate_blocks(values, _DEGENERATE)
        turn, _ = continued((fixed @ courses).T, blocks, np.arange(len(fixed)), len(fixed))
        return _Followed(courses @ turn, values)

    def _detrended(self, columns: Floats) -> Floats:
        return np.asarray(columns - self._basis @ (self._basis.T @ columns))
