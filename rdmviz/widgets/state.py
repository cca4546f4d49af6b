"""The one source of truth of an explorer: views observe it and write to it, never to each other."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import traitlets as t

from rdmviz.compute.rdm.detrending import DETRENDS, check_window
from rdmviz.errors import OptionError, ProbeError, WindowError
from rdmviz.run import TrainingRun

MAP_SCALES: Final = ("linear", "log")
COMPUTED_COLORINGS: Final = ("group", "loss")
METADATA: Final = " (metadata)"  # told behind a column that is called like a computed coloring


class ExplorerState(t.HasTraits):
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
    detrend
        In-window detrending of the warning curves.
    mode_detrend
        In-window detrending of the modes; ``"constant"`` keeps the drift, which is the reorganisation itself.
    coloring
        ``"group"``, ``"loss"`` or the name of a probe column.
    map_scale
        ``"linear"``, where distances are distances of loss fluctuations, or ``"log"``, where heavy-tailed
        modes separate.

    Raises
    ------
    StepNotFoundError, WindowError, OptionError, ProbeError
        When a trait is set to what the run does not have; the state then keeps its value.
    """

    run = t.Instance(TrainingRun)
    step = t.Int(help="recorded step on screen")
    window = t.Int(64, help="window length, rows")
    detrend: Any = t.Unicode("linear", help="detrending of the warning curves")
    mode_detrend: Any = t.Unicode("constant", help="detrending of the modes")
    map_scale = t.Unicode("linear", help="'linear', or 'log' for loadings that span decades")
    coloring = t.Unicode("group", help="'group', 'loss' or a probe column")
    selection = t.List(t.Int(), help="selected datapoints, in the order of selection")
    hovered = t.List(t.Int(), help="datapoint, or pair, under the pointer")

    def __init__(
        self,
        run: TrainingRun,
        *,
        step: int | None = None,
        window: int | None = None,
        detrend: str = "linear",
        mode_detrend: str = "constant",
        coloring: str | None = None,
        map_scale: str = "linear",
    ) -> None:
        super().__init__(
            run=run,
            step=int(run.steps[-1]) if step is None else step,
            window=default_window(run.n_steps) if window is None else window,
            detrend=detrend,
            mode_detrend=mode_detrend,
            coloring=default_coloring(run) if coloring is None else coloring,
            map_scale=map_scale,
        )

    @property
    def index(self) -> int:
        """Row of the step on screen."""
        return int(self.run.index_of(self.step))

    @property
    def colorings(self) -> tuple[str, ...]:
        """What the datapoints can be coloured by."""
        columns = tuple(str(name) for name in self.run.probe.data_vars)
        return (*COMPUTED_COLORINGS, *(n + METADATA if n in COMPUTED_COLORINGS else n for n in columns))

    @t.validate("step")
    def _recorded(self, proposal: Any) -> int:
        self.run.index_of(proposal["value"])
        return int(proposal["value"])

    @t.validate("window")
    def _fits(self, proposal: Any) -> int:
        for detrend in (self.detrend, self.mode_detrend):
            check_window(proposal["value"], detrend, self.run.n_steps)
        return int(proposal["value"])

    @t.validate("detrend", "mode_detrend", "map_scale")
    def _known(self, proposal: Any) -> str:
        name, value = proposal["trait"].name, proposal["value"]
        choices = MAP_SCALES if name == "map_scale" else DETRENDS
        if value not in choices:
            raise OptionError(f"{name}={value!r}: choose one of {', '.join(choices)}")
        if name != "map_scale":
            check_window(self.window, value, self.run.n_steps)
        return str(value)

    @t.validate("coloring")
    def _offered(self, proposal: Any) -> str:
        if proposal["value"] not in self.colorings:
            raise ProbeError(
                f"coloring={proposal['value']!r}: this run offers {', '.join(map(repr, self.colorings))}"
            )
        return str(proposal["value"])

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
        if values.dtype.kind in "UTOb" and 2 <= len(np.unique(values.astype(str))) <= 8:
            return f"{name}{METADATA}" if name in COMPUTED_COLORINGS else str(name)
    return "group"
