"""The curves of all runs on their common axis, in bqplot, with the comparison's cursor laid over them."""

from __future__ import annotations

import html
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import bqplot
import ipywidgets
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from rdmviz.analysis import analyze, subspace_overlap
from rdmviz.compute.rdm.observables import HeatCapacity
from rdmviz.widgets.closing import close
from rdmviz.widgets.colors import shorten
from rdmviz.widgets.comparison_scene import RUN_COLORS, ComparisonCursor, ComparisonScene, logarithmic
from rdmviz.widgets.comparison_state import ComparisonState
from rdmviz.widgets.gaussian_lens import gaussian_curve, has_gaussian
from rdmviz.widgets.panel import empty_figure, minus_labels, tick_format, ticks
from rdmviz.widgets.thinning import thinned
from rdmviz.widgets.trouble import told

Floats = NDArray[np.float64]

STEP_AT_LOSS: Final = "Training step at this loss"
_MOST_POINTS: Final = 3000
_GREY: Final = "#8a8a8a"
_OF_TWO: Final = "#1f83c6"
_OVERLAP_COST: Final = 4e9  # products that drawing the overlap may take: about a second
_FEWEST_PLACES, _MOST_PLACES = 12, 200
_DRAWN: Final = (
    "drawn",
    "window",
    "detrend",
    "mode_detrend",
    "signal",
    "curve_scale",
    "overlap_modes",
)
_HEIGHT, _BOTTOM, _AXIS_TITLE = 136, 22, 16


@dataclass(frozen=True)
class _Line:
    """One line of a figure; its style in bqplot's words."""

    x: Floats
    y: Floats
    color: str
    style: str = "solid"


