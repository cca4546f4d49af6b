"""Writing a run: at a path that nobody else writes to, anew or after the rows that are there."""

from __future__ import annotations

import shutil
import tempfile
import uuid
import weakref
import zipfile
from collections.abc import Mapping
from glob import escape
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from zarr.abc.store import Store
from zarr.core.buffer import Buffer, default_buffer_prototype
from zarr.storage import MemoryStore

from rdmviz.errors import (
    LossShapeError,
    OptionError,
    StoreExistsError,
    StoreLockedError,
    StoreUnwritableError,
)
from rdmviz.store.growing import GrowingStore, create
from rdmviz.store.layout import chunk_rows
from rdmviz.store.locks import RecordingLock, check_unlocked
from rdmviz.store.places import at, is_zip, openable, reading
from rdmviz.store.reader import RunStore
from rdmviz.store.replacing import check_room, replacing, write_zip
from rdmviz.store.resuming import holds_no_row, resumable
from rdmviz.store.room import check_writable
from rdmviz.store.rows import checked_memory, checked_seconds, checked_step
from rdmviz.store.snapshots import Parts
from rdmviz.store.waiting import WaitingRows
from rdmviz.validation import checked_attrs, checked_probe

__all__ = ["RunWriter", "check_path"]


def check_path(
    path: str | PathLike[str], *, overwrite: bool = False, resume: bool = False, drop_after: Any = None
) -> None:
    """Check what can be known before the first row about a path that is to be recorded to.

    Raises
    ------
    OptionError, StepsError
        The options contradict each other.
    StoreExistsError, StoreLockedError, StoreUnwritableError
        Something is there; another recorder writes there; nothing can be written there.
    """
    _check_options(path, overwrite=overwrite, resume=resume, drop_after=drop_after)
    place = at(path)
    check_unlocked(place)
    check_writable(place)
    if not resume:
        _checked_room(place, overwrite=overwrite)


