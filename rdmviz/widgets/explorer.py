"""The explorer: one run, one cursor, every picture in step."""

from __future__ import annotations

import html
from threading import RLock
from typing import Any

import ipywidgets
import numpy as np

from rdmviz.analysis import ModePath
from rdmviz.analysis.of_a_run import require_run
from rdmviz.compute.rdm.clusters import MAX_COUNT
from rdmviz.errors import ComputeError
from rdmviz.run import TrainingRun
from rdmviz.widgets.cards import MOST_CARDS, card
from rdmviz.widgets.colors import classes, color_by
from rdmviz.widgets.controls import Controls
from rdmviz.widgets.curves import WarningCurves
from rdmviz.widgets.frames import FrameSource, FrameState, choose_members, choose_shown
from rdmviz.widgets.scene import CanvasView, Scene
from rdmviz.widgets.state import ExplorerState, default_coloring

_MOST_FRAMES_ASKED = 64
_ANSWER_SECONDS = 0.1
_MODES = 4  # two are on the map, four shape the groups


def explore(
    run: TrainingRun,
    *,
    step: int | None = None,
    window: int | None = None,
    detrend: str = "linear",
    mode_detrend: str = "constant",
    coloring: str | None = None,
    map_scale: str = "linear",
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
        self.scene = Scene()
        self._lock = RLock()  # the browser's messages may arrive on another thread than the notebook's cells
        run = state.run
        self._shown = choose_shown(run.n_samples)
        with self.scene.hold_sync():
            self.scene.count = run.n_steps
            self.scene.steps = run.steps.astype("<f8").tobytes()
            self.scene.span = [float(run.steps[0]), float(run.steps[-1])]
            self.scene.shown = self._shown.astype("<u4").tobytes()
            self.scene.index = state.index
        self._renew_frames()
        self._recolor()
        # Before the curves' own observers: the browser greys the old pictures while the curves are computed.
        state.observe(self._on_modes, ["window", "mode_detrend", "map_scale"])
        state.observe(self._on_coloring, "coloring")
        self.time = CanvasView("time", self.scene)
        self.stage = CanvasView("stage", self.scene).add_class("rdmviz-stage-host")
        self.curves = WarningCurves(state, self.scene)
        self.controls = Controls(state)
        body = ipywidgets.Box([self.curves.widget, self.stage]).add_class("rdmviz-body")
        head = ipywidgets.HTML(_headline(run, len(self._shown))).add_class("rdmviz-head")
        super().__init__([head, self.controls.widget, self.time, body])
        self.add_class("rdmviz-explorer")
        self.scene.on_msg(self._answer)
        self.scene.observe(self._from_browser, ["index", "selection", "hovered"])
        state.observe(self._to_browser, ["step", "selection", "hovered"])

    def _renew_frames(self) -> None:
        state = self.state
        path = ModePath(state.run, window=state.window, detrend=state.mode_detrend, modes=_MODES)
        named = classes(state.run, default_coloring(state.run))
        members = choose_members(self._shown, None if named is None else named[0])
        self.frames = FrameSource(path, self._shown, members, state.map_scale)
        first = int(state.run.steps[path.first])
        with self.scene.hold_sync():
            self.scene.first = path.first
            self.scene.map_scale = state.map_scale
            self.scene.mode_detrend = state.mode_detrend
            self.scene.layout = self.frames.layout.describe()
            self.scene.notes = {
                str(FrameState.NO_WINDOW.value): (
                    f"A window of {state.window} rows is first full at step {first:,}: "
                    "move right to see the modes."
                ),
                str(FrameState.FLAT.value): "Nothing fluctuates in this window: its covariance is zero.",
                str(FrameState.NON_FINITE.value): (
                    "This window holds NaN or infinite losses: its covariance is not defined. "
                    "Move to a step before them."
                ),
            }
            self.scene.epoch += 1

    def _recolor(self) -> None:
        chosen = color_by(self.state.run, self.state.coloring, MAX_COUNT, self.frames.loss_range)
        with self.scene.hold_sync():
            self.scene.color_source = chosen.source
            self.scene.color_kind = chosen.kind
            self.scene.color_title = chosen.title
            self.scene.color_labels = list(chosen.labels)
            self.scene.color_codes = chosen.codes[self._shown].tobytes() if chosen.codes.size else b""

    def _answer(self, _scene: Scene, content: dict[str, Any], _buffers: list[memoryview]) -> None:
        """Send the frames the browser asks for, or the first of them: what comes next never waits long."""
        with self._lock:
            if content.get("kind") != "frames" or content.get("epoch") != self.scene.epoch:
                return  # the browser has learned of the new epoch by now, and asks again
            count = self.state.run.n_steps
            rows = [int(row) for row in content["rows"][:_MOST_FRAMES_ASKED] if 0 <= int(row) < count]
            packed = self.frames.pack(rows, _ANSWER_SECONDS)
            reply = {"kind": "frames", "epoch": self.scene.epoch, "rows": rows[: len(packed)]}
            reply["later"] = rows[len(packed) :]
        self.scene.send(reply, [b"".join(packed)])

    def _from_browser(self, change: Any) -> None:
        with self._lock:
            if change["name"] == "index":
                self.state.step = int(self.state.run.steps[change["new"]])
            else:
                setattr(self.state, change["name"], change["new"])

    def _to_browser(self, change: Any) -> None:
        with self._lock:
            if change["name"] == "step":
                self.scene.index = self.state.index
                if not (self.state.selection or self.state.hovered):
                    return
            else:
                setattr(self.scene, change["name"], list(change["new"]))
            self._describe()

    def _describe(self) -> None:
        """Write the cards of the datapoints pointed at, else of the selected ones."""
        samples = self.state.hovered or self.state.selection
        index = self.state.index
        try:
            frame = self.frames.path.at(index)
        except ComputeError:
            frame = None
        with self.scene.hold_sync():
            self.scene.cards = [card(self.state.run, s, index, frame) for s in samples[:MOST_CARDS]]
            self.scene.more_cards = max(0, len(samples) - MOST_CARDS)

    def _on_modes(self, _change: object) -> None:
        with self._lock:
            self._renew_frames()
            self._recolor()
            self._describe()

    def _on_coloring(self, _change: object) -> None:
        with self._lock:
            self._recolor()


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
