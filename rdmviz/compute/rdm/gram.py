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

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from numbers import Integral
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from rdmviz.compute.errors import WindowError
from rdmviz.compute.rdm.rows import Rows, read_block, row_source
from rdmviz.compute.rdm.tiles import GramTile, Precision, gram_tile, tile_rows

DIGITS = 5e3
"""A difference of numbers this many times larger still has ten digits: 4e-12 times what sums add up."""

_READ_BYTES = 64 << 20  # rows read at once: few, large reads of a store
_COLUMNS = 1 << 14  # datapoints per tile
_MANY = 64  # segments per thread that are worth being shared out twice


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
    scales
        Squared norm, per row, of what its products were formed of, ``(S, R)``: eps times it is their error.
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
    scales: NDArray[np.float64]
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
        """`scales`, or those of the products of the losses themselves, ``(S, R)``."""
        return self.scales if anchored else np.maximum(self.scales, self.anchor_norms[:, None])

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
        return assembled([self.tile() + other.tile()], self.max_window, self.precision)

    def tile(self, segments: int | None = None) -> GramTile:
        """Return the first `segments` segments (all by default) as a tile, to be put beside others."""
        stop = None if segments is None else segments * self.max_window
        return GramTile(
            0,
            self.segments[:segments],
            self.scales[:segments],
            self.anchor_products[:segments],
            self.anchor_norms[:segments],
            self.anchored_sums[:segments],
            self.row_sums[:stop],
            self.finite[:stop],
            self.n_samples,
        )

    def beginning(self, rows: int) -> BandedGram | None:
        """Return the Gram of the full segments in the first `rows` rows; None if there is not one."""
        segments = rows // self.max_window
        return assembled([self.tile(segments)], self.max_window, self.precision) if segments else None


def assembled(
    tiles: Sequence[GramTile],
    max_window: int,
    precision: Precision = "double",
    segments: NDArray[np.float64] | None = None,
) -> BandedGram:
    """Put tiles side by side: one for each range of segments, in order, all of the same datapoints.

    Their `segments` may be given where they lie side by side already.
    """

    def joined(name: str) -> NDArray[Any]:
        parts = [getattr(tile, name) for tile in tiles]
        return np.concatenate(parts) if len(parts) > 1 else parts[0]

    if segments is None:
        segments = joined("segments")
    row_sums = joined("row_sums")
    finite = np.ones(len(row_sums), dtype=bool)
    for tile in tiles:
        start, stop = tile_rows(tile.first, tile.first + len(tile.segments), max_window, len(finite))
        finite[start:stop] &= tile.finite
    for segment, row in zip(*np.nonzero(~np.isfinite(np.diagonal(segments, axis1=1, axis2=2))), strict=True):
        finite[(segment - 1) * max_window + 1 + row] = False  # too large to be squared together
    gram = BandedGram(
        max_window=max_window,
        segments=segments,
        scales=joined("scales"),
        anchor_products=joined("anchor_products"),
        anchor_norms=joined("anchor_norms"),
        anchored_sums=joined("anchored_sums"),
        row_sums=row_sums,
        finite=finite,
        n_samples=tiles[0].n_samples,
        precision=precision,
    )
    if not finite.all():  # a row may be finite in one tile and not in another
        row_sums[~finite] = np.nan
        gone = ~gram.valid()
        for segment in np.flatnonzero(gone.any(axis=1)):
            rows = gone[segment]
            gram.segments[segment, rows] = gram.segments[segment, :, rows] = 0.0
            for part in (gram.scales, gram.anchor_products, gram.anchored_sums):
                part[segment, rows] = 0.0
    return gram


