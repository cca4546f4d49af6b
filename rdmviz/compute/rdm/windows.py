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
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import as_strided, sliding_window_view
from numpy.typing import NDArray

from rdmviz.compute.rdm.detrending import basis, check_window, degree, degrees_of_freedom
from rdmviz.compute.rdm.gram import DIGITS, BandedGram
from rdmviz.compute.rdm.rows import Rows, anchored, fluctuations_of, read_window

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

_CHUNK_BYTES = 2 << 20  # segments worked on at once: temporaries stay in the processor's cache
FLAT = 4 * float(np.finfo(np.float64).eps)
"""Fluctuations below this share of the losses' own norm are rounding, not movement."""


@dataclass(frozen=True)
class WindowTraces:
    """Traces of the covariance of every trailing window, one per recorded row.

    Attributes
    ----------
    trace
        ``Tr C``, ``(T,)``, loss²; NaN before the first full window and where a window holds a non-finite row,
        exactly 0 where nothing but rounding moves.
    square
        ``Tr C²``, ``(T,)``, loss⁴.
    from_rows
        Windows whose Gram has lost digits to drift, ``(T,)``: their spectra must come from their rows.
    window, detrend, nu
        Rows per window, what was removed in each, and the divisor.
    """

    trace: Floats
    square: Floats
    from_rows: Bools
    window: int
    detrend: str
    nu: int


def full_windows(finite: Bools, window: int) -> Bools:
    """Whether the trailing window at each row is full and finite throughout, ``(T,)``."""
    count = np.concatenate([[0], np.cumsum(~finite)])
    speaks = np.zeros(len(finite), dtype=bool)
    speaks[window - 1 :] = count[window:] == count[:-window]
    return speaks


def window_traces(gram: BandedGram, window: int, detrend: str, rows: Rows | None = None) -> WindowTraces:
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

    Raises
    ------
    WindowError, DetrendError
        If the window does not fit the rows, the Gram or the detrending, or the detrending is unknown.
    """
    window = check_window(window, detrend, gram.n_rows)
    gram.require(window)
    nu = degrees_of_freedom(window, detrend)
    segments = gram.unanchored() if detrend == "none" else gram.segments
    valid, scales = gram.valid(), gram.rounding_scales(anchored=detrend != "none")
    trace, square, lost, blurred = (np.empty((len(valid), gram.max_window)) for _ in range(4))
    for part in _chunks(gram):
        q = _segment_bases(valid[part], degree(detrend))
        trace[part], square[part], size = _traces(_projected(segments[part], q), window, detrend)
        lost[part] = _window_sums(scales[part], window) > gram.digits * trace[part]
        blurred[part] = size > gram.digits * square[part]
    trace, square, lost, blurred = (x.ravel()[: gram.n_rows] for x in (trace, square, lost, blurred))
    speaks = full_windows(gram.finite, window)
    again = np.flatnonzero(speaks & ((lost > 0) | (blurred > 0)))
    norms = _window_sums(gram.row_norms(), window).ravel()[: gram.n_rows]
    if rows is not None and len(again):
        _recompute(gram, rows, window, detrend, trace, square, again, FLAT**2 * norms)
    flat = trace <= FLAT**2 * norms
    trace[flat] = square[flat] = 0.0
    trace[~speaks] = square[~speaks] = np.nan
    return WindowTraces(trace / nu, square / nu**2, speaks & (lost > 0) & ~flat, window, detrend, nu)


def _recompute(
    gram: BandedGram,
    rows: Rows,
    window: int,
    detrend: str,
    trace: Floats,
    square: Floats,
    ends: NDArray[np.intp],
    flat: Floats,
) -> None:
    """Traces of the windows that end at `ends` from rows: by segment, and where that is not enough, alone."""
    left = ends
    if detrend != "none":
        left, norms = ends[:0], gram.row_norms()
        for segment in np.unique(ends // gram.max_window):
            mine = ends[ends // gram.max_window == segment]
            products = _detrended_segment(gram, rows, int(segment), detrend)
            tr, sq, size = (x[0] for x in _traces(products, window, detrend))
            scale = _window_sums(np.diagonal(products, axis1=1, axis2=2), window)[0]
            at = mine % gram.max_window
            trace[mine], square[mine] = tr[at], sq[at]
            still = (scale[at] > DIGITS * tr[at]) | (size[at] > DIGITS * sq[at])
            # Rounding here is relative to the largest losses of the segment; `flat` to those of the window.
            grain = FLAT**2 * window * norms[segment].max()
            left = np.append(left, mine[(still | (tr[at] <= grain)) & (tr[at] > flat[mine])])
    for end in left:
        kernel = window_kernel(rows, int(end), window, detrend)
        trace[end], square[end] = np.trace(kernel), np.vdot(kernel, kernel)


def window_kernel(rows: Rows, end: int, window: int, detrend: str) -> Floats:
    """``nu K = X X^T`` of the detrended rows of the window that ends at row `end`, ``(window, window)``."""
    x = fluctuations_of(read_window(rows, end, window), detrend)
    return np.asarray(x @ x.T)


def window_spectra(
    gram: BandedGram, traces: WindowTraces, ends: NDArray[np.integer], rows: Rows | None = None
) -> Floats:
    """All eigenvalues of the window covariances that end at rows `ends`, ``(len(ends), window)``, descending.

    Zero for flat windows; NaN where a window is not full or not finite. Of ``n`` eigenvalues at most
    ``window`` are not zero; they are those of the ``window x window`` form.

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
    kernels = np.zeros((len(ends), window, window))
    q = basis(window, detrend)
    known = np.isfinite(traces.trace[ends])
    for i in np.flatnonzero(known & (traces.trace[ends] > 0)):
        end = int(ends[i])
        if rows is not None and traces.from_rows[end]:
            kernels[i] = window_kernel(rows, end, window, detrend)
            continue
        g = gram.block(end, window, anchored=detrend != "none")
        half = q.T @ g
        cross = q @ half
        kernels[i] = g - cross - cross.T + q @ (half @ q) @ q.T
    values = np.maximum(np.linalg.eigvalsh(kernels)[:, ::-1], 0.0) / traces.nu
    values[~known] = np.nan
    return np.asarray(values)