class RunWriter:
    """Appends rows to a store.

    Rows wait in memory until a chunk of them is there, or ``flush_seconds`` have passed since the last
    commit; then a thread writes and commits them. Who opens the store meanwhile sees whole rows only, and a
    run that is killed keeps what was committed. Threads may share a writer.

    While the store cannot be written to (the disk is full, or gone) rows wait and the training goes on; a
    :class:`rdmviz.errors.RecordingWarning` says so at once, and again at the end. Rows beyond `memory_mb` are
    lost, and the gap is noted in the store.

    Parameters
    ----------
    path : path, URL or None
        Where to write; None keeps the run in memory. A ``.zip`` is written when the writer is closed.
    samples : int
        Number of datapoints.
    probe, name, attrs
        As in :meth:`rdmviz.TrainingRun.from_arrays`.
    dtype : dtype
        Precision of the losses: float16, float32 or float64.
    overwrite : bool
        Replace a run that is there already.
    resume : bool
        Go on after the last committed row of the run that is there, which keeps its name, attrs and probe;
        where there is none, begin one.
    drop_after : int, optional
        With `resume`: drop the rows recorded after this step.
    flush_seconds : float
        Time between commits; 0 commits every row before ``append`` returns.
    memory_mb : float
        How much may wait in memory while the store cannot be written to.

    Raises
    ------
    StoreExistsError
        Something is at the path.
    StoreLockedError
        Another recorder writes there.
    StoreUnwritableError
        Nothing can be written there.
    OptionError, LossShapeError, ProbeError
        An option has no meaning, or what is there is of other datapoints or another precision.
    """

    def __init__(
        self,
        path: str | PathLike[str] | None,
        samples: int,
        *,
        probe: Any = None,
        name: str = "",
        attrs: Mapping[str, Any] | None = None,
        dtype: Any = np.float32,
        overwrite: bool = False,
        resume: bool = False,
        drop_after: int | None = None,
        flush_seconds: float = 1.0,
        memory_mb: float = 512.0,
    ) -> None:
        checked_seconds(flush_seconds)
        checked_memory(memory_mb)
        if samples < 2:
            raise LossShapeError(f"{samples} datapoint(s); expected at least two")
        _check_options(path, overwrite=overwrite, resume=resume, drop_after=drop_after)
        self._place = None if path is None else at(path)
        if self._place is not None and not resume:
            overwrite = _checked_room(self._place, overwrite=overwrite)
        self._files: dict[str, Buffer] = {}
        self._target: Store
        self._made: dict[str, Any] = {
            "samples": samples,
            "dtype": np.dtype(dtype),
            "probe": checked_probe(probe, samples),
            "name": str(name),
            "attrs": checked_attrs(attrs),
        }
        lock = None
        if isinstance(self._place, Path):
            itemsize = self._made["dtype"].itemsize
            chunk = chunk_rows(samples, itemsize) * samples * itemsize
            lock = _locked(self._place, chunk + sum(column.nbytes for column in self._made["probe"].values()))
        lost: list[list[int]] = []
        try:
            kept = None
            if resume and self._place is not None:
                columns = None if probe is None else self._made["probe"]
                noted = self._made["attrs"].get("recorder")
                kept = resumable(self._place, samples, self._made["dtype"], columns, noted)
            if kept is None or self._place is None:
                self._begin(overwrite=overwrite or resume)
                store, last_step = GrowingStore(self._target), None
            else:
                self._target = self._opened(self._place)
                store, last_step, lost = _cut(GrowingStore(self._target), kept, drop_after)
        except BaseException:
            if lock is not None:
                lock.release()
            raise
        self._rows = WaitingRows(
            store,
            "the run in memory" if self._place is None else str(self._place),
            lock,
            last_step=last_step,
            lost=lost,
            flush_seconds=flush_seconds,
            memory_mb=memory_mb,
            alone=self._place is None,
            ending=_Ending(self._place, self._files, self._made),
        )
        weakref.finalize(self, self._rows.abandon).atexit = False

    def append(
        self,
        step: int,
        losses: Any,
        metrics: Mapping[str, float] | None = None,
        snapshot: Parts | None = None,
    ) -> None:
        """Add one row.

        Parameters
        ----------
        step : int
            Training step, larger than the one before.
        losses : array_like, shape (n,)
            Loss of each datapoint.
        metrics : mapping, optional
            Name to number; a metric that a row does not give is NaN there.
        snapshot : mapping, optional
            Kind and layer to array. It is written and committed at once, the row with it.

        Raises
        ------
        LossShapeError, StepsError, MetricError, SnapshotError
            The row does not fit; nothing of it is kept.
        """
        self._rows.add(step, losses, metrics, snapshot)

    def flush(self) -> None:
        """Write and commit the rows that wait in memory."""
        self._rows.flush()

    def close(self) -> None:
        """Write what waits and end the store; appending afterwards is an error."""
        self._rows.close()

    def read(self) -> RunStore:
        """Return the committed rows for reading."""
        if self._place is None or is_zip(self._place):
            return RunStore(self._target, "the run in memory")
        return RunStore(reading(self._place), str(self._place))

    def _begin(self, *, overwrite: bool) -> None:
        """Make the store, without rows."""
        if self._place is None or is_zip(self._place):
            self._target = MemoryStore(self._files)
            if self._place is not None:
                check_room(self._place, overwrite=overwrite)
            create(self._target, **self._made)
        elif isinstance(self._place, str):
            with replacing(self._place, overwrite=overwrite):
                self._target = openable(self._place, read_only=False)
                create(self._target, **self._made)
        else:
            # Made beside its place and moved there: a process that is killed meanwhile leaves no half of one.
            fresh = self._place.with_name(f".{self._place.name}.{uuid.uuid4().hex[:8]}.new")
            try:
                create(openable(fresh, read_only=False), **self._made)
                with replacing(self._place, overwrite=overwrite):
                    fresh.rename(self._place)
            except StoreExistsError:
                raise
            except OSError as error:
                raise StoreUnwritableError(
                    f"{self._place} cannot be written ({error}); choose another path"
                ) from error
            finally:
                shutil.rmtree(fresh, ignore_errors=True)
            self._target = openable(self._place, read_only=False)

    def _opened(self, place: Path | str) -> Store:
        """Return the store that is there, to be written to."""
        if not is_zip(place):
            return openable(place, read_only=False)
        buffer = default_buffer_prototype().buffer
        with zipfile.ZipFile(place) as archive:
            self._files |= {name: buffer.from_bytes(archive.read(name)) for name in archive.namelist()}
        return MemoryStore(self._files)


