"""Products of the losses, tile by tile: the one pass over the data, and the only place that takes it.

A tile is a range of neighbouring segments (see :mod:`rdmviz.compute.rdm.gram`) over some of the datapoints.
Tiles of the same segments over disjoint datapoints add up; tiles of neighbouring segments stand side by side.
So the pass may be cut in both directions and spread over threads, processes or machines.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from rdmviz.compute.errors import WindowError
from rdmviz.compute.rdm.rows import SLAB_BYTES, anchor_row, slab_width

Precision = Literal["double", "single"]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class GramTile:
    """Anchored products of some datapoints in segments ``first .. first + S - 1``.

    Attributes
    ----------
    first
        First segment.
    segments, scales, anchor_products, anchor_norms, anchored_sums
        As in :class:`rdmviz.compute.rdm.gram.BandedGram`, for these segments and datapoints.
    row_sums
        Sums of losses of the rows at which windows of these segments end.
    finite
        Which of *all* rows of :func:`tile_rows` are finite (and can be squared).
    n_samples
        Number of datapoints.
    """

    first: int
    segments: Floats
    scales: Floats
    anchor_products: Floats
    anchor_norms: Floats
    anchored_sums: Floats
    row_sums: Floats
    finite: Bools
    n_samples: int

    def __add__(self, other: GramTile) -> GramTile:
        """Products of both sets of datapoints; a row counts as finite where it is in both."""
        return replace(self, segments=self.segments.copy()).taking_in(other)

    def taking_in(self, other: GramTile) -> GramTile:
        """Add another set of datapoints; their products go into this tile's own segments."""
        if (self.first, self.segments.shape, len(self.finite)) != (
            other.first,
            other.segments.shape,
            len(other.finite),
        ):
            raise WindowError(
                f"tiles of segments {self.first}+{self.segments.shape} and "
                f"{other.first}+{other.segments.shape} cannot be added; expected the same segments"
            )
        segments = self.segments
        with np.errstate(invalid="ignore", over="ignore"):  # of rows that are not finite together
            segments += other.segments
            return GramTile(
                self.first,
                segments,
                self.scales + other.scales,
                self.anchor_products + other.anchor_products,
                self.anchor_norms + other.anchor_norms,
                self.anchored_sums + other.anchored_sums,
                self.row_sums + other.row_sums,
                self.finite & other.finite,
                self.n_samples + other.n_samples,
            )


def tile_rows(first: int, last: int, max_window: int, n_rows: int) -> tuple[int, int]:
    """First and one-past-last row that the products of segments ``first .. last - 1`` need."""
    return max((first - 1) * max_window, 0), min(last * max_window, n_rows)


def gram_tile(
    block: NDArray[Any],
    first: int,
    last: int,
    max_window: int,
    n_rows: int,
    precision: Precision = "double",
    out: Floats | None = None,
) -> GramTile:
    """Products of one tile, ``3 T max_window n`` flops for a tile of T rows and n datapoints.

    Parameters
    ----------
    block
        Losses of the tile's datapoints in the rows ``tile_rows(first, last, ...)``, any real dtype and order.
    first, last
        The segments, ``last`` not included.
    max_window, n_rows
        Of the whole run.
    precision
        ``"single"`` takes the products in float32.
    out
        Zeros ``(last - first, R, R)`` that become the tile's segments.
    """
    with np.errstate(invalid="ignore", over="ignore"):  # rows that are not finite show in the products
        found = _Pass(block, first, last, max_window, n_rows, precision, out)
        found.run(None)
        if not found.finite():
            found.run(_usable(block))
        return found.tile()