def banded_gram(
    losses: NDArray[Any] | Rows,
    max_window: int,
    *,
    shape: tuple[int, int] | None = None,
    precision: Precision = "double",
    workers: int = 1,
    known: BandedGram | None = None,
) -> BandedGram:
    """Banded Gram of a run in one pass over its rows: ``3 T max_window n`` flops, ``32 T max_window`` bytes.

    Parameters
    ----------
    losses
        Array ``(T, n)`` of any real dtype and memory order, or a function ``rows(start, stop)`` that reads
        such a block, so that the losses need never be in memory whole: two windows of rows and 64 MB are.
    max_window
        Longest window to be served, rows (at least 2; a longer one than the run is cut to the run).
    shape
        ``(T, n)``, needed where `losses` is a function.
    precision
        ``"single"`` takes the products of the (anchored) rows in float32: 5e-6 relative instead of 1e-10.
    workers
        Threads that share the work; best with a BLAS that is held to one thread. The result is the same to
        the bit for any number of them.
    known
        Gram of the same run when it had fewer rows: its full segments are taken over.

    Raises
    ------
    LossShapeError
        If the losses are not real numbers of shape ``(rows, datapoints)`` with two datapoints or more.
    WindowError
        If `max_window` is not a whole number of 2 or more, or `known` is not the beginning of the same run.
    """
    rows, (n_rows, n_samples) = row_source(losses, shape)
    asked: object = max_window
    if not isinstance(asked, Integral):
        raise WindowError(f"max_window={max_window!r} must be a whole number of rows")
    if max_window < 2 or n_rows < 2:
        raise WindowError(f"max_window={max_window} over {n_rows} rows: a window needs at least two rows")
    w = min(int(max_window), n_rows)
    done: list[GramTile] = []
    if known is not None:
        mine, theirs = (w, n_samples, precision), (known.max_window, known.n_samples, known.precision)
        if mine != theirs or known.n_rows > n_rows:
            raise WindowError(
                f"a Gram of (longest window, datapoints, precision) {theirs} over {known.n_rows} rows is not "
                f"the beginning of {mine} over {n_rows} rows; compute it anew"
            )
        done = [known.tile(known.n_rows // w)] if known.n_rows >= w else []
    first = len(done[0].segments) if done else 0
    segments = np.zeros((-(-n_rows // w), 2 * w - 1, 2 * w - 1))
    for tile in done:
        segments[:first] = tile.segments
    with ThreadPoolExecutor(workers) as pool:
        for low, high, block in _reads(rows, first, w, n_rows, n_samples, whole=not callable(losses)):
            done += _in_tiles(block, low, high, w, n_rows, precision, pool, workers, segments)
    return assembled(done, w, precision, segments)


def _in_tiles(
    block: NDArray[Any],
    low: int,
    high: int,
    w: int,
    n_rows: int,
    precision: Precision,
    pool: ThreadPoolExecutor,
    workers: int,
    segments: NDArray[np.float64],
) -> list[GramTile]:
    """Tiles of segments ``low .. high - 1`` from the rows they touch, shared among threads.

    Their products are put into the run's `segments`.
    """
    start = tile_rows(low, high, w, n_rows)[0]
    # Each range takes the rows before it anew: few ranges, unless they are long.
    pieces = workers * (2 if high - low > _MANY * workers else 1)
    cuts = np.unique(np.linspace(low, high, pieces + 1).astype(int))
    ranges = list(pairwise(cuts.tolist()))
    columns = range(0, block.shape[1], _COLUMNS)

    def tile(task: tuple[tuple[int, int], int]) -> GramTile:
        (first, last), left = task
        begin, end = tile_rows(first, last, w, n_rows)
        part = block[begin - start : end - start, left : left + _COLUMNS]
        out = segments[first:last] if left == 0 else None
        return gram_tile(part, first, last, w, n_rows, precision, out)

    tasks = [(part, left) for part in ranges for left in columns]
    found: list[GramTile] = []
    for (_, left), new in zip(
        tasks, map(tile, tasks) if workers == 1 else pool.map(tile, tasks), strict=True
    ):
        if left == 0:
            found.append(new)
        else:  # in order, whichever is ready first; the sum is in the run's segments already
            found[-1] = found[-1].taking_in(new)
    return found


def _reads(
    rows: Rows, first: int, w: int, n_rows: int, n_samples: int, *, whole: bool
) -> Iterator[tuple[int, int, NDArray[Any]]]:
    """Ranges of segments with the rows they touch; each row is read once, in order."""
    n_segments = -(-n_rows // w)
    if whole:
        start, stop = tile_rows(first, n_segments, w, n_rows)
        yield first, n_segments, read_block(rows, start, stop, n_samples)
        return
    per_read = max(1, _READ_BYTES // (8 * w * n_samples))
    step = max(1, _READ_BYTES // (8 * n_samples))
    held = np.empty((0, n_samples))  # one buffer for all reads: what the next tiles share moves to its front
    begun = before = tile_rows(first, first + 1, w, n_rows)[0]  # first row held, and the first not yet read
    for low in range(first, n_segments, per_read):
        high = min(low + per_read, n_segments)
        start, stop = tile_rows(low, high, w, n_rows)
        held[: before - start] = held[start - begun : before - begun]
        begun = start
        while before < stop:
            part = read_block(rows, before, min(before + step, stop), n_samples)
            if before == start:
                held = np.empty((min((per_read + 1) * w, n_rows), n_samples), part.dtype)
            elif not np.can_cast(part.dtype, held.dtype):
                held = held.astype(np.result_type(part, held))
            held[before - start : before - start + len(part)] = part
            before += len(part)
        yield low, high, held[: stop - start]
