"""What the colours of datapoints mean, told above a picture."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.offsetbox import AnchoredOffsetbox, DrawingArea, HPacker, OffsetImage, TextArea, VPacker

from rdmviz.figures.contents import Key
from rdmviz.figures.palette import CATEGORIES, OTHER, RAMPS, ramp
from rdmviz.figures.style import plain

ROW: Final = 0.17  # height of a row of the key, inches
_LETTER, _DOT, _GAP = 4.9, 9.0, 10.0  # points: a usual letter, a dot with its space, between entries
_RAMP_WIDTH, _RAMP_HEIGHT = 80, 6


def rows_of(key: Key, width: float) -> list[list[int]]:
    """Return the categories in each row of a key that is `width` inches wide."""
    rows: list[list[int]] = [[]]
    room = 72 * width - _LETTER * len(key.title) - _GAP
    if key.kind != "categorical":
        return rows
    for place, label in enumerate(key.labels):
        needed = _LETTER * len(label) + _DOT + _GAP
        if needed > room and rows[-1]:
            rows.append([])
            room = 72 * width
        rows[-1].append(place)
        room -= needed
    return rows


def draw_key(axes: Any, key: Key, width: float) -> None:
    """Draw the key on axes of its own: dots with words, or a ramp between the words for its ends."""
    axes.set_axis_off()
    title = TextArea(plain(key.title), textprops={"weight": "bold", "size": 8})
    if key.kind != "categorical":
        colors = np.repeat(ramp(RAMPS[key.kind])[None], round(256 * _RAMP_HEIGHT / _RAMP_WIDTH), axis=0)
        bar = OffsetImage(colors, zoom=_RAMP_WIDTH / 256)
        low, high = _words(key.labels[0]), _words(key.labels[-1])
        lines = [_row([title, _row([low, bar, high], 4)], _GAP)]
    else:
        lines = [_row([_entry(key, place) for place in row], _GAP) for row in rows_of(key, width)]
        lines[0] = _row([title, lines[0]], _GAP)
    packed = VPacker(children=list(lines), pad=0, sep=3, align="left")
    axes.add_artist(AnchoredOffsetbox("upper left", child=packed, pad=0, borderpad=0, frameon=False))


def _row(children: list[Any], sep: float) -> HPacker:
    return HPacker(children=children, pad=0, sep=sep, align="center")


def _entry(key: Key, place: int) -> HPacker:
    color = (*CATEGORIES, OTHER)[min(place, len(CATEGORIES))]
    area = DrawingArea(5, 5)
    area.add_artist(Line2D([2.5], [2.5], marker="o", markersize=5, color=color, markeredgecolor="none"))
    return _row([area, _words(key.labels[place])], 4)


def _words(text: str) -> TextArea:
    return TextArea(plain(text), textprops={"size": 8})
