"""One bqplot figure of curves on a shared time axis. Its widgets are made once and drawn anew in place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import bqplot
import numpy as np
from numpy.typing import NDArray

from rdmviz.widgets.closing import close, parts_of
from rdmviz.widgets.thinning import thinned

Floats = NDArray[np.float64]

_MOST_POINTS: Final = 3000
_WIDTHS: Final = (0.8, 1.6)  # of single datapoints, and of the curves before them
_SINGLE_OPACITY: Final = 0.55


class Panel:
    """A figure for curves, with a linear and a logarithmic axis to choose from.

    Parameters
    ----------
    time
        The time scale, shared with other panels.
    """

    def __init__(self, time: bqplot.LinearScale) -> None:
        self._time = time
        self._axis_x = bqplot.Axis(scale=time, grid_lines="none", tick_format=",d")
        self._sides: dict[bool, tuple[bqplot.Scale, bqplot.Axis, list[bqplot.Lines]]] = {}
        self._drawn: list[Any] = []
        self.figure = bqplot.Figure(
            marks=[],
            axes=[self._axis_x],
            min_aspect_ratio=0.05,
            max_aspect_ratio=100,
            animation_duration=0,
            display_toolbar=False,
            padding_x=0,
            padding_y=0,
            layout={"width": "100%", "min_width": "0"},
        )
        self.place(136, 20)

    def place(self, height: int, head: int) -> None:
        """Set the height of the figure and the room above its plot, pixels."""
        margin = {"top": head, "bottom": 22, "left": 46, "right": 24}
        if self.figure.fig_margin != margin:
            self.figure.fig_margin = margin
        self.figure.layout.height = f"{height}px"

    def show(self, x: Floats, curves: Floats, colors: Sequence[str], singles: Floats, *, log: bool) -> None:
        """Draw curves ``(k, T)`` over ``x``, and thin ones of the first colour behind them."""
        both = [np.where(ys > 0, ys, np.nan) if log else ys for ys in (singles, curves)]
        drawn = [x, *both, list(colors), log]
        if len(self._drawn) == len(drawn) and all(map(_same, self._drawn, drawn)):
            return
        self._drawn = drawn
        finite = np.concatenate([ys[np.isfinite(ys)] for ys in both])
        low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.1, 1.0)
        scale, axis, lines = self._side(log)
        room = 0.05 * (high - low) or 0.05 * abs(high) or 0.5
        ends = (low / 1.3, high * 1.3) if log else (low - room, high + room)
        with scale.hold_sync(), axis.hold_sync():
            scale.min, scale.max = ends
            axis.tick_values = ticks(*(ends if not log else (low, high)), log=log)
            axis.tick_format = ".0e" if log else number_format(max(abs(low), abs(high)))
        for mark, ys, shades in zip(lines, both, ([colors[0]] if colors else [], list(colors)), strict=True):
            visible = [k for k in range(len(ys)) if np.isfinite(ys[k]).any()]
            points = _same_length([thinned(x, ys[k], _MOST_POINTS) for k in visible])
            with mark.hold_sync():
                mark.x, mark.y = points
                if visible:
                    mark.colors = [shades[k % len(shades)] for k in visible]
        with self.figure.hold_sync():
            self.figure.marks = lines if len(singles) else lines[1:]
            self.figure.axes = [self._axis_x, axis]

    def _side(self, log: bool) -> tuple[bqplot.Scale, bqplot.Axis, list[bqplot.Lines]]:
        if log not in self._sides:
            scale = (bqplot.LogScale if log else bqplot.LinearScale)(min=0.1, max=1.0)
            axis = bqplot.Axis(scale=scale, side="left", grid_lines="solid")
            scales = {"x": self._time, "y": scale}
            nothing = np.empty(0)
            lines = [bqplot.Lines(x=nothing, y=nothing, stroke_width=w, scales=scales) for w in _WIDTHS]
            lines[0].opacities = [_SINGLE_OPACITY]
            self._sides[log] = scale, axis, lines
        return self._sides[log]

    def set_time_ticks(self, values: Floats) -> None:
        """Set the ticks of the time axis."""
        if not _same(self._axis_x.tick_values, values):
            self._axis_x.tick_values = values

    def close(self) -> None:
        """Close the figure and everything it is made of but the shared time scale."""
        for part in parts_of(self.figure):
            if part is not self._time:
                part.close()
        for scale, axis, lines in self._sides.values():
            close(scale, axis)
            for line in lines:
                line.close()


def _same(before: Any, after: Any) -> bool:
    if isinstance(after, np.ndarray):
        return isinstance(before, np.ndarray) and np.array_equal(before, after, equal_nan=True)
    return bool(before == after)


def _same_length(curves: list[tuple[Floats, Floats]]) -> tuple[Floats, Floats]:
    """Curves as two arrays ``(k, points)``: each ends at its last number, repeated where others go on.

    bqplot places a label at the last point, so that one has to be a number.
    """
    if not curves:
        return np.empty(0), np.empty(0)
    ended = []
    for x, y in curves:
        end = int(np.flatnonzero(np.isfinite(y))[-1]) + 1
        ended.append((x[:end], y[:end]))
    length = max(len(x) for x, _ in ended)
    xs, ys = (
        np.stack([np.pad(pair[k], (0, length - len(pair[k])), mode="edge") for pair in ended]) for k in (0, 1)
    )
    return xs, ys


def number_format(size: float) -> str:
    """d3 format of the ticks of an axis whose largest number has this size."""
    return "~g" if size == 0 or 1e-2 <= size < 1e4 else ".1~e"


def ticks(low: float, high: float, *, log: bool = False, most: float = 4.6) -> Floats:
    """Three to five round values between ``low`` and ``high``."""
    if log:
        decades = np.arange(np.ceil(np.log10(low)), np.floor(np.log10(high)) + 1)
        if len(decades) >= 2:
            return np.power(10.0, decades[:: -(-len(decades) // 4)])
        exponents = np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
        round_ones = (np.array([[1.0], [2.0], [5.0]]) * 10.0**exponents).ravel("F")
        found = round_ones[(round_ones >= low) & (round_ones <= high)]
        return found if len(found) >= 2 else np.geomspace(low, high, 3)
    span = (high - low) or 1.0
    unit = 10.0 ** np.floor(np.log10(span / 3))
    unit *= next(m for m in (1, 2, 5, 10) if span / (m * unit) <= most)
    return np.asarray(np.arange(np.ceil(low / unit), np.floor(high / unit) + 1) * unit)
