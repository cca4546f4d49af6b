"""Packed frames: what the map, the matrix and the spectrum show at one row, in a fixed binary layout.

A frame is a few kilobytes, so a browser holds hundreds and scrubs through them without asking the kernel.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from rdmviz.analysis import ModeFrame, ModePath, ordering
from rdmviz.analysis.datapoints import loss_outlines
from rdmviz.analysis.one_thread import one_blas_thread
from rdmviz.errors import FlatWindowError, NonFiniteLossError
from rdmviz.run import TrainingRun
from rdmviz.widgets.positions import MapAxes

LARGEST_MAP: Final = 20_000
LARGEST_MATRIX: Final = 96
MOST_EIGENVALUES: Final = 24
_CACHE_BYTES: Final = 8_000_000
_STEADY_SHARE: Final = 4  # groups and the matrix's order hold for a quarter of a window: nothing flickers


class FrameState(IntEnum):
    """Why a frame has a picture, or has none."""

    SHOWN = 0
    NO_WINDOW = 1
    FLAT = 2
    NON_FINITE = 3
    NO_PLANE = 4


@dataclass(frozen=True)
class FrameLayout:
    """Where each field of a packed frame lies.

    ``header`` float32[8]: state, trace, participation ratio, ends of the map's axes (x low, high, y low,
    high), matrix scale;
    ``axes`` float32[5]: variance along the map's x and y, their largest loadings, whether logarithmic;
    ``eigenvalues`` float32; ``order`` uint32 (rows of the matrix, as places among the shown datapoints);
    ``positions`` uint16 pairs; ``group``, ``loss`` and ``drift`` (127.5 is zero) uint8 per datapoint;
    ``matrix`` uint8, lower triangle by rows, 128 is zero.
    """

    shown: int
    matrix: int
    eigenvalues: int

    @property
    def dtype(self) -> np.dtype[Any]:
        """The frame as a structured dtype, padded to four bytes."""
        fields = {
            "header": ("<f4", 8),
            "axes": ("<f4", 5),
            "eigenvalues": ("<f4", self.eigenvalues),
            "order": ("<u4", self.matrix),
            "positions": ("<u2", 2 * self.shown),
            "group": ("u1", self.shown),
            "loss": ("u1", self.shown),
            "drift": ("u1", self.shown),
            "matrix": ("u1", self.matrix * (self.matrix + 1) // 2),
        }
        names, formats, offsets, end = [], [], [], 0
        for name, (kind, length) in fields.items():
            names.append(name)
            formats.append((kind, (length,)))
            offsets.append(end)
            end += np.dtype(kind).itemsize * length
        spec = {"names": names, "formats": formats, "offsets": offsets, "itemsize": -(-end // 4) * 4}
        return np.dtype(spec)  # type: ignore[call-overload, no-any-return]  # the dict form is not in numpy's stubs

    def describe(self) -> dict[str, Any]:
        """Return the layout as JSON for the browser."""
        dtype = self.dtype
        assert dtype.fields is not None
        return {
            "shown": self.shown,
            "matrix": self.matrix,
            "eigenvalues": self.eigenvalues,
            "nbytes": dtype.itemsize,
            "offsets": {name: int(field[1]) for name, field in dtype.fields.items()},
        }


class FrameSource:
    """Packs the frames of one run under one window and detrending.

    Parameters
    ----------
    path
        The modes along the run.
    shown
        Datapoints on the map, at most `LARGEST_MAP`.
    members
        Places among ``shown`` of the datapoints in the matrix.
    axes
        Those of the map; default the two leading modes of each row. None where its plane has no modes.
    colored
        Ends of the loss colours and largest drift, as `loss_range` and `drift_scale` give them; by default
        those of the run as it is now.
    """

    def __init__(
        self,
        path: ModePath,
        shown: NDArray[np.intp],
        members: NDArray[np.intp],
        axes: MapAxes | Literal["leading"] | None = "leading",
        colored: tuple[tuple[float, float, bool], float] | None = None,
    ) -> None:
        self.path = path
        self.shown = shown
        self.members = members
        self.axes = MapAxes(shown) if axes == "leading" else axes
        self.layout = FrameLayout(
            len(shown), len(members), min(MOST_EIGENVALUES, path.window, path.run.n_samples)
        )
        self.loss_range, self.drift_scale = colored or (
            loss_range(path.run),
            drift_scale(path.run, path.window),
        )
        self._lower = np.tril_indices(len(members))
        self._packed: OrderedDict[int, bytes] = OrderedDict()
        self._decided: dict[int, tuple[NDArray[np.uint8], NDArray[np.intp]]] = {}

    def turn_to(self, axes: MapAxes | None) -> None:
        """Put the map on other axes; all else of the frames stays."""
        self.axes = axes
        self._packed.clear()

    def pack(self, rows: Iterable[int], seconds: float = math.inf) -> list[bytes]:
        """Frames of the rows: the first, and as many more as begin within ``seconds``."""
        began = time.monotonic()
        packed: list[bytes] = []
        with one_blas_thread():
            for row in rows:
                if packed and time.monotonic() - began > seconds:
                    break
                packed.append(self._frame(row))
        return packed

    def _frame(self, index: int) -> bytes:
        if index in self._packed:
            self._packed.move_to_end(index)
            return self._packed[index]
        packed = self._compute(index).tobytes()
        self._packed[index] = packed
        if len(self._packed) * len(packed) > _CACHE_BYTES:
            self._packed.popitem(last=False)
        return packed

    def _compute(self, index: int) -> NDArray[np.void]:
        out = np.zeros((), self.layout.dtype)
        out["loss"] = self._loss_codes(index)
        if index < self.path.first:
            out["header"][0] = FrameState.NO_WINDOW
            return out
        try:
            frame = self.path.at(index)
        except FlatWindowError:
            out["header"][0] = FrameState.FLAT
            return out
        except NonFiniteLossError:
            out["header"][0] = FrameState.NON_FINITE
            return out
        out["drift"] = self._drift_codes(frame)
        if self.axes is None:
            out["header"][0] = FrameState.NO_PLANE
            return out
        places = self.axes.at(frame)
        group, order = self._blocks(index)
        covariance = frame.covariance(self.shown[order])
        scale = float(np.abs(covariance).max()) or 1.0
        signed_root = np.sign(covariance) * np.sqrt(np.abs(covariance) / scale)
        top = frame.eigenvalues[: self.layout.eigenvalues]
        out["header"] = (FrameState.SHOWN, frame.trace, frame.participation_ratio, *places.ends, scale)
        out["axes"] = (*places.variances, *places.largest, self.axes.map_scale == "log")
        out["eigenvalues"][: len(top)] = top
        out["order"] = order
        out["positions"] = places.packed.ravel()
        out["group"] = group
        out["matrix"] = np.rint(127.5 + 127.5 * signed_root)[self._lower]
        return out

    @property
    def steady_rows(self) -> int:
        """Rows for which groups and the order of the matrix stay the same."""
        return max(1, self.path.window // _STEADY_SHARE)

    def _blocks(self, index: int) -> tuple[NDArray[np.uint8], NDArray[np.intp]]:
        """Return groups of the shown datapoints, and the places of the matrix's datapoints in order.

        Both are decided at the last row of a fixed grid, so they do not depend on the path to this row.
        """
        keyframe = self.path.first + (index - self.path.first) // self.steady_rows * self.steady_rows
        if keyframe not in self._decided:
            try:
                labels = self.path.groups_at(keyframe)
                ordered = ordering(self.path.at(keyframe), self.shown[self.members], labels)
                decided = labels[self.shown].astype(np.uint8), np.searchsorted(self.shown, ordered)
            except (FlatWindowError, NonFiniteLossError):
                decided = np.zeros(len(self.shown), np.uint8), self.members
            self._decided[keyframe] = decided
        return self._decided[keyframe]

    def _loss_codes(self, index: int) -> NDArray[np.uint8]:
        return loss_codes(self.path.run.rows(index, index + 1)[0, self.shown], self.loss_range)

    def _drift_codes(self, frame: ModeFrame) -> NDArray[np.uint8]:
        share = np.clip(frame.displacement[self.shown] / (self.drift_scale or 1.0), -1.0, 1.0)
        return np.rint(127.5 + 127.5 * np.sign(share) * np.sqrt(np.abs(share))).astype(np.uint8)


def loss_range(run: TrainingRun) -> tuple[float, float, bool]:
    """Return the ends of the loss colours (middle 98% of some rows), in decades if none is negative."""
    losses = np.asarray(loss_outlines(run)[1], float).ravel()
    losses = losses[np.isfinite(losses)]
    if not losses.size:
        return 0.0, 1.0, False
    if losses.min() < 0 or not (losses > 0).any():
        low, high = np.percentile(losses, [1, 99])
        return float(low), float(high), False
    low, high = np.percentile(np.log10(losses[losses > 0]), [1, 99])
    return float(low), float(high), True


def drift_scale(run: TrainingRun, window: int) -> float:
    """Return the drift that has the strongest colour: 98% over a hundred windows are smaller, loss."""
    ends = np.unique(np.linspace(window - 1, run.n_steps - 1, 100).astype(int))
    drifts = np.concatenate([_moved(run, int(end) - window + 1, int(end)) for end in ends])
    drifts = drifts[np.isfinite(drifts)]
    return float(np.percentile(drifts, 98)) if drifts.size else 0.0


def _moved(run: TrainingRun, start: int, end: int) -> NDArray[np.float64]:
    first, last = (np.asarray(run.rows(row, row + 1)[0], float) for row in (start, end))
    with np.errstate(invalid="ignore"):
        return np.asarray(np.abs(last - first))


def loss_codes(losses: NDArray[Any], ends: tuple[float, float, bool]) -> NDArray[np.uint8]:
    """Return the colour of each loss between the ends of :func:`loss_range`; NaN counts as the highest."""
    low, high, log = ends
    losses = np.asarray(losses, float)
    scaled = np.log10(np.maximum(losses, 10.0**low)) if log else losses
    share = np.nan_to_num((scaled - low) / ((high - low) or 1.0), nan=1.0, posinf=1.0, neginf=0.0)
    return np.rint(255 * np.clip(share, 0, 1)).astype(np.uint8)


def choose_shown(n: int) -> NDArray[np.intp]:
    """Datapoints on the map: all, or an even thinning to `LARGEST_MAP` (computed on all, drawn for these)."""
    return np.unique(np.linspace(0, n - 1, min(n, LARGEST_MAP)).astype(np.intp))


def choose_members(shown: NDArray[np.intp], classes: NDArray[Any] | None) -> NDArray[np.intp]:
    """Places among ``shown`` of the datapoints in the matrix, with an equal share for every class."""
    if len(shown) <= LARGEST_MATRIX:
        return np.arange(len(shown))
    codes = (
        np.zeros(len(shown), int) if classes is None else np.unique(classes[shown], return_inverse=True)[1]
    )
    if codes.max() >= LARGEST_MATRIX:
        codes[:] = 0
    # Rank within the class, evenly spread: the smallest ranks are the same number from every class.
    rank = np.empty(len(codes))
    for code in np.unique(codes):
        places = np.flatnonzero(codes == code)
        even = np.argsort(np.argsort(_spread(len(places))))
        rank[places] = even
    return np.sort(np.argsort(rank, kind="stable")[:LARGEST_MATRIX])


def _spread(count: int) -> NDArray[np.float64]:
    """Van der Corput numbers: any leading share of their order is spread evenly over the places."""
    bits = max(1, int(np.ceil(np.log2(max(count, 2)))))
    places = np.arange(count)
    digits = (places[:, None] >> np.arange(bits)) & 1
    return np.asarray(digits @ 2.0 ** np.arange(bits)[::-1])
