"""The panels of a picture of the warning curves: those on screen, and the plain baselines beside them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from rdmviz.analysis import analyze
from rdmviz.analysis.means import class_means
from rdmviz.figures.contents import Line, Panel
from rdmviz.figures.palette import CATEGORIES
from rdmviz.widgets.colors import classes, shorten
from rdmviz.widgets.curves import BASELINES, SPECTRAL
from rdmviz.widgets.state import ExplorerState


def panels_of(state: ExplorerState) -> Iterator[Panel]:
    """Spectral curves, each beside a plain one that it has to beat, and mean losses under both."""
    dataset = analyze(state.run, window=state.window, detrend=state.detrend)
    for column, signals in enumerate((SPECTRAL, BASELINES)):
        for signal in signals:
            line = Line("", np.asarray(dataset[signal.variable].values, float), CATEGORIES[0])
            yield Panel(signal.title.removesuffix(", log"), (line,), signal.log, column=column)
    named = classes(state.run, state.coloring)
    if named is None or not 2 <= len(named[1]) <= 4:
        line = Line("", np.asarray(dataset["mean_loss"].values, float), CATEGORIES[0])
        yield Panel("Mean loss", (line,), log=True, column=None)
    else:
        means = zip(named[1], class_means(state.run, named[0]), CATEGORIES, strict=False)
        lines = tuple(Line(shorten(name), values, color) for name, values, color in means)
        yield Panel(f"Mean loss by {shorten(state.coloring)}", lines, log=True, column=None)
