"""One bqplot figure of curves on a shared time axis. Its widgets are made once and drawn anew in place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import bqplot
import numpy as np
from numpy.typing import NDArray

from rdmviz.widgets.closing import close, parts_of
from rdmviz.widgets.colors import minus_signed
from rdmviz.widgets.thinning import thinned

Floats = NDArray[np.float64]

_MOST_POINTS: Final = 3000
_WIDTHS: Final = (0.8, 1.6)  # of single datapoints, and of the curves before them
_SINGLE_OPACITY: Final = 0.55
_MOST_DIGITS: Final = 3  # behind the point of a power of ten: what fits beside a plot
_PLAIN_LABELS: Final = {"0": "0", "1": "1", "10": "10", "100": "100"}  # not 1e+0
_ROOM_ABOVE: Final = 0.14  # of the range of a curve
_END: Final = 0.06  # of the time axis


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
        self.figure = empty_figure(self._axis_x)
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
        ends = _with_room(low, high, log=log)
        values = ticks(*ends, log=log)
        with scale.hold_sync(), axis.hold_sync():
            scale.min, scale.max = ends
            axis.tick_values, axis.tick_format = values, tick_format(values)
            axis.tick_labels = _PLAIN_LABELS | minus_labels(values, tick_format(values))
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
            axis = bqplot.Axis(scale=scale, side="left", grid_lines="solid", tick_labels=_PLAIN_LABELS)
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


def empty_figure(*axes: bqplot.Axis) -> bqplot.Figure:
    """Return a figure without marks, as wide as there is room, that leaves all it can to its plot."""
    return bqplot.Figure(
        marks=[],
        axes=list(axes),
        min_aspect_ratio=0.05,
        max_aspect_ratio=100,
        animation_duration=0,
        display_toolbar=False,
        padding_x=0,
        padding_y=0,
        layout={"width": "100%", "min_width": "0"},
    )


def _with_room(low: float, high: float, *, log: bool) -> tuple[float, float]:
    """Return the ends of an axis that holds a curve, with room for the marks of time above it."""
    if log:
        share = max(float(np.log(high / low)), 0.5)
        return float(low / np.exp(0.05 * share)), float(high * np.exp(_ROOM_ABOVE * share))
    share = (high - low) or abs(high) or 1.0
    return low - 0.05 * share, high + _ROOM_ABOVE * share


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


def tick_format(values: Floats) -> str:
    """d3 format that tells ticks apart: plain numbers, or powers of ten where those are shorter."""
    sizes = np.abs(values[values != 0])
    if not sizes.size or (sizes.min() >= 1e-3 and sizes.max() < 1e5):
        return "~g"
    enough = (
        d for d in range(_MOST_DIGITS) if np.allclose([float(f"{v:.{d}e}") for v in sizes], sizes, 1e-9, 0)
    )
    return f".{next(enough, _MOST_DIGITS)}~e"


def minus_labels(values: Floats, form: str) -> dict[str, str]:
    """Labels of the ticks that hold a minus, by JavaScript's name of each: d3 would write a hyphen."""
    labels = {}
    for value in values:
        mantissa, letter, exponent = format(
            float(value), form.replace("~", "").replace("d", ".0f")
        ).partition("e")
        text = f"{float(mantissa):g}e{int(exponent)}" if letter else mantissa
        if "-" in text:
            labels[_in_javascript(value)] = minus_signed(text)
    return labels


def _in_javascript(value: float) -> str:
    if 1e-7 < abs(value) < 1e21:
        return np.format_float_positional(value, trim="-")
    return np.format_float_scientific(value, trim="-", exp_digits=1)


def ticks(low: float, high: float, *, log: bool = False, most: float = 5.0) -> Floats:
    """Two to five round values between ``low`` and ``high``."""
    if log and high > 3 * low:
        decades = np.arange(np.ceil(np.log10(low)), np.floor(np.log10(high)) + 1)
        if len(decades) >= 2:
            return np.power(10.0, decades[:: -(-len(decades) // 4)])
        exponents = np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
        found = (np.array([[1.0], [2.0], [5.0]]) * 10.0**exponents).ravel("F")
        found = found[(found >= low) & (found <= high)]
        if len(found) >= 2:
            return np.asarray(found)
    span = (high - low) or 1.0
    unit = 10.0 ** np.floor(np.log10(span / 3))
    unit *= next(m for m in (1, 2, 5, 10) if span / (m * unit) <= most)
    return np.asarray(np.arange(np.ceil(low / unit), np.floor(high / unit) + 1) * unit)


def time_ticks(first: float, last: float) -> Floats:
    """Ticks of the time axis, but none whose long label would reach beyond an end of it."""
    values = ticks(first, last, most=4.6)
    share = (values - first) / ((last - first) or 1.0)
    long = np.abs(values) >= 1e5
    return values[~long | ((share > _END) & (share < 1 - _END))]
