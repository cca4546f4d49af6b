"""Tables: one row per step (wide), or one row per step and datapoint (long)."""

from __future__ import annotations

import csv
import io
from typing import IO, Any

import numpy as np
import pandas as pd

from rdmviz.errors import (
    LossShapeError,
    MetricError,
    MissingExtraError,
    ProbeError,
    StepsError,
    TruncatedStoreError,
)
from rdmviz.run import TrainingRun
from rdmviz.sources.texts import column_of, integers, is_text, number, whole_numbers

__all__ = ["from_frame", "read_csv", "read_parquet"]

_METRICS = "metrics/"


def read_csv(file: IO[bytes]) -> pd.DataFrame:
    """Read a CSV file as text: what a cell means depends on its column, and ``NA`` may be a label.

    Raises
    ------
    TruncatedStoreError
        No CSV, or not in UTF-8.
    LossShapeError
        Another separator, columns without a name or of the same name, rows longer or shorter than the header.
    """
    try:
        text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
        header = next((fields for fields in csv.reader(text) if fields), [])
        text.detach()
        _check_header(header)
        file.seek(0)
        frame = pd.read_csv(
            file, dtype=str, keep_default_na=False, na_filter=False, encoding="utf-8-sig", low_memory=False
        )
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError, csv.Error) as error:
        raise TruncatedStoreError(
            f"the table cannot be read ({error}); expected UTF-8 CSV with a header"
        ) from error
    # pandas takes what stands before the columns it has names for as the index, and shifts every column
    if not isinstance(frame.index, pd.RangeIndex):
        raise LossShapeError(
            f"rows of the table have more fields than its header has names ({len(header)}). "
            "Quote texts that hold commas, and write no index: to_csv(path, index=False)"
        )
    return frame


def _check_header(header: list[str]) -> None:
    if len(header) == 1:
        mark = next((mark for mark in ";\t|" if mark in header[0]), None)
        if mark is not None:
            raise LossShapeError(
                f"the table is separated by {mark!r}; expected commas. Convert it first, for example "
                f"pandas.read_csv(path, sep={mark!r}).to_csv(new_path, index=False), "
                "with decimal=',' if numbers are written 0,5"
            )
    repeated = sorted({name for name in header if header.count(name) > 1 and name})
    if repeated:
        raise LossShapeError(f"the table repeats columns {repeated}; expected each name once")
    if "" in header:
        raise LossShapeError(
            f"column {header.index('') + 1} of the table has no name; expected one for each column. "
            "If it is an index, write the table without: to_csv(path, index=False)"
        )


def read_parquet(file: IO[bytes], where: str) -> pd.DataFrame:
    """Read a Parquet file.

    Raises
    ------
    MissingExtraError
        pyarrow is not installed.
    TruncatedStoreError
        The file is damaged.
    """
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise MissingExtraError(f'opening {where} needs pyarrow: pip install "rdmviz[tables]"') from error
    try:
        frame: pd.DataFrame = parquet.read_table(file).to_pandas(ignore_metadata=True)
    except (pa.ArrowException, OSError) as error:
        raise TruncatedStoreError(f"{where} cannot be read ({error}); write it again") from error
    return frame


def from_frame(frame: pd.DataFrame, *, name: str = "") -> TrainingRun:
    """Make a run from a wide or long table; see :func:`rdmviz.open_run` for the layouts.

    Raises
    ------
    StepsError, LossShapeError, ProbeError, MetricError
        The table is no run.
    """
    repeated = sorted({str(column) for column in frame.columns[frame.columns.duplicated()]})
    if repeated:
        raise LossShapeError(f"the table repeats columns {repeated}; expected each name once")
    if "step" not in frame.columns:
        raise StepsError(
            f"the table has columns {[str(c) for c in frame.columns[:8]]}; expected one called 'step', and "
            "one per datapoint (wide) or 'sample' and 'loss' (long)"
        )
    if len(frame) == 0:
        raise LossShapeError("the table has no rows; expected at least one recorded step")
    if {"sample", "loss"} <= set(frame.columns):
        return _from_long(frame, name)
    return _from_wide(frame, name)