class _Pass:
    """The pass over one tile: slabs of datapoints outside, segments inside, so that rows stay in cache.

    The rows of a segment are the last ones of the segment before, *A*, and its own, *B*. Only B is anchored
    and multiplied by itself: what A gives with itself follows from the segment before, whose anchor differs
    by a vector ``d``: ``<x + d, y + d> = <x, y> + <x, d> + <y, d> + |d|²``. Anchor, ones and d travel as
    three more rows, so that one product gives all the sums.
    """

    def __init__(
        self,
        block: NDArray[Any],
        first: int,
        last: int,
        w: int,
        n_rows: int,
        precision: Precision,
        out: Floats | None,
    ) -> None:
        self._block, self._w, self._single = block, w, precision == "single"
        self._first, self._led = first, int(first > 0)  # a tile is led in by the own rows of one more segment
        count = last - first + self._led
        self._start = start = tile_rows(first, last, w, n_rows)[0]
        self._rows = [(s * w - start, min((s + 1) * w, n_rows) - start) for s in range(last - count, last)]
        self._usable: Bools | None = None
        n = block.shape[1]
        self._width = -(-n // max(1, round(n / slab_width(2 * w - 1))))  # slabs of equal width
        self._scratch = np.empty((2, w + 3, self._width))
        self._products, self._crossed = np.empty((w + 3) ** 2), np.empty((w - 1) * (w + 3))
        shape = last - first, 2 * w - 1, 2 * w - 1
        self._segments = np.zeros(shape) if out is None else out
        # Of each segment: B with B, and A, of the anchor before, with B. What leads in has no segment.
        self._lead = np.zeros((self._led, w, w))
        self._own = [*self._lead, *self._segments[:, w - 1 :, w - 1 :]]
        self._across = [np.zeros((0, 0))] * self._led + list(self._segments[:, : w - 1, w - 1 :])
        self._borders = np.zeros((count, 3, w + 3))  # anchor, ones and d with B, and with each other
        self._before = np.zeros((count, w - 1, 3))  # A with the new anchor, ones and d

    def run(self, usable: Bools | None) -> None:
        """Take the products; rows that are not `usable` are left out."""
        self._usable = usable
        if usable is not None:  # the second time
            for part in (self._segments, self._lead, self._borders, self._before):
                part[:] = 0.0
        for left in range(0, self._block.shape[1], self._width):
            self._add(self._block[:, left : left + self._width])

    def finite(self) -> bool:
        """Whether all products are."""
        return all(bool(np.isfinite(np.diagonal(own)).all()) for own in self._own)

    def _add(self, block: NDArray[Any]) -> None:
        width = block.shape[1]
        before: Floats | None = None
        for i, (start, stop) in enumerate(self._rows):
            m = stop - start
            y = self._scratch[i % 2][: m + 3, :width]  # B, anchor, ones, d
            self._fill(y, block, start, stop, before)
            borders = y[m:] @ y.T if self._single else None
            products = (
                _product(y[:m], y[:m])
                if self._single
                else np.matmul(y, y.T, out=self._products[: len(y) ** 2].reshape(len(y), len(y)))
            )
            self._own[i][:m, :m] += products[:m, :m]
            borders = products[m:] if borders is None else borders
            self._borders[i, :, :m] += borders[:, :m]
            self._borders[i, :, -3:] += borders[:, m:]
            if before is not None:
                a = before[1:-3]
                if self._single:
                    self._across[i][:, :m] += _product(a, y[:m])
                    self._before[i] += a @ y[m:].T
                else:
                    across = np.matmul(a, y.T, out=self._crossed[: len(a) * len(y)].reshape(len(a), len(y)))
                    self._across[i][:, :m] += across[:, :m]
                    self._before[i] += across[:, m:]
            before = y

    def _fill(self, y: Floats, block: NDArray[Any], start: int, stop: int, before: Floats | None) -> None:
        """Anchored rows, their anchor, ones, and what the anchor before was more."""
        m = stop - start
        fine = None if self._usable is None else self._usable[start:stop]
        # The middle of what windows see: this segment's first row; in the run's first segment, its middle.
        anchor = anchor_row(m // 2 if start + self._start == 0 else 0, fine)
        if anchor is None:  # nothing is left of these rows
            y[m] = 0.0 if before is None else before[-3]
        else:
            y[m] = block[start + anchor]
        np.subtract(block[start:stop], y[m], out=y[:m], dtype=np.float64)
        if fine is not None:
            y[:m][~fine] = 0.0
        y[m + 1] = 1.0
        y[m + 2] = 0.0 if before is None else before[-3] - y[m]

    def tile(self) -> GramTile:
        """Put the segments together."""
        w, led = self._w, self._led
        count, size = len(self._own), 2 * self._w - 1
        scales, products, sums = np.zeros((3, count, size))
        for i, own in enumerate(self._own):
            borders, before = self._borders[i], self._before[i]
            products[i, w - 1 :], sums[i, w - 1 :] = borders[0, :w], borders[1, :w]
            scales[i, w - 1 :] = np.diagonal(own)
            if i == 0:  # the run's first segment has no A, one that leads a tile in does not need it
                continue
            d_anchor, d_ones, d_d = borders[2, -3:]
            products[i, : w - 1], sums[i, : w - 1] = before[:, 0] + d_anchor, before[:, 1] + d_ones
            scales[i, : w - 1] = scales[i - 1, w:] + d_d
            self._across[i] += borders[2, :w]
            segment = self._segments[i - led]
            segment[w - 1 :, : w - 1] = self._across[i].T
            again = segment[: w - 1, : w - 1]
            np.add(before[:, 2], before[:, 2, None], out=again)  # in this order it is symmetric to the bit
            again += self._own[i - 1][1:, 1:]
            again += d_d
        last = w - 1 + self._rows[-1][1] - self._rows[-1][0]  # rows beyond the end of the run stay zero
        self._segments[-1, last:], self._segments[-1, :, last:] = 0.0, 0.0
        norms = self._borders[led:, 0, -3]
        return GramTile(
            self._first,
            self._segments,
            scales[led:],
            products[led:],
            norms,
            sums[led:],
            self._row_sums(norms),
            np.ones(len(self._block), dtype=bool) if self._usable is None else self._usable,
            self._block.shape[1],
        )

    def _row_sums(self, norms: Floats) -> Floats:
        """Sum the losses of each own row: from the anchored sums where that costs no digits."""
        borders = self._borders[self._led :]
        start, stop = self._rows[self._led][0], self._rows[-1][1]
        sums = (borders[:, 1, : self._w] + borders[:, 0, -2, None]).ravel()[: stop - start]
        # |x| below a third of |a|: the loss itself is at least twice |x|, and the two do not cancel.
        own = self._segments[:, self._w - 1 :, self._w - 1 :]
        near = 9 * np.diagonal(own, axis1=1, axis2=2) <= norms[:, None]
        for row in np.flatnonzero(~near.ravel()[: stop - start]):
            sums[row] = self._block[start + row].sum(dtype=np.float64)
        return np.asarray(sums)


def _product(a: Floats, b: Floats) -> Floats:
    """Products in single precision."""
    return np.asarray(a.astype(np.float32) @ b.astype(np.float32).T, dtype=np.float64)


def _usable(block: NDArray[Any]) -> Bools:
    """Rows whose losses are finite and can be squared, ``(rows,)``."""
    norms, step = np.zeros(len(block)), max(1, SLAB_BYTES // (8 * len(block)))
    for left in range(0, block.shape[1], step):
        wide = block[:, left : left + step].astype(np.float64)
        norms += np.einsum("ij,ij->i", wide, wide)
    return np.asarray(norms < np.finfo(np.float64).max / 16)  # a difference of two can be squared, too
