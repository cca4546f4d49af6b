"""How wide texts are, and how they go on in more lines."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

from rdmviz.figures.style import plain

_HINTED = 1.04  # letters fitted to pixels are up to so much wider


@lru_cache(4096)
def text_width(text: str, size: float, weight: str = "normal") -> float:
    """Return the width of a line in points."""
    font = FontProperties(family="DejaVu Sans", size=size, weight=weight)
    width, _, _ = text_to_path.get_text_width_height_descent(plain(text), font, ismath=False)
    return _HINTED * float(width)


def in_rows(widths: Sequence[float], room: float, gap: float, first: float | None = None) -> list[list[int]]:
    """Return which of some things, so wide, stand in each row; the first row may have less room."""
    rows: list[list[int]] = [[]]
    left = room if first is None else first
    for place, width in enumerate(widths):
        if width > left and (rows[-1] or left < room):
            rows.append([])
            left = room
        rows[-1].append(place)
        left -= width + gap
    return rows


def wrapped(parts: Sequence[str], size: float, width: float, between: str = " · ") -> list[str]:
    """Return the lines of a text that may be broken between its parts, `width` points wide."""
    widths = [text_width(part, size) for part in parts]
    rows = in_rows(widths, width, text_width(between, size))
    return [between.join(parts[place] for place in row) for row in rows if row]


def fitting(text: str, size: float, width: float, weight: str = "normal") -> tuple[str, float]:
    """Return a line that is at most `width` points wide, and its size: smaller letters first, then fewer."""
    needed = text_width(text, size, weight)
    if needed <= width:
        return text, size
    small = max(0.8 * size, size * width / needed)
    while len(text) > 1 and text_width(text, small, weight) > width:
        text = text[:-2].rstrip("…") + "…"
    return text, small
