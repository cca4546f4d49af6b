"""The one source of truth of an explorer: views observe it and write to it, never to each other."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import traitlets as t

from rdmviz.analysis.datapoints import METADATA
from rdmviz.compute.rdm.detrending import DETRENDS, check_window
from rdmviz.errors import OptionError, ProbeError, WindowError
from rdmviz.run import TrainingRun
from rdmviz.widgets.categories import few_values
from rdmviz.widgets.keeping import Kept
from rdmviz.widgets.lenses import check_lens
from rdmviz.widgets.signals import GAUSSIAN, MOST_SIGNALS, offered

if TYPE_CHECKING:
    from rdmviz.widgets.link import SceneLink

COMPUTED_COLORINGS: Final = ("group", "loss", "loading", "drift")
MODES: Final = 8  # modes held at every step: any two may be on the map
# What may be chosen, by the name of its trait.
CHOICES: Final = {
    "detrend": DETRENDS,
    "mode_detrend": DETRENDS,
    "map_scale": ("linear", "log"),
    "plane": ("moving", "fixed"),
    "sizing": ("equal", "loading"),
    "matrix": ("covariance", "correlation"),
    "spectrum_scale": ("log", "linear"),
    "curve_scale": ("auto", "log", "linear"),
    "loss_curves": ("coloring", "groups", "selection", "mean"),
}
KINDS_OF_MARK: Final = ("transition", "alarm")


class ExplorerState(Kept):
    """What an explorer shows: a run, a step, a window, and what the person chose.

    Works without a browser: set the traits, read the traits.

    Parameters
    ----------
    run
        The run on screen.
    step
        Recorded step to start at; default the last one.
    window
        Window length in rows, for curves and modes alike; default 64, or what a short run allows.
    coloring
        ``"group"``, ``"loss"``, ``"loading"``, ``"drift"`` or the name of a probe column; default the first
        column with a few classes.
    **chosen
        Any other trait by its name.

    Raises
    ------
    StepNotFoundError, WindowError, OptionError, ProbeError
        When a trait is set to what the run does not have; the state then keeps its value.
    """

    run = t.Instance(TrainingRun)
    step = t.Int(help="recorded step on screen; one outside the span widens the span")
    span: Any = t.Tuple(
        t.Int(),
        t.Int(),
        help="first and last step on the time axes, snapped outward to recorded ones; the step moves in",
    )
    window = t.Int(64, help="window length, rows")
    detrend: Any = t.Unicode("linear", help="detrending of the warning curves")
    mode_detrend: Any = t.Unicode("constant", help="detrending of the modes; 'constant' keeps the drift")
    modes: Any = t.Tuple(
        t.Int(), t.Int(), default_value=(1, 2), help="modes on the map, across and up, from 1"
    )
    plane = t.Unicode(
        "moving", help="'moving': each step's own modes; 'fixed': the modes of plane_step throughout"
    )
    plane_step: Any = t.Int(
        None,
        allow_none=True,
        help="step whose modes span a fixed plane; None: the one on screen when it is fixed",
    )
    map_scale = t.Unicode("linear", help="'linear', or 'log' for loadings that span decades")
    coloring = t.Unicode("group", help="'group', 'loss', 'loading', 'drift' or a probe column")
    sizing = t.Unicode("equal", help="size of a datapoint: 'equal', or by its 'loading' in the map's modes")
    trails = t.Int(0, help="rows of past positions drawn behind each selected datapoint; 0: none")
    matrix = t.Unicode("covariance", help="'covariance' or 'correlation' of the datapoints' losses")
    spectrum_scale = t.Unicode("log", help="axis of the eigenvalues, 'log' or 'linear'")
    lens = t.Unicode(
        "", help="another picture of the datapoints beside the map: 'gaussian' (of snapshots), or ''"
    )
    signals: Any = t.Tuple(help="names of the curves on screen, top to bottom; empty: the default ones")
    curve_scale = t.Unicode(
        "auto", help="axis of the curves: 'auto' (as each is best read), 'log' or 'linear'"
    )
    loss_curves = t.Unicode(
        "coloring",
        help="mean losses of the 'coloring' classes, 'groups' at this step, 'selection', or all: 'mean'",
    )
    marks: Any = t.List(
        t.Dict(), help="events on the time axes: step, kind ('transition' or 'alarm') and text of each"
    )
    selection = t.List(t.Int(), help="selected datapoints, in the order of selection")
    hovered = t.List(t.Int(), help="datapoint, or pair, under the pointer")
    following = t.Bool(default_value=False, help="whether rows are taken in while the run is being recorded")
    troubles: Any = t.Dict(t.Unicode(), help="what went wrong, in words, by the part it happened in")

    link: SceneLink | None = None  # the browser's half, once a view is made

    def __init__(
        self,
        run: TrainingRun,
        *,
        step: int | None = None,
        window: int | None = None,
        coloring: str | None = None,
        **chosen: Any,
    ) -> None:
        for name in chosen:
            if name not in self.trait_names():
                raise OptionError(f"{name}={chosen[name]!r}: an explorer has no such option")
        self.lock = threading.RLock()  # held by whoever changes several things at once
        super().__init__(
            run=run,
            span=chosen.pop("span", (int(run.steps[0]), int(run.steps[-1]))),
            step=int(run.steps[-1]) if step is None else step,
            window=default_window(run.n_steps) if window is None else window,
            coloring=default_coloring(run) if coloring is None else coloring,
            **chosen,
        )
        self._step_moves_in()
        self.observe(self._step_moves_in, "span")
        self.observe(self._span_widens, "step")
        self.open_bookmarks()

    @property
    def index(self) -> int:
        """Row of the step on screen."""
        return int(self.run.index_of(self.step))

    @property
    def colorings(self) -> tuple[str, ...]:
        """What the datapoints can be coloured by."""
        columns = tuple(str(name) for name in self.run.probe.data_vars)
        return (*COMPUTED_COLORINGS, *(n + METADATA if n in COMPUTED_COLORINGS else n for n in columns))

    @property
    def can_follow(self) -> bool:
        """Whether the run was opened from a store that rows may be committed to."""
        store = self.run.store
        return store is not None and self.run.chunked is None and store.grows

    def grow(self, run: TrainingRun) -> None:
        """Take over the same run with more rows (see :func:`rdmviz.analysis.grown`).

        A state at the newest step moves on to the newest; a span over the whole run goes on to be that.
        """
        first, last = int(self.run.steps[0]), int(self.run.steps[-1])
        newest, whole = self.step == last, self.span == (first, last)
        self.run = run
        if whole:
            self.span = (first, int(run.steps[-1]))
        if newest:
            self.step = int(run.steps[-1])

    @property
    def most_modes(self) -> int:
        """Number of modes that can be put on the map."""
        return min(MODES, self.run.n_samples, self.window)

    @t.validate("step")
    def _recorded(self, proposal: Any) -> int:
        self.run.index_of(proposal["value"])
        return int(proposal["value"])

    @t.validate("plane_step")
    def _recorded_or_none(self, proposal: Any) -> int | None:
        return None if proposal["value"] is None else self._recorded(proposal)

    @t.validate("span")
    def _ordered(self, proposal: Any) -> tuple[int, int]:
        low, high = proposal["value"]
        first, last = int(self.run.steps[0]), int(self.run.steps[-1])
        if not first <= low < high <= last and (low, high) != (first, last):
            raise OptionError(
                f"span=({low}, {high}): two steps in order, between {first} and {last}, are expected"
            )
        return self._between(low, high)

    def _between(self, low: int, high: int) -> tuple[int, int]:
        """Return the recorded steps that hold two others between them."""
        steps = self.run.steps
        return (
            int(steps[np.searchsorted(steps, low, "right") - 1]),
            int(steps[np.searchsorted(steps, high, "left")]),
        )

    def _step_moves_in(self, _change: object = None) -> None:
        low, high = self.span
        if not low <= self.step <= high:
            self.step = min(max(self.step, low), high)

    def _span_widens(self, _change: object) -> None:
        low, high = self.span
        if not low <= self.step <= high:
            self.span = (min(low, self.step), max(high, self.step))

    @t.validate("signals")
    def _drawable(self, proposal: Any) -> tuple[str, ...]:
        names, known = tuple(proposal["value"]), offered(self.run)
        for name in names:
            if name not in known:
                if name in (signal.name for signal in GAUSSIAN):
                    _ = self.run.gaussian  # says how to record it
                raise OptionError(f"signals: {name!r} is unknown; this run offers {', '.join(known)}")
        if len(names) > MOST_SIGNALS or len(set(names)) < len(names):
            raise OptionError(f"signals={names}: up to {MOST_SIGNALS} different names are expected")
        return names

    @t.validate("lens")
    def _has_it(self, proposal: Any) -> str:
        return check_lens(self.run, proposal["value"])

    @t.validate("window")
    def _fits(self, proposal: Any) -> int:
        for detrend in (self.detrend, self.mode_detrend):
            check_window(proposal["value"], detrend, self.run.n_steps)
        return int(proposal["value"])

    @t.validate(*CHOICES)
    def _known(self, proposal: Any) -> str:
        name, value = proposal["trait"].name, proposal["value"]
        if value not in CHOICES[name]:
            raise OptionError(f"{name}={value!r}: choose one of {', '.join(CHOICES[name])}")
        if name in ("detrend", "mode_detrend"):
            check_window(self.window, value, self.run.n_steps)
        return str(value)

    @t.validate("modes")
    def _held(self, proposal: Any) -> tuple[int, int]:
        first, second = proposal["value"]
        if first == second or not (1 <= first <= MODES and 1 <= second <= MODES):
            raise OptionError(f"modes=({first}, {second}): choose two different ones of 1 to {MODES}")
        return first, second

    @t.validate("trails")
    def _not_negative(self, proposal: Any) -> int:
        if proposal["value"] < 0:
            raise OptionError(f"trails={proposal['value']}: a number of rows, 0 for none, is expected")
        return int(proposal["value"])

    @t.validate("following")
    def _can_follow(self, proposal: Any) -> bool:
        if proposal["value"] and not self.can_follow:
            raise OptionError(
                f"following=True: run {self.run.name!r} does not grow; follow one that was opened with "
                "rdmviz.open_run(path) from the folder or URL that a Recorder writes"
            )
        return bool(proposal["value"])

    @t.observe("plane")
    def _keep_this_plane(self, change: Any) -> None:
        if change["new"] == "fixed" and self.plane_step is None:
            self.plane_step = self.step

    @t.validate("coloring")
    def _offered(self, proposal: Any) -> str:
        if proposal["value"] not in self.colorings:
            raise ProbeError(
                f"coloring={proposal['value']!r}: this run offers {', '.join(map(repr, self.colorings))}"
            )
        return str(proposal["value"])

    @t.validate("marks")
    def _marks(self, proposal: Any) -> list[dict[str, Any]]:
        for mark in proposal["value"]:
            if mark.get("kind") not in KINDS_OF_MARK or "step" not in mark:
                raise OptionError(
                    f"mark {mark!r}: a step, a kind ({' or '.join(KINDS_OF_MARK)}) and a text are expected"
                )
        return [
            {"step": int(m["step"]), "kind": m["kind"], "text": str(m.get("text", ""))}
            for m in proposal["value"]
        ]

    @t.validate("selection", "hovered")
    def _datapoints(self, proposal: Any) -> list[int]:
        n = self.run.n_samples
        for sample in proposal["value"]:
            if not 0 <= sample < n:
                raise ProbeError(f"datapoint {sample} is not in the probe: choose between 0 and {n - 1}")
        return list(dict.fromkeys(proposal["value"]))


def default_window(rows: int) -> int:
    """64 rows, or a quarter of a run too short to show anything with 64."""
    if rows < 5:
        raise WindowError(
            f"this run has {rows} recorded rows; the explorer needs at least 5 to fill a window: "
            "record more often"
        )
    return 64 if rows >= 192 else max(5, rows // 4)


def default_coloring(run: TrainingRun) -> str:
    """Return the first probe column that splits the datapoints into a few classes, else ``"group"``."""
    for name, column in run.probe.data_vars.items():
        values = np.asarray(column.values)
        found = few_values(values, 8) if values.dtype.kind in "UTOb" else None
        if found is not None and len(found) >= 2:
            return f"{name}{METADATA}" if name in COMPUTED_COLORINGS else str(name)
    return "group"
