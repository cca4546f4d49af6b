"""Tables: one row per step (wide), or one row per step and datapoint (long)."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Number
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd

from rdmviz.errors import (
    DuplicateRowsError,
    LossShapeError,
    MetricError,
    MissingRowsError,
    OptionError,
    ProbeError,
    StepsError,
)
from rdmviz.run import TrainingRun
from rdmviz.sources.incomplete import Incomplete
from rdmviz.sources.roles import column_for
from rdmviz.sources.texts import column_of, integers, is_text, named, number, whole_floats, whole_numbers

__all__ = ["from_frame"]

_METRICS: Final = "metrics/"
_LOGGED_BESIDE: Final = ("_runtime", "_step", "_timestamp")  # by Weights & Biases, in every history


def from_frame(
    frame: pd.DataFrame,
    *,
    name: str = "",
    step: str | None = None,
    sample: str | None = None,
    loss: str | None = None,
    drop: Sequence[str] = (),
    incomplete: Incomplete = "refuse",
) -> TrainingRun:
    """Make a run from a wide or long table; see :func:`rdmviz.open_run` for the layouts and options.

    Raises
    ------
    OptionError
        A column that is named is not there.
    StepsError, LossShapeError, ProbeError, MetricError
        The table is no run.
    DuplicateRowsError, MissingRowsError
        It has two losses, or none, for a datapoint at a step.
    """
    if any(label is not None for label in frame.index.names):
        frame = frame.reset_index()  # an index that has a name is a column like any other
    repeated = sorted({str(column) for column in frame.columns[frame.columns.duplicated()]})
    if repeated:
        raise LossShapeError(f"the table repeats columns {named(repeated)}; expected each name once")
    absent = [column for column in drop if column not in frame.columns]
    if absent:
        raise OptionError(f"drop={absent[0]!r:.60}; the table has columns {named(frame.columns)}")
    frame = frame.drop(columns=list(drop))
    steps = column_for("step", frame.columns, step)
    if steps is None:
        raise StepsError(
            f"the table has columns {named(frame.columns)}; expected one called 'step', and one per "
            "datapoint (wide) or 'sample' and 'loss' (long). Say which column is what: "
            "open_run(path, step='...', sample='...', loss='...')"
        )
    if len(frame) == 0:
        raise LossShapeError("the table has no rows; expected at least one recorded step")
    samples = column_for("sample", frame.columns, sample)
    losses = column_for("loss", frame.columns, loss)
    if (sample or loss) and (samples is None or losses is None):
        lacking = "sample" if samples is None else "loss"
        raise LossShapeError(
            f"the table has columns {named(frame.columns)}; none is called {lacking!r}. Say which one is: "
            f"open_run(path, {lacking}='...')"
        )
    if samples is None or losses is None:
        return _from_wide(frame, steps, name)
    if len({steps, samples, losses}) < 3:
        raise OptionError(
            f"step={steps!r:.60}, sample={samples!r:.60}, loss={losses!r:.60}; expected three columns"
        )
    return _from_long(frame, _Roles(steps, samples, losses), name, incomplete)


class _Roles(NamedTuple):
    step: Any
    sample: Any
    loss: Any


def _from_wide(frame: pd.DataFrame, step: Any, name: str) -> TrainingRun:
    metrics = [
        column
        for column in frame.columns
        if column != step and (str(column).startswith(_METRICS) or column in _LOGGED_BESIDE)
    ]
    samples = [column for column in frame.columns if column != step and column not in metrics]
    if not samples:
        raise LossShapeError(f"the table has no datapoint columns beside {step!r:.60}; expected at least two")
    steps = _integers(frame, step)
    order = np.argsort(steps, kind="stable")
    twice = np.flatnonzero(np.diff(steps[order]) == 0)
    if len(twice):
        one, other = order[twice[0]], order[twice[0] + 1]
        raise DuplicateRowsError(
            f"rows {one} and {other} of the table are both of step {steps[one]}; expected one row per step. "
            "Drop one of them, or, if each row is of one datapoint, say which columns name it and hold its "
            "loss: open_run(path, sample='...', loss='...')"
        )
    loss = np.stack([_numbers(frame, column) for column in samples], axis=1)
    # Column titles say which datapoint is which; a plain count says nothing.
    titles = [str(column) for column in samples]
    counted = titles == [str(index) for index in range(len(titles))]
    return TrainingRun.from_arrays(
        loss,
        steps,
        probe=None if counted else {"column": titles},
        metrics={str(column).removeprefix(_METRICS): _numbers(frame, column) for column in metrics},
        name=name,
    )


def _from_long(frame: pd.DataFrame, roles: _Roles, name: str, incomplete: Incomplete) -> TrainingRun:
    steps, row = np.unique(_integers(frame, roles.step), return_inverse=True)
    labels = _cells(frame, roles.sample)
    if is_text(labels):
        labels = whole_numbers(labels)
    codes, names = pd.factorize(labels, sort=labels.dtype.kind != "O")
    if (codes < 0).any():
        raise ProbeError(
            f"column {str(roles.sample)!r:.60} has empty cells; expected a number or text that names the "
            "datapoint"
        )
    shape = (len(steps), len(names))
    cell = row * shape[1] + codes
    # Sorted: a sparse table of many steps and samples would need a count for each pair of them.
    filled, first, counts = np.unique(cell, return_index=True, return_counts=True)
    if (counts > 1).any():
        wrong = int(np.argmax(counts > 1))
        other = int(np.flatnonzero(cell == filled[wrong])[1])
        raise DuplicateRowsError(
            f"step {steps[filled[wrong] // shape[1]]} has {counts[wrong]} losses for sample "
            f"{_shown(names[filled[wrong] % shape[1]])} (rows {first[wrong]} and {other} of the table); "
            "expected exactly one for each step and sample. Drop the repeats, or name the column that tells "
            "them apart: open_run(path, sample='...')"
        )
    if len(filled) != shape[0] * shape[1]:
        if incomplete != "refuse":
            return _without(frame, roles, name, incomplete, row, codes, shape)
        lost = int(np.argmax(np.append(filled, -1) != np.arange(len(filled) + 1)))
        raise MissingRowsError(
            f"step {steps[lost // shape[1]]} has 0 losses for sample {_shown(names[lost % shape[1]])}; "
            f"expected exactly one for each step and sample ({shape[0] * shape[1] - len(filled):,} of "
            f"{shape[0] * shape[1]:,} missing). Leave out the samples that are not in every step with "
            "open_run(path, incomplete='drop_samples'), or the steps that do not hold every sample with "
            "'drop_steps'"
        )
    loss = np.empty(shape)
    loss[row, codes] = _numbers(frame, roles.loss)
    order = np.empty(shape, dtype=np.intp)
    order[row, codes] = np.arange(len(frame))
    probe: dict[str, Any] = {}
    if not np.array_equal(np.asarray(names), np.arange(len(names))):
        probe["label"] = np.asarray(names)
    metrics: dict[str, Any] = {}
    for column in frame.columns:
        if column in roles:
            continue
        values = _cells(frame, column)[order]
        if _same(values[:1], values).all():
            probe[str(column)] = column_of(values[0])
        elif _same(values[:, :1], values).all():
            metrics[str(column)] = _numbers(pd.DataFrame({column: values[:, 0]}), column, MetricError)
        else:
            raise ProbeError(
                f"column {str(column)!r:.60} changes within samples and within steps; expected one value per "
                "sample (a fact about it) or one per step (a metric). Leave it out: "
                f"open_run(path, drop=[{str(column)!r:.60}])"
            )
    return TrainingRun.from_arrays(loss, steps, probe=probe, metrics=metrics, name=name)


def _without(
    frame: pd.DataFrame,
    roles: _Roles,
    name: str,
    incomplete: Incomplete,
    row: np.ndarray,
    codes: np.ndarray,
    shape: tuple[int, int],
) -> TrainingRun:
    """Make a run of what is whole: no cell of the table stands for two."""
    what, place, count, of = (
        ("samples", codes, shape[1], shape[0])
        if incomplete == "drop_samples"
        else ("steps", row, shape[0], shape[1])
    )
    whole = np.bincount(place, minlength=count) == of
    if not whole.any():
        other = "drop_steps" if incomplete == "drop_samples" else "drop_samples"
        raise MissingRowsError(
            f"none of the {count:,} {what} is whole, so incomplete={incomplete!r} leaves nothing; try "
            f"{other!r}"
        )
    run = _from_long(frame[whole[place]], roles, name, "refuse")
    run.attrs[f"dropped_{what}"] = int(count - whole.sum())
    return run


def _shown(sample: Any) -> str:
    return f"{sample.item() if isinstance(sample, np.generic) else sample!r:.60}"


def _cells(frame: pd.DataFrame, column: Any) -> np.ndarray:
    """Return a column whose cells are numbers, booleans, texts or nothing."""
    values: np.ndarray = frame[column].to_numpy()
    if values.dtype.kind == "O":
        values = np.array([None if value is pd.NA else value for value in values] + [None], dtype=object)[:-1]
        for index, value in enumerate(values):
            if not (value is None or isinstance(value, str | Number)):
                raise ProbeError(
                    f"row {index} of column {str(column)!r:.60} is a {type(value).__name__}, {value!r:.40}; "
                    f"expected a number or text. Leave the column out: open_run(path, "
                    f"drop=[{str(column)!r:.60}])"
                )
    return values


def _same(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    if one.dtype.kind == "f":
        return np.asarray((one == other) | (np.isnan(one) & np.isnan(other)))
    if one.dtype.kind == "O":
        return np.asarray((one == other) | (pd.isna(one) & pd.isna(other)), dtype=bool)
    return np.asarray(one == other)


def _numbers(frame: pd.DataFrame, column: Any, wrong: type[ValueError] = LossShapeError) -> np.ndarray:
    values: np.ndarray = frame[column].to_numpy()
    if values.dtype.kind in "fiub":
        return values.astype(np.float64)
    numbers = np.empty(len(values))
    for index, value in enumerate(values.tolist()):
        try:
            numbers[index] = number(value)
        except (TypeError, ValueError, OverflowError) as error:
            raise wrong(
                f"row {index} of column {str(column)!r:.60} is {value!r:.40}; expected a number "
                "(write nan where there is none)"
            ) from error
    return numbers


def _integers(frame: pd.DataFrame, column: Any) -> np.ndarray:
    values: np.ndarray = frame[column].to_numpy()
    if values.dtype.kind in "iu":
        return values
    try:
        if values.dtype.kind == "f":
            return whole_floats(values)
        if not is_text(values):
            raise ValueError(f"dtype {values.dtype}")
        return integers(values.tolist())
    except (ValueError, OverflowError) as error:
        raise StepsError(f"column {str(column)!r:.60} does not hold integers ({error})") from error
