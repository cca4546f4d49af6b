"""Traces and spectra of every trailing window, from the banded Gram.

For a window with Gram ``G`` and detrending ``A = I - Q Q^T`` the covariance has the non-zero spectrum of
``K = A G A / nu``. Its traces need neither an eigendecomposition nor ``A G A``::

    Tr K   = [tr G - tr Q'GQ] / nu
    Tr K^2 = [|G|^2 - 2 |GQ|^2 + |Q'GQ|^2] / nu^2

Both subtract, and where the drift dwarfs the fluctuations they subtract nearly equal numbers. Three steps
keep ten digits: the polynomial of the whole segment is removed from its Gram beforehand (windows do not see
it); where the bound on the rounding error is still too large, it is removed from the segment's *rows* before
their products are taken; and what remains doubtful is computed from the rows of the window alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rdmviz.compute.rdm.detrending import basis, check_window, degree, degrees_of_freedom
from rdmviz.compute.rdm.gram import DIGITS, BandedGram
from rdmviz.compute.rdm.one_window import OneWindow
from rdmviz.compute.rdm.rows import Rows, anchored, read_window
from rdmviz.compute.rdm.sums import Scratch, moments, projected, segment_bases, units, window_sums

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

_CHUNK_BYTES = 2 << 20  # segments worked on at once: temporaries stay in the processor's cache
FLAT = 4 * float(np.finfo(np.float64).eps)
"""Fluctuations below this share of the losses' own norm are rounding, not movement."""
SMALLEST = float(np.sqrt(np.finfo(np.float64).tiny))
"""Losses below this, 1.5e-154, have squares that lose digits or all of themselves."""
_EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class WindowTraces:
    """Traces of the covariance of every trailing window, one per recorded row.

    Attributes
    ----------
    trace
        ``Tr C``, ``(T,)``, loss²; NaN before the first full window and where a window holds a non-finite row,
        exactly 0 where nothing but rounding moves, or by so little (1e-154) that squares underflow.
    purity
        ``Tr C² / (Tr C)²``, ``(T,)``; 0 where nothing moves. Its inverse is the participation ratio.
    from_rows
        Windows whose Gram has lost digits to drift, ``(T,)``: their spectra must come from their rows.
    window, detrend, nu
        Rows per window, what was removed in each, and the divisor.
    """

    trace: Floats
    purity: Floats
    from_rows: Bools
    window: int
    detrend: str
    nu: int

    @property
    def square(self) -> Floats:
        """``Tr C²``, ``(T,)``, loss⁴; infinite or 0 where that leaves the range of float64."""
        with np.errstate(over="ignore"):
            return np.asarray(self.purity * self.trace * self.trace)


def stillness(rounding: Any) -> Any:
    """Sum of squared fluctuations up to which nothing moves: of rounding, or too small for its digits."""
    return np.maximum(rounding, SMALLEST**2)


def full_windows(finite: Bools, window: int) -> Bools:
    """Whether the trailing window at each row is full and finite throughout, ``(T,)``."""
    count = np.concatenate([[0], np.cumsum(~finite)])
    speaks = np.zeros(len(finite), dtype=bool)
    speaks[window - 1 :] = count[window:] == count[:-window]
    return speaks


def window_traces(
    gram: BandedGram, window: int, detrend: str, rows: Rows | None = None, *, workers: int = 1
) -> WindowTraces:
    """``Tr C`` and ``Tr C²`` of all trailing windows, without an eigendecomposition.

    Parameters
    ----------
    gram
        Banded Gram with ``max_window >= window``.
    window, detrend
        Rows per window; one of ``none``, ``constant``, ``linear``, ``quadratic``.
    rows
        Reads losses again where the Gram has lost digits. Without it those windows keep fewer digits
        (relative error about ``1e-16`` times the squared ratio of drift to fluctuations).
    workers
        Threads that share the work; best with a BLAS that is held to one thread.

    Raises
    ------
    WindowError, DetrendError
        If the window does not fit the rows, the Gram or the detrending, or the detrending is unknown.
    """
    window = check_window(window, detrend, gram.n_rows)
    gram.require(window)
    with np.errstate(over="ignore", invalid="ignore"):  # sums beyond float64 come out NaN below
        return _window_traces(gram, window, detrend, rows, workers)


