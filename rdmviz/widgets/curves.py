"""Warning curves in bqplot, beside the plain baselines, with the canvas cursor laid over them."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import bqplot
import ipywidgets
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from rdmviz.analysis import analyze
from rdmviz.analysis.means import class_means
from rdmviz.widgets.colors import CATEGORIES, classes, shorten
from rdmviz.widgets.cursor import CursorView
from rdmviz.widgets.state import ExplorerState

_MOST_POINTS: Final = 4000
_MOST_CLASSES: Final = 4
_MARGIN: Final = {"top": 20, "bottom": 22, "left": 46, "right": 18}


@dataclass(frozen=True)
class Signal:
    """One curve: a variable of `analyze` or a recorded metric, its title, and whether its axis is log."""

    variable: str
    title: str
    log: bool
    recorded: bool = False

    @property
    def plain(self) -> bool:
        """Whether the curve has nothing to do with the detrending."""
        return self.recorded or self in BASELINES


SPECTRAL: Final = (
    Signal("spectral_heat_capacity", "Spectral heat capacity, log", True),
    Signal("participation_ratio", "Participation ratio", False),
)
BASELINES: Final = (
    Signal("mean_loss_variance", "Variance of the mean loss, log", True),
    Signal("mean_loss_autocorrelation", "Lag-1 autocorrelation of the mean loss", False),
)
_COST_OF_MEANS: Final = 50_000_000  # loss values; larger runs show the overall mean loss alone


class WarningCurves(ipywidgets.VBox):  # type: ignore[misc]  # ipywidgets carries no types
    """Two warning curves and the mean loss over training time.

    Parameters
    ----------
    state
        Redraws when its window, detrending or coloring changes; a click or drag on the curves moves its step.
    """

    def __init__(self, state: ExplorerState) -> None:
        self.state = state
        run = state.run
        self._rows = np.unique(np.r_[0 : run.n_steps : max(1, run.n_steps // _MOST_POINTS), run.n_steps - 1])
        self._x = run.steps[self._rows].astype(float)
        first, last = float(run.steps[0]), float(run.steps[-1])
        self._time = bqplot.LinearScale(min=first, max=last if last > first else first + 1)
        metrics = [_metric(str(name)) for name in list(run.metrics.data_vars)[:2]]
        self._families: dict[str, tuple[Signal, ...]] = {"Spectral": SPECTRAL, "Plain baselines": BASELINES}
        if metrics:
            self._families["Metrics"] = (*metrics, SPECTRAL[1])[:2]
        self.family = ipywidgets.ToggleButtons(
            options=list(self._families),
            value="Spectral",
            tooltips=[
                "Curves of the 2RDM's spectrum",
                "The plain statistics that any warning has to beat",
                "What the training itself recorded",
            ][: len(self._families)],
            layout={"width": "auto"},
        )
        self.cursor = CursorView(state)
        self._panels = [_Panel(self._time) for _ in range(3)]
        self.caption = ipywidgets.HTML().add_class("rdmviz-caption")
        plots = ipywidgets.VBox([panel.figure for panel in self._panels]).add_class("rdmviz-plots")
        canvas = ipywidgets.Box([plots, self.cursor]).add_class("rdmviz-curves")
        super().__init__([self.family, canvas, self.caption])
        self.add_class("rdmviz-curves-column")
        self._means: dict[str, tuple[tuple[str, ...], NDArray[np.float64]]] = {}
        self.refresh()
        self.family.observe(self._redraw, "value")
        state.observe(self._redraw, ["window", "detrend", "coloring"])

    def close(self) -> None:
        """Leave the page, and the state alone."""
        if self.comm is not None:
            self.state.unobserve(self._redraw, ["window", "detrend", "coloring"])
        super().close()

    @property
    def signals(self) -> tuple[Signal, ...]:
        """The warning curves on screen."""
        return self._families[self.family.value]

    def _redraw(self, _change: object) -> None:
        self.refresh()

    def refresh(self) -> None:
        """Draw the curves anew from the run's cached Gram matrix."""
        state = self.state
        self.dataset = analyze(state.run, window=state.window, detrend=state.detrend)
        titles, readouts, values = [], [], []
        for place, signal in enumerate(self.signals):
            source = state.run.metrics if signal.recorded else self.dataset
            series = np.asarray(source[signal.variable].values, float)
            self._panels[place].show(self._x, series[None, self._rows], [CATEGORIES[0]], log=signal.log)
            titles.append(signal.title if signal.plain else f"{signal.title}, {state.detrend} detrending")
            readouts.append({"panel": place, "label": "", "color": CATEGORIES[0]})
            values.append(series)
        names, means = self._mean_losses()
        colors = [CATEGORIES[k] for k in range(len(names))] if len(names) > 1 else [CATEGORIES[0]]
        log = bool(np.nanmin(means, initial=np.inf, where=np.isfinite(means)) > 0)
        titles.append(
            "Mean loss"
            + (f" by {shorten(state.coloring)}" if len(names) > 1 else "")
            + (", log" if log else "")
        )
        self._panels[2].show(self._x, means[:, self._rows], colors, log=log)
        for name, color, series in zip(names, colors, means, strict=True):
            readouts.append({"panel": 2, "label": shorten(name) if len(names) > 1 else "", "color": color})
            values.append(series)
        with self.cursor.hold_sync():
            self.cursor.titles = titles
            self.cursor.readouts = readouts
            self.cursor.values = np.ascontiguousarray(values, dtype="<f4").tobytes()
        self.caption.value = _caption(state, self.dataset)

    def _mean_losses(self) -> tuple[tuple[str, ...], NDArray[np.float64]]:
        """Mean loss per row: of each class of the coloring where there are a few, else of all datapoints."""
        run, key = self.state.run, self.state.coloring
        if key not in self._means:
            named = classes(run, key)
            affordable = run.n_steps * run.n_samples <= _COST_OF_MEANS
            if named is None or not 2 <= len(named[1]) <= _MOST_CLASSES or not affordable:
                self._means[key] = (("mean loss",), np.asarray(self.dataset["mean_loss"].values, float)[None])
            else:
                codes, names = named
                self._means[key] = (names, class_means(run, codes))
        return self._means[key]