class ComparisonCurves(ipywidgets.VBox):  # type: ignore[misc]  # ipywidgets carries no types
    """The chosen curve, the mean loss and the overlap of subspaces, of all runs.

    Parameters
    ----------
    state
        The comparison.
    scene
        Its browser's half.
    """

    def __init__(self, state: ComparisonState, scene: ComparisonScene) -> None:
        self.state = state
        self.cursor = ComparisonCursor(scene=scene)
        self.panels = [_Panel() for _ in range(3)]
        self.caption = ipywidgets.HTML().add_class("rdmviz-caption")
        self._drawing = threading.RLock()
        self._overlaps: tuple[object, list[xr.Dataset] | str] = (None, "")
        self._plots = ipywidgets.VBox().add_class("rdmviz-plots")
        canvas = ipywidgets.Box([self._plots, self.cursor]).add_class("rdmviz-curves")
        super().__init__([canvas, self.caption])
        self.add_class("rdmviz-curves-column")
        self.refresh()
        state.observe(self._redraw, list(_DRAWN))

    def close(self) -> None:
        """Leave the page, and the state alone."""
        if self.comm is not None:
            self.state.unobserve(self._redraw, list(_DRAWN))
            close(*(panel.figure for panel in self.panels))
        super().close()

    @property
    def overlaps(self) -> list[xr.Dataset] | str:
        """Overlap of each further run with the first, or in words why there is none."""
        state = self.state
        key = (state.revision, state.window, state.mode_detrend, state.overlap_modes)
        if self._overlaps[0] != key:
            self._overlaps = key, self._solve()
        return self._overlaps[1]

    def _solve(self) -> list[xr.Dataset] | str:
        state = self.state
        if state.difference is not None:
            return f"the probes differ ({state.difference})"
        sides = state.window, state.runs[0].n_samples
        cost = sides[0] * sides[1] * min(sides) * len(state.runs)
        met = state.references
        try:
            return [
                subspace_overlap(
                    state.runs[0],
                    state.runs[k],
                    state.overlap_modes,
                    window=state.window,
                    detrend=state.mode_detrend,
                    by=state.align,
                    transitions=[met[0], met[k]] if met is not None and state.align == "transition" else None,
                    places=int(np.clip(_OVERLAP_COST / cost, _FEWEST_PLACES, _MOST_PLACES)),
                )
                for k in range(1, len(state.runs))
            ]
        except ValueError as error:
            return str(error)

    def _redraw(self, _change: object) -> None:
        # Messages of the browser arrive on more than one thread.
        with self._drawing, told(self.state.states[0], "curves"):
            self.refresh()

    def refresh(self) -> None:
        """Draw everything anew."""
        state = self.state
        self.datasets = self._analyzed()
        axis = _Axis(state.aligned["at"].values, logarithmic(state))
        overlaps = self.overlaps
        titles: list[str] = []
        readouts: list[dict[str, object]] = []
        values: list[Floats] = []

        def read(series: Floats, color: str, label: str = "") -> None:
            panel = len(titles) - 1
            whole = titles[panel] == STEP_AT_LOSS
            readouts.append({"panel": panel, "label": label, "color": color, "whole": whole})
            values.append(series)

        for panel, (title, curves, log) in zip(self.panels, (self._chosen(), self._progress()), strict=False):
            lines = [self._line(k, curve) for k, curve in curves.items()]
            last = isinstance(overlaps, str) and panel is self.panels[1]
            log = panel.show(axis, lines, log=log, last=last, whole=title == STEP_AT_LOSS)
            titles.append(title + (", log" if log else ""))
            for k, curve in curves.items():
                read(self._at_places(k, curve), RUN_COLORS[k])
        if not isinstance(overlaps, str):
            colors = [_OF_TWO] if len(overlaps) == 1 else RUN_COLORS[1 : len(state.runs)]
            chance = float(overlaps[0]["chance"])
            ends = axis.at[[0, -1]]
            lines = [_Line(ends, np.full(2, chance), _GREY, "dashed")]
            other = "" if len(overlaps) == 1 else f" with {shorten(state.names[0])}"
            titles.append(f"Overlap{other} of {state.overlap_modes} modes, chance {chance:.2g}")
            for color, found in zip(colors, overlaps, strict=True):
                x = found["at"].values
                lines.append(_Line(x, found["relabelled"].values, color, "dotted"))
                lines.append(_Line(x, found["overlap"].values, color))
                read(axis.held(x, found["overlap"].values), color)
            if len(overlaps) == 1:
                read(axis.held(x, overlaps[0]["relabelled"].values), "", "relabelled")
            self.panels[2].show(axis, lines, log=False, last=True, ends=(0.0, 1.0))
        self._plots.children = [panel.figure for panel in self.panels[: len(titles)]]
        with self.cursor.hold_sync():
            self.cursor.titles = titles
            self.cursor.readouts = readouts
            self.cursor.values = np.ascontiguousarray(values, dtype="<f4").tobytes()
        self.caption.value = self._words(overlaps)

    def _chosen(self) -> tuple[str, dict[int, Floats], bool]:
        """Title, curves by run, and whether they are drawn on a log axis."""
        state = self.state
        signal = state.signals[state.signal]
        if signal.family == "gaussian":
            those = {k: run for k, run in enumerate(state.runs) if has_gaussian(run)}
            curves = {k: gaussian_curve(run, signal.source) for k, run in those.items()}
        else:
            if signal.family == "recorded":
                sources = {k: run.metrics for k, run in enumerate(state.runs) if signal.source in run.metrics}
            else:
                analyzed = self.datasets if signal.shc == "variance" else self._analyzed(signal.shc)
                sources = dict(enumerate(analyzed))
            curves = {k: np.asarray(source[signal.source].values, float) for k, source in sources.items()}
        log = signal.log if state.curve_scale == "auto" else state.curve_scale == "log"
        return shorten(signal.title), curves, log

    def _analyzed(self, shc: HeatCapacity = "variance") -> list[xr.Dataset]:
        state = self.state
        return [analyze(run, window=state.window, detrend=state.detrend, shc=shc) for run in state.runs]

    def _progress(self) -> tuple[str, dict[int, Floats], bool]:
        """Mean loss of the runs; where it is the axis, the step at which each gets there."""
        state = self.state
        if state.align == "loss":
            steps = {k: run.steps.astype(float) for k, run in enumerate(state.runs)}
            return STEP_AT_LOSS, steps, False
        means = {k: np.asarray(data["mean_loss"].values) for k, data in enumerate(self.datasets)}
        log = all(bool((mean[np.isfinite(mean)] > 0).all()) for mean in means.values())
        return "Mean loss", means, log

    def _line(self, run: int, curve: Floats) -> _Line:
        """Draw a curve of a run at the run's own places."""
        aligned = self.state.aligned
        own = np.flatnonzero(aligned["own"].values[run])
        x, y = aligned["at"].values[own], curve[aligned["row"].values[run, own]]
        return _Line(*thinned(x, y, _MOST_POINTS), RUN_COLORS[run])

    def _at_places(self, run: int, curve: Floats) -> Floats:
        state = self.state
        return np.where(state.inside[run], curve[state.rows[run]], np.nan)

    def _words(self, overlaps: list[xr.Dataset] | str) -> str:
        """Caption as HTML; texts of the runs are escaped."""
        state = self.state
        attrs = state.aligned.attrs
        said = [f"Common axis: {attrs['reading']}."]
        if state.align not in ("step", "loss"):
            met = zip(state.names, state.aligned["reference"].values, strict=True)
            said.append(
                "Transitions at " + ", ".join(f"{name}: step {step:,.0f}" for name, step in met) + "."
            )
        said += [f"{note}." for note in attrs["notes"]]
        said.append(f"Trailing windows of {state.window} rows, {state.detrend} detrending of the curves.")
        spans = [np.median(np.diff(each.run.steps)) * (state.window - 1) for each in state.states]
        if max(spans) > 1.2 * min(spans):
            told = ", ".join(f"{name} {span:,.0f}" for name, span in zip(state.names, spans, strict=True))
            said.append(
                f"The runs were recorded at different intervals: a window spans {told} steps, so spectral "
                "curves and maps are not of the same stretch of training."
            )
        if isinstance(overlaps, str):
            said.append(f"No overlap of subspaces is shown: {overlaps}.")
        else:
            said.append(
                f"Overlap: |VᵀV'|²/k of {state.mode_detrend}-detrended windows at {overlaps[0].sizes['at']} "
                "places, 1 for the same subspace, k/n (dashed) for random ones; dotted: what is left if the "
                "datapoints of one run are exchanged at random. Each map has axes and signs of its own, to "
                "which the overlap is blind."
            )
            said += [
                f"Overlap is silent at {found.attrs['silent']}."
                for found in overlaps
                if "silent" in found.attrs
            ]
        return html.escape(" ".join(said)) + " <b>Uncalibrated</b>: a rise is not an alarm."


