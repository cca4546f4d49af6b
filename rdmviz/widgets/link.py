"""What keeps a state and its scene in step, and answers the browser's requests for frames."""

from __future__ import annotations

import gc
import time
from typing import Any, Final

from traitlets import TraitError

from rdmviz.analysis import FixedPlane, ModePath
from rdmviz.compute.rdm.clusters import MAX_COUNT
from rdmviz.errors import (
    FlatWindowError,
    NonFiniteLossError,
    OptionError,
    ProbeError,
    SnapshotError,
    StepNotFoundError,
    WindowError,
)
from rdmviz.widgets.arrangement import by_preference
from rdmviz.widgets.at_rest import Details
from rdmviz.widgets.colors import classes, color_by
from rdmviz.widgets.frames import FrameSource, FrameState, choose_shown, drift_scale, loss_range
from rdmviz.widgets.live import Following
from rdmviz.widgets.positions import MapAxes
from rdmviz.widgets.scene import SHARED, Scene
from rdmviz.widgets.state import MODES, ExplorerState, default_coloring
from rdmviz.widgets.trouble import told

_MOST_FRAMES_ASKED: Final = 64
_ANSWER_SECONDS = 0.05
_REFUSED: Final = "choice"  # among the troubles
_REFUSALS: Final = (OptionError, ProbeError, SnapshotError, StepNotFoundError, WindowError, TraitError)
_AXES: Final = ["modes", "plane", "plane_step", "map_scale"]  # traits that make the axes of the map


