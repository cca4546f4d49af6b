"""The banded Gram matrix of a run: everything windows need, in one pass over the losses.

Inner products of loss vectors less than a window apart, ``<l_t, l_s>`` with ``|t - s| < w_max``, hold the
non-zero spectrum of every window covariance; no window looks at the ``n`` datapoints again.

They are kept in *segments*. Segment ``s`` serves the windows that end at rows ``[s b, (s+1) b)``, with
``b = w_max``, and holds one ``R x R`` Gram, ``R = 2 w_max - 1``, of the rows those windows touch minus an
*anchor*: a row near the segment's middle. Window covariances do not see an anchor, but rounding does: losses
share a large mean, which would eat the digits of the fluctuations. One anchor for the whole run would do the
same late in a run whose loss fell by orders of magnitude, hence one per segment.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from rdmviz.compute.errors import WindowError
from rdmviz.compute.rdm.rows import SLAB_BYTES, Rows, anchored, read_block, row_source

Precision = Literal["double", "single"]

DIGITS = 2.5e4
"""A difference of numbers this many times larger still has eleven digits: ``4 eps DIGITS = 2e-11``."""

_READ_BYTES = 64 << 20  # rows read at once: few, large reads of a store


@dataclass(frozen=True)
class BandedGram:
    """Inner products of anchored loss vectors, by segment.

    Grams of disjoint sets of datapoints over the same rows add up, so a run may be reduced chunk by chunk,
    rank by rank or machine by machine.

    Attributes
    ----------
    max_window
        Longest window served, rows; also the number of windows per segment.
    segments
        Anchored Gram matrices, ``(S, R, R)``, units loss². Rows that do not exist (before the first, after
        the last) or are not finite are zero.
    anchor_products
        ``<x_r, a>`` of each anchored row with its segment's anchor, ``(S, R)``.
    anchor_norms
        ``|a|²``, ``(S,)``.
    anchored_sums
        Sum over datapoints of each anchored row, ``(S, R)``: a large mean does not cost it digits.
    row_sums
        Sum of the losses of each row, ``(T,)``; NaN where a row is not finite.
    finite
        Which rows are finite throughout, ``(T,)``.
    n_samples
        Number of datapoints.
    precision
        ``"double"``, or ``"single"`` where products were taken in float32.
    """

    max_window: int
    segments: NDArray[np.float64]
    anchor_products: NDArray[np.float64]
    anchor_norms: NDArray[np.float64]
    anchored_sums: NDArray[np.float64]
    row_sums: NDArray[np.float64]
    finite: NDArray[np.bool_]
    n_samples: int
    precision: Precision = "double"

    @property
    def n_rows(self) -> int:
        """Number of recorded rows, T."""
        return len(self.finite)

    @property
    def digits(self) -> float:
        """How many times larger than a result the numbers it was subtracted from may be."""
        return 10.0 if self.precision == "single" else DIGITS

    def require(self, window: int) -> None:
        """Raise :class:`WindowError` if windows of that many rows are not served."""
        if window > self.max_window:
            raise WindowError(
                f"window={window} is longer than the {self.max_window} rows this Gram serves; "
                f"compute it with max_window={window}"
            )

    def segment_rows(self, segment: int) -> tuple[int, int]:
        """First and one-past-last row of a segment; the first may be negative, the last beyond the run."""
        start = (segment - 1) * self.max_window + 1
        return start, start + 2 * self.max_window - 1

    def valid(self) -> NDArray[np.bool_]:
        """Which of the rows of each segment exist and are finite, ``(S, R)``."""
        w, s = self.max_window, len(self.segments)
        padded = np.zeros((s + 1) * w - 1, dtype=bool)
        padded[w - 1 : w - 1 + self.n_rows] = self.finite
        return as_strided(padded, (s, 2 * w - 1), (w * padded.itemsize, padded.itemsize), writeable=False)

    def unanchored(self) -> NDArray[np.float64]:
        """Inner products of the losses themselves, ``(S, R, R)``: for windows that are not centred."""
        p, both = self.anchor_products, self.valid()
        raw = self.segments + p[:, :, None] + p[:, None, :] + self.anchor_norms[:, None, None]
        return np.asarray(np.where(both[:, :, None] & both[:, None, :], raw, 0.0))

    def block(self, end: int, window: int, *, anchored: bool = True) -> NDArray[np.float64]:
        """Inner products of the rows of the window that ends at row `end`, ``(window, window)``.

        With ``anchored=False`` of the losses themselves, else of the losses minus the segment's anchor.
        """
        self.require(window)
        segment, offset = divmod(end, self.max_window)
        here = slice(self.max_window + offset - window, self.max_window + offset)
        products = self.segments[segment, here, here]
        if anchored:
            return products
        p = self.anchor_products[segment, here]
        return np.asarray(products + p[:, None] + p[None, :] + self.anchor_norms[segment])

    def rounding_scales(self, *, anchored: bool = True) -> NDArray[np.float64]:
        """Squared norm per row of what the products were formed of, ``(S, R)``: eps times it is the error."""
        scales = np.diagonal(self.segments, axis1=1, axis2=2)
        return scales if anchored else np.maximum(scales, self.anchor_norms[:, None])

    def row_norms(self) -> NDArray[np.float64]:
        """``|l_r|²`` of each row of each segment, ``(S, R)``: the scale that rounding works on."""
        diagonal = np.diagonal(self.segments, axis1=1, axis2=2)
        raw = diagonal + 2 * self.anchor_products + self.anchor_norms[:, None]
        return np.asarray(np.where(self.valid(), np.maximum(raw, 0.0), 0.0))

    def __add__(self, other: BandedGram) -> BandedGram:
        """Gram of both sets of datapoints; a row counts as finite where it is in both."""
        mine = (self.max_window, self.n_rows, self.precision)
        theirs = (other.max_window, other.n_rows, other.precision)
        if mine != theirs:
            raise WindowError(
                f"Grams of (longest window, rows, precision) {mine} and {theirs} cannot be added; "
                "compute both over the same rows with the same max_window and precision"
            )
        return BandedGram(
            max_window=self.max_window,
            segments=self.segments + other.segments,
            anchor_products=self.anchor_products + other.anchor_products,
            anchor_norms=self.anchor_norms + other.anchor_norms,
            anchored_sums=self.anchored_sums + other.anchored_sums,
            row_sums=self.row_sums + other.row_sums,
            finite=self.finite & other.finite,
            n_samples=self.n_samples + other.n_samples,
            precision=self.precision,
        )


def banded_gram(
    losses: NDArray[Any] | Rows,
    max_window: int,
    *,
    shape: tuple[int, int] | None = None,
    precision: Precision = "double",
) -> BandedGram:
    """Banded Gram of a run in one pass over its rows: ``4 T max_window n`` flops, ``32 T max_window`` bytes.

    Parameters
    ----------
    losses
        Array ``(T, n)`` of any real dtype and memory order, or a function ``rows(start, stop)`` that reads
        such a block, so that the losses need never be in memory whole.
    max_window
        Longest window to be served, rows (at least 2; a longer one than the run is cut to the run).
    shape
        ``(T, n)``, needed where `losses` is a function.
    precision
        ``"single"`` takes the products of the (anchored) rows in float32: 5e-6 relative instead of 1e-10.

    Raises
    ------
    LossShapeError
        If the losses are not real numbers of shape ``(rows, datapoints)`` with two datapoints or more.
    WindowError
        If `max_window` is below 2.
    """
    rows, (n_rows, n_samples) = row_source(losses, shape)
    if max_window < 2 or n_rows < 2:
        raise WindowError(f"max_window={max_window} over {n_rows} rows: a window needs at least two rows")
    w = min(int(max_window), n_rows)
    n_segments = -(-n_rows // w)
    gram = BandedGram(
        max_window=w,
        segments=np.zeros((n_segments, 2 * w - 1, 2 * w - 1)),
        anchor_products=np.zeros((n_segments, 2 * w - 1)),
        anchor_norms=np.zeros(n_segments),
        anchored_sums=np.zeros((n_segments, 2 * w - 1)),
        row_sums=np.full(n_rows, np.nan),
        finite=np.zeros(n_rows, dtype=bool),
        n_samples=n_samples,
        precision=precision,
    )
    per_read = max(1, _READ_BYTES // (8 * w * n_samples))
    tail = np.empty((0, n_samples))
    scratch = np.empty(min((2 * w - 1) * n_samples, SLAB_BYTES // 8))
    with np.errstate(invalid="ignore", over="ignore"):  # non-finite rows are found in the products below
        for first in range(0, n_segments, per_read):
            last = min(first + per_read, n_segments)
            fresh = read_block(rows, first * w, min(last * w, n_rows), n_samples)
            block = np.concatenate([tail, fresh]) if len(tail) else fresh
            start = first * w - len(tail)  # the run's row that block[0] is
            for segment in range(first, last):
                low, high = gram.segment_rows(segment)
                low_real, high_real = max(low, 0), min(high, n_rows)
                _fill_segment(
                    gram, segment, block[low_real - start : high_real - start], low_real - low, scratch
                )
            # Not from the anchored rows: equal rows must have equal sums whatever segment they are in.
            gram.row_sums[first * w : last * w] = fresh.sum(axis=1, dtype=np.float64)
            tail = block[-(w - 1) :]
    gram.row_sums[~gram.finite] = np.nan
    return gram


def _fill_segment(
    gram: BandedGram, segment: int, block: NDArray[Any], offset: int, scratch: NDArray[np.float64]
) -> None:
    """Products of one segment's rows; `offset` rows of padding come before `block`."""
    usable = np.ones(len(block), dtype=bool)
    products, sides, sums, norm = _segment_products(block, usable, gram.precision, scratch)
    if not np.isfinite(np.diag(products)).all():
        # Some rows are NaN, infinite, or so large that their square overflows: leave them out.
        wide = block.astype(np.float64)
        usable = np.isfinite(np.einsum("ij,ij->i", wide, wide))
        products, sides, sums, norm = _segment_products(block, usable, gram.precision, scratch)
    here = slice(offset, offset + len(block))
    gram.segments[segment, here, here] = products
    gram.anchor_products[segment, here] = sides
    gram.anchored_sums[segment, here] = sums
    gram.anchor_norms[segment] = norm
    row = max(gram.segment_rows(segment)[0], 0)
    gram.finite[row : row + len(block)] = usable


def _segment_products(
    block: NDArray[Any], usable: NDArray[np.bool_], precision: Precision, scratch: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], float]:
    """``X X^T``, ``X a``, ``X 1`` and ``|a|²``, with ``X = block - a``, zero in rows not usable."""
    products: NDArray[Any] = np.zeros((len(block), len(block)))
    sides, sums = np.zeros((2, len(block)))
    norm = 0.0
    for x, a in anchored(block, usable, scratch):
        single = x.astype(np.float32) if precision == "single" else x
        product = single @ single.T
        products = product if x.shape == block.shape else products + product
        both = x @ np.column_stack((a, np.ones_like(a)))  # one pass over x for both
        sides += both[:, 0]
        sums += both[:, 1]
        norm += float(a @ a)
    return np.asarray(products, dtype=np.float64), sides, sums, norm
