"""Runs beside each other: curves overlaid, twin maps under one cursor, overlap of their subspaces."""

from __future__ import annotations

import html
import threading
from collections.abc import Sequence
from typing import Any, Final

import ipywidgets

from rdmviz.analysis.aligning import Transitions
from rdmviz.run import TrainingRun
from rdmviz.widgets.closing import close, parts_of
from rdmviz.widgets.comparison_controls import ComparisonControls
from rdmviz.widgets.comparison_curves import ComparisonCurves
from rdmviz.widgets.comparison_scene import ComparisonBar, ComparisonLink, RunHeading
from rdmviz.widgets.comparison_state import ComparisonState
from rdmviz.widgets.datapoint_map import DatapointMap
from rdmviz.widgets.legend import Legend
from rdmviz.widgets.preparing import Preparing, takes_long
from rdmviz.widgets.status import StatusLine


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
        self._composed = threading.Event()
        self._closing = threading.RLock()  # pictures that are there are closed once, by whoever comes last
        super().__init__()
        self.add_class("rdmviz-explorer").add_class("rdmviz-comparison")
        self._prepare()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until the pictures are there, which for large runs takes a pass over the losses of each.

        Returns False if `seconds` pass before.
        """
        return self._composed.wait(seconds)

    def _prepare(self) -> None:
        """Read the losses of one run after the other where that takes long, then compose."""
        if self.comm is None:
            return  # closed as the reading of a run ended: nobody waits for the next
        state = self.state
        before = list(getattr(self, "children", ()))
        waiting = [each for each in state.states if takes_long(each.run, state.window)]
        if waiting:
            preparing = Preparing(waiting[0], state.window, self._prepare)
            self.children = [self._head(), preparing]
            preparing.start()
        else:
            self._compose()
        close(*before)

    def _head(self) -> ipywidgets.HTML:
        return ipywidgets.HTML(_headline(self.state)).add_class("rdmviz-head")

    def _compose(self) -> None:
        state = self.state
        self.maps = [DatapointMap(each) for each in state.states]
        self.link = ComparisonLink(state)
        scene = self.link.scene
        self.curves = ComparisonCurves(state, scene)
        self.controls = ComparisonControls(state)
        self.bar = ComparisonBar(scene=scene).add_class("rdmviz-comparison-bar")
        self.headings = [RunHeading(scene=scene, run=k) for k in range(len(state.runs))]
        # With one probe the colours mean the same in every map; with several each map has its own legend.
        self.legends = [Legend(each) for each in (state.states[:1] if state.shared_probe else state.states)]
        twins = [
            ipywidgets.VBox([heading, StatusLine(each), *legend, picture]).add_class("rdmviz-twin")
            for heading, each, legend, picture in zip(
                self.headings,
                state.states,
                [[]] * len(self.maps) if state.shared_probe else [[legend] for legend in self.legends],
                self.maps,
                strict=True,
            )
        ]
        beside = ipywidgets.Box(twins).add_class("rdmviz-twins")
        stage = ipywidgets.VBox([*(self.legends if state.shared_probe else []), beside])
        body = ipywidgets.Box([self.curves, stage.add_class("rdmviz-stage")]).add_class("rdmviz-body")
        with self._closing:
            self.children = [self._head(), self.controls, self.bar, body]
            if self.comm is None:  # closed while the pictures were made in the thread that reads
                self.link.close()
                close(*self.children)
            self._composed.set()

    def close(self) -> None:
        """Leave the page, and the kernel's memory, with everything that this comparison is made of."""
        with self._closing:
            if self.comm is not None:
                if self._composed.is_set():
                    self.link.close()
                parts = parts_of(self)
                super().close()
                close(*parts)


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
