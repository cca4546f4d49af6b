"""The panels of a picture of the warning curves: those on screen, and the plain baselines beside them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import xarray as xr

from rdmviz.analysis import analyze
from rdmviz.analysis.means import class_means
from rdmviz.figures.contents import Line, Panel
from rdmviz.figures.palette import CATEGORIES
from rdmviz.widgets.colors import classes, shorten
from rdmviz.widgets.signals import DEFAULT, LOSSES, Signal, offered
from rdmviz.widgets.state import ExplorerState


def panels_of(state: ExplorerState) -> Iterator[Panel]:
    """Chosen curves, each spectral one beside a plain one that it has to beat; mean losses under both."""
    known = offered(state.run)
    chosen = [known[name] for name in state.signals or DEFAULT]
    datasets: dict[str, xr.Dataset] = {}

    def panel(signal: Signal, column: int | None) -> Panel:
        if signal.family == "recorded":
            values = state.run.metrics[signal.source]
        else:
            if signal.shc not in datasets:
                datasets[signal.shc] = analyze(
                    state.run, window=state.window, detrend=state.detrend, shc=signal.shc
                )
            values = datasets[signal.shc][signal.source]
        line = Line("", np.asarray(values.values, float), CATEGORIES[0])
        log = signal.log if state.curve_scale == "auto" else state.curve_scale == "log"
        title = f"{signal.title}, {signal.units}" if signal.units else signal.title
        return Panel(title, (line,), log, column=column)

    for signal in chosen:
        if signal.baseline is not None:
            yield panel(signal, 0)
            yield panel(known[signal.baseline], 1)
    for signal in chosen:
        if signal.baseline is None and signal.name != LOSSES:
            yield panel(signal, None)
    if any(signal.name == LOSSES for signal in chosen):
        named = classes(state.run, state.coloring)
        if named is None or not 2 <= len(named[1]) <= 4:
            yield panel(known[LOSSES], None)
        else:
            means = zip(named[1], class_means(state.run, named[0]), CATEGORIES, strict=False)
            lines = tuple(Line(shorten(name), values, color) for name, values, color in means)
            yield Panel(f"Mean loss by {shorten(state.coloring)}", lines, log=True, column=None)
