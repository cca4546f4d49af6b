"""Whether a recording can go on in the store that is at its path."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rdmviz.errors import LossShapeError, NoRowsYetError, OptionError, ProbeError
from rdmviz.store.places import reading
from rdmviz.store.reader import RunStore
from rdmviz.store.replacing import holds_something

__all__ = ["holds_no_row", "kept_at", "resumable"]


def resumable(
    place: Path | str,
    samples: int,
    dtype: np.dtype[Any],
    probe: Mapping[str, np.ndarray] | None,
    recorder: Any = None,
) -> RunStore | None:
    """Return the committed rows that a recording goes on from, or None where there are none.

    Parameters
    ----------
    probe
        Checked columns, which must be those of the store; None leaves them as they are.
    recorder
        What a Recorder notes of its probe in ``attrs["recorder"]``; compared where both are known.

    Raises
    ------
    LossShapeError, OptionError, ProbeError
        What is there is of other datapoints, of another precision, or has other facts about them.
    RunNotFoundError, TruncatedStoreError, SchemaVersionError
        What is there is no run, damaged, or from a newer rdmviz.
    """
    store = kept_at(place)
    if store is None:
        return None
    way_out = "resume with what it was recorded with, or record to another path"
    if store.shape[1] != samples:
        raise LossShapeError(f"{place} is of {store.shape[1]} datapoints, not {samples}; {way_out}")
    if store.dtype != dtype:
        raise OptionError(f"{place} holds {store.dtype}, not dtype={str(dtype)!r}; {way_out}")
    noted = store.attrs.get("recorder")
    if isinstance(noted, Mapping) and isinstance(recorder, Mapping):
        for key, value in recorder.items():
            if noted.get(key) != value:
                raise ProbeError(f"{place} was recorded with another {key}; {way_out}")
    if probe is not None:
        differing = _differing(store, probe)
        if differing is not None:
            raise ProbeError(
                f"{place} has another probe: column {differing!r:.80} is not the same; {way_out}, "
                "or leave metadata out to keep what is there"
            )
    return store


def kept_at(place: Path | str) -> RunStore | None:
    """Return the run at a place, or None where there is no row.

    Raises
    ------
    RunNotFoundError, TruncatedStoreError, SchemaVersionError
        What is there is no run, damaged, or from a newer rdmviz.
    """
    if not holds_something(place):
        return None
    try:
        return RunStore(reading(place), str(place))
    except NoRowsYetError:
        return None


def holds_no_row(place: Path | str) -> bool:
    """Return whether at a local place is a recording that failed before its first row: nothing is lost."""
    if not isinstance(place, Path) or not holds_something(place):
        return False
    try:
        return kept_at(place) is None
    except Exception:  # whatever it is, it is something
        return False


def _differing(store: RunStore, probe: Mapping[str, np.ndarray]) -> str | None:
    """Return the first column that is not in both, or not the same."""
    pictures = store.lazy_pictures()
    names = {*store.probe, *pictures}
    for name in sorted(names ^ {*probe}):
        return name
    for name, given in probe.items():
        if name in pictures:
            whole = store.pictures(name, 0, 1).dtype == given.dtype and pictures[name].shape == given.shape
            blocks = [slice(at, at + 256) for at in range(0, len(given), 256)] if whole else []
            alike = whole and all(
                _same(store.pictures(name, block.start, min(block.stop, len(given))), given[block])
                for block in blocks
            )
        else:
            alike = _same(store.probe[name], given)
        if not alike:
            return name
    return None


def _same(kept: np.ndarray, given: np.ndarray) -> bool:
    if kept.dtype.kind == "U" and given.dtype.kind == "U":
        return bool(np.array_equal(kept, given))
    return kept.dtype == given.dtype and bool(np.array_equal(kept, given, equal_nan=given.dtype.kind == "f"))
