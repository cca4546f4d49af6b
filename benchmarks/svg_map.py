"""The datapoint map in bqplot alone, drawn as SVG and fed by the kernel, to compare the explorer's with."""

from __future__ import annotations

from typing import Any

import bqplot
import ipywidgets
import numpy as np

from rdmviz.analysis import ModePath
from rdmviz.analysis.one_thread import one_blas_thread
from rdmviz.run import TrainingRun
from rdmviz.widgets.colors import CATEGORIES


def svg_map(run: TrainingRun, window: int = 64) -> ipywidgets.VBox:
    """Put a slider over a scatter of the two leading modes; a move sends one message with all positions."""
    path = ModePath(run, window=window, modes=4)
    kinds = np.asarray(run.probe["kind"].values)
    scales = {
        "x": bqplot.LinearScale(),
        "y": bqplot.LinearScale(),
        "color": bqplot.OrdinalColorScale(colors=CATEGORIES[:6]),
    }
    dots = bqplot.Scatter(
        x=np.zeros(run.n_samples), y=np.zeros(run.n_samples), color=kinds, scales=scales, default_size=24
    )
    axes = [
        bqplot.Axis(scale=scales["x"], label="mode 1"),
        bqplot.Axis(scale=scales["y"], side="left", label="mode 2"),
    ]
    figure = bqplot.Figure(marks=[dots], axes=axes, animation_duration=0)
    figure.layout.width, figure.layout.height = "520px", "420px"
    slider = ipywidgets.IntSlider(min=path.first, max=run.n_steps - 1, value=path.first)
    slider.layout.width = "90%"

    def show(_change: Any = None) -> None:
        with one_blas_thread():
            frame = path.at(slider.value)
        x, y = np.sqrt(frame.eigenvalues[:2, None]) * frame.vectors[:2]
        with dots.hold_sync():
            dots.x, dots.y = x, y

    slider.observe(show, "value")
    show()
    return ipywidgets.VBox([slider, figure])
