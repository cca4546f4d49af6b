"""Modes followed along all windows: which mode is which, when each is born, when it dies.

From window to window a mode is the same where it keeps more than half of its squared norm
(:mod:`rdmviz.compute.rdm.continuation`); ranks may swap. It lives while it is among the leading modes or the
few spare ones that are followed beyond them. Everything comes from the banded Gram.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rdmviz.compute.rdm.continuation import SPARE, continued, degenerate_blocks
from rdmviz.compute.rdm.gram import BandedGram
from rdmviz.compute.rdm.modes import check_modes
from rdmviz.compute.rdm.neighbours import Neighbours, solve_neighbours
from rdmviz.compute.rdm.rows import Rows
from rdmviz.compute.rdm.windows import WindowTraces

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_BATCH = 64  # windows per task


@dataclass(frozen=True)
class ModeTracks:
    """Spectra of all trailing windows, and the identities of their leading modes.

    Attributes
    ----------
    eigenvalues
        All eigenvalues of the window covariances, descending, ``(T, window)``, loss²; NaN where a window is
        not full or not finite, 0 where nothing moves and for eigenvalues that are rounding.
    identity
        Track of each leading mode, ``(T, k)``, an index into the arrays below; -1 where there is no mode.
    overlap
        ``|v_k . v'|`` of each mode with the one that it continues in the window before, ``(T, k)``; NaN where
        it continues none. Equal modes are turned onto their predecessors first.
    birth, death
        First and last row at which each track lived, ``(tracks,)``: in order of birth, spare modes included.
        Tracks that never lead are left out.
    peak_eigenvalue, peak_row, peak_rank
        Largest eigenvalue of each track, loss², the row at which it is reached, and the number of modes above
        it there.
    """

    eigenvalues: Floats
    identity: Ints
    overlap: Floats
    birth: Ints
    death: Ints
    peak_eigenvalue: Floats
    peak_row: Ints
    peak_rank: Ints

    @property
    def length(self) -> Ints:
        """Number of rows that each track lived, ``(tracks,)``."""
        return np.asarray(self.death - self.birth + 1)


def mode_tracks(
    gram: BandedGram,
    traces: WindowTraces,
    rows: Rows,
    modes: int,
    each: Callable[[Callable[[range], Any], list[range]], Iterable[Any]] = map,
) -> ModeTracks:
    """Follow the leading modes along all windows; one ``window x window`` eigenproblem per row.

    Parameters
    ----------
    gram
        Banded Gram that serves windows of ``traces.window + 1`` rows, or of as many as there are.
    traces
        Of the windows.
    rows
        Reads losses, for windows whose Gram has lost digits.
    modes
        Number of leading modes; four more are followed, so that one that drops out for a while stays known.
    each
        Maps a function over batches of windows, in order; the ``map`` of a thread pool shares them out.

    Raises
    ------
    WindowError
        If the Gram does not reach, or `modes` is not a whole number of 1 or more.
    """
    n_rows, window = gram.n_rows, traces.window
    gram.require(min(window + 1, n_rows))
    followed = min(check_modes(modes) + SPARE, window)
    values = np.full((n_rows, window), np.nan)
    identity = np.full((n_rows, followed), -1)
    overlap = np.full((n_rows, followed), np.nan)
    starts = range(window - 1, n_rows, _BATCH)
    batches = [range(start, min(start + _BATCH, n_rows)) for start in starts]

    def solve(ends: range) -> Neighbours:
        return solve_neighbours(gram, traces, rows, ends, followed)

    known, turn, before = 0, np.eye(followed), np.arange(followed)
    for ends, found in zip(batches, each(solve, batches), strict=True):
        values[ends.start : ends.stop] = found.values
        leading = found.values[:, :followed]
        all_blocks = degenerate_blocks(leading)
        for i, (row, blocks) in enumerate(zip(ends, all_blocks, strict=True)):
            met = found.overlaps[i] @ turn
            turn, partner = continued(met, blocks, before, modes)
            before, old = blocks, partner >= 0
            identity[row, old] = identity[row - 1, partner[old]]
            overlap[row, old] = np.minimum(np.abs(turn.T @ met)[old, partner[old]], 1.0)
            born = ~old & (leading[i] > 0)
            identity[row, born] = known + np.arange(born.sum())
            known += int(born.sum())
    values[np.isnan(traces.trace)] = np.nan
    values /= traces.nu
    return _with_lives(values, identity, overlap, min(modes, followed))


def _with_lives(values: Floats, identity: Ints, overlap: Floats, leading: int) -> ModeTracks:
    """Keep the tracks that ever lead, numbered by birth, and tell their lives."""
    row, rank = np.nonzero(identity >= 0)
    track, height = identity[row, rank], values[row, rank]
    order = np.lexsort((row, -height, track))
    peak = order[np.unique(track[order], return_index=True)[1]]  # one per track, in order of birth
    first = np.unique(track, return_index=True)[1]
    last = len(track) - 1 - np.unique(track[::-1], return_index=True)[1]
    leads = np.isin(np.arange(len(peak)), identity[:, :leading])
    number = np.append(np.where(leads, np.cumsum(leads) - 1, -1), -1)  # the last is for no mode
    return ModeTracks(
        eigenvalues=values,
        identity=number[identity[:, :leading]],
        overlap=overlap[:, :leading],
        birth=row[first][leads],
        death=row[last][leads],
        peak_eigenvalue=height[peak][leads],
        peak_row=row[peak][leads],
        peak_rank=rank[peak][leads],
    )
