"""When to record: every so many steps, log-spaced, or denser while the loss moves.

A schedule is called with a training step and says whether the step is due; any function of the step will do.
One with a method ``update(step, losses)`` is told of every row that was recorded, so that what it says may
depend on them, and on nothing later: a recording that is resumed goes on as if it had not been interrupted.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from numbers import Integral, Real
from typing import Any, TypeAlias

import numpy as np

from rdmviz.errors import OptionError

__all__ = ["Adaptive", "LogSpaced", "Schedule", "checked_schedule", "remembered", "replay", "told"]

Schedule: TypeAlias = Callable[[int], bool]

_ROWS_AT_ONCE = 256


class LogSpaced:
    """Step 0, then steps evenly spaced on a logarithmic axis, as the first steps of a training matter most.

    The marks are 0 and ``first * 10 ** (i / per_decade)``, rounded. A step is due if a mark lies at it or
    between it and the row before, so that a loop that asks only now and then misses none.

    Parameters
    ----------
    per_decade : float
        Rows for each tenfold of steps.
    first : int
        The first mark after 0.

    Raises
    ------
    OptionError
        A number has no meaning.
    """

    remembers = 1

    def __init__(self, per_decade: float = 10, *, first: int = 1) -> None:
        self._per_decade = _positive("per_decade", per_decade)
        self._first = _steps("first", first)
        self._last = -1

    def __call__(self, step: int) -> bool:
        """Return whether a mark lies after the last row and at or before ``step``."""
        return self._mark_before(step) > self._last

    def update(self, step: int, losses: Any) -> None:
        """Take note of a row."""
        self._last = max(self._last, step)

    def _mark_before(self, step: int) -> int:
        if step < self._first:
            return min(step, 0)
        near = int(self._per_decade * math.log10(step / self._first))
        # rounded to a whole step, a mark may come to lie on either side of where the logarithm has it
        marks = (self._mark(index) for index in range(max(near - 1, 0), near + 3))
        return max(mark for mark in marks if mark <= step)

    def _mark(self, index: int) -> int:
        return round(self._first * 10 ** (index / self._per_decade))

    def __repr__(self) -> str:
        return f"LogSpaced(per_decade={self._per_decade:g}, first={self._first})"


class Adaptive:
    """Denser while the mean loss of the probe moves, sparser while it is still.

    After each row the next one is set so far away that, at the pace of late, the mean loss will have moved
    by ``tolerance`` of itself; at most twice as far as the one before. A move shows with the first row after
    it: a transition that is over within ``least`` steps may fall between two rows.

    Parameters
    ----------
    least : int
        Never rarer: a row is due this many steps after the one before, however still the loss.
    most : int
        Never more often: no row is due less than this many steps after the one before. The first rows are
        this far apart.
    tolerance : float
        Change of the mean loss from row to row that is aimed at, relative to the larger of the two. Losses
        that are NaN or infinite are left out.

    Raises
    ------
    OptionError
        A number has no meaning, or ``most`` is larger than ``least``.
    """

    remembers = 2

    def __init__(self, *, least: int, most: int = 1, tolerance: float = 0.05) -> None:
        self._least, self._most = _steps("least", least), _steps("most", most)
        self._tolerance = _positive("tolerance", tolerance)
        if self._most > self._least:
            raise OptionError(
                f"most={most}, least={least}; expected steps between rows, at least `most` and at most "
                "`least`: most <= least"
            )
        self._last: int | None = None
        self._mean = math.nan
        self._gap = self._most

    def __call__(self, step: int) -> bool:
        """Return whether ``step`` is far enough from the last row."""
        return self._last is None or step - self._last >= self._gap

    def update(self, step: int, losses: Any) -> None:
        """Choose the distance to the next row from this one and the one before."""
        if self._last is not None and step <= self._last:
            return
        values = np.asarray(losses, np.float64)
        finite = values[np.isfinite(values)]
        mean = float(finite.mean()) if finite.size else math.nan
        if self._last is not None:
            growth = min(2.0, self._tolerance / max(self._moved(mean), 1e-300))
            aimed = (step - self._last) * growth
            self._gap = int(min(max(round(aimed), self._most), self._least))
        self._last, self._mean = step, mean

    def _moved(self, mean: float) -> float:
        size = max(abs(mean), abs(self._mean))
        # a mean that is not there has not moved: a training that is lost is not worth a row at every step
        return abs(mean - self._mean) / size if size > 0 and math.isfinite(mean - self._mean) else 0.0

    def __repr__(self) -> str:
        return f"Adaptive(least={self._least}, most={self._most}, tolerance={self._tolerance:g})"


class _Every:
    def __init__(self, steps: int) -> None:
        self._steps = steps

    def __call__(self, step: int) -> bool:
        return step % self._steps == 0

    def __repr__(self) -> str:
        return str(self._steps)


def checked_schedule(every: Any, option: str = "every") -> Schedule:
    """Return a schedule of its own for an integer, a schedule or a function of the step.

    Raises
    ------
    OptionError
        None of these.
    """
    if not isinstance(every, bool) and isinstance(every, Integral) and int(every) >= 1:
        return _Every(int(every))
    if isinstance(every, (LogSpaced, Adaptive)):
        return copy.copy(every)  # what one recording did is nothing to the next one
    if callable(every) and not isinstance(every, type):
        schedule: Schedule = every
        return schedule
    raise OptionError(
        f"{option}={every!r:.60}; expected an integer, at least 1, a schedule such as "
        "LogSpaced(per_decade=10) or Adaptive(least=1000), or a function of the step that says whether it "
        "is due"
    )


def told(schedule: Schedule, step: int, losses: Any, dtype: Any = None) -> None:
    """Tell a schedule of a row that was recorded, in the precision it is stored in, if it wants to know."""
    update = getattr(schedule, "update", None)
    if update is not None:
        with np.errstate(over="ignore"):  # what that precision cannot hold is stored as infinite
            update(step, np.asarray(losses, dtype))


def remembered(schedule: Schedule) -> int:
    """Return how many of the last rows matter to a schedule: one at least, and possibly all."""
    return int(getattr(schedule, "remembers", 2**63 - 1)) if hasattr(schedule, "update") else 1


def replay(schedule: Schedule, steps: Sequence[int] | np.ndarray, losses: Any) -> None:
    """Bring a schedule to where it was after rows that are recorded already.

    Parameters
    ----------
    schedule
        As :func:`checked_schedule` gives it.
    steps : array_like of int, shape (T,)
        Steps of the rows.
    losses : array_like, shape (T, n)
        The rows, as precise as they are stored; only slices of it are read, and only the last few rows where
        the schedule has an attribute ``remembers`` that says how many matter to it.
    """
    if not hasattr(schedule, "update"):
        return
    rows = len(steps)
    first = max(0, rows - remembered(schedule))
    for start in range(first, rows, _ROWS_AT_ONCE):
        block = np.asarray(losses[start : min(start + _ROWS_AT_ONCE, rows)])
        for step, row in zip(steps[start : start + len(block)], block, strict=True):
            told(schedule, int(step), row)


def _steps(option: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, Integral) or int(value) < 1:
        raise OptionError(f"{option}={value!r:.60}; expected a number of steps, an integer of at least 1")
    return int(value)


def _positive(option: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 < float(value) < math.inf:
        raise OptionError(f"{option}={value!r:.60}; expected a positive number")
    return float(value)
