"""Warning curves in bqplot, beside the plain baselines, with the canvas cursor laid over them."""

from __future__ import annotations

import html
from typing import Any, Final

import bqplot
import ipywidgets
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from rdmviz.analysis import analyze
from rdmviz.compute.rdm.clusters import MAX_COUNT
from rdmviz.run import TrainingRun
from rdmviz.widgets.closing import close
from rdmviz.widgets.colors import CATEGORIES
from rdmviz.widgets.cursor import CursorView, CurvesHead
from rdmviz.widgets.curve_scale import is_log
from rdmviz.widgets.gaussian_lens import gaussian_curve
from rdmviz.widgets.loss_curves import PLAIN, Curve, LossCurves, MeanLosses
from rdmviz.widgets.panel import Panel, time_ticks
from rdmviz.widgets.signals import DEFAULT, LOSSES, MOST_SIGNALS, Signal, offered, presets
from rdmviz.widgets.solving import rows_and_last, rows_to_solve
from rdmviz.widgets.state import ExplorerState
from rdmviz.widgets.trouble import told

Floats = NDArray[np.float64]

_MOST_READ: Final = 20_000  # values per readout that the browser holds
_SOLVED_ENTRIES: Final = 28_000_000  # of the matrices solved for one dear curve: about a second on one core
# Pixels of a panel, by their number: together as high as the pictures beside them.
_HEIGHTS: Final = {1: 300, 2: 220, 3: 164, 4: 124, 5: 104, 6: 104}
FAMILY_COLORS: Final = {
    "spectral": CATEGORIES[0],
    "gaussian": CATEGORIES[6],
    "plain": PLAIN,
    "recorded": CATEGORIES[2],
}
_IN_THE_SPECTRUM: Final = ("participation_ratio", "participation_ratio_unbiased", "trace")
_HEAD, _LEGEND = 20, 14  # pixels above a plot, and more per line of names where there are several curves
_NAMES: Final = 3  # in a line


