"""The explorer: one run, one cursor, every picture in step."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from os import PathLike
from typing import Any, cast, overload

import ipywidgets

from rdmviz.analysis.of_a_run import require_run
from rdmviz.run import TrainingRun
from rdmviz.widgets.closing import close, parts_of
from rdmviz.widgets.compare import Comparison, compare
from rdmviz.widgets.controls import Controls
from rdmviz.widgets.curves import WarningCurves
from rdmviz.widgets.datapoint_map import DatapointMap
from rdmviz.widgets.datapoints import DatapointTable
from rdmviz.widgets.headline import Headline
from rdmviz.widgets.keep_bar import KeepBar
from rdmviz.widgets.legend import Legend
from rdmviz.widgets.lenses import LENSES, lenses_of
from rdmviz.widgets.matrix import MatrixView
from rdmviz.widgets.mode_strip import ModeStrip
from rdmviz.widgets.opening import telling_step
from rdmviz.widgets.picturing import figure
from rdmviz.widgets.preparing import Preparing, takes_long
from rdmviz.widgets.scene import Scene
from rdmviz.widgets.spectrum import SpectrumView
from rdmviz.widgets.state import ExplorerState
from rdmviz.widgets.status import StatusLine
from rdmviz.widgets.tables import save_table
from rdmviz.widgets.time_bar import TimeBar
from rdmviz.widgets.trouble import told
from rdmviz.widgets.view import CanvasView


@overload
def explore(run: TrainingRun, **options: Any) -> Explorer: ...
@overload
def explore(run: Sequence[TrainingRun], **options: Any) -> Comparison: ...
def explore(
    run: TrainingRun | Sequence[TrainingRun],
    *,
    step: int | None = None,
    window: int | None = None,
    detrend: str = "linear",
    mode_detrend: str = "constant",
    coloring: str | None = None,
    map_scale: str = "linear",
    **chosen: Any,
) -> Explorer | Comparison:
    """Open a run in the explorer, or several beside each other.

    Parameters
    ----------
    run
        The run, from `open_run`, `load_example`, a `Recorder` or `TrainingRun.from_arrays`; or two to eight.
    step
        Recorded step to start at (of the first run); default, for one run, the most prominent peak of the
        spectral heat capacity, else its largest value; the newest step of a run that is followed, and the
        last place of a comparison.
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
        Any other trait of :class:`~rdmviz.widgets.ExplorerState` by its name, such as ``modes=(1, 3)``; of
        :class:`~rdmviz.widgets.ComparisonState`, such as ``align="loss"``, for several runs.

    Returns
    -------
    Explorer, or Comparison for several runs
        A widget; its `state` can be driven and observed from Python.

    Raises
    ------
    OptionError
        If ``run`` is not a TrainingRun or two to eight of them, or an option is not among the choices.
    WindowError, StepNotFoundError, ProbeError
        If the run does not have what was asked for.

    Examples
    --------
    >>> import rdmviz
    >>> explorer = rdmviz.explore(rdmviz.load_example("grokking"))
    >>> explorer.state.step = 4800
    """
    options: dict[str, Any] = {
        "step": step,
        "window": window,
        "detrend": detrend,
        "mode_detrend": mode_detrend,
        "coloring": coloring,
        "map_scale": map_scale,
        **chosen,
    }
    if isinstance(run, list | tuple):
        return compare(run, **options)
    require_run(run, "explore")
    state = ExplorerState(cast(TrainingRun, run), **options)
    if step is not None or state.following:
        return Explorer(state)
    plane = ("plane_step",) if state.plane == "fixed" and chosen.get("plane_step") is None else ()
    return Explorer(state, seek=("step", *plane))


class Explorer(ipywidgets.VBox):  # type: ignore[misc]  # ipywidgets carries no types
    """Warning curves, datapoint map, 2RDM and spectrum of one run under one cursor.

    Parameters
    ----------
    state
        The one source of truth; several explorers may share it and then stay in step.
    seek
        Traits of the state that are set to the step that has most to tell once the curves are known, unless
        time was moved before.
    """

    def __init__(self, state: ExplorerState, *, seek: tuple[str, ...] = ()) -> None:
        self.state = state
        self._seek = seek, state.step
        self._composed = threading.Event()
        super().__init__()
        self.add_class("rdmviz-explorer")
        if takes_long(state.run, state.window):
            preparing = Preparing(state, state.window, self._compose)
            self.children = [Headline(state), preparing]
            preparing.start()
        else:
            self._compose()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until the pictures are there, which for a large run takes a pass over its losses.

        Returns False if `seconds` pass before.
        """
        return self._composed.wait(seconds)

    def save_figure(
        self, path: str | PathLike[str], view: str = "map", *, width: float | None = None
    ) -> None:
        """Write one of the pictures for a paper, see :func:`rdmviz.figure`."""
        figure(self.state, view, path, width=width)

    def save_table(self, path: str | PathLike[str], table: str = "curves") -> None:
        """Write one of the tables as CSV, see :func:`rdmviz.widgets.tables.table_csv`."""
        save_table(self.state, path, table)

    def _compose(self) -> None:
        state = self.state
        self._go_to_what_tells()
        self.time = TimeBar(state)
        self.curves = WarningCurves(state)
        self.legend = Legend(state)
        self.map = DatapointMap(state)
        self.matrix = MatrixView(state)
        self.spectrum = SpectrumView(state)
        self.strip = ModeStrip(state)
        self.datapoints = DatapointTable(state)
        self.status = StatusLine(state)
        self.keep = KeepBar(state)
        self.controls = Controls(state, self._try_window)
        self.pictures = ipywidgets.Box([self.map, self.matrix, self.spectrum]).add_class("rdmviz-pictures")
        self.lens: CanvasView | None = None
        self.scene.lenses = [[name, lens.title] for name, lens in lenses_of(state.run).items()]
        self._put_lens()
        state.observe(self._put_lens, "lens")
        stage = ipywidgets.VBox([self.legend, self.pictures, self.strip]).add_class("rdmviz-stage")
        body = ipywidgets.Box([self.curves, stage]).add_class("rdmviz-body")
        before = self.children
        lower = [self.datapoints, self.keep]
        self.children = [Headline(state), self.controls, self.status, self.time, body, *lower]
        close(*before)
        if self.comm is None:  # closed while the pictures were made in the thread that reads
            self._leave()
            close(*self.children)
        self._composed.set()

    def _put_lens(self, _change: object = None) -> None:
        """Put what the state asks for beside the map, and away what was there."""
        before, name = self.lens, self.state.lens
        with self.state.lock, told(self.state, "pictures"):
            self.lens = LENSES[name].view(self.state) if name else None
            beside = [] if self.lens is None else [self.lens]
            self.pictures.children = [self.map, *beside, self.matrix, self.spectrum]
            (self.pictures.add_class if beside else self.pictures.remove_class)("rdmviz-with-lens")
        if before is not None:
            before.close()

    def _leave(self) -> None:
        if hasattr(self, "pictures"):  # else it was closed before there were any
            self.state.unobserve(self._put_lens, "lens")

    def _go_to_what_tells(self) -> None:
        (names, step), state = self._seek, self.state
        with state.lock, told(state, "curves"):
            if names and state.step == step:
                found = telling_step(state)
                for name in names:
                    setattr(state, name, found)

    def _try_window(self, window: int) -> None:
        """Set the window, after a pass over the losses with its progress on the screen if one is needed."""
        state = self.state
        shown = [part for part in self.children if not isinstance(part, Preparing)]
        earlier = [part for part in self.children if isinstance(part, Preparing)]
        self.children = shown
        close(*earlier)  # the window chosen last is the one that counts
        if not takes_long(state.run, window):
            state.window = window
            return

        def done() -> None:
            with state.lock:
                if preparing in self.children:
                    state.window = window
            put_away()

        def put_away() -> None:
            if preparing in self.children:  # else another window was chosen since
                self.children = shown
                self.controls.window.value = state.window
            close(preparing)

        preparing = Preparing(state, window, done, put_away)
        self.children = [*shown[:2], preparing, *shown[2:]]
        preparing.start()

    def close(self) -> None:
        """Leave the page, and the kernel's memory, with everything that this explorer is made of."""
        if self.comm is not None:
            parts = parts_of(self)
            super().close()
            self._leave()
            close(*parts)

    @property
    def scene(self) -> Scene:
        """The browser's half of the state."""
        return self.map.link.scene