def _traces(segments: Floats, window: int, detrend: str) -> tuple[Floats, Floats, Floats]:
    """Trace of ``A G A``, of its square, and ``|G|²`` of the windows that end in each segment, ``(S, b)``."""
    n_segments, size, _ = segments.shape
    per_segment = (size + 1) // 2
    q = basis(window, detrend)
    norm = _window_square_sums(segments, window)
    trace = _window_sums(np.diagonal(segments, axis1=1, axis2=2), window)
    if q.shape[1] == 0:
        return trace, norm, np.zeros_like(norm)
    row, item = segments.strides[1:]
    first = per_segment - window  # local row at which the first window starts
    windows = as_strided(
        segments[:, first:, first:],
        (n_segments, per_segment, window, window),
        (segments.strides[0], row + item, row, item),
        writeable=False,
    )
    gq = windows @ q
    qgq = q.T @ gq
    trace = trace - np.trace(qgq, axis1=2, axis2=3)
    square = norm - 2 * np.einsum("sbij,sbij->sb", gq, gq) + np.einsum("sbij,sbij->sb", qgq, qgq)
    return trace, square, norm


def _window_sums(values: Floats, window: int) -> Floats:
    """Sum values per row over the windows that end in each segment, ``(S, R) -> (S, b)``."""
    first = (values.shape[1] + 1) // 2 - window
    return np.asarray(sliding_window_view(values[:, first:], window, axis=1).sum(axis=2))


def _window_square_sums(segments: Floats, window: int) -> Floats:
    """``|G|²`` of the windows that end in each segment, ``(S, b)``, adding only positive numbers.

    ``|G|² = sum_i (G_ii² + 2 sum_{i < j <= end} G_ij²)``: running sums along each row, then one sum along
    their antidiagonal. Two-dimensional running sums would need a subtraction that costs digits.
    """
    n_segments, size, _ = segments.shape
    per_segment = (size + 1) // 2
    first = per_segment - window
    used = size - first
    # Row i of `band` holds G[i, i], G[i, i+1], ...; the padding keeps the last rows inside the array.
    padded = np.zeros((n_segments, used + 1, used + window))
    padded[:, :used, :used] = segments[:, first:, first:]
    plane, row, item = padded.strides
    band = as_strided(padded, (n_segments, used, window), (plane, row + item, item), writeable=False)
    sums = band * band
    sums[:, :, 1:] *= 2.0
    np.cumsum(sums, axis=2, out=sums)
    plane, row, item = sums.strides
    # The window that starts at i: rows i .. i+window-1, with window-1 .. 0 further columns each.
    corners = as_strided(
        sums[:, :, window - 1 :],
        (n_segments, per_segment, window),
        (plane, row, row - item),
        writeable=False,
    )
    return np.asarray(corners.sum(axis=2))


def _segment_bases(valid: Bools, polynomial: int) -> Floats:
    """Orthonormal polynomials on the valid rows of each segment, ``(S, R, degree + 1)``, zero elsewhere."""
    n_segments, size = valid.shape
    bases = np.zeros((n_segments, size, polynomial + 1))
    if polynomial < 0:
        return bases
    columns = np.polynomial.legendre.legvander(np.linspace(-1.0, 1.0, size), polynomial)
    whole = valid.all(axis=1)
    if whole.any():
        bases[whole] = np.linalg.qr(columns)[0]
    for segment in np.flatnonzero(~whole & (valid.sum(axis=1) > polynomial + 1)):
        bases[segment, valid[segment]] = np.linalg.qr(columns[valid[segment]])[0]
    return bases


def _projected(segments: Floats, q: Floats) -> Floats:
    """``(I - Q Q^T) G (I - Q Q^T)`` of each segment: windows do not see it, the subtraction above does."""
    if q.shape[2] == 0:
        return segments
    qt = q.transpose(0, 2, 1)
    gq = segments @ q
    # G - U Q^T - Q U^T with U = GQ - Q (Q'GQ) / 2, as one product
    u = gq - q @ (qt @ gq) / 2
    return np.asarray(segments - np.concatenate([u, q], 2) @ np.concatenate([q, u], 2).transpose(0, 2, 1))


def _detrended_segment(gram: BandedGram, rows: Rows, segment: int, detrend: str) -> Floats:
    """Gram of one segment whose rows were freed of the segment's polynomial first, ``(1, R, R)``."""
    valid = gram.valid()[segment : segment + 1]
    q = _segment_bases(valid, degree(detrend))[0]
    start, stop = gram.segment_rows(segment)
    low, high = max(start, 0), min(stop, gram.n_rows)
    here = slice(low - start, high - start)
    block, usable, q = np.asarray(rows(low, high)), valid[0, here], q[here]
    products = np.zeros((1, stop - start, stop - start))
    for x, _ in anchored(block, usable):
        x -= q @ (q.T @ x)
        x -= q @ (q.T @ x)
        products[0, here, here] += x @ x.T
    return products


def _chunks(gram: BandedGram) -> Iterator[slice]:
    """Slices of segments that are worked on at once."""
    size = gram.segments[0].nbytes
    step = max(1, _CHUNK_BYTES // size)
    for start in range(0, len(gram.segments), step):
        yield slice(start, start + step)