def _window_traces(
    gram: BandedGram, window: int, detrend: str, rows: Rows | None, workers: int
) -> WindowTraces:
    nu = degrees_of_freedom(window, detrend)
    here, count = _extent(gram, window)
    segments = (gram.unanchored() if detrend == "none" else gram.segments)[:, here, here]
    valid = gram.valid()[:, here]
    scale = _placed(gram, window, gram.rounding_scales(anchored=detrend != "none"))
    by_segment = np.zeros((3, len(segments), gram.max_window))
    served = slice(gram.max_window - count, None)

    def of(parts: list[slice]) -> None:
        scratch = Scratch()
        with np.errstate(over="ignore", invalid="ignore"):  # threads do not inherit it
            for part in parts:
                products = projected(segments[part], segment_bases(valid[part], degree(detrend)), scratch)
                found = _moments(products, window, detrend, count, gram.digits, scratch)
                for values, into in zip((found[0], found[1], found[3]), by_segment, strict=True):
                    into[part, served] = values

    parts = list(_chunks(gram, workers))
    if workers > 1:
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(of, [parts[i::workers] for i in range(workers)]))
    else:
        of(parts)
    trace, purity, blurred = by_segment.reshape(3, -1)[:, : gram.n_rows]
    speaks = full_windows(gram.finite, window)
    lost = scale > gram.digits * trace
    norms = np.minimum(gram.row_norms(), np.finfo(np.float64).max)  # an infinite floor would still anything
    floor = stillness(_placed(gram, window, FLAT**2 * norms))
    again = np.flatnonzero(speaks & (lost | (blurred > 0)))
    if rows is not None and len(again):
        _recompute(gram, rows, window, detrend, trace, purity, again, floor)
        # A trace that took up the rounding of other windows hid what their spectra have lost, too.
        lost |= scale > gram.digits * trace
    flat = trace <= floor
    trace[flat] = purity[flat] = 0.0
    silent = ~speaks | ~np.isfinite(trace)
    trace[silent] = purity[silent] = np.nan
    return WindowTraces(trace / nu, purity, speaks & lost & ~flat, window, detrend, nu)


