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

from rdmviz.analysis import ModeFrame, ModePath
from rdmviz.analysis.datapoints import loss_outlines
from rdmviz.analysis.one_thread import one_blas_thread
from rdmviz.errors import FlatWindowError, NonFiniteLossError
from rdmviz.run import TrainingRun
from rdmviz.widgets.arrangement import Arrangement
from rdmviz.widgets.cells import block_cells
from rdmviz.widgets.positions import MapAxes

LARGEST_MAP: Final = 20_000
MOST_EIGENVALUES: Final = 24
_CACHE_BYTES: Final = 8_000_000


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
    ``eigenvalues`` float32; ``order`` uint16 (rows of the matrix, as places among the shown datapoints) and
    ``starts`` uint16 (first row of each of its blocks); ``positions`` uint16 pairs; ``group``, ``loss`` and
    ``drift`` (127.5 is zero) uint8 per datapoint; ``covariance`` and ``correlation`` uint8, lower triangles
    of blocks by rows, see :mod:`rdmviz.widgets.cells`.
    """

    shown: int
    matrix: int
    blocks: int
    eigenvalues: int

    @property
    def dtype(self) -> np.dtype[Any]:
        """The frame as a structured dtype, padded to four bytes."""
        fields = {
            "header": ("<f4", 8),
            "axes": ("<f4", 5),
            "eigenvalues": ("<f4", self.eigenvalues),
            "order": ("<u2", self.matrix),
            "starts": ("<u2", self.blocks),
            "positions": ("<u2", 2 * self.shown),
            "group": ("u1", self.shown),
            "loss": ("u1", self.shown),
            "drift": ("u1", self.shown),
            "covariance": ("u1", self.blocks * (self.blocks + 1) // 2),
            "correlation": ("u1", self.blocks * (self.blocks + 1) // 2),
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
            "blocks": self.blocks,
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
    preferred
        Places among ``shown``, the first to be in the matrix first.
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
        preferred: NDArray[np.intp],
        axes: MapAxes | Literal["leading"] | None = "leading",
        colored: tuple[tuple[float, float, bool], float] | None = None,
    ) -> None:
        self.path = path
        self.shown = shown
        self.arrangement = Arrangement(path, shown, preferred)
        self.axes = MapAxes(shown) if axes == "leading" else axes
        self.layout = FrameLayout(
            len(shown),
            self.arrangement.size,
            self.arrangement.blocks,
            min(MOST_EIGENVALUES, path.window, path.run.n_samples),
        )
        self.loss_range, self.drift_scale = colored or (
            loss_range(path.run),
            drift_scale(path.run, path.window),
        )
        self._packed: OrderedDict[int, bytes] = OrderedDict()

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
        arranged = self.arrangement.at(index)
        cells = block_cells(frame, self.shown[arranged.order], arranged.starts)
        top = frame.eigenvalues[: self.layout.eigenvalues]
        out["header"] = (
            *(FrameState.SHOWN, frame.trace, frame.participation_ratio),
            *(*places.ends, cells.scale),
        )
        out["axes"] = (*places.variances, *places.largest, self.axes.map_scale == "log")
        out["eigenvalues"][: len(top)] = top
        out["order"], out["starts"] = arranged.order, arranged.starts
        out["positions"] = places.packed.ravel()
        out["group"] = arranged.group
        out["covariance"], out["correlation"] = cells.covariance, cells.correlation
        return out

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