class WarningCurves(ipywidgets.VBox):  # type: ignore[misc]  # ipywidgets carries no types
    """Curves over training time: spectral ones, plain baselines, recorded metrics, mean losses.

    A click or drag on the curves moves the step; a drag with Shift zooms to a range of steps.

    Parameters
    ----------
    state
        Says what is drawn: `signals`, `curve_scale`, `loss_curves`, `span`, `window`, `detrend`, `coloring`.
    """

    def __init__(self, state: ExplorerState) -> None:
        self.state = state
        self._time = bqplot.LinearScale(min=0.0, max=1.0)
        self._panels: list[Panel] = []
        self._datasets: dict[str, tuple[TrainingRun, xr.Dataset]] = {}
        self._losses = MeanLosses(state)
        self.head = CurvesHead(state, most=MOST_SIGNALS)
        self.cursor = CursorView(state, time=self._time)
        self.caption = ipywidgets.HTML().add_class("rdmviz-caption")
        self._plots = ipywidgets.VBox().add_class("rdmviz-plots")
        self._canvas = ipywidgets.Box([self._plots, self.cursor]).add_class("rdmviz-curves")
        super().__init__([self.head, self._canvas, self.caption])
        self.add_class("rdmviz-curves-column")
        self._observed = {
            self._renew: ["window", "detrend"],
            self._redraw: ["signals", "curve_scale", "span"],
            self._redraw_losses: ["coloring", "loss_curves", "selection", "mode_detrend"],
        }
        for callback, names in self._observed.items():
            state.observe(callback, names)
        self.cursor.observe(self._regroup, "rested")
        self._renew()

    @property
    def signals(self) -> tuple[Signal, ...]:
        """The curves on screen, top to bottom."""
        known = offered(self.state.run)
        return tuple(known[name] for name in self.state.signals or DEFAULT)

    @property
    def dataset(self) -> xr.Dataset:
        """The curves of :func:`rdmviz.analyze` under the window and detrending on screen."""
        return self._dataset("variance")

    def _dataset(self, shc: Any) -> xr.Dataset:
        state = self.state
        run, data = self._datasets.get(shc, (None, None))
        if data is None or run is not state.run:  # a run that is followed is another one when it has grown
            data = analyze(state.run, window=state.window, detrend=state.detrend, shc=shc)
            self._datasets[shc] = state.run, data
        return data

    def _renew(self, _change: object = None) -> None:
        """Window or detrending changed: what was computed is no longer true."""
        run = self.state.run
        self._datasets.clear()
        with self.head.hold_sync():
            self.head.offered = [
                {"name": s.name, "title": s.title, "units": s.units, "family": s.family}
                for s in offered(run).values()
            ]
            self.head.presets = [[label, list(names)] for label, names in presets(run).items()]
        self.refresh()

    def _redraw(self, _change: object) -> None:
        self.refresh()

    def _redraw_losses(self, change: Any) -> None:
        relevant = {"coloring": "coloring", "selection": "selection", "mode_detrend": "groups"}
        if relevant.get(change["name"], self._losses.kind) in (self._losses.kind, self.state.loss_curves):
            self.refresh()

    def _regroup(self, change: Any) -> None:
        """Time came to rest: loss curves by group are those of the groups here."""
        if self._losses.kind == "groups" and self._keyframe(change["old"]) != self._keyframe(change["new"]):
            self.refresh()

    def _keyframe(self, row: int) -> int | None:
        """Row at which the groups of a row are decided, those of map and matrix; None before time rested."""
        if row < 0 or self.state.link is None:
            return None
        return self.state.link.frames.arrangement.decided_at(row)

    def refresh(self) -> None:
        """Draw the curves of the span anew, from what is known of the run where it is known."""
        with self.state.lock, told(self.state, "curves"):
            self._draw()
        self.cursor.computing = ""

    def _draw(self) -> None:
        state, signals, known = self.state, self.signals, offered(self.state.run)
        low, high = (state.run.index_of(step) for step in state.span)
        x = state.run.steps[low : high + 1].astype(float)
        dear = [s for s in signals if s.dear]
        self.cursor.computing = f"Computing: {', '.join(s.title for s in dear)} …" if dear else ""
        words: list[str] = []
        values: list[Floats] = []
        heads: list[dict[str, object]] = []
        shown = []
        for signal in signals:
            losses = self._curves_of(signal, low, high, words)
            count = len(losses.curves) if len(losses.curves) > 1 else 0
            if signal.name == LOSSES and self._losses.kind == "groups":
                count = MAX_COUNT  # as many as there can be elsewhere, so that nothing moves with them
            named = _LEGEND * -(-count // _NAMES)
            ys = np.stack([curve.values for curve in losses.curves])
            log = is_log(signal, ys, self.state.curve_scale)
            every = losses.curves[0].every
            shown.append((every, ys, [c.color for c in losses.curves], losses.singles, log, named))
            values += list(ys)
            heads.append(_head(signal, known.get(signal.baseline or ""), losses, log, state.detrend, named))
        if len(self._panels) < len(signals):
            self._panels += [Panel(self._time) for _ in range(len(signals) - len(self._panels))]
        first, last = float(x[0]), float(x[-1])
        with self._time.hold_sync():
            self._time.min, self._time.max = first, last if last > first else first + 1
        along = time_ticks(first, last)
        for panel, (every, ys, colors, singles, log, named) in zip(self._panels, shown, strict=False):
            panel.place(_HEIGHTS[len(signals)] + named, _HEAD + named)
            panel.set_time_ticks(along)
            at = rows_and_last(0, len(x) - 1, every)
            panel.show(x[at], ys[:, at], colors, singles[:, at], log=log)
        figures = tuple(panel.figure for panel in self._panels[: len(signals)])
        if self._plots.children != figures:
            self._plots.children = figures
        stride = max(1, -(-len(x) // _MOST_READ))
        with self.cursor.hold_sync():
            self.cursor.panels = heads
            self.cursor.start, self.cursor.stride = low, stride
            self.cursor.values = np.ascontiguousarray([v[::stride] for v in values], dtype="<f4").tobytes()
        self.head.drawn = [signal.name for signal in signals]
        self.caption.value = _caption(state, self.dataset, words)

    def _curves_of(self, signal: Signal, low: int, high: int, words: list[str]) -> LossCurves:
        """Return the curves of one panel over the rows ``low .. high``."""
        part = slice(low, high + 1)
        if signal.name == LOSSES:
            mean = np.asarray(self.dataset["mean_loss"].values, float)
            losses = self._losses(mean, self._keyframe(self.cursor.rested))
            if losses.words:
                words.append(losses.words)
            curves = tuple(Curve(c.label, c.color, c.values[part]) for c in losses.curves)
            singles = losses.singles[:, part] if losses.singles.size else np.empty((0, high + 1 - low))
            return LossCurves(losses.of, curves, singles)
        if signal.family == "gaussian":
            words.append("Gaussian curves have at each row the value of the newest snapshot.")
        color, nothing = FAMILY_COLORS[signal.family], np.empty((0, high + 1 - low))
        if not signal.dear:
            return LossCurves("", (Curve("", color, self._known(signal)[part]),), nothing)
        values, every = self._solved(signal)
        if every > 1:
            words.append(f"{signal.title}: one of {every} rows is solved; zoom in for all of them.")
        return LossCurves("", (Curve("", color, values, every),), nothing)

    def _known(self, signal: Signal) -> Floats:
        if signal.family == "gaussian":
            return gaussian_curve(self.state.run, signal.source)
        source = self.state.run.metrics if signal.family == "recorded" else self._dataset(signal.shc)
        return np.asarray(source[signal.source].values, float)

    def _solved(self, signal: Signal) -> tuple[Floats, int]:
        """Return a dear curve over the span, at each row that of the nearest one solved, one of so many."""
        rows, every = rows_to_solve(self.state, _SOLVED_ENTRIES)
        values = np.asarray(self._dataset(signal.shc)[signal.source][rows].values, float)
        between = (rows[1:] + rows[:-1]) / 2
        return values[np.searchsorted(between, np.arange(rows[0], rows[-1] + 1))], every

    def close(self) -> None:
        """Leave the page with everything that belongs to the curves."""
        if self.comm is None:
            return
        for callback, names in self._observed.items():
            self.state.unobserve(callback, names)
        for panel in self._panels:
            panel.close()
        super().close()
        close(self, self._time)


def _head(
    signal: Signal, beside: Signal | None, losses: LossCurves, log: bool, detrend: str, named: int
) -> dict[str, object]:
    """Return what the head of a panel says."""
    # The spectrum has quantities of the same names, of modes that may be detrended otherwise.
    detrended = f"{detrend.replace('none', 'no')} detrending" if signal.name in _IN_THE_SPECTRUM else ""
    return {
        "name": signal.name,
        "title": f"{signal.title} {losses.of}".strip(),
        "units": ", ".join(filter(None, [signal.units, "log" if log else "", detrended])),
        "legend": named,
        "baseline": beside.name if beside else "",
        "baseline_title": beside.title if beside else "",
        "readouts": [{"label": c.label, "color": c.color} for c in losses.curves],
    }


def _caption(state: ExplorerState, dataset: xr.Dataset, words: list[str]) -> str:
    said = [
        f"Trailing windows of {state.window} rows; {state.detrend} detrending of the spectral curves alone.",
        "<b>Uncalibrated</b>: a rise is not an alarm until its false-alarm rate on control runs is known.",
        *(html.escape(text) for text in dict.fromkeys(words)),
        *(f"{html.escape(str(dataset.attrs[k]))}." for k in ("silent", "out_of_range") if k in dataset.attrs),
    ]
    return " ".join(said)
