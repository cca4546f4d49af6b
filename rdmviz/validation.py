"""What a training run may hold: every check raises a named error with the value and the way out."""

from __future__ import annotations

import json
import math
from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np

from rdmviz.errors import LossShapeError, MetricError, OptionError, ProbeError, StepsError
from rdmviz.pictures import checked_pictures

__all__ = ["checked_attrs", "checked_loss", "checked_metrics", "checked_probe", "checked_steps", "is_dask"]

_LARGEST_STEP = np.iinfo(np.int64).max


def checked_loss(loss: Any) -> Any:
    """Return the losses as a read-only ``(T, n)`` float array.

    Floats keep their precision and memory maps stay on disk; integers and booleans become float64. A dask
    array stays one: nothing of it is computed.
    NaN and infinite losses are kept: they are what the training produced.

    Raises
    ------
    LossShapeError
        Not two-dimensional, empty, fewer than two datapoints, or not real numbers.
    """
    try:
        array = loss if is_dask(loss) else np.asanyarray(loss)
    except (TypeError, ValueError, RuntimeError) as error:
        raise LossShapeError(
            f"loss could not be read as an array ({error}); expected T rows of n real numbers each"
        ) from error
    if array.dtype.kind not in "fiub":
        raise LossShapeError(
            f"loss has dtype {array.dtype}; expected real numbers. "
            "Convert it first, for example loss.astype('float32')"
        )
    if array.ndim != 2:
        raise LossShapeError(
            f"loss has shape {array.shape}; expected two dimensions, (recorded steps, datapoints). "
            "A mean loss curve alone is not enough: record one loss per datapoint"
        )
    rows, samples = array.shape
    if is_dask(array) and any(math.isnan(size) for size in array.shape):
        raise LossShapeError(
            f"loss is a dask array of unknown shape {array.shape}; call loss.compute_chunk_sizes() first"
        )
    if rows == 0:
        raise LossShapeError(f"loss has shape {array.shape}: no recorded step; expected at least one row")
    if samples < 2:
        raise LossShapeError(
            f"loss has shape {array.shape}: {samples} datapoint(s); expected at least two, "
            "because a covariance between datapoints needs a pair"
        )
    if isinstance(array, np.ma.MaskedArray) or isinstance(getattr(array, "_meta", None), np.ma.MaskedArray):
        raise LossShapeError("loss is a masked array; fill it first, for example loss.filled(numpy.nan)")
    if array.dtype.kind != "f" or array.dtype.itemsize > 8:
        array = array.map_blocks(_float64, dtype=np.float64) if is_dask(array) else _float64(array)
    if is_dask(array):
        return array
    view = array.view() if isinstance(array, np.memmap) else np.asarray(array).view()
    if not view.dtype.isnative:
        view = view.astype(view.dtype.newbyteorder("="))
    view.flags.writeable = False
    return view


def _float64(array: np.ndarray) -> np.ndarray:
    """Return a copy in float64; extended precision beyond it is infinite."""
    with np.errstate(over="ignore"):
        return array.astype(np.float64)


def is_dask(array: Any) -> bool:
    """Return whether something is a dask array, without importing dask."""
    return hasattr(array, "__dask_graph__") and hasattr(array, "chunks")


def checked_steps(steps: Any, rows: int) -> np.ndarray:
    """Return the recorded steps as int64 ``(T,)``, or ``0 .. T-1`` when none are given.

    Raises
    ------
    StepsError
        Not one integer per row of losses, or not strictly increasing.
    """
    if steps is None:
        return np.arange(rows, dtype=np.int64)
    try:
        array = np.asarray(steps)
    except (TypeError, ValueError, RuntimeError) as error:
        raise StepsError(
            f"steps could not be read as an array ({error}); expected {rows} integers"
        ) from error
    if array.shape != (rows,):
        raise StepsError(f"steps has shape {array.shape}; expected ({rows},), one step per row of losses")
    if array.dtype.kind not in "iu":
        raise StepsError(
            f"steps has dtype {array.dtype}; expected integers. "
            "Give the training step of each row, for example numpy.arange(T) * every"
        )
    if array.dtype.kind == "u" and int(array.max()) > _LARGEST_STEP:
        raise StepsError(f"steps reach {int(array.max())}; expected values below 2**63")
    array = array.astype(np.int64)
    falling = np.flatnonzero(array[1:] <= array[:-1])
    if falling.size:
        row = int(falling[0])
        raise StepsError(
            f"steps must increase, but row {row} is step {array[row]} and row {row + 1} is step "
            f"{array[row + 1]}; sort the rows and drop repeats before making a run"
        )
    array.flags.writeable = False
    return array