def _from_wide(frame: pd.DataFrame, name: str) -> TrainingRun:
    metrics = [column for column in frame.columns if str(column).startswith(_METRICS)]
    samples = [column for column in frame.columns if column != "step" and column not in metrics]
    if not samples:
        raise LossShapeError("the table has no datapoint columns beside 'step'; expected at least two")
    loss = np.stack([_numbers(frame, column) for column in samples], axis=1)
    # Column titles say which datapoint is which; a plain count says nothing.
    titles = [str(column) for column in samples]
    counted = titles == [str(index) for index in range(len(titles))]
    return TrainingRun.from_arrays(
        loss,
        _integers(frame, "step"),
        probe=None if counted else {"column": titles},
        metrics={str(column).removeprefix(_METRICS): _numbers(frame, column) for column in metrics},
        name=name,
    )


def _from_long(frame: pd.DataFrame, name: str) -> TrainingRun:
    steps, row = np.unique(_integers(frame, "step"), return_inverse=True)
    labels = frame["sample"].to_numpy()
    if is_text(labels):
        labels = whole_numbers(labels)
    codes, names = pd.factorize(labels, sort=labels.dtype.kind != "O")
    if (codes < 0).any():
        raise ProbeError(
            "column 'sample' has empty cells; expected a number or text that names the datapoint"
        )
    shape = (len(steps), len(names))
    cell = row * shape[1] + codes
    # Sorted first: a sparse table of many steps and samples would need a count for each pair of them.
    filled, counts = np.unique(cell, return_counts=True)
    if len(filled) != shape[0] * shape[1] or len(filled) != len(cell):
        lost = int(np.argmax(np.append(filled, -1) != np.arange(len(filled) + 1)))
        twice = int(filled[np.argmax(counts > 1)]) if (counts > 1).any() else lost
        wrong = min(lost, twice) if lost < shape[0] * shape[1] else twice
        found = int(counts[filled == wrong].sum())
        sample = names[wrong % shape[1]]
        raise LossShapeError(
            f"step {steps[wrong // shape[1]]} has {found} losses for sample "
            f"{sample.item() if isinstance(sample, np.generic) else sample!r}; "
            "expected exactly one for each step and sample"
        )
    loss = np.empty(shape)
    loss[row, codes] = _numbers(frame, "loss")
    order = np.empty(shape, dtype=np.intp)
    order[row, codes] = np.arange(len(frame))
    probe: dict[str, Any] = {}
    if not np.array_equal(np.asarray(names), np.arange(len(names))):
        probe["label"] = np.asarray(names)
    metrics: dict[str, Any] = {}
    for column in frame.columns:
        if column in ("step", "sample", "loss"):
            continue
        values = frame[column].to_numpy()[order]
        if (_same(values[:1], values)).all():
            probe[str(column)] = column_of(values[0])
        elif (_same(values[:, :1], values)).all():
            metrics[str(column)] = _numbers(pd.DataFrame({column: values[:, 0]}), column, MetricError)
        else:
            raise ProbeError(
                f"column {str(column)!r} changes within samples and within steps; expected one value per "
                "sample (a fact about it) or one per step (a metric). Drop it before opening the table"
            )
    return TrainingRun.from_arrays(loss, steps, probe=probe, metrics=metrics, name=name)


def _same(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    if one.dtype.kind == "f":
        return np.asarray((one == other) | (np.isnan(one) & np.isnan(other)))
    return np.asarray(one == other)


def _numbers(frame: pd.DataFrame, column: Any, wrong: type[ValueError] = LossShapeError) -> np.ndarray:
    values: np.ndarray = frame[column].to_numpy()
    if values.dtype.kind in "fiub":
        return values.astype(np.float64)
    numbers = np.empty(len(values))
    for index, value in enumerate(values.tolist()):
        try:
            numbers[index] = number(value)
        except (TypeError, ValueError) as error:
            raise wrong(
                f"row {index} of column {str(column)!r} is {value!r:.40}; expected a number "
                "(write nan where there is none)"
            ) from error
    return numbers


def _integers(frame: pd.DataFrame, column: str) -> np.ndarray:
    values: np.ndarray = frame[column].to_numpy()
    if values.dtype.kind in "iu":
        return values
    try:
        if not is_text(values):
            raise ValueError(f"dtype {values.dtype}")
        return integers(values.tolist())
    except (ValueError, OverflowError) as error:
        raise StepsError(f"column {column!r} does not hold integers ({error})") from error
