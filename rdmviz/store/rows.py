"""What one recorded row may hold, checked before anything of it is kept."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import Any

import numpy as np

from rdmviz.errors import LossShapeError, MetricError, OptionError, StepsError
from rdmviz.validation import checked_metrics

__all__ = ["checked_memory", "checked_row", "checked_seconds", "checked_step"]

_STEPS = np.iinfo(np.int64)


def checked_step(step: Any) -> int:
    """Return a training step as an int.

    Raises
    ------
    StepsError
        Not an integer that 64 bits hold.
    """
    number: int | None = None
    if isinstance(step, (float, np.floating)) and float(step).is_integer():
        number = int(step)
    elif not isinstance(step, (bool, np.bool_)):
        try:
            number = operator.index(step)
        except TypeError:
            number = None
    if number is None:
        plain = step is None or isinstance(step, (str, bool, int, float, np.generic))
        shown = f"{_python(step)!r:.60}" if plain else f"a {type(step).__name__}"
        raise StepsError(
            f"step is {shown}; expected the training step first, an integer such as 0: (step, ...)"
        )
    if not _STEPS.min <= number <= _STEPS.max:
        raise StepsError(f"step has {number.bit_length()} bits; expected an integer from -2**63 to 2**63 - 1")
    return number


def checked_seconds(seconds: Any) -> None:
    """Check the time between commits.

    Raises
    ------
    OptionError
        No duration.
    """
    if not isinstance(seconds, (int, float)) or not seconds >= 0:
        raise OptionError(f"flush_seconds={seconds!r:.60}; expected seconds, 0 or more")


def checked_memory(megabytes: Any) -> None:
    """Check how much may wait in memory.

    Raises
    ------
    OptionError
        No size.
    """
    if isinstance(megabytes, bool) or not isinstance(megabytes, (int, float)) or not 0 < megabytes < np.inf:
        raise OptionError(f"memory_mb={megabytes!r:.60}; expected megabytes, more than 0")


def checked_row(
    step: Any, losses: Any, metrics: Any, *, samples: int | None = None, last: int | None = None
) -> tuple[int, np.ndarray, dict[str, float]]:
    """Return step, losses ``(n,)`` and metrics of a row that may follow step ``last``.

    Raises
    ------
    StepsError, LossShapeError, MetricError
        The row does not fit.
    """
    number = checked_step(step)
    if last is not None and number <= last:
        raise StepsError(
            f"step {number} after step {last}; expected an increasing integer. Count on over epochs"
        )
    try:
        row = np.asarray(losses)
    except (TypeError, ValueError, RuntimeError) as error:
        raise LossShapeError(
            f"losses at step {number} could not be read as an array ({error}); "
            "expected one real number for each datapoint"
        ) from error
    expected = row.shape if samples is None else (samples,)
    if row.ndim != 1 or row.shape != expected or row.dtype.kind not in "fiub":
        raise LossShapeError(
            f"losses at step {number} have shape {row.shape} and dtype {row.dtype}; "
            f"expected one real number for each of {samples or 'the'} datapoints, shape "
            f"({'n' if samples is None else samples},)"
        )
    if len(row) < 2:
        raise LossShapeError(f"losses at step {number} are of {len(row)} datapoint(s); expected at least two")
    if metrics is not None and not isinstance(metrics, Mapping):
        raise MetricError(
            f"metrics at step {number} are a {type(metrics).__name__}; expected a mapping from name to number"
        )
    measured = {name: _number(name, value) for name, value in (metrics or {}).items()}
    checked_metrics({name: [value] for name, value in measured.items()}, 1)
    return number, row, measured


def _python(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _number(name: Any, value: Any) -> float:
    try:
        array = np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise MetricError(f"metric {name!r} could not be read ({error}); expected one real number") from error
    if array.ndim or array.dtype.kind not in "fiub":
        raise MetricError(f"metric {name!r} is {value!r:.60}; expected one real number per recorded step")
    return float(array)
