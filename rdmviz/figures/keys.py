"""What the colours of datapoints mean, told above a picture."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.offsetbox import AnchoredOffsetbox, DrawingArea, HPacker, OffsetImage, TextArea, VPacker

from rdmviz.figures.contents import Key
from rdmviz.figures.measuring import in_rows, text_width
from rdmviz.figures.palette import CATEGORIES, OTHER, RAMPS, ramp
from rdmviz.figures.style import plain

ROW: Final = 0.17  # height of a row of the key, inches
_SIZE: Final = 8
_DOT, _GAP = 9.0, 10.0  # points: a dot with its space, between entries
_RAMP_WIDTH, _RAMP_HEIGHT = 80, 6


def rows_of(key: Key, width: float) -> list[list[int]]:
    """Return which labels stand in each row of a key that is `width` inches wide; the title is in the first.

    A ramp is one thing, called 0; what has no place on it comes after it.
    """
    if key.kind == "categorical":
        widths = [text_width(label, _SIZE) + _DOT for label in key.labels]
    else:
        ends, rest = _ends(key)
        widths = [sum(text_width(end, _SIZE) for end in ends) + _RAMP_WIDTH + 8]
        widths += [text_width(label, _SIZE) + _DOT for label in rest]
    return in_rows(widths, 72 * width, _GAP, 72 * width - text_width(key.title, _SIZE, "bold") - _GAP)


def draw_key(axes: Any, key: Key, width: float) -> None:
    """Draw the key on axes of its own: dots with words, or a ramp between the words for its ends."""
    axes.set_axis_off()
    title = TextArea(plain(key.title), textprops={"weight": "bold", "size": _SIZE})
    rows = rows_of(key, width)
    if key.kind == "categorical":
        entries = [_entry(label, place) for place, label in enumerate(key.labels)]
    else:
        colors = np.repeat(ramp(RAMPS[key.kind])[None], round(256 * _RAMP_HEIGHT / _RAMP_WIDTH), axis=0)
        bar = OffsetImage(colors, zoom=_RAMP_WIDTH / 256)
        (low, high), rest = _ends(key)
        entries = [_row([_words(low), bar, _words(high)], 4)]
        entries += [_entry(label, len(CATEGORIES)) for label in rest]
    lines = [[entries[place] for place in row] for row in rows]
    packed = [_row([title, *lines[0]], _GAP), *(_row(line, _GAP) for line in lines[1:])]
    child = VPacker(children=list(packed), pad=0, sep=3, align="left")
    axes.add_artist(AnchoredOffsetbox("upper left", child=child, pad=0, borderpad=0, frameon=False))


def _row(children: list[Any], sep: float) -> HPacker:
    return HPacker(children=children, pad=0, sep=sep, align="center")


def _ends(key: Key) -> tuple[tuple[str, str], tuple[str, ...]]:
    """Return the words for the ends of a ramp, and that for a missing value where there are any."""
    if key.kind == "gapped":
        return (key.labels[0], key.labels[1]), key.labels[2:]
    return (key.labels[0], key.labels[-1]), ()


def _entry(label: str, place: int) -> HPacker:
    color = (*CATEGORIES, OTHER)[min(place, len(CATEGORIES))]
    area = DrawingArea(5, 5)
    area.add_artist(Line2D([2.5], [2.5], marker="o", markersize=5, color=color, markeredgecolor="none"))
    return _row([area, _words(label)], 4)


def _words(text: str) -> TextArea:
    return TextArea(plain(text), textprops={"size": _SIZE})
