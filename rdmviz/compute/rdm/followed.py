"""Signs of eigenvectors along a run for long windows, where solving every window is too dear.

`SignChain` solves one eigenproblem per row, which for a window of 512 rows costs tens of milliseconds
each. Here the time courses of the modes are followed instead: moved on by one row they are nearly those
of the next window, and one step of subspace iteration with a Rayleigh-Ritz projection brings them up to
date. Only signs come from the followed courses; the modes that are shown are always solved exactly. It
works on the banded Gram and never looks at the datapoints.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from rdmviz.compute.rdm.detrending import basis, detrended
from rdmviz.compute.rdm.gram import BandedGram
from rdmviz.compute.rdm.rows import Rows, read_window
from rdmviz.compute.rdm.signs import matching_signs
from rdmviz.compute.rdm.windows import WindowTraces

Floats = NDArray[np.float64]

_SPARE = 4  # modes followed beyond those asked for, so that one on the rise is known before it leads
_KEPT_EVERY = 16  # rows between the courses that are kept; those between are followed again when asked for


class FollowedSigns:
    """Signs of the leading modes of every window, from time courses followed row by row, once.

    Takes the same arguments as :class:`rdmviz.compute.rdm.signs.SignChain` and answers as it does.
    """

    def __init__(
        self, gram: BandedGram, traces: WindowTraces, rows: Rows, modes: int, fixed: Callable[[int], Floats]
    ) -> None:
        gram.require(traces.window)
        self._gram, self._traces, self._rows, self._fixed = gram, traces, rows, fixed
        self._basis = basis(traces.window, traces.detrend)
        self._modes = max(1, min(modes + _SPARE, traces.window - 1))
        self._kept: list[Floats | None] = []
        self._latest: tuple[int, Floats | None] = (-1, None)

    def signs(self, end: int, left: Floats) -> Floats:
        """Signs for the modes of the window that ends at row `end`, ``(k,)``, from their left vectors."""
        courses = self._courses(end)
        return np.ones(len(left)) if courses is None else matching_signs(left @ courses)

    def _courses(self, end: int) -> Floats | None:
        """Oriented time courses of the followed modes, ``(window, modes)``; None where nothing moves."""
        first = self._traces.window - 1
        place = (end - first) // _KEPT_EVERY
        while len(self._kept) <= place:
            row = first + len(self._kept) * _KEPT_EVERY
            self._kept.append(self._follow(row, row - _KEPT_EVERY, self._kept[-1] if self._kept else None))
        start, courses = first + place * _KEPT_EVERY, self._kept[place]
        if start < self._latest[0] <= end:
            start, courses = self._latest
        courses = self._follow(end, start, courses)
        self._latest = (end, courses)
        return courses

    def _follow(self, end: int, start: int, courses: Floats | None) -> Floats | None:
        """Take the courses from row `start` on to row `end`."""
        for row in range(max(start, self._traces.window - 2) + 1, end + 1):
            courses = self._next(row, courses)
        return courses

    def _next(self, row: int, before: Floats | None) -> Floats | None:
        if not self._traces.trace[row] > 0:  # flat, or a gap
            return None
        products = self._products(row)
        if before is None:
            return self._afresh(row, products)
        guess = np.zeros((len(before), before.shape[1] + 1))
        guess[:-1, :-1] = before[1:]
        guess[-1, -1] = 1.0  # the new row may bring a mode of its own
        subspace, _ = np.linalg.qr(self._detrended(products @ self._detrended(guess)))
        _, turn = np.linalg.eigh(subspace.T @ products @ subspace)
        courses = subspace @ turn[:, ::-1][:, : self._modes]
        # Neighbouring windows share all rows but one: partners have the same course over those.
        return np.asarray(courses * matching_signs(courses.T @ guess[:, :-1]))

    def _afresh(self, row: int, products: Floats) -> Floats:
        """Solve for the courses where there is no window before, and orient them by the fixed rule."""
        half = self._detrended(products)
        _, vectors = np.linalg.eigh(self._detrended(half.T))
        courses = vectors[:, ::-1][:, : self._modes]
        fixed = self._fixed(row)[: self._modes]
        signs = np.ones(courses.shape[1])
        signs[: len(fixed)] = matching_signs((fixed @ courses).diagonal()[:, None])
        return np.asarray(courses * signs)

    def _detrended(self, columns: Floats) -> Floats:
        return np.asarray(columns - self._basis @ (self._basis.T @ columns))

    def _products(self, end: int) -> Floats:
        """Inner products of the rows of a window, ``(window, window)``."""
        window, detrend = self._traces.window, self._traces.detrend
        if not self._traces.from_rows[end]:
            return self._gram.block(end, window, anchored=detrend != "none")
        x = read_window(self._rows, end, window)
        if detrend != "none":
            x = detrended(x - x[window // 2], detrend)
        return np.asarray(x @ x.T)
