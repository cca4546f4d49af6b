"""Tokens among their neighbours: the sequences of a probe in reading order."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from rdmviz.analysis.columns import POSITION, SEQUENCE, TOKEN, has_sequences
from rdmviz.errors import ProbeError

if TYPE_CHECKING:
    from rdmviz.run import TrainingRun


class Sequences:
    """The sequences of a per-token probe, by :func:`sequences_of`.

    Parameters
    ----------
    sequence, position
        Of each datapoint, ``(n,)``.
    """

    def __init__(self, sequence: NDArray[np.generic], position: NDArray[np.generic]) -> None:
        code = np.unique(sequence, return_inverse=True)[1]
        self._order = np.lexsort((position, code))
        self._place = np.empty(len(code), np.intp)
        self._place[self._order] = np.arange(len(code))
        starts = np.flatnonzero(np.diff(code[self._order], prepend=-1))
        ends = np.append(starts[1:], len(code))
        self._start, self._end = starts[code], ends[code]

    def around(self, sample: int, reach: int) -> NDArray[np.intp]:
        """Datapoint and its neighbours in the sequence, in reading order, at most `reach` on either side."""
        place = int(self._place[sample])
        first = max(int(self._start[sample]), place - reach)
        return self._order[first : min(int(self._end[sample]), place + reach + 1)]

    def of(self, sample: int) -> NDArray[np.intp]:
        """All datapoints of the same sequence in reading order."""
        return self._order[self._start[sample] : self._end[sample]]


_kept: WeakKeyDictionary[TrainingRun, Sequences] = WeakKeyDictionary()


def sequences_of(run: TrainingRun) -> Sequences:
    """Return the sequences of a run whose datapoints are tokens; found once per run.

    Raises
    ------
    ProbeError
        If the probe has no text column ``token`` beside a column ``sequence``.
    """
    if not has_sequences(run):
        raise ProbeError(
            f"the probe has columns {', '.join(map(repr, map(str, run.probe))) or '(none)'}; expected text "
            f"{TOKEN!r} and {SEQUENCE!r} (and {POSITION!r}, where rows are not in reading order)"
        )
    if run not in _kept:
        rows = np.arange(run.n_samples)
        position = run.probe[POSITION].values if POSITION in run.probe else rows
        _kept[run] = Sequences(run.probe[SEQUENCE].values, position)
    return _kept[run]