class _Ending:
    """What becomes of a recording at its end; it knows the writer's parts, for the writer may be gone."""

    def __init__(self, place: Path | str | None, files: dict[str, Buffer], made: Mapping[str, Any]) -> None:
        self._place, self._files, self._made = place, files, made

    def finish(self) -> None:
        """Write the zip of a run that was kept in memory."""
        if isinstance(self._place, Path) and is_zip(self._place):
            write_zip({key: buffer.to_bytes() for key, buffer in self._files.items()}, self._place)

    def rescue(self, steps: list[int], rows: list[np.ndarray], metrics: list[dict[str, float]]) -> str:
        """Keep elsewhere what could not be written, and say where."""
        folder = Path(tempfile.mkdtemp(prefix="rdmviz-"))
        if isinstance(self._place, Path) and is_zip(self._place):
            rescued = folder / self._place.name
            write_zip({key: buffer.to_bytes() for key, buffer in self._files.items()}, rescued)
            return f"The run is kept in {rescued}: copy it to its place"
        target = openable(folder / "rows.rdmviz", read_only=False)
        create(target, **self._made)
        store = GrowingStore(target)
        store.write(np.array(steps, dtype=np.int64), np.stack(rows), metrics)
        store.commit()
        return (
            f"Its last {len(steps)} rows, steps {steps[0]} to {steps[-1]}, are kept as a run of their own in "
            f"{folder / 'rows.rdmviz'}: append them to it with resume=True when its place is back"
        )


def _checked_room(place: Path | str, *, overwrite: bool) -> bool:
    """Return whether what is there may be replaced, if there is anything."""
    if not overwrite and holds_no_row(place):
        overwrite = True
    try:
        check_room(place, overwrite=overwrite)
    except StoreExistsError as error:
        if overwrite:
            raise
        raise StoreExistsError(f"{error}. To record on in it pass resume=True") from None
    return overwrite


def _check_options(path: Any, *, overwrite: bool, resume: bool, drop_after: Any) -> None:
    if drop_after is not None:
        checked_step(drop_after)
        if not resume:
            raise OptionError(
                f"drop_after={drop_after!r:.60} drops rows of a run that goes on; add resume=True"
            )
    if resume and overwrite:
        raise OptionError("resume=True keeps the run that is there and overwrite=True replaces it; give one")
    if resume and path is None:
        raise OptionError("resume=True goes on with a run at a path; path is None")


def _locked(place: Path, wanted: int) -> RecordingLock:
    check_writable(place, wanted)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        lock = RecordingLock(place)
    except StoreLockedError:
        raise
    except OSError as error:
        raise StoreUnwritableError(f"{place} cannot be written ({error}); choose another path") from error
    for left in place.parent.glob(
        f".{escape(place.name)}.{'[0-9a-f]' * 8}.new"
    ):  # by a process that was killed
        shutil.rmtree(left, ignore_errors=True)
    return lock


def _cut(
    store: GrowingStore, kept: RunStore, drop_after: int | None
) -> tuple[GrowingStore, int | None, list[list[int]]]:
    """Drop the rows after a step; return the store, its last step, and the gaps before that."""
    rows, lost = kept.shape[0], [list(gap) for gap in kept.lost]
    store.go_on(kept.snapshots, None if drop_after is None else checked_step(drop_after))
    if drop_after is not None:
        rows = int(np.searchsorted(kept.steps, checked_step(drop_after), side="right"))
        lost = [
            [first, min(last, drop_after), min(count, drop_after - first + 1)]
            for first, last, count in lost
            if first <= drop_after
        ]
        if rows < kept.shape[0]:
            store.drop(rows, lost)
    return store, int(kept.steps[rows - 1]) if rows else None, lost
