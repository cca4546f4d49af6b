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
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from rdmviz.analysis import ModeFrame, ModePath
from rdmviz.analysis.one_thread import one_blas_thread
from rdmviz.errors import FlatWindowError, NonFiniteLossError
from rdmviz.run import TrainingRun
from rdmviz.widgets.arrangement import Arrangement
from rdmviz.widgets.cells import block_cells

LARGEST_MAP: Final = 20_000
MOST_EIGENVALUES: Final = 24
LOG_FLOOR: Final = 1e-6  # of the largest loading; smaller ones share the middle of a logarithmic axis
_CACHE_BYTES: Final = 8_000_000


class FrameState(IntEnum):
    """Why a frame has a picture, or has none."""

    SHOWN = 0
    NO_WINDOW = 1
    FLAT = 2
    NON_FINITE = 3


@dataclass(frozen=True)
class FrameLayout:
    """Where each field of a packed frame lies.

    ``header`` float32[8]: state, trace, participation ratio, ends of the map's axes (x low, high, y low,
    high), matrix scale;
    ``eigenvalues`` float32; ``order`` uint16 (rows of the matrix, as places among the shown datapoints) and
    ``starts`` uint16 (first row of each of its blocks); ``positions`` uint16 pairs; ``group`` and ``loss``
    uint8 per datapoint; ``covariance`` and ``correlation`` uint8, lower triangles of blocks by rows, see
    :mod:`rdmviz.widgets.cells`.
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
            "eigenvalues": ("<f4", self.eigenvalues),
            "order": ("<u2", self.matrix),
            "starts": ("<u2", self.blocks),
            "positions": ("<u2", 2 * self.shown),
            "group": ("u1", self.shown),
            "loss": ("u1", self.shown),
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
    map_scale
        ``"linear"``, or ``"log"`` for loadings that span decades.
    colored_losses
        Ends of the loss colours, as `loss_range` gives them; by default those of the run as it is now.
    """

    def __init__(
        self,
        path: ModePath,
        shown: NDArray[np.intp],
        preferred: NDArray[np.intp],
        map_scale: str = "linear",
        colored_losses: tuple[float, float, bool] | None = None,
    ) -> None:
        self.path = path
        self.shown = shown
        self.arrangement = Arrangement(path, shown, preferred)
        self.map_scale = map_scale
        self.layout = FrameLayout(
            len(shown),
            self.arrangement.size,
            self.arrangement.blocks,
            min(MOST_EIGENVALUES, path.window, path.run.n_samples),
        )
        self.loss_range = loss_range(path.run) if colored_losses is None else colored_losses
        self._packed: OrderedDict[int, bytes] = OrderedDict()

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
        positions, ends = _positions(frame, self.shown, self.map_scale)
        arranged = self.arrangement.at(index)
        cells = block_cells(frame, self.shown[arranged.order], arranged.starts)
        top = frame.eigenvalues[: self.layout.eigenvalues]
        out["header"] = (FrameState.SHOWN, frame.trace, frame.participation_ratio, *ends, cells.scale)
        out["eigenvalues"][: len(top)] = top
        out["order"], out["starts"] = arranged.order, arranged.starts
        out["positions"] = positions.ravel()
        out["group"] = arranged.group
        out["covariance"], out["correlation"] = cells.covariance, cells.correlation
        return out

    def _loss_codes(self, index: int) -> NDArray[np.uint8]:
        low, high, log = self.loss_range
        losses = np.asarray(self.path.run.rows(index, index + 1)[0, self.shown], float)
        scaled = np.log10(np.maximum(losses, 10.0**low)) if log else losses
        share = np.nan_to_num((scaled - low) / ((high - low) or 1.0), nan=1.0, posinf=1.0, neginf=0.0)
        return np.rint(255 * np.clip(share, 0, 1)).astype(np.uint8)


def loss_range(run: TrainingRun) -> tuple[float, float, bool]:
    """Return the ends of the loss colours (middle 98% of a hundred rows), in decades if none is negative."""
    picks = np.unique(np.linspace(0, run.n_steps - 1, 100).astype(int))
    losses = np.concatenate([np.asarray(run.rows(int(i), int(i) + 1), float).ravel() for i in picks])
    losses = losses[np.isfinite(losses)]
    if not losses.size:
        return 0.0, 1.0, False
    if losses.min() < 0 or not (losses > 0).any():
        low, high = np.percentile(losses, [1, 99])
        return float(low), float(high), False
    low, high = np.percentile(np.log10(losses[losses > 0]), [1, 99])
    return float(low), float(high), True


def choose_shown(n: int) -> NDArray[np.intp]:
    """Datapoints on the map: all, or an even thinning to `LARGEST_MAP` (computed on all, drawn for these)."""
    return np.unique(np.linspace(0, n - 1, min(n, LARGEST_MAP)).astype(np.intp))


def _positions(
    frame: ModeFrame, shown: NDArray[np.intp], map_scale: str
) -> tuple[NDArray[np.uint16], tuple[float, ...]]:
    """Map positions of the shown datapoints on the two leading modes, each axis over its own range and zero.

    Linear positions are ``sqrt(lambda_k) v_k``. Logarithmic ones are the decades of its size above
    `LOG_FLOOR` of the largest, with its sign: what is heavy-tailed separates there.
    """
    positions = np.full((len(shown), 2), 32768, np.uint16)
    ends = [-1.0, 1.0, -1.0, 1.0]
    for k in range(min(2, len(frame.vectors))):
        axis = np.sqrt(frame.eigenvalues[k]) * frame.vectors[k]
        if map_scale == "log":
            size = np.maximum(np.abs(axis) / np.abs(axis).max(), LOG_FLOOR)
            axis = np.sign(axis) * np.log10(size / LOG_FLOOR)
        low, high = min(0.0, float(axis.min())), max(0.0, float(axis.max()))
        room = 0.05 * (high - low) or 1.0
        ends[2 * k : 2 * k + 2] = low - room, high + room
        positions[:, k] = np.rint(65535 * (axis[shown] - low + room) / (high - low + 2 * room))
    return positions, tuple(ends)