def _recompute(
    gram: BandedGram,
    rows: Rows,
    window: int,
    detrend: str,
    trace: Floats,
    purity: Floats,
    ends: NDArray[np.intp],
    floor: Floats,
) -> None:
    """Traces of the windows that end at `ends` from rows: by segment, and where that is not enough, alone."""
    left = ends
    if detrend != "none":
        left, norms = ends[:0], gram.row_norms()
        here, count = _extent(gram, window)
        for segment in np.unique(ends // gram.max_window):
            mine = ends[ends // gram.max_window == segment]
            products = _detrended_segment(gram, rows, int(segment), detrend)[:, here, here]
            found = _moments(products, window, detrend, count, DIGITS, Scratch())
            tr, pure, size, blur = (x[0] for x in found)
            at = mine % gram.max_window - (gram.max_window - count)
            trace[mine], purity[mine] = tr[at], pure[at]
            still = (size[at] > DIGITS * tr[at]) | blur[at]
            # Rounding here is relative to the largest losses of the segment, `floor` to those of the window.
            grain = FLAT**2 * window * norms[segment].max()
            rest = (tr[at] <= floor[mine]) & (_EPS * size[at] <= floor[mine]) & (grain <= 4 * floor[mine])
            left = np.append(left, mine[(still | (tr[at] <= grain)) & ~rest])
    for end in left:
        sums = OneWindow(read_window(rows, int(end), window), detrend).sums()
        trace[end] = np.trace(sums.kernel)
        if np.isfinite(sums.size):
            floor[end] = stillness(FLAT**2 * sums.size)
        if trace[end] > floor[end]:
            share = sums.kernel / trace[end]
            purity[end] = np.vdot(share, share)


def _moments(
    segments: Floats, window: int, detrend: str, count: int, digits: float, scratch: Scratch
) -> tuple[Floats, Floats, Floats, Bools]:
    """Trace of ``A G A``, purity, ``tr G``, and whether the square has lost digits, each ``(S, count)``."""
    unit = units(segments)
    if (unit != 1).any():
        segments = segments * unit[:, None, None]
    trace, square, norm = moments(segments, window, detrend, count, scratch)
    purity = np.divide(square, trace**2, out=np.zeros_like(square), where=trace**2 > 0)
    size = window_sums(np.diagonal(segments, axis1=1, axis2=2), window, count)
    return trace / unit[:, None], purity, size / unit[:, None], norm > digits * square


def window_spectra(
    gram: BandedGram, traces: WindowTraces, ends: NDArray[np.integer], rows: Rows | None = None
) -> Floats:
    """All eigenvalues of the window covariances that end at rows `ends`, ``(len(ends), window)``, descending.

    Zero for flat windows; NaN where a window is not full or not finite. Of ``n`` eigenvalues at most
    ``window`` are not zero; they are those of the smaller of the ``window x window`` form and, given `rows`,
    the ``n x n`` one.

    Parameters
    ----------
    gram, traces
        What :func:`window_traces` took and gave.
    ends
        Rows at which the windows end.
    rows
        Reads losses again for the windows whose Gram has lost digits.
    """
    window, detrend = traces.window, traces.detrend
    ends = np.asarray(ends, dtype=np.intp)
    known = np.isfinite(traces.trace[ends])
    moving = np.flatnonzero(known & (traces.trace[ends] > 0))
    small = rows is not None and gram.n_samples < window
    side = gram.n_samples if small else window
    kernels = np.zeros((len(ends), side, side))
    q = basis(window, detrend)
    if rows is not None and small and len(moving):
        rows = _held(rows, ends[moving], window)
    for i in moving:
        end = int(ends[i])
        if rows is not None and (small or traces.from_rows[end]):
            kernels[i] = OneWindow(read_window(rows, end, window), detrend).sums().kernel
            continue
        g = gram.block(end, window, anchored=detrend != "none")
        half = q.T @ g
        cross = q @ half
        kernels[i] = g - cross - cross.T + q @ (half @ q) @ q.T
    values = np.zeros((len(ends), window))
    values[:, :side] = np.maximum(np.linalg.eigvalsh(kernels)[:, ::-1], 0.0) / traces.nu
    values[~known] = np.nan
    return values


def _held(rows: Rows, ends: NDArray[np.integer], window: int) -> Rows:
    """Read rows from memory where windows overlap: one look at the store instead of one per window."""
    low, high = int(ends.min()) - window + 1, int(ends.max()) + 1
    if high - low > window + 2 * len(ends):
        return rows
    block = np.asarray(rows(low, high))
    return lambda start, stop: block[start - low : stop - low]


def _detrended_segment(gram: BandedGram, rows: Rows, segment: int, detrend: str) -> Floats:
    """Gram of one segment whose rows were freed of the segment's polynomial first, ``(1, R, R)``."""
    valid = gram.valid()[segment : segment + 1]
    q = segment_bases(valid, degree(detrend))[0]
    start, stop = gram.segment_rows(segment)
    low, high = max(start, 0), min(stop, gram.n_rows)
    here = slice(low - start, high - start)
    block, usable, q = np.asarray(rows(low, high)), valid[0, here], q[here]
    products = np.zeros((1, stop - start, stop - start))
    for x in anchored(block, usable):
        x -= q @ (q.T @ x)
        x -= q @ (q.T @ x)
        products[0, here, here] += x @ x.T
    return products


def _extent(gram: BandedGram, window: int) -> tuple[slice, int]:
    """Local rows that windows look at, and the number of windows that end in a segment."""
    if len(gram.segments) > 1:
        return slice(gram.max_window - window, None), gram.max_window
    return slice(gram.max_window - 1, None), gram.n_rows - window + 1


def _placed(gram: BandedGram, window: int, values: Floats) -> Floats:
    """Sum of values per row of segments over each trailing window, ``(S, R) -> (T,)``; 0 before the first."""
    here, count = _extent(gram, window)
    sums = np.zeros((len(values), gram.max_window))
    sums[:, gram.max_window - count :] = window_sums(values[:, here], window, count)
    return sums.ravel()[: gram.n_rows]


def _chunks(gram: BandedGram, workers: int) -> Iterator[slice]:
    """Slices of segments that are worked on at once, enough to share them fairly."""
    count, size = len(gram.segments), gram.segments[0].nbytes
    step = max(1, min(_CHUNK_BYTES // size, count if workers == 1 else -(-count // (2 * workers))))
    for start in range(0, count, step):
        yield slice(start, start + step)
