"""The colours of every picture, for colour-blind readers too; ``widgets/static/palette.js`` has the same."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

# Eight categorical colours after Okabe and Ito; beyond them, one neutral.
CATEGORIES: Final = ("#1f83c6", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#8c6bb1", "#a6a018")
OTHER: Final = "#8a8a8a"
SEQUENTIAL: Final = ("#5746a8", "#3f66a8", "#2a788e", "#22a884", "#7ad151", "#dcc81e")
DIVERGING: Final = ("#08519c", "#4a90c8", "#b5d3e9", "#fafafa", "#f6c4a4", "#dd6b4d", "#a50f15")
DIVERGING_POINTS: Final = ("#0b5fd0", "#5b93d6", "#949494", "#d98a4a", "#d9480f")  # the middle shows on white
# Of datapoints. In a gapped one the last code is that of a missing value.
RAMPS: Final = {"sequential": SEQUENTIAL, "gapped": SEQUENTIAL, "diverging": DIVERGING_POINTS}
NO_VALUE: Final = 255
TEXT: Final = "#1a1a1a"
MUTED: Final = "#5c636b"
LINE: Final = "#d4d8dd"
UNDEFINED: Final = "#a9b0b7"  # of the matrix
CURSOR: Final = "#c2410c"
MARKS: Final = {"transition": "#8c6bb1", "alarm": "#d55e00", "bookmark": "#5c636b"}


def ramp(anchors: tuple[str, ...]) -> NDArray[np.uint8]:
    """Return 256 colours between the anchors, ``(256, 3)``."""
    stops = _channels(anchors).astype(float)
    places = np.linspace(0, len(stops) - 1, 256)
    channels = [np.interp(places, np.arange(len(stops)), channel) for channel in stops.T]
    return np.floor(np.stack(channels, axis=1) + 0.5).astype(np.uint8)  # as Math.round does


def paints(codes: NDArray[np.uint8], kind: str) -> NDArray[np.float64]:
    """Return the colour of each code, ``(m, 3)`` in 0 to 1: a category, or a place on the ramp."""
    if kind == "categorical":
        table, codes = _channels((*CATEGORIES, OTHER)), np.minimum(codes, len(CATEGORIES))
    else:
        table = ramp(RAMPS[kind])
        if kind == "gapped":
            table[NO_VALUE] = _channels((OTHER,))
    return np.asarray(table[codes] / 255)


def _channels(colors: tuple[str, ...]) -> NDArray[np.uint8]:
    return np.array([[int(color[at : at + 2], 16) for at in (1, 3, 5)] for color in colors], np.uint8)
