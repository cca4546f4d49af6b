"""A run that is still being recorded: the same run with the rows committed since it was opened."""

from __future__ import annotations

from rdmviz.analysis.gram_cache import hand_gram_over
from rdmviz.analysis.group_path import hand_groups_over
from rdmviz.errors import OptionError
from rdmviz.run import TrainingRun


def grown(run: TrainingRun) -> TrainingRun | None:
    """Return the run with the rows committed since, or None if there are none.

    What was computed of the run is handed over and extended, so that growth costs the new rows alone; use
    the old run no more.

    Raises
    ------
    OptionError
        If the run was not opened from a store, or as a dask array.
    RunNotFoundError, TruncatedStoreError
        If the store is gone or damaged, or was replaced by another run.
    """
    if run.store is None or run.chunked is not None:
        raise OptionError(
            f"run {run.name!r} lies in memory and does not grow: follow one that was opened with "
            "rdmviz.open_run(path) from the folder or URL that a Recorder writes"
        )
    if run.store.committed() == run.n_steps:
        return None
    new = TrainingRun.from_store(run.store.grown())
    new.origin = run.origin
    hand_gram_over(run, new)
    hand_groups_over(run, new)
    return new
