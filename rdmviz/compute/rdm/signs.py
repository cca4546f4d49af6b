"""Signs of eigenvectors along a run: scrubbing must not flip a picture, whatever the path by which one came.

An eigenvector has no sign of its own. Each window's modes take theirs from their best-overlapping partners
in the window one row before; the first window, and any after a gap, from a fixed rule. Neighbouring windows
share all rows but one, so partners are plain; keyframes further apart lose them, and flip (a quarter of a
window apart, 1 to 9 in 100 steps turned a mode after the first). The overlaps come from the banded Gram, so
the chain costs one small eigenproblem per row and no look at the datapoints.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from rdmviz.compute.rdm.detrending import basis, detrended
from rdmviz.compute.rdm.gram import BandedGram
from rdmviz.compute.rdm.rows import Rows, read_window
from rdmviz.compute.rdm.windows import FLAT, WindowTraces

Floats = NDArray[np.float64]

_BATCH = 64  # windows per batch of eigenproblems
_WEAK = 0.2  # overlap below which a mode has no partner in the window before


def matching_signs(overlaps: Floats) -> Floats:
    """Sign per mode that makes its largest overlap with the reference positive, ``(k, r) -> (k,)``.

    A mode whose overlaps are all below 0.2 has no partner and keeps its sign.
    """
    best = np.take_along_axis(overlaps, np.abs(overlaps).argmax(axis=1)[:, None], axis=1)[:, 0]
    return np.where(best < -_WEAK, -1.0, 1.0)


class SignChain:
    """Signs of the leading modes of every window, decided row by row, once.

    Parameters
    ----------
    gram
        Banded Gram that serves windows of ``traces.window + 1`` rows.
    traces
        Of the windows whose modes are to be oriented.
    rows
        Reads losses, for windows whose Gram has lost digits.
    modes
        Number of leading modes.
    fixed
        Left vectors ``(k, window)`` of the window that ends at a row, oriented by the fixed rule; called
        where there is no window before.
    """

    def __init__(
        self, gram: BandedGram, traces: WindowTraces, rows: Rows, modes: int, fixed: Callable[[int], Floats]
    ) -> None:
        gram.require(min(traces.window + 1, gram.n_rows))
        self._gram, self._traces, self._rows, self._fixed = gram, traces, rows, fixed
        self._modes = min(modes, traces.window)
        self._signs = np.ones((gram.n_rows, self._modes))
        self._next = traces.window - 1
        self._before: Floats | None = None  # left vectors over root eigenvalue, (window, k), of the last row

    def signs(self, end: int, left: Floats) -> Floats:
        """Signs for the modes of the window that ends at row `end`, ``(k,)``.

        Parameters
        ----------
        end
            Row; its window must be finite and must move.
        left
            The modes as they are, by their left vectors ``u_k = X v_k / |X v_k|``, ``(k, window)``.
        """
        while self._next <= end:
            self._extend(range(self._next, min(self._next + _BATCH, self._gram.n_rows)))
        mine = self._solve([end])[0][0]
        agree = np.einsum("kw,wk->k", left, mine[:, : len(left)])
        return self._signs[end, : len(left)] * np.where(agree < 0, -1.0, 1.0)

    def _extend(self, ends: range) -> None:
        moves = self._traces.trace[ends.start : ends.stop] > 0  # not flat, not a gap
        moving = [end for end, moving in zip(ends, moves, strict=True) if moving]
        solved = dict(zip(moving, zip(*self._solve(moving), strict=True), strict=True)) if moving else {}
        for end in ends:
            if end not in solved:
                self._before = None
                continue
            left, cross, roots = solved[end]
            scaled = np.divide(left, roots, out=np.zeros_like(left), where=roots > 0)
            if self._before is None:
                fixed = self._fixed(end)
                agree = np.einsum("kw,wk->k", fixed, left[:, : len(fixed)])
                self._signs[end, : len(fixed)] = np.where(agree < 0, -1.0, 1.0)
            else:
                overlaps = scaled.T @ cross.T @ self._before
                self._signs[end] = matching_signs(overlaps)
            self._before = scaled * self._signs[end]
        self._next = ends.stop

    def _solve(self, ends: list[int]) -> tuple[Floats, Floats, Floats]:
        """Left vectors ``(B, window, k)``, products with the window before, and roots of ``nu lambda``."""
        window, detrend = self._traces.window, self._traces.detrend
        products = np.stack([self._products(end) for end in ends])
        q = basis(window, detrend)
        here = products[:, 1:, 1:]
        half = q.T @ here
        cross = q @ half
        kernels = here - cross - cross.transpose(0, 2, 1) + q @ (half @ q) @ q.T
        values, vectors = np.linalg.eigh(kernels)
        left = vectors[:, :, ::-1][:, :, : self._modes]
        top = np.maximum(values[:, ::-1][:, : self._modes], 0.0)
        top[top <= window * FLAT * top[:, :1]] = 0.0
        # Polynomials are in the null space of the kernel: rounding leaves some, and drift is large.
        left = left - q @ (q.T @ left)
        return left, products[:, :-1, 1:], np.sqrt(top)[:, None, :]

    def _products(self, end: int) -> Floats:
        """Inner products of the window's rows and the one before it, ``(window + 1, window + 1)``."""
        window, detrend = self._traces.window, self._traces.detrend
        lost = self._traces.from_rows[max(end - 1, 0) : end + 1].any()
        before = end >= window and bool(self._gram.finite[end - window])
        if not lost:
            if before:
                return self._gram.block(end, window + 1, anchored=detrend != "none")
            products = np.zeros((window + 1, window + 1))
            products[1:, 1:] = self._gram.block(end, window, anchored=detrend != "none")
            return products
        size = window + 1 if before else window
        x = read_window(self._rows, end, size)
        if detrend != "none":
            x = detrended(x - x[size // 2], detrend)
        products = np.zeros((window + 1, window + 1))
        products[-size:, -size:] = x @ x.T
        return products
