"""The controls above the pictures: window, detrending of curves and modes, coloring."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ipywidgets
import traitlets

from rdmviz.widgets.state import CHOICES, ExplorerState

_WINDOWS = (16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)


class Controls(ipywidgets.HBox):  # type: ignore[misc]  # ipywidgets carries no types
    """Dropdowns linked to the state both ways.

    Parameters
    ----------
    state
        What is chosen.
    try_window
        Called with the rows per window that were chosen; by default they become the state's at once.
    """

    def __init__(self, state: ExplorerState, try_window: Callable[[int], None] | None = None) -> None:
        self.state = state
        self._try_window = try_window
        self.window = _dropdown(
            "Window", [], "Rows per window: short ones see fast changes, long ones see slow fluctuations"
        )
        self.detrend = _dropdown(
            "Detrend curves", CHOICES["detrend"], "Warnings look at fluctuations: remove the trend"
        )
        self.mode_detrend = _dropdown(
            "Detrend modes",
            CHOICES["mode_detrend"],
            "Modes look at the reorganisation itself: keep the drift, remove the mean",
        )
        self.coloring = _dropdown("Colour by", state.colorings, "What the colours of the datapoints mean")
        self.map_scale = _dropdown(
            "Map",
            CHOICES["map_scale"],
            "Linear: distances are distances of loss fluctuations. Log: loadings over six decades",
        )
        super().__init__([self.window, self.detrend, self.mode_detrend, self.coloring, self.map_scale])
        self.add_class("rdmviz-controls")
        self._offer_windows()
        self._links = [
            traitlets.link((state, name), (getattr(self, name), "value"))
            for name in ("detrend", "mode_detrend", "coloring", "map_scale")
        ]
        state.observe(self._offer_windows, ["window", "run"])

    def close(self) -> None:
        """Leave the page, and the state alone."""
        for link in self._links:
            link.unlink()
        self._links = []
        if self.comm is not None:
            self.state.unobserve(self._offer_windows, ["window", "run"])
        super().close()

    def _offer_windows(self, _change: object = None) -> None:
        state = self.state
        fitting = {w for w in _WINDOWS if w <= state.run.n_steps // 2}
        windows = sorted(fitting | {state.window})
        options = tuple((f"{w} rows", w) for w in windows)
        if tuple(self.window.options) != options:
            # New options reset the value to the first of them; that is nobody's choice.
            if self.window.options:
                self.window.unobserve(self._choose_window, "value")
            self.window.options = options
            self.window.value = state.window
            self.window.observe(self._choose_window, "value")
        self.window.value = state.window

    def _choose_window(self, change: Any) -> None:
        if self._try_window is None:
            self.state.window = change["new"]
        else:
            self._try_window(change["new"])


def _dropdown(label: str, options: Any, tooltip: str) -> ipywidgets.Dropdown:
    return ipywidgets.Dropdown(
        description=label,
        options=options,
        tooltip=tooltip,
        style={"description_width": "auto"},
        layout={"width": "auto", "min_width": "120px"},
    )