class _Axis:
    """The common axis as bqplot has it, and places on it."""

    def __init__(self, at: Floats, log: bool) -> None:
        self.at, self.log = at, log
        low, high = float(at.min()), float(at.max())
        kind = bqplot.LogScale if log else bqplot.LinearScale
        falls = bool(at[0] > at[-1])
        self.scale = kind(min=low, max=high if high > low else low + 1, reverse=falls)
        self.ticks = ticks(low, high, log=log)
        self.format = "~g" if falls else ",d"

    def held(self, x: Floats, values: Floats) -> Floats:
        """Values known at some places (in the order of the axis), at every place between them."""
        way = -1.0 if self.at[0] > self.at[-1] else 1.0
        after = np.clip(np.searchsorted(way * x, way * self.at), 0, len(x) - 1)
        before = np.maximum(after - 1, 0)
        nearest = np.where(np.abs(self.at - x[before]) < np.abs(x[after] - self.at), before, after)
        inside = (way * self.at >= way * x[0]) & (way * self.at <= way * x[-1])
        return np.where(inside, values[nearest], np.nan)


class _Panel:
    """One bqplot figure on the common axis; its title and readouts are drawn by the cursor over it."""

    def __init__(self) -> None:
        self.figure = empty_figure()

    def show(
        self,
        axis: _Axis,
        lines: Sequence[_Line],
        *,
        log: bool,
        last: bool,
        whole: bool = False,
        ends: tuple[float, float] | None = None,
    ) -> bool:
        """Draw the lines, and return whether on a log scale: what has no positive value cannot be."""
        finite = np.concatenate([line.y[np.isfinite(line.y)] for line in lines] or [np.empty(0)])
        log = log and bool((finite > 0).any())
        if log:
            finite = finite[finite > 0]
        low, high = ends or ((float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0))
        if log:
            scale = bqplot.LogScale(min=low / 1.3, max=high * 1.3)
        else:
            room = 0.0 if ends else 0.05 * (high - low) or 0.5
            scale = bqplot.LinearScale(min=low - room, max=high + room)
        places = ticks(low, high, log=log)
        x_axis = bqplot.Axis(
            scale=axis.scale, tick_values=axis.ticks, grid_lines="none", tick_format=axis.format
        )
        form = ",d" if whole else ".0e" if log else tick_format(places)
        y_axis = bqplot.Axis(
            scale=scale,
            side="left",
            tick_format=form,
            tick_values=places,
            tick_labels=minus_labels(places, form),
            grid_lines="solid",
        )
        marks = [
            bqplot.Lines(
                x=line.x[seen],
                y=np.where(line.y > 0, line.y, np.nan)[seen] if log else line.y[seen],
                colors=[line.color],
                line_style=line.style,
                stroke_width=1.4,
                scales={"x": axis.scale, "y": scale},
            )
            for line in lines
            for seen in [_until_the_last_number(line.y, log)]
        ]
        old = [*self.figure.marks, *self.figure.axes, *(a.scale for a in self.figure.axes)]
        with self.figure.hold_sync():
            self.figure.marks = marks
            self.figure.axes = [x_axis, y_axis]
            self.figure.fig_margin = {
                "top": 20,
                "bottom": _BOTTOM + (_AXIS_TITLE if last else 0),
                "left": 46,
                "right": 18,
            }
        self.figure.layout.height = f"{_HEIGHT + (_AXIS_TITLE if last else 0)}px"
        for widget in old:
            widget.close()
        return log


def _until_the_last_number(y: Floats, log: bool) -> slice:
    """Part of a line that bqplot can draw: it places a label at the last point, which has to be a number."""
    drawn = np.flatnonzero(np.isfinite(y) & ((y > 0) | (not log)))
    return slice(0, int(drawn[-1]) + 1 if len(drawn) else 0)
