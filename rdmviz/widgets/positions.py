"""Where the datapoints are on the map at one row: two coordinates each, packed into whole numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from rdmviz.analysis import FixedPlane, ModeFrame

LOG_FLOOR: Final = 1e-6  # of the largest loading; smaller ones share the middle of a logarithmic axis
_ROOM: Final = 0.05  # of the range, on each side
_STEPS: Final = 65535

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Places:
    """Datapoints on the map, and what its axes say.

    Attributes
    ----------
    packed
        Share of each axis in 65535ths, ``(m, 2)``, x then y.
    ends
        Low and high end of x, low and high end of y; loss, or signed decades above the floor.
    variances
        Variance along each axis, loss².
    largest
        Largest loading along each axis, loss: the outer end of a logarithmic one.
    """

    packed: NDArray[np.uint16]
    ends: tuple[float, ...]
    variances: NDArray[np.float64]
    largest: NDArray[np.float64]


class MapAxes:
    """The two axes of the map along a run.

    Linear coordinates are loadings ``sqrt(lambda_k) v_k``, in a fixed plane ``C v_k / sqrt(v_k^T C v_k)``
    with ``v_k`` of the plane's step. Logarithmic ones are the decades of their size above `LOG_FLOOR` of the
    largest, with its sign: what is heavy-tailed separates there. Moving axes have each frame's own range
    and zero; those of a fixed plane have the whole run's.

    Parameters
    ----------
    shown
        Datapoints on the map.
    modes
        Modes across and up, from 1.
    map_scale
        ``"linear"`` or ``"log"``.
    plane
        Where the plane is fixed.
    """

    def __init__(
        self,
        shown: NDArray[np.intp],
        modes: tuple[int, int] = (1, 2),
        map_scale: str = "linear",
        plane: FixedPlane | None = None,
    ) -> None:
        self.shown, self.modes, self.map_scale, self.plane = shown, modes, map_scale, plane
        everything = plane is not None and len(shown) == plane.path.run.n_samples
        self._samples = None if everything else shown
        self._extent = None if plane is None else plane.extent(self._samples)

    def at(self, frame: ModeFrame) -> Places:
        """Places at one frame; a mode that is zero there leaves its axis empty."""
        if self.plane is None or self._extent is None:
            moving = moving_loadings(frame.vectors, frame.eigenvalues, self.modes, self.shown)
            return placed(*moving, self.map_scale)
        loadings, variances = self.plane.at(frame, self._samples)
        return placed(loadings, variances, *self._extent, self.map_scale)


def moving_loadings(
    vectors: Floats, eigenvalues: Floats, modes: tuple[int, int], shown: NDArray[np.intp]
) -> tuple[Floats, Floats, Floats, Floats]:
    """Return loadings of the shown datapoints in two modes, variances, and the range over the whole probe."""
    loadings = np.zeros((2, len(shown)))
    variances, low, high = np.zeros(2), np.zeros(2), np.zeros(2)
    for axis, mode in enumerate(modes):
        if mode <= len(vectors):
            vector, variance = vectors[mode - 1], max(0.0, float(eigenvalues[mode - 1]))
            root = np.sqrt(variance)
            loadings[axis] = root * vector[shown]
            variances[axis] = variance
            low[axis], high[axis] = min(0.0, root * vector.min()), max(0.0, root * vector.max())
    return loadings, variances, low, high


def placed(loadings: Floats, variances: Floats, low: Floats, high: Floats, map_scale: str) -> Places:
    """Return places of loadings ``(2, m)`` on axes from `low` to `high` ``(2,)``."""
    largest = np.maximum(-low, high)
    if map_scale == "log":
        loadings, low, high = (_decades(x.T, largest).T for x in (loadings, low, high))
    room = np.where(high > low, _ROOM * (high - low), 1.0)
    low, high = low - room, high + room
    share = np.clip((loadings.T - low) / (high - low), 0.0, 1.0)
    ends = (float(low[0]), float(high[0]), float(low[1]), float(high[1]))
    return Places(np.rint(_STEPS * share).astype(np.uint16), ends, variances, largest)


def _decades(loadings: NDArray[np.float64], largest: NDArray[np.float64]) -> NDArray[np.float64]:
    """Signed decades above the floor, of loadings ``(..., 2)``."""
    size = np.abs(loadings) / np.where(largest > 0, largest, 1.0)
    return np.asarray(np.sign(loadings) * np.log10(np.maximum(size, LOG_FLOOR) / LOG_FLOOR))