class _Panel:
    """One bqplot figure on the shared time axis; its title and readouts are drawn by the cursor over it."""

    def __init__(self, time: bqplot.LinearScale) -> None:
        self._time = time
        ticks = _ticks(time.min, time.max, log=False)
        self._axis_x = bqplot.Axis(scale=time, tick_values=ticks, grid_lines="none", tick_format=",d")
        self.figure = bqplot.Figure(
            marks=[],
            axes=[self._axis_x],
            fig_margin=_MARGIN,
            min_aspect_ratio=0.05,
            max_aspect_ratio=100,
            animation_duration=0,
            display_toolbar=False,
            padding_x=0,
            padding_y=0,
            layout={"width": "100%", "height": "136px", "min_width": "0"},
        )

    def show(
        self, x: NDArray[np.float64], ys: NDArray[np.float64], colors: Sequence[str], *, log: bool
    ) -> None:
        if log:
            ys = np.where(ys > 0, ys, np.nan)
        finite = ys[np.isfinite(ys)]
        low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.1, 1.0)
        if log:
            scale = bqplot.LogScale(min=low / 1.3, max=high * 1.3)
        else:
            room = 0.05 * (high - low) or 0.5
            scale = bqplot.LinearScale(min=low - room, max=high + room)
        axis_y = bqplot.Axis(
            scale=scale,
            side="left",
            tick_format=".0e" if log else "~g",
            tick_values=_ticks(low, high, log=log),
            grid_lines="solid",
        )
        lines = []
        for y, color in zip(ys, colors, strict=True):
            # bqplot places a label at the last point, so that one has to be a number.
            last = int(np.flatnonzero(np.isfinite(y))[-1]) + 1 if np.isfinite(y).any() else 0
            scales = {"x": self._time, "y": scale}
            lines.append(
                bqplot.Lines(x=x[:last], y=y[:last], colors=[color], stroke_width=1.4, scales=scales)
            )
        gone = self.figure.axes[1:]
        old = [*self.figure.marks, *gone, *(axis.scale for axis in gone)]
        with self.figure.hold_sync():
            self.figure.marks = lines
            self.figure.axes = [self._axis_x, axis_y]
        for widget in old:
            widget.close()


def _metric(name: str) -> Signal:
    words = shorten(name.replace("_", " "))
    return Signal(name, words[:1].upper() + words[1:], log=False, recorded=True)


def _ticks(low: float, high: float, *, log: bool) -> NDArray[np.float64]:
    """Three to five round values between ``low`` and ``high``."""
    if log:
        decades = np.arange(np.ceil(np.log10(low)), np.floor(np.log10(high)) + 1)
        if len(decades) >= 2:
            return np.power(10.0, decades[:: -(-len(decades) // 4)])
        return np.geomspace(low, high, 3)
    span = (high - low) or 1.0
    unit = 10.0 ** np.floor(np.log10(span / 3))
    unit *= next(m for m in (1, 2, 5, 10) if span / (m * unit) <= 5.5)
    return np.asarray(np.arange(np.ceil(low / unit), np.floor(high / unit) + 1) * unit)


def _caption(state: ExplorerState, dataset: xr.Dataset) -> str:
    words = (
        f"Trailing windows of {state.window} rows, {state.detrend} detrending. "
        "<b>Uncalibrated</b>: a rise is not an alarm until its false-alarm rate on control runs is known."
    )
    silent = dataset.attrs.get("silent")
    return words if silent is None else f"{words} {html.escape(str(silent))}."