def checked_probe(probe: Any, samples: int) -> dict[str, np.ndarray]:
    """Return the probe metadata as one numeric, boolean or text array ``(n,)`` per column.

    Text stays text: nothing in it is ever taken for markup. Pictures keep their further dimensions, see
    :func:`rdmviz.pictures.checked_pictures`.

    Raises
    ------
    ProbeError
        Not a mapping or DataFrame, a column of the wrong length, or values that are neither all numbers,
        all booleans nor all text.
    """
    if probe is None:
        return {}
    columns: dict[str, np.ndarray] = {}
    for key, values in _items(probe, ProbeError, "probe").items():
        name = _checked_name(key, reserved={"sample", "step"}, error=ProbeError, what="probe column")
        columns[name] = _probe_column(name, values, samples)
    return columns


def _probe_column(name: str, values: Any, samples: int) -> np.ndarray:
    try:
        array = np.asanyarray(values) if isinstance(values, np.ma.MaskedArray) else np.asarray(values)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ProbeError(
            f"probe column {name!r} could not be read ({error}); expected {samples} values"
        ) from error
    if array.ndim in (3, 4):
        pictures = checked_pictures(name, array, samples)
        pictures.flags.writeable = False
        return pictures
    array = np.asarray(array)
    if array.shape != (samples,):
        raise ProbeError(
            f"probe column {name!r} has shape {array.shape}; expected ({samples},), one value per datapoint, "
            f"or pictures ({samples}, height, width) with or without channels"
        )
    if array.dtype.kind not in "fiub":
        # object and string containers may still hold plain text, as pandas columns do
        entries = array.tolist()
        odd = next((entry for entry in entries if not isinstance(entry, str)), None)
        if array.dtype.kind not in "OUT" or any(not isinstance(entry, str) for entry in entries):
            raise ProbeError(
                f"probe column {name!r} has dtype {array.dtype} and holds {odd!r}; expected all numbers, "
                f"all booleans or all text. Convert it first, for example [str(v) for v in {name}]"
            )
        array = np.array(entries, dtype=np.str_)
    else:
        wide = array.dtype.kind == "f" and array.dtype.itemsize > 8
        array = array.astype(np.float64 if wide else array.dtype.newbyteorder("="))
    array.flags.writeable = False
    return array


def checked_metrics(metrics: Any, rows: int) -> dict[str, np.ndarray]:
    """Return the metrics as one float64 array ``(T,)`` each; NaN means not measured at that step.

    Raises
    ------
    MetricError
        Not a mapping or DataFrame, a wrong length, or not real numbers.
    """
    if metrics is None:
        return {}
    checked: dict[str, np.ndarray] = {}
    for key, values in _items(metrics, MetricError, "metrics").items():
        name = _checked_name(key, reserved={"sample", "step"}, error=MetricError, what="metric")
        try:
            array = np.asarray(values)
        except (TypeError, ValueError, RuntimeError) as error:
            raise MetricError(
                f"metric {name!r} could not be read ({error}); expected {rows} numbers"
            ) from error
        if array.shape != (rows,):
            raise MetricError(
                f"metric {name!r} has shape {array.shape}; expected ({rows},), one number per recorded step"
            )
        if array.dtype.kind not in "fiub":
            raise MetricError(f"metric {name!r} has dtype {array.dtype}; expected real numbers")
        checked[name] = array.astype(np.float64)
        checked[name].flags.writeable = False
    return checked


def checked_attrs(attrs: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the facts about a run as plain JSON values; numpy scalars and arrays become numbers and lists.

    Raises
    ------
    OptionError
        A value that JSON cannot hold.
    """
    if attrs is None:
        return {}
    try:
        plain = json.loads(json.dumps(dict(attrs), default=_jsonable))
    except (TypeError, ValueError) as error:
        raise OptionError(
            f"attrs cannot be written as JSON ({error}); expected numbers, text, lists and mappings"
        ) from error
    return dict(plain)


def _jsonable(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is not JSON: {value!r:.80}")


def _items(table: Any, error: type[ValueError], what: str) -> dict[Hashable, Any]:
    """Columns of a mapping, or of anything with DataFrame columns."""
    if isinstance(table, Mapping):
        return dict(table)
    if hasattr(table, "columns") and hasattr(table, "__getitem__"):
        names = list(table.columns)
        repeated = {str(name) for name in names if names.count(name) > 1}
        if repeated:
            raise error(f"{what} has repeated columns {sorted(repeated)}; expected each name once")
        return {name: table[name] for name in names}
    raise error(f"{what} is a {type(table).__name__}; expected a mapping from name to values, or a DataFrame")


def _checked_name(key: Hashable, *, reserved: set[str], error: type[ValueError], what: str) -> str:
    if not isinstance(key, str) or not key or "\x00" in key:
        raise error(f"{what} name {key!r} is not a non-empty text; rename it")
    if key in reserved:
        raise error(f"{what} cannot be called {key!r}: that names a dimension of the run; rename it")
    return key


def nearest(steps: np.ndarray, step: float) -> list[int]:
    """Return the recorded steps next to ``step`` on either side."""
    if math.isnan(step):
        return [int(steps[0]), int(steps[-1])]
    right = int(np.searchsorted(steps, step))
    return [int(s) for s in steps[max(right - 1, 0) : right + 1]]
