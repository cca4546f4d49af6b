"""What every verb asks of its first argument and of a step."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rdmviz.compute.errors import WindowError
from rdmviz.compute.rdm.detrending import check_window
from rdmviz.errors import OptionError, ProbeError

if TYPE_CHECKING:
    from rdmviz.run import TrainingRun


def require_run(run: object, verb: str) -> None:
    """Raise :class:`OptionError`, with the way to a run, where `verb` was given something else."""
    from rdmviz.run import TrainingRun

    if not isinstance(run, TrainingRun):
        raise OptionError(
            f"{verb}() takes a TrainingRun, not {type(run).__name__!r}: open a path with "
            "rdmviz.open_run(path), wrap an array with rdmviz.TrainingRun.from_arrays(loss)"
        )


def row_of_full_window(run: TrainingRun, step: int, window: int, detrend: str) -> int:
    """Row of a step at which a full window ends.

    Raises
    ------
    StepNotFoundError
        If the step was not recorded.
    WindowError, DetrendError
        If the window does not fit, or fewer than `window` rows were recorded up to the step.
    """
    row = run.index_of(step)
    window = check_window(window, detrend, run.n_steps)
    if row < window - 1:
        raise WindowError(
            f"no full window of {window} rows ends at step {run.steps[row]} (row {row}); the first ends at "
            f"row {window - 1}, step {run.steps[window - 1]}: ask for that or a later step, or for a shorter "
            "window"
        )
    return row


def require_samples(run: TrainingRun, samples: ArrayLike) -> NDArray[np.int64]:
    """Datapoints as integers ``(m,)``.

    Raises
    ------
    ProbeError
        If they are no whole numbers in one row, or one of them is not in the probe.
    """
    given = np.asarray(samples)
    if given.ndim != 1 or (given.size and given.dtype.kind not in "iu"):
        raise ProbeError(
            f"samples have shape {given.shape} and dtype {given.dtype}; expected numbers of datapoints, (m,)"
        )
    outside = given[(given < 0) | (given >= run.n_samples)] if given.size else given
    if outside.size:
        raise ProbeError(
            f"datapoint {outside[0]} is not in the probe: choose between 0 and {run.n_samples - 1}"
        )
    return given.astype(np.int64)
