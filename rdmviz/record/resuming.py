"""A recording that goes on: where it was, told to its schedules, on every rank."""

from __future__ import annotations

import numpy as np

from rdmviz.record.distributed import Ranks
from rdmviz.record.schedules import Schedule, replay, rows_remembered
from rdmviz.run import TrainingRun

__all__ = ["go_on"]


def go_on(
    run: TrainingRun | None, rows: Schedule, snapshots: Schedule | None, samples: int, ranks: Ranks | None
) -> int | None:
    """Bring schedules to where they were after the rows that are recorded already.

    Parameters
    ----------
    run
        What the rank that writes goes on from; None elsewhere, and where there is nothing yet.
    rows, snapshots
        Schedules of both; they are told of no more rows than matter to them.
    samples : int
        Number of datapoints.
    ranks
        All of which need to know, if there are several.

    Returns
    -------
    Step of the last row; None before the first.
    """
    steps = np.empty(0, np.int64) if run is None else run.steps
    taken = np.empty(0, np.int64) if run is None else np.intersect1d(run.snapshot_steps, steps)
    for schedule, own in ((rows, steps), (snapshots, taken)):
        if schedule is not None:
            _tell(schedule, run, own, samples, ranks)
    last = int(steps[-1]) if len(steps) else None
    return last if ranks is None else ranks.of_first(last)


def _tell(
    schedule: Schedule, run: TrainingRun | None, steps: np.ndarray, samples: int, ranks: Ranks | None
) -> None:
    recorded = None if run is None else _Losses(run, steps)
    if ranks is None:
        replay(schedule, steps, recorded)
        return
    count = ranks.of_first(rows_remembered(schedule, len(steps))) or 0
    block = np.zeros((count, 1 + samples))
    if recorded is not None and count:
        block[:, 0], block[:, 1:] = steps[-count:], recorded[len(steps) - count : len(steps)]
    block = ranks.block_of_first(block)
    replay(schedule, block[:, 0].astype(np.int64), block[:, 1:])


class _Losses:
    """Rows of a run at some of its steps, read when they are asked for."""

    def __init__(self, run: TrainingRun, steps: np.ndarray) -> None:
        self._run, self._at = run, np.searchsorted(run.steps, steps)

    def __getitem__(self, part: slice) -> np.ndarray:
        at = self._at[part]
        return np.stack([self._run.rows(int(row), int(row) + 1)[0] for row in at])