class SceneLink:
    """The scene of a state: one for all of its views, from the first that joins to the last that leaves.

    Parameters
    ----------
    state
        Changes of the state reach the browser, and changes there reach the state.
    """

    def __init__(self, state: ExplorerState) -> None:
        self.state = state
        self.scene = Scene()
        self._views = 0
        # The browser's messages may arrive on another thread than the notebook's cells.
        self._lock = state.lock
        self._collect_soon = True
        self.shown = choose_shown(state.run.n_samples)
        # Once: colours keep their meaning.
        self._colored = loss_range(state.run), drift_scale(state.run, state.window)
        with self.scene.hold_sync():
            self._tell_rows()
            self.scene.can_follow = state.can_follow
            self.scene.probe_size = state.run.n_samples
            self.scene.shown = self.shown.astype("<u4").tobytes()
            self.scene.index = state.index
            for name in SHARED:
                setattr(self.scene, name, _plain(getattr(state, name)))
        self._renew_frames()
        self._recolor()
        state.observe(self._on_modes, ["window", "mode_detrend"])
        state.observe(self._on_axes, _AXES)
        state.observe(self._on_coloring, "coloring")
        state.observe(self._on_rows, "run")
        self.following = Following(state)
        self.details = Details(self)
        self.scene.on_msg(self._answer)
        self.scene.observe(self._from_browser, ["index", *SHARED])
        state.observe(self._to_browser, ["step", *SHARED])

    @classmethod
    def of(cls, state: ExplorerState) -> SceneLink:
        """Return the link of a state, made with its first view."""
        if state.link is None:
            state.link = cls(state)
        return state.link

    def join(self) -> None:
        """Count one more view."""
        self._views += 1

    def leave(self) -> None:
        """Count one view less; the last one takes the scene with it."""
        self._views -= 1
        if self._views == 0:
            self.following.stop()
            self.details.stop()
            self.state.unobserve(self._on_rows, "run")
            self.state.unobserve(self._on_modes, ["window", "mode_detrend"])
            self.state.unobserve(self._on_axes, _AXES)
            self.state.unobserve(self._on_coloring, "coloring")
            self.state.unobserve(self._to_browser, ["step", *SHARED])
            self.scene.unobserve_all()
            self.scene.close()
            self.state.link = None

    def _tell_rows(self) -> None:
        self.scene.count = self.state.run.n_steps
        self.scene.steps = self.state.run.steps.astype("<f8").tobytes()

    def _on_rows(self, _change: object) -> None:
        """More rows: what was computed of the others stays, here and in the browser."""
        with self._lock, self.scene.hold_sync():
            self.frames.path.go_on_in(self.state.run)
            self._tell_rows()

    def _renew_frames(self) -> None:
        state = self.state
        path = ModePath(state.run, window=state.window, detrend=state.mode_detrend, modes=MODES)
        named = classes(state.run, default_coloring(state.run))
        preferred = by_preference(self.shown, None if named is None else named[0])
        self.frames = FrameSource(path, self.shown, preferred, colored=self._colored)
        first = int(state.run.steps[path.first])
        with self.scene.hold_sync():
            self.scene.first = path.first
            self.scene.most_modes = state.most_modes
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
            self._renew_axes()

    def _renew_axes(self) -> None:
        """Lay out the map anew."""
        state = self.state
        self._axes = self._chosen_axes()
        notes = {k: text for k, text in self.scene.notes.items() if k != str(FrameState.NO_PLANE.value)}
        plane, axes = None, None
        try:
            if state.plane == "fixed" and state.plane_step is not None:
                path = self.frames.path
                plane = FixedPlane(path, int(state.run.index_of(state.plane_step)), state.modes)
            axes = MapAxes(self.shown, state.modes, state.map_scale, plane)
        except (FlatWindowError, NonFiniteLossError, WindowError):
            notes[str(FrameState.NO_PLANE.value)] = (
                f"The plane is fixed at step {state.plane_step:,}, which has no modes: fix it elsewhere."
            )
        with self.scene.hold_sync():
            self.frames.turn_to(axes)
            self.scene.map_scale = state.map_scale
            self.scene.notes = notes
            self.scene.epoch += 1

    def _chosen_axes(self) -> tuple[Any, ...]:
        state = self.state
        fixed_at = state.plane_step if state.plane == "fixed" else None
        return state.modes, state.plane, fixed_at, state.map_scale

    def _recolor(self) -> None:
        chosen = color_by(self.state.run, self.state.coloring, MAX_COUNT, *self._colored)
        with self.scene.hold_sync():
            self.scene.color_source = chosen.source
            self.scene.color_kind = chosen.kind
            self.scene.color_title = chosen.title
            self.scene.color_labels = list(chosen.labels)
            self.scene.color_codes = chosen.codes[self.shown].tobytes() if chosen.codes.size else b""

    def _answer(self, _scene: Scene, content: dict[str, Any], _buffers: list[memoryview]) -> None:
        """Send the frames the browser asks for, or the first of them: what comes next never waits long."""
        if content.get("kind") != "frames":
            self.details.answer(content)
            return
        with self._lock:
            if content.get("epoch") != self.scene.epoch:
                return  # the browser has learned of the new epoch by now, and asks again
            count = self.state.run.n_steps
            rows = [int(row) for row in content["rows"][:_MOST_FRAMES_ASKED] if 0 <= int(row) < count]
            packed: list[bytes] = []
            began = time.monotonic()
            with told(self.state, "pictures"):
                packed = self.frames.pack(rows, _ANSWER_SECONDS)
            reply = {"kind": "frames", "epoch": self.scene.epoch, "rows": rows[: len(packed)]}
            reply["later"] = rows[len(packed) :]
            reply["frame_ms"] = 1000 * (time.monotonic() - began) / max(1, len(packed))
        self.scene.send(reply, [b"".join(packed)])
        if self._collect_soon and gc.isenabled():
            # After all those imports a full collection is due, of 100 ms and more; better now, while the
            # first picture is being drawn, than amid the first scrub.
            self._collect_soon = False
            gc.collect()

    def _from_browser(self, change: Any) -> None:
        """Take a value over; one that the state refuses is put back and told until another is taken."""
        with self._lock:
            name, value, state = change["name"], change["new"], self.state
            if value == self._own(name):
                return
            try:
                if name == "index":
                    state.step = self._recorded(value)
                elif name == "span":
                    state.span = (round(value[0]), round(value[1]))
                else:
                    setattr(state, name, tuple(value) if name == "modes" else value)
            except _REFUSALS as error:
                state.troubles = {**state.troubles, _REFUSED: str(error)}
                setattr(self.scene, name, self._own(name))
                return
            if name != "hovered" and _REFUSED in state.troubles:  # a pointer moves before anybody has read it
                state.troubles = {part: words for part, words in state.troubles.items() if part != _REFUSED}

    def _own(self, name: str) -> Any:
        """Return what the state has for a trait of the scene."""
        return self.state.index if name == "index" else _plain(getattr(self.state, name))

    def _recorded(self, index: int) -> int:
        run = self.state.run
        if not 0 <= index < run.n_steps:
            raise StepNotFoundError(f"row {index} is not in this run: choose between 0 and {run.n_steps - 1}")
        return int(run.steps[index])

    def _to_browser(self, change: Any) -> None:
        with self._lock:
            # As the state has it by now: another thread may have changed it since.
            name = "index" if change["name"] == "step" else change["name"]
            setattr(self.scene, name, self._own(name))

    def _on_modes(self, _change: object) -> None:
        with self._lock, told(self.state, "pictures"):
            self._renew_frames()
            self._recolor()

    def _on_axes(self, _change: object) -> None:
        with self._lock, told(self.state, "pictures"):
            if self._axes != self._chosen_axes():
                self._renew_axes()

    def _on_coloring(self, _change: object) -> None:
        with self._lock:
            self._recolor()


def _plain(value: Any) -> Any:
    """Return a trait of the state as the scene has it: JSON knows no tuples."""
    return list(value) if isinstance(value, tuple | list) else value
