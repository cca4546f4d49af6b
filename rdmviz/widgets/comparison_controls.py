"""The controls above a comparison: what is overlaid, how runs are aligned, window, detrending, coloring."""

from __future__ import annotations

import html
from typing import Any, Final

import ipywidgets

from rdmviz.widgets.comparison_state import ComparisonState
from rdmviz.widgets.controls import _WINDOWS, _dropdown
from rdmviz.widgets.state import CHOICES

_ALIGNMENTS: Final = {
    "step": "step",
    "loss": "lowest loss so far",
    "drift": "largest drift (criterion)",
    "spectral_heat_capacity": "largest heat capacity (criterion)",
    "transition": "transition",
}


class ComparisonControls(ipywidgets.VBox):  # type: ignore[misc]  # ipywidgets carries no types
    """Dropdowns linked to the state both ways; what cannot be chosen is said, and the choice goes back."""

    def __init__(self, state: ComparisonState) -> None:
        self.state = state
        self.alert = ipywidgets.HTML().add_class("rdmviz-alert")
        told = {
            "signal": ("Curve", "The curve of all runs in the first figure"),
            "curve_scale": ("Scale", "Its axis; auto: as it is best read"),
            "align": ("Align by", "What the common axis of the runs is"),
            "window": ("Window", "Rows per window, for curves, maps and overlap"),
            "detrend": ("Detrend curves", "Warnings look at fluctuations: remove the trend"),
            "mode_detrend": ("Detrend modes", "Modes look at the reorganisation itself: keep the drift"),
            "coloring": ("Colour by", "What the colours of the datapoints mean"),
            "map_scale": ("Map", "Linear: distances are those of loss fluctuations. Log: six decades"),
            "overlap_modes": ("Overlap of modes", "Dimension of the leading subspaces that are compared"),
        }
        self.of = {name: _dropdown(label, [], tooltip) for name, (label, tooltip) in told.items()}
        row = ipywidgets.HBox(list(self.of.values())).add_class("rdmviz-controls")
        super().__init__([row, self.alert])
        self._show()
        for name, control in self.of.items():
            control.observe(lambda change, name=name: self._choose(name, change["new"]), "value")
        state.observe(self._show, [*self.of, "transitions"])
        for each in state.states:
            each.observe(self._show, "marks")

    def close(self) -> None:
        """Leave the page, and the state alone."""
        if self.comm is not None:
            self.state.unobserve(self._show, [*self.of, "transitions"])
            for each in self.state.states:
                each.unobserve(self._show, "marks")
        super().close()

    def _options(self, name: str) -> list[tuple[str, Any]]:
        state = self.state
        if name == "signal":
            return [(signal.title, name) for name, signal in state.signals.items()]
        if name == "align":
            offered = [(words, key) for key, words in _ALIGNMENTS.items()]
            return offered if state.references is not None else offered[:-1]
        if name == "window":
            shortest = min(run.n_steps for run in state.runs)
            fitting = {w for w in _WINDOWS if w <= shortest // 2}
            return [(f"{w} rows", w) for w in sorted(fitting | {state.window})]
        if name == "coloring":
            return [(each, each) for each in state.colorings]
        if name == "overlap_modes":
            return [(str(k), k) for k in range(1, state.most_overlap_modes + 1)]
        return [(choice, choice) for choice in CHOICES[name]]

    def _show(self, _change: object = None) -> None:
        self._showing = True  # new options reset the value to the first of them; that is nobody's choice
        try:
            for name, control in self.of.items():
                options = tuple(self._options(name))
                if control.options != options:
                    control.options = options
                control.value = getattr(self.state, name)
        finally:
            self._showing = False

    def _choose(self, name: str, value: Any) -> None:
        if self._showing:
            return
        self.alert.value = ""
        try:
            setattr(self.state, name, value)
        except ValueError as error:
            self.alert.value = html.escape(str(error))
            self._show()
