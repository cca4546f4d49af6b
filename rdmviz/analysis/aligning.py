"""Several runs on one axis: by step, by the step of a transition, or by the loss they have come down to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from rdmviz.analysis.curves import analyze
from rdmviz.analysis.gram_cache import gram_of
from rdmviz.analysis.of_a_run import require_run
from rdmviz.analysis.one_thread import cores, one_blas_thread
from rdmviz.compute.alignment import first_reach, nearest_rows, record_lows
from rdmviz.compute.rdm.detrending import degrees_of_freedom
from rdmviz.compute.rdm.windows import window_traces
from rdmviz.errors import OptionError

if TYPE_CHECKING:
    from rdmviz.run import TrainingRun

Floats = NDArray[np.float64]
Transitions = Mapping[str, float] | Sequence[float]

ALIGNMENTS: Final = ("step", "transition", "drift", "spectral_heat_capacity", "loss")
CRITERIA: Final = {
    "drift": "the window over which the losses moved most",
    "spectral_heat_capacity": "the largest spectral heat capacity, linear detrending",
}
"""What stands in for a transition where none is given: a criterion, not a detection."""


def align(
    runs: Sequence[TrainingRun],
    by: str = "step",
    *,
    transitions: Transitions | None = None,
    window: int = 64,
) -> xr.Dataset:
    """Put runs on one axis.

    Parameters
    ----------
    runs
        Two or more.
    by
        ``"step"``; ``"transition"``: steps counted from each run's own transition, which `transitions` gives;
        ``"drift"`` or ``"spectral_heat_capacity"``: the same from the step that ends the window in which the
        losses moved most, or in which the heat capacity is largest. These are criteria, not detections: in
        most runs both are met early, where the loss falls fastest. ``"loss"``: the lowest mean loss so far.
    transitions
        Step of each run's transition: one per run, or a mapping from the names of the runs (as they stand in
        the result).
    window
        Rows per window of the two criteria.

    Returns
    -------
    Dataset with
        ``at``, the common coordinate, in the direction of training (so loss falls), every place at which one
        of the runs has a row. On ``run`` and ``at``: ``row`` of the run, the nearest (by loss, the first row
        that is down there), -1 where the run has none; ``step``, training step of the place in the run, NaN
        where it has none (by loss: of the straight line between two rows); ``own``, whether the run itself
        has a row at exactly this place. On ``run``: ``reference``, the step of its transition, else NaN.
        ``run`` holds the names, told apart by a number where one is repeated. The attribute ``reading`` says
        what the axis is, ``notes`` which runs have no place on parts of it.

    Raises
    ------
    OptionError
        If there are fewer than two runs or one is not a run, the alignment is unknown, or transitions are
        missing, of other runs, or outside them.
    WindowError
        If the window of a criterion does not fit a run.

    Notes
    -----
    The movement of a window is the length of the displacement of its fitted lines, from the traces with and
    without the linear part.
    """
    names = unique_names(runs)
    if by not in ALIGNMENTS:
        raise OptionError(f"by={by!r}: choose one of {', '.join(map(repr, ALIGNMENTS))}")
    if by == "loss":
        return _by_loss(runs, names)
    reference = np.full(len(runs), np.nan)
    if by == "transition":
        reference = reference_steps(runs, names, transitions)
    elif by in CRITERIA:
        reference = np.array([criterion_step(run, by, window) for run in runs], np.float64)
    axes = [run.steps - (0.0 if by == "step" else at) for run, at in zip(runs, reference, strict=True)]
    common = np.unique(np.concatenate(axes))
    rows = np.stack([nearest_rows(axis, common) for axis in axes])
    step = np.stack(
        [
            np.where(row < 0, np.nan, common + (0.0 if by == "step" else at))
            for row, at in zip(rows, reference, strict=True)
        ]
    )
    own = np.stack([np.isin(common, axis) for axis in axes])
    if by == "step":
        reading, title = "training step", "step"
    else:
        reading, title = "steps from the transition", "steps from transition"
        if by in CRITERIA:
            reading = f"steps from the end of {CRITERIA[by]} (a criterion, not a detected transition)"
    notes = []
    for name, axis in zip(names, axes, strict=True):
        said = [f"starts at {axis[0]:,.0f}"] if axis[0] > common[0] else []
        said += [f"ends at {axis[-1]:,.0f}"] if axis[-1] < common[-1] else []
        if said:
            notes.append(f"{name} {' and '.join(said)}")
    return _dataset(names, common, rows, step, own, reference, by, reading, (title, "step"), notes)


def _by_loss(runs: Sequence[TrainingRun], names: Sequence[str]) -> xr.Dataset:
    means = [mean_loss(run) for run in runs]
    records = [record_lows(mean) for mean in means]
    for name, (rows, _) in zip(names, records, strict=True):
        if not len(rows):
            raise OptionError(
                f"by='loss': run {name!r} has no finite mean loss to be aligned by; choose another alignment"
            )
    common = np.unique(np.concatenate([lows for _, lows in records]))[::-1]
    found = [first_reach(mean, run.steps, common) for mean, run in zip(means, runs, strict=True)]
    rows, step = (np.stack(part) for part in zip(*found, strict=True))
    own = np.stack([np.isin(common, lows) for _, lows in records])
    notes = []
    for name, (_, lows) in zip(names, records, strict=True):
        said = [f"starts at {lows[0]:.3g}"] if lows[0] < common[0] else []
        said += [f"never gets below {lows[-1]:.3g}"] if lows[-1] > common[-1] else []
        if said:
            notes.append(f"{name} {' and '.join(said)}")
    reading, title = "lowest mean loss so far, falling to the right", "lowest mean loss so far"
    nothing = np.full(len(runs), np.nan)
    return _dataset(names, common, rows, step, own, nothing, "loss", reading, (title, "loss"), notes)


def _dataset(
    names: Sequence[str],
    common: Floats,
    rows: NDArray[np.intp],
    step: Floats,
    own: NDArray[np.bool_],
    reference: Floats,
    by: str,
    reading: str,
    axis: tuple[str, str],
    notes: list[str],
) -> xr.Dataset:
    both = ("run", "at")
    return xr.Dataset(
        {
            "row": (both, rows, {"long_name": "Row of the run, -1 for none"}),
            "step": (both, step, {"long_name": "Training step", "units": "step"}),
            "own": (both, own, {"long_name": "Whether the run has a row at this place"}),
            "reference": ("run", reference, {"long_name": "Step of the transition", "units": "step"}),
        },
        coords={"run": list(names), "at": ("at", common, {"long_name": axis[0], "units": axis[1]})},
        attrs={"by": by, "reading": reading, "notes": notes},
    )


def unique_names(runs: Any) -> list[str]:
    """Names of a sequence of two or more runs, numbered where one is repeated.

    Raises
    ------
    OptionError
        If there are fewer than two, or one is not a run.
    """
    if isinstance(runs, str) or not isinstance(runs, Sequence) or len(runs) < 2:
        raise OptionError(
            f"runs={runs!r:.80}: two or more runs are compared, as a list; "
            "one alone is opened by rdmviz.explore(run)"
        )
    for run in runs:
        require_run(run, "a comparison")
    names: list[str] = []
    for run in runs:
        base = run.name or "run"
        name, number = base, 1
        while name in names:
            number += 1
            name = f"{base} ({number})"
        names.append(name)
    return names


def reference_steps(
    runs: Sequence[TrainingRun], names: Sequence[str], transitions: Transitions | None
) -> Floats:
    """Step of each run's transition as :func:`align` takes them, checked, ``(runs,)``.

    Raises
    ------
    OptionError
        If one is missing, not of these runs, or outside its run.
    """
    if transitions is None:
        raise OptionError(
            "by='transition' needs the step of each run's transition: transitions=[4800, 5200], say; "
            f"or choose one of the criteria {', '.join(map(repr, CRITERIA))}"
        )
    if isinstance(transitions, Mapping):
        if set(transitions) != set(names):
            raise OptionError(
                f"transitions name {sorted(map(str, transitions))}; expected one step for each of {names}"
            )
        values: list[Any] = [transitions[name] for name in names]
    else:
        values = list(transitions)
    if len(values) != len(runs):
        raise OptionError(f"transitions has {len(values)} steps; expected one for each of {len(runs)} runs")
    try:
        reference = np.array(values, np.float64)
    except (TypeError, ValueError) as error:
        raise OptionError(f"transitions={values!r:.80}: expected one step per run") from error
    for run, name, at in zip(runs, names, reference, strict=True):
        if not run.steps[0] <= at <= run.steps[-1]:
            raise OptionError(
                f"transition of {name!r} at step {at:g}: the run has steps {run.steps[0]} to {run.steps[-1]}"
            )
    return reference


def criterion_step(run: TrainingRun, criterion: str, window: int = 64) -> int:
    """Step that ends the window in which a criterion of :func:`align` is largest.

    Raises
    ------
    OptionError
        If nothing ever moves in the run.
    """
    if criterion == "drift":
        curve = movement(run, window)
    else:
        curve = np.asarray(analyze(run, window)[criterion].values, np.float64)
    if not np.nanmax(curve, initial=0.0) > 0:
        raise OptionError(
            f"by={criterion!r}: nothing moves in run {run.name!r}, so it has no reference step; "
            "give transitions or align by step"
        )
    return int(run.steps[np.nanargmax(curve)])


def movement(run: TrainingRun, window: int = 64) -> Floats:
    """Root mean square displacement of a datapoint's fitted line across each trailing window, loss, ``(T,)``.

    From traces alone: what the linear part takes out of the sum of squares is ``sum_i slope_i² sum_t t²``.
    """
    gram = gram_of(run, window)
    with one_blas_thread():
        sums = [
            window_traces(gram, window, detrend, run.rows, workers=cores()).trace
            * degrees_of_freedom(window, detrend)
            for detrend in ("constant", "linear")
        ]
    lever = window * (window**2 - 1) / 12  # sum of t² about the middle of the window
    slopes = np.maximum(sums[0] - sums[1], 0.0) / lever
    return np.asarray((window - 1) * np.sqrt(slopes / run.n_samples))


def mean_loss(run: TrainingRun) -> Floats:
    """Mean loss over the probe set at each row, ``(T,)``."""
    gram = gram_of(run, min(64, run.n_steps))
    return np.asarray(gram.row_sums / gram.n_samples)
