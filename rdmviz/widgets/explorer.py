"""The explorer: one run, one cursor, every picture in step."""

from __future__ import annotations

import html
from typing import Any

import ipywidgets
import numpy as np

from rdmviz.analysis.of_a_run import require_run
from rdmviz.run import TrainingRun
from rdmviz.widgets.controls import Controls
from rdmviz.widgets.curves import WarningCurves
from rdmviz.widgets.datapoint_map import DatapointMap
from rdmviz.widgets.datapoints import DatapointTable
from rdmviz.widgets.legend import Legend
from rdmviz.widgets.matrix import MatrixView
from rdmviz.widgets.scene import Scene
from rdmviz.widgets.spectrum import SpectrumView
from rdmviz.widgets.state import ExplorerState
from rdmviz.widgets.time_bar import TimeBar


def explore(
    run: TrainingRun,
    *,
    step: int | None = None,
    window: int | None = None,
    detrend: str = "linear",
    mode_detrend: str = "constant",
    coloring: str | None = None,
    map_scale: str = "linear",
    **chosen: Any,
) -> Explorer:
    """Open a run in the explorer.

    Parameters
    ----------
    run
        The run, from `open_run`, `load_example`, a `Recorder` or `TrainingRun.from_arrays`.
    step
        Recorded step to start at; default the last one.
    window
        Rows per window; default 64, less for runs of fewer than 192 rows.
    detrend
        In-window detrending of the warning curves.
    mode_detrend
        In-window detrending of the modes (map, matrix, spectrum).
    coloring
        ``"group"``, ``"loss"`` or a probe column; default the first column with a few classes.
    map_scale
        ``"linear"``, or ``"log"`` where loadings span decades (memorised against held-out datapoints, say).
    **chosen
        Any other trait of :class:`~rdmviz.widgets.ExplorerState` by its name, such as ``modes=(1, 3)``.

    Returns
    -------
    Explorer
        A widget; its `state` can be driven and observed from Python.

    Raises
    ------
    OptionError
        If ``run`` is not a TrainingRun, or an option is not among the choices.
    WindowError, StepNotFoundError, ProbeError
        If the run does not have what was asked for.

    Examples
    --------
    >>> import rdmviz
    >>> explorer = rdmviz.explore(rdmviz.load_example("grokking"))
    >>> explorer.state.step = 4800
    """
    require_run(run, "explore")
    state = ExplorerState(
        run,
        step=step,
        window=window,
        detrend=detrend,
        mode_detrend=mode_detrend,
        coloring=coloring,
        map_scale=map_scale,
        **chosen,
    )
    return Explorer(state)


class Explorer(ipywidgets.VBox):  # type: ignore[misc]  # ipywidgets carries no types
    """Warning curves, datapoint map, 2RDM and spectrum of one run under one cursor.

    Parameters
    ----------
    state
        The one source of truth; several explorers may share it and then stay in step.
    """

    def __init__(self, state: ExplorerState) -> None:
        self.state = state
        self.time = TimeBar(state)
        self.curves = WarningCurves(state)
        self.legend = Legend(state)
        self.map = DatapointMap(state)
        self.matrix = MatrixView(state)
        self.spectrum = SpectrumView(state)
        self.datapoints = DatapointTable(state)
        self.controls = Controls(state)
        pictures = ipywidgets.Box([self.map, self.matrix, self.spectrum]).add_class("rdmviz-pictures")
        stage = ipywidgets.VBox([self.legend, pictures]).add_class("rdmviz-stage")
        body = ipywidgets.Box([self.curves, stage]).add_class("rdmviz-body")
        head = ipywidgets.HTML(_headline(state.run, len(self.map.link.shown))).add_class("rdmviz-head")
        super().__init__([head, self.controls.widget, self.time, body, self.datapoints])
        self.add_class("rdmviz-explorer")

    @property
    def scene(self) -> Scene:
        """The browser's half of the state."""
        return self.map.link.scene


def _headline(run: TrainingRun, shown: int) -> str:
    """Title and facts of a run as HTML; every text of the run is escaped."""
    title = html.escape(run.name or "Training run")
    steps = f"steps {int(run.steps[0]):,} to {int(run.steps[-1]):,}"
    facts = [f"{run.n_steps:,} recorded rows, {steps}", f"{run.n_samples:,} probe datapoints"]
    if shown < run.n_samples:
        facts.append(f"{shown:,} of them drawn, all of them computed")
    columns = [html.escape(str(name)) for name in run.probe.data_vars]
    if columns:
        facts.append("metadata: " + ", ".join(columns))
    silent = np.flatnonzero(~run.finite_rows())
    if silent.size:
        facts.append(f"NaN or infinite losses from step {int(run.steps[silent[0]]):,}")
    return f"<h3>{title}</h3><p>{' · '.join(facts)}</p>"
