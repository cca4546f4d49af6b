"""Runs beside each other: curves overlaid, twin maps under one cursor, overlap of their subspaces."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any, Final

import ipywidgets

from rdmviz.analysis.aligning import Transitions
from rdmviz.run import TrainingRun
from rdmviz.widgets.comparison_controls import ComparisonControls
from rdmviz.widgets.comparison_curves import ComparisonCurves
from rdmviz.widgets.comparison_scene import ComparisonBar, ComparisonLink, RunHeading
from rdmviz.widgets.comparison_state import ComparisonState
from rdmviz.widgets.datapoint_map import DatapointMap
from rdmviz.widgets.legend import Legend


def compare(
    runs: Sequence[TrainingRun],
    *,
    align: str = "step",
    transitions: Transitions | None = None,
    **chosen: Any,
) -> Comparison:
    """Open runs beside each other; see :class:`ComparisonState` for the options.

    Raises
    ------
    OptionError, WindowError, ProbeError
        If fewer than two or more than eight runs are given, or they do not have what was asked for.
    """
    return Comparison(ComparisonState(runs, align=align, transitions=transitions, **chosen))


class Comparison(ipywidgets.VBox):  # type: ignore[misc]  # ipywidgets carries no types
    """Overlaid curves, twin datapoint maps and the overlap of the leading subspaces of several runs.

    Parameters
    ----------
    state
        The one source of truth; ``state.states`` are the states of the runs, for further views of each.
    """

    def __init__(self, state: ComparisonState) -> None:
        self.state = state
        self.maps = [DatapointMap(each) for each in state.states]
        self.link = ComparisonLink(state)
        scene = self.link.scene
        self.curves = ComparisonCurves(state, scene)
        self.controls = ComparisonControls(state)
        self.headings = [RunHeading(scene=scene, run=k) for k in range(len(state.runs))]
        self.bar = ComparisonBar(scene=scene)
        self.legends = [Legend(each) for each in (state.states[:1] if state.shared_probe else state.states)]
        of_each = [[]] * len(self.maps) if state.shared_probe else [[legend] for legend in self.legends]
        twins = ipywidgets.Box(
            [
                ipywidgets.VBox([heading, *legend, picture]).add_class("rdmviz-twin")
                for heading, legend, picture in zip(self.headings, of_each, self.maps, strict=True)
            ]
        ).add_class("rdmviz-twins")
        shared = self.legends if state.shared_probe else []
        stage = ipywidgets.VBox([*shared, twins]).add_class("rdmviz-stage")
        body = ipywidgets.Box([self.curves, stage]).add_class("rdmviz-body")
        head = ipywidgets.HTML(_headline(state)).add_class("rdmviz-head")
        super().__init__([head, self.controls, self.bar, body])
        self.add_class("rdmviz-explorer").add_class("rdmviz-comparison")


_HEADED: Final = 4


def _headline(state: ComparisonState) -> str:
    """Title and facts of the runs as HTML; every text of a run is escaped."""
    names = " · ".join(html.escape(name) for name in state.names[:_HEADED])
    more = f" and {len(state.names) - _HEADED} more" if len(state.names) > _HEADED else ""
    if state.difference is None:
        probe = f"one probe of {state.runs[0].n_samples:,} datapoints: a selection holds in every map"
    else:
        probe = (
            f"the probes differ ({html.escape(state.difference)}): selections stay with their run, "
            "and subspaces of different datapoints have no overlap"
        )
    sizes = ", ".join(f"{run.n_steps:,}" for run in state.runs)
    return f"<h3>{names}{more}</h3><p>{len(state.runs)} runs of {sizes} recorded rows · {probe}</p>"
