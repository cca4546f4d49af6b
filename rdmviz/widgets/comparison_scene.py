"""The browser's half of a comparison, and the canvas views that draw it."""

from __future__ import annotations

from typing import Any

import anywidget
import ipywidgets
import numpy as np
import traitlets as t

from rdmviz.widgets.comparison_state import ComparisonState
from rdmviz.widgets.link import SceneLink
from rdmviz.widgets.scene import Scene
from rdmviz.widgets.view import CanvasView

# Not the first colours of the datapoints' categories: what is drawn in them is a run.
RUN_COLORS = ("#d55e00", "#8c6bb1", "#009e73", "#cc79a7", "#1f83c6", "#e69f00", "#56b4e9", "#a6a018")


class ComparisonScene(ipywidgets.Widget):  # type: ignore[misc]  # ipywidgets carries no types
    """Places of the common axis and each run's row there: one move in the browser moves all maps.

    Binary traits are little-endian, one value per place: ``coordinates`` and ``shares`` (of the axis' length)
    float64; by run ``rows`` int32, ``steps`` float64 and ``inside`` uint8. A move arrives as the
    custom message ``{"kind": "place", "revision", "place"}``: the browser has moved the runs' scenes by then.
    """

    place = t.Int(help="place of the cursor").tag(sync=True, echo_update=False)
    revision = t.Int(help="rises with every new axis").tag(sync=True)
    coordinates = t.Bytes().tag(sync=True)
    shares = t.Bytes().tag(sync=True)
    rows = t.Bytes().tag(sync=True)
    steps = t.Bytes().tag(sync=True)
    inside = t.Bytes().tag(sync=True)
    axis = t.Unicode(help="what the coordinate is").tag(sync=True)
    names = t.List(t.Unicode()).tag(sync=True)
    colors = t.List(t.Unicode()).tag(sync=True)
    outside: Any = t.List(help="what to say before and after the stretch of each run").tag(sync=True)
    flags = t.List(t.Unicode(), help="transition of each run, in words").tag(sync=True)
    scenes = t.List(t.Instance(Scene)).tag(sync=True, **ipywidgets.widget_serialization)


class ComparisonView(anywidget.AnyWidget):
    """A canvas view of a comparison."""

    _esm = CanvasView._esm
    _css = CanvasView._css

    part = t.Unicode().tag(sync=True)
    scene = t.Instance(ComparisonScene).tag(sync=True, **ipywidgets.widget_serialization)


class ComparisonBar(ComparisonView):
    """Moves the cursor: arrow keys (Shift for ten), Home, End, Space plays; and names the runs."""

    part = t.Unicode("comparison_bar").tag(sync=True)


class ComparisonCursor(ComparisonView):
    """The cursor over the curves: float32 values, one row of all places per readout."""

    part = t.Unicode("comparison_cursor").tag(sync=True)
    values = t.Bytes().tag(sync=True)
    titles = t.List(t.Unicode(), help="title of each figure under the cursor").tag(sync=True)
    readouts: Any = t.List(help="panel, label, colour and wholeness of each row of values").tag(sync=True)


class RunHeading(ComparisonView):
    """Names the run of a map and the step it is at, or says why it has none there."""

    part = t.Unicode("comparison_heading").tag(sync=True)
    run = t.Int().tag(sync=True)


class ComparisonLink:
    """Keeps a comparison's state and the browser in step.

    Parameters
    ----------
    state
        The comparison. Its runs' scenes must exist: make a view of each state first.
    """

    def __init__(self, state: ComparisonState) -> None:
        self.state = state
        self.links = [SceneLink.of(each) for each in state.states]
        self._lock = state.lock  # messages of the browser may arrive on another thread than the cells
        self.scene = ComparisonScene(
            names=state.names,
            colors=list(RUN_COLORS[: len(state.runs)]),
            scenes=[link.scene for link in self.links],
        )
        self._flags: list[float | None] = [None] * len(state.runs)
        self._renew()
        self._tell_flags()
        self.scene.on_msg(self._from_browser)
        state.observe(self._to_browser, "place")
        state.observe(self._renew, "revision")
        state.observe(self._tell_flags, "transitions")

    def _renew(self, _change: object = None) -> None:
        """Send the common axis."""
        state = self.state
        at = state.aligned["at"].values
        steps = np.stack([run.steps[rows] for run, rows in zip(state.runs, state.rows, strict=True)])
        with self.scene.hold_sync():
            self.scene.coordinates = at.astype("<f8").tobytes()
            self.scene.shares = axis_shares(at, log=logarithmic(state)).astype("<f8").tobytes()
            self.scene.rows = state.rows.astype("<i4").tobytes()
            self.scene.steps = steps.astype("<f8").tobytes()
            self.scene.inside = state.inside.astype("u1").tobytes()
            self.scene.axis = str(state.aligned["at"].attrs["long_name"])
            self.scene.outside = [_outside(at[inside], state.align) for inside in state.inside]
            self.scene.place = state.place
            self.scene.revision = state.revision

    def close(self) -> None:
        """Leave the state alone, and take the scene from the page."""
        self.state.unobserve(self._to_browser, "place")
        self.state.unobserve(self._renew, "revision")
        self.state.unobserve(self._tell_flags, "transitions")
        self.scene.close()

    def _from_browser(self, _scene: ComparisonScene, content: dict[str, Any], _buffers: Any) -> None:
        with self._lock:
            if content.get("kind") == "transition":
                self._flag(int(content["run"]))
            if content.get("kind") != "place" or content.get("revision") != self.scene.revision:
                return  # a move on an axis that is gone
            place = int(content["place"])
            if not 0 <= place < len(self.state.aligned["at"]):
                return
            # As if the browser had set each of them: it is not told of what it may have left behind by now.
            with self.state.moved():
                self.scene.set_state({"place": place})
                for link, row in zip(self.links, self.state.rows[:, place].tolist(), strict=True):
                    link.scene.set_state({"index": row})
            self.state.move(place)

    def _flag(self, run: int) -> None:
        """Take the step on screen for a run's transition; once every run has one, align by them."""
        state = self.state
        self._flags[run] = float(state.states[run].step)
        if None in self._flags:
            self._tell_flags()
        else:
            state.transitions = tuple(self._flags)
            state.align = "transition"

    def _tell_flags(self, _change: object = None) -> None:
        if self.state.transitions:
            self._flags = list(self.state.transitions)
        self.scene.flags = ["" if step is None else f"step {step:,.0f}" for step in self._flags]

    def _to_browser(self, change: Any) -> None:
        with self._lock:
            if self.scene.revision == self.state.revision:  # else the place comes with its axis
                self.scene.place = change["new"]


def logarithmic(state: ComparisonState) -> bool:
    """Whether the common axis is drawn on a log scale: that of positive losses."""
    return state.align == "loss" and bool(state.aligned["at"].values[-1] > 0)


def axis_shares(at: np.ndarray, *, log: bool) -> np.ndarray:
    """Place of coordinates along the drawn axis, from 0 to 1, in the direction of training."""
    drawn = np.log10(at) if log else at
    return np.asarray((drawn - drawn[0]) / ((drawn[-1] - drawn[0]) or 1.0))


def _outside(at: np.ndarray, by: str) -> list[str]:
    if by == "loss":
        return [f"starts at a mean loss of {at[0]:.3g}", f"never gets below a mean loss of {at[-1]:.3g}"]
    name = "step" if by == "step" else "step from transition"
    return [f"starts at {name} {at[0]:,.0f}", f"ends at {name} {at[-1]:,.0f}"]
