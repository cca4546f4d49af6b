"""What a comparison shows: one state per run, one place on their common axis, one choice for all."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import numpy as np
import traitlets as t
import xarray as xr
from numpy.typing import NDArray

from rdmviz.analysis.aligning import (
    ALIGNMENTS,
    CRITERIA,
    Transitions,
    align,
    reference_steps,
    unique_names,
)
from rdmviz.analysis.comparing import probe_difference
from rdmviz.compute.rdm.detrending import check_window
from rdmviz.errors import OptionError, ProbeError
from rdmviz.run import TrainingRun
from rdmviz.widgets.signals import LOSSES, Signal, offered
from rdmviz.widgets.state import CHOICES, ExplorerState, default_coloring, default_window

MOST_RUNS: Final = 8  # colours that can be told apart
FOR_ALL: Final = ("window", "detrend", "mode_detrend", "coloring", "map_scale")
"""Traits that all runs of a comparison have in common."""
POINTED: Final = ("selection", "hovered")


class ComparisonState(t.HasTraits):
    """Two or more runs under one cursor.

    Works without a browser: set the traits, read the traits. The states of the runs follow, and may be moved
    and linked to views of their own: the comparison then follows them.

    Parameters
    ----------
    runs
        Two to eight.
    align
        How they share an axis, see :func:`rdmviz.analysis.align`.
    transitions
        Step of each run's transition, one per run or by name; default the first mark of kind "transition".
    step
        Step of the first run to start at; default the end of the common axis.
    window
        Rows per window, for all; default what the shortest run allows.
    coloring
        ``"group"``, ``"loss"`` or a probe column that all runs have.
    **chosen
        Any other trait by its name.

    Raises
    ------
    OptionError, WindowError, ProbeError
        When a trait is set to what the runs do not have; the state then keeps its value.
    """

    align = t.Unicode("step", help="'step', 'transition', 'drift', 'spectral_heat_capacity' or 'loss'")
    transitions: Any = t.Tuple(help="step of each run's transition; empty: those that are marked")
    place = t.Int(help="position of the cursor among the places of the common axis")
    revision = t.Int(help="rises with every new common axis")
    drawn = t.Int(help="the revision that slow pictures may be drawn for: the cursor has been told of it")
    window = t.Int(help="window length, rows")
    detrend: Any = t.Unicode("linear", help="detrending of the curves")
    mode_detrend: Any = t.Unicode("constant", help="detrending of the modes")
    coloring = t.Unicode("group", help="'group', 'loss' or a probe column that all runs have")
    map_scale = t.Unicode("linear", help="'linear', or 'log' for loadings that span decades")
    signal = t.Unicode("spectral_heat_capacity", help="curve that is overlaid, of `signals`")
    curve_scale = t.Unicode("auto", help="its axis: 'auto', 'log' or 'linear'")
    overlap_modes = t.Int(help="dimension of the subspaces whose overlap is shown")

    def __init__(
        self,
        runs: Sequence[TrainingRun],
        *,
        align: str = "step",
        transitions: Transitions | None = None,
        step: int | None = None,
        window: int | None = None,
        coloring: str | None = None,
        overlap_modes: int | None = None,
        **chosen: Any,
    ) -> None:
        self.names = unique_names(runs)
        if len(runs) > MOST_RUNS:
            raise OptionError(f"{len(runs)} runs: a comparison shows {MOST_RUNS} at most; choose among them")
        for name in chosen:
            if name not in self.trait_names() or name in ("place", "revision", "drawn"):
                raise OptionError(f"{name}={chosen[name]!r}: a comparison has no such option")
        if window is None:
            window = default_window(min(run.n_steps for run in runs))
        self.lock = threading.RLock()
        self.states = [ExplorerState(run, window=window) for run in runs]
        for state in self.states:
            state.lock = self.lock  # one for all: who moves one run moves all
        self._moving = False
        self.difference = next(filter(None, (probe_difference(runs[0], run) for run in runs[1:])), None)
        if coloring is None:
            coloring = default_coloring(runs[0])
            coloring = coloring if coloring in self.colorings else "group"
        steps = () if transitions is None else reference_steps(self.runs, self.names, transitions)
        super().__init__()
        with self.moved():
            self.transitions = tuple(steps)
            for name, value in {
                "align": align,
                "window": window,
                "coloring": coloring,
                "overlap_modes": min(4, self.most_overlap_modes) if overlap_modes is None else overlap_modes,
                **chosen,
            }.items():
                setattr(self, name, value)
        for name in FOR_ALL:
            self._for_all({"name": name, "new": getattr(self, name)})
        self._realign()
        self.move(len(self.aligned["at"]) - 1 if step is None else self.place_of(0, runs[0].index_of(step)))
        self.observe(self._on_axis, ["align", "transitions", "window"])
        self.observe(self._for_all, list(FOR_ALL))
        self.observe(self._to_steps, "place")
        for state in self.states:
            state.observe(self._from_step, "step")
            state.observe(self._from_one, list(FOR_ALL))
            state.observe(self._share, list(POINTED))
            state.observe(self._on_axis, ["marks", "run"])

    @property
    def runs(self) -> list[TrainingRun]:
        """The runs, with all rows that are known by now."""
        return [state.run for state in self.states]

    @property
    def shared_probe(self) -> bool:
        """Whether all runs were recorded on the same datapoints."""
        return self.difference is None

    @property
    def colorings(self) -> tuple[str, ...]:
        """What the datapoints of all runs can be coloured by."""
        first, *others = (state.colorings for state in self.states)
        return tuple(name for name in first if all(name in other for other in others))

    @property
    def signals(self) -> dict[str, Signal]:
        """Curves that can be overlaid: those of any of the runs that take no eigenproblem per window."""
        every = {name: signal for run in self.runs for name, signal in offered(run).items()}
        return {name: each for name, each in every.items() if not each.dear and name != LOSSES}

    @property
    def rows(self) -> NDArray[np.intp]:
        """Row of each run at each place, ``(runs, places)``; its first or last one where it has none."""
        return self._rows

    @property
    def inside(self) -> NDArray[np.bool_]:
        """Whether each run has a row at each place, ``(runs, places)``."""
        return np.asarray(self.aligned["row"].values >= 0)

    @property
    def at(self) -> float:
        """Common coordinate of the cursor."""
        return float(self.aligned["at"].values[self.place])

    @contextmanager
    def moved(self) -> Iterator[None]:
        """Move several runs as one: nobody follows in between, and no other thread has a say."""
        with self.lock:
            before, self._moving = self._moving, True
            try:
                yield
            finally:
                self._moving = before

    @property
    def references(self) -> Sequence[float] | None:
        """Step of each run's transition, given or marked; None unless every run has one."""
        return self._references(self.transitions)

    @property
    def most_overlap_modes(self) -> int:
        """Largest dimension of the subspaces that are compared."""
        return min(8, *(run.n_samples for run in self.runs))

    def _references(self, given: Sequence[float]) -> Sequence[float] | None:
        if given:
            return given
        marked = [
            next((mark["step"] for mark in state.marks if mark["kind"] == "transition"), None)
            for state in self.states
        ]
        return None if None in marked else marked  # type: ignore[return-value]  # no None is left

    def _aligned(self, by: str, transitions: Sequence[float], window: int) -> xr.Dataset:
        return align(self.runs, by, transitions=self._references(transitions), window=window)

    def _realign(self) -> None:
        self.aligned = self._aligned(self.align, self.transitions, self.window)
        rows = self.aligned["row"].values
        self._rows = np.empty_like(rows)
        for run, row in enumerate(rows):  # a run has one stretch of places; beyond, it waits at its ends
            here = np.flatnonzero(row >= 0)
            self._rows[run] = row[np.clip(np.arange(len(row)), here[0], here[-1])]

    def place_of(self, run: int, row: int) -> int:
        """Place at which a run is at a row: the cursor's if it is there, else the run's own."""
        rows = self._rows[run]
        # By loss a run passes over the rows where it is not at its lowest: the last lowest one before counts.
        held = rows[max(0, np.searchsorted(rows, row, side="right") - 1)]
        if self.place < len(rows) and rows[self.place] == held:
            return self.place
        own = self.aligned["own"].values[run] & (self.aligned["row"].values[run] == held)
        return int(np.flatnonzero(own)[0])

    def move(self, place: int) -> None:
        """Put the cursor at a place and every run at its row."""
        with self.moved():
            self.place = place
            for state, row in zip(self.states, self._rows[:, place], strict=True):
                state.step = int(state.run.steps[row])

    def _to_steps(self, _change: object = None) -> None:
        with self.lock:
            if not self._moving:
                self.move(self.place)

    def _from_step(self, change: Any) -> None:
        with self.lock:
            if not self._moving:
                run = next(k for k, state in enumerate(self.states) if state is change["owner"])
                self.move(self.place_of(run, self.states[run].index))

    def _on_axis(self, change: Any) -> None:
        name = change["name"]
        if name == "window" and self.align not in CRITERIA:
            return
        if name == "transitions" and self.align != "transition":
            return
        if name == "marks" and (self.align != "transition" or self.transitions or self.references is None):
            return
        with self.lock:
            row = self.states[0].index
            self._realign()
            place = self.place_of(0, row)
            with self.hold_trait_notifications():  # whoever hears of the place knows of the new axis, too
                self.place = place
                self.revision += 1
            self.move(place)
        self.drawn = self.revision

    def _for_all(self, change: Any) -> None:
        with self.lock:
            if not self._moving:
                with self.moved():
                    for state in self.states:
                        setattr(state, change["name"], change["new"])

    def _from_one(self, change: Any) -> None:
        name, state = change["name"], change["owner"]
        with self.lock:
            if self._moving:
                return
            try:
                setattr(self, name, change["new"])
            except ValueError:
                with self.moved():
                    setattr(state, name, getattr(self, name))
                raise

    def _share(self, change: Any) -> None:
        if self.shared_probe:
            with self.lock:
                for state in self.states:
                    setattr(state, change["name"], change["new"])

    @t.validate("align")
    def _alignable(self, proposal: Any) -> str:
        by = proposal["value"]
        if by not in ALIGNMENTS:
            raise OptionError(f"align={by!r}: choose one of {', '.join(ALIGNMENTS)}")
        self._aligned(by, self.transitions, self.window or self.states[0].window)
        return str(by)

    @t.validate("transitions")
    def _steps_of_runs(self, proposal: Any) -> tuple[float, ...]:
        given = tuple(proposal["value"])
        if given or self.align == "transition":
            self._aligned("transition", given, 0)
        return tuple(float(step) for step in given)

    @t.validate("place")
    def _on_the_axis(self, proposal: Any) -> int:
        places = len(self.aligned["at"])
        if not 0 <= proposal["value"] < places:
            raise OptionError(f"place={proposal['value']}: the common axis has places 0 to {places - 1}")
        return int(proposal["value"])

    @t.validate("window")
    def _fits_all(self, proposal: Any) -> int:
        for run in self.runs:
            for detrend in (self.detrend, self.mode_detrend):
                check_window(proposal["value"], detrend, run.n_steps)
        return int(proposal["value"])

    @t.validate("detrend", "mode_detrend", "map_scale", "curve_scale")
    def _known(self, proposal: Any) -> str:
        name, value = proposal["trait"].name, proposal["value"]
        if value not in CHOICES[name]:
            raise OptionError(f"{name}={value!r}: choose one of {', '.join(CHOICES[name])}")
        if name in ("detrend", "mode_detrend") and self.window:
            check_window(self.window, value, min(run.n_steps for run in self.runs))
        return str(value)

    @t.validate("coloring")
    def _offered_by_all(self, proposal: Any) -> str:
        if proposal["value"] not in self.colorings:
            raise ProbeError(
                f"coloring={proposal['value']!r}: all of these runs offer "
                f"{', '.join(map(repr, self.colorings))}"
            )
        return str(proposal["value"])

    @t.validate("signal")
    def _offered(self, proposal: Any) -> str:
        if proposal["value"] not in self.signals:
            raise OptionError(f"signal={proposal['value']!r}: choose one of {', '.join(self.signals)}")
        return str(proposal["value"])

    @t.validate("overlap_modes")
    def _dimension(self, proposal: Any) -> int:
        most = self.most_overlap_modes
        if not 1 <= proposal["value"] <= most:
            raise OptionError(f"overlap_modes={proposal['value']}: expected 1 to {most}")
        return int(proposal["value"])
