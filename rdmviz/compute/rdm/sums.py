"""Sums over all trailing windows of a segment's Gram matrix, and polynomials removed from it whole."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.lib.stride_tricks import as_strided, sliding_window_view
from numpy.typing import NDArray

from rdmviz.compute.rdm.detrending import basis

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

_GROUP = 16  # windows that share a product: more are more work, fewer more calls
_ORDINARY = 1e60
"""Products (loss²) up to this can be squared and summed as they are, and down to its inverse."""


class Scratch:
    """Memory for the intermediate results of a few segments, used again and again by one thread.

    Fresh memory of megabytes comes from the system page by page, which costs more than the arithmetic.
    """

    def __init__(self) -> None:
        self._held: dict[str, Floats] = {}

    def __call__(self, name: str, *shape: int) -> Floats:
        """Return an array to be written to; it holds whatever was there."""
        size = int(np.prod(shape))
        if name not in self._held or self._held[name].size < size:
            self._held[name] = np.zeros(size)
        return self._held[name][:size].reshape(shape)


def units(segments: Floats) -> Floats:
    """Power of two per segment, ``(S,)``, that brings extreme products to order one; 1 for ordinary ones."""
    largest = np.diagonal(segments, axis1=1, axis2=2).max(axis=1)
    far = (largest > _ORDINARY) | ((largest > 0) & (largest < 1 / _ORDINARY))
    exponent = np.where(far, np.clip(-np.frexp(largest)[1], -1000, 1000), 0)
    return np.asarray(np.ldexp(1.0, exponent))


def moments(
    segments: Floats, window: int, detrend: str, count: int, scratch: Scratch
) -> tuple[Floats, Floats, Floats]:
    """Trace of ``A G A``, of its square, and ``|G|²``: last `count` windows, ``(S, count)``."""
    norm = _square_sums(segments, window, count, scratch)
    trace = window_sums(np.diagonal(segments, axis1=1, axis2=2), window, count)
    q = basis(window, detrend)
    if q.shape[1] == 0:
        return trace, norm, np.zeros_like(norm)
    first = segments.shape[1] - count - window + 1  # local row at which the first window starts
    square = norm.copy()
    for low in range(0, count, _GROUP):
        group = min(_GROUP, count - low)
        here = slice(first + low, first + low + window + group - 1)
        inner, outer = _projections(segments[:, here, here], q, group, scratch)
        trace[:, low : low + group] -= np.trace(inner, axis1=2, axis2=3)
        square[:, low : low + group] += np.einsum("sjab,sjab->sj", inner, inner) - 2 * outer
    return trace, square, norm


def _projections(segments: Floats, q: Floats, group: int, scratch: Scratch) -> tuple[Floats, Floats]:
    """``Q'GQ`` ``(S, group, d, d)`` and ``|GQ|²`` ``(S, group)`` of `group` windows, each a row further.

    One product serves all windows of a group: its columns are the polynomials of each, moved into place.
    """
    window, d = q.shape
    columns = _shifted(window, d, group, q.tobytes())
    gq = np.matmul(segments, columns, out=scratch("gq", len(segments), *columns.shape))
    both = (columns.T @ gq).reshape(-1, group, d, group, d)
    own = np.arange(group)
    inner = both[:, own, :, own, :].transpose(1, 0, 2, 3)
    plane, row, item = gq.strides
    seen = as_strided(  # of each window's column only the rows of that window
        gq, (len(gq), group, window, d), (plane, row + d * item, row, item), writeable=False
    )
    return inner, np.einsum("sjrb,sjrb->sj", seen, seen)


@lru_cache(maxsize=16)
def _shifted(window: int, d: int, group: int, values: bytes) -> Floats:
    """Polynomials of `group` windows, ``(window + group - 1, group d)``, each a row further than the last."""
    columns = np.zeros((window + group - 1, group, d))
    for j in range(group):
        columns[j : j + window, j] = np.frombuffer(values).reshape(window, d)
    return columns.reshape(len(columns), group * d)


def window_sums(values: Floats, window: int, count: int) -> Floats:
    """Sum values per row over the last `count` windows of each segment, ``(S, rows) -> (S, count)``."""
    first = values.shape[1] - count - window + 1
    return np.asarray(sliding_window_view(values[:, first:], window, axis=1).sum(axis=2))


def _square_sums(segments: Floats, window: int, count: int, scratch: Scratch) -> Floats:
    """``|G|²`` of the last `count` windows of each segment, ``(S, count)``, adding only positive numbers.

    ``|G|² = sum_i (G_ii² + 2 sum_{i < j <= end} G_ij²)``: running sums along each row, then one sum along
    their antidiagonal. Two-dimensional running sums would need a subtraction that costs digits.
    """
    n_segments, size, _ = segments.shape
    first = size - count - window + 1
    used = size - first
    if count == 1:
        block = segments[:, first:, first:]
        return np.asarray(np.einsum("sij,sij->s", block, block)[:, None])
    # Row i of `band` holds G[i, i], G[i, i+1], ...; the padding keeps the last rows inside the array, and
    # what it holds is not looked at.
    padded = scratch("padded", n_segments, used + 1, used + window)
    padded[:, :used, :used] = segments[:, first:, first:]
    plane, row, item = padded.strides
    band = as_strided(padded, (n_segments, used, window), (plane, row + item, item), writeable=False)
    sums = np.multiply(band, band, out=scratch("sums", *band.shape))
    sums[:, :, 1:] *= 2.0
    np.cumsum(sums, axis=2, out=sums)
    plane, row, item = sums.strides
    # The window that starts at i: rows i .. i+window-1, with window-1 .. 0 further columns each.
    corners = as_strided(
        sums[:, :, window - 1 :],
        (n_segments, count, window),
        (plane, row, row - item),
        writeable=False,
    )
    return np.asarray(corners.sum(axis=2))


def segment_bases(valid: Bools, polynomial: int) -> Floats:
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


def projected(segments: Floats, q: Floats, scratch: Scratch) -> Floats:
    """``(I - Q Q^T) G (I - Q Q^T)`` of each segment: windows do not see it, the subtraction above does."""
    if q.shape[2] == 0:
        return segments
    qt = q.transpose(0, 2, 1)
    gq = segments @ q
    # G - U Q^T - Q U^T with U = GQ - Q (Q'GQ) / 2, as one product
    u = gq - q @ (qt @ gq) / 2
    out = scratch("projected", *segments.shape)
    np.matmul(np.concatenate([u, q], 2), np.concatenate([q, u], 2).transpose(0, 2, 1), out=out)
    return np.subtract(segments, out, out=out)
