"""What a packed frame says, read as ``static/frames.js`` and ``static/map_loadings.js`` read it."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from rdmviz.widgets.frames import FrameLayout
from rdmviz.widgets.positions import LOG_FLOOR

Floats = NDArray[np.float64]
Frame = NDArray[np.void]

_DECADES: Final = -float(np.log10(LOG_FLOOR))


def unpacked(packed: bytes, layout: FrameLayout) -> Frame:
    """Return the fields of a frame by name."""
    frame: Frame = np.frombuffer(packed, layout.dtype)[0]
    return frame


def ends_of(frame: Frame) -> tuple[float, float, float, float]:
    """Return low and high end across, low and high end up."""
    low_x, high_x, low_y, high_y = (float(end) for end in frame["header"][3:7])
    return low_x, high_x, low_y, high_y


def positions_of(frame: Frame) -> Floats:
    """Return where the datapoints are on the map, ``(m, 2)``: loss, or signed decades."""
    low, high = np.array(ends_of(frame)).reshape(2, 2).T
    return np.asarray(low + frame["positions"].reshape(-1, 2) / 65535 * (high - low))


def loading_codes(frame: Frame) -> NDArray[np.uint8]:
    """Return the size of each datapoint's loading in the plane, 255 for the largest, ``(m,)``."""
    values, log = positions_of(frame), bool(frame["axes"][4])
    if log:
        values = frame["axes"][2:4] * 10.0 ** (np.abs(values) - _DECADES)
    size = np.hypot(*values.T)
    most = float(size.max(initial=0))
    if most == 0:
        return np.zeros(len(size), np.uint8)
    share = size / most
    if log:
        share = np.maximum(0, 1 + np.log10(np.maximum(share, LOG_FLOOR)) / _DECADES)
    return np.asarray(np.floor(255 * share + 0.5), np.uint8)


def shares_of(frame: Frame) -> Floats:
    """Return the largest eigenvalues as shares of the trace."""
    return np.asarray(frame["eigenvalues"] / frame["header"][1], float)
