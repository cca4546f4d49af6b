"""Rows between a training and its store: they wait here until they are written, also while they cannot be.

A thread writes them, so that neither a slow disk nor one that hangs holds up the training; but for snapshots,
which are written at once.
"""

from __future__ import annotations

import atexit
import concurrent.futures.thread  # noqa: F401  # registers its end before ours, which therefore comes first
import os
import threading
import time
import warnings
import weakref
from collections.abc import Mapping
from typing import Any, Final, Protocol

import numpy as np

from rdmviz.errors import RecordingWarning, StepsError, StoreExistsError, StoreLockedError
from rdmviz.store.growing import GrowingStore
from rdmviz.store.locks import RENEW_SECONDS, RecordingLock
from rdmviz.store.rows import checked_row
from rdmviz.store.snapshots import Parts

__all__ = ["Ending", "WaitingRows"]

_CHUNKS_AHEAD: Final = 4  # as many wait before a training that is faster than its disk is held up
_RETRY_SECONDS: Final = (0.5, 30.0)  # first and longest wait after a write that failed
_PATIENCE_SECONDS: Final = 20.0  # for a write that neither ends nor fails


class Ending(Protocol):
    """What becomes of a recording at its end."""

    def finish(self) -> None:
        """Do what is left when every row is written."""

    def rescue(self, steps: list[int], rows: list[np.ndarray], metrics: list[dict[str, float]]) -> str:
        """Keep elsewhere what could not be written, and say where."""


class WaitingRows:
    """Takes rows and writes them to a store, by and by.

    Parameters
    ----------
    store
        Where rows go.
    where : str
        What to call it.
    lock : RecordingLock or None
        Renewed while rows are taken, released at the end.
    last_step : int or None
        Step of the last row that the store holds.
    lost : list of [int, int, int]
        Gaps of an earlier recording: first and last step lost, and how many rows.
    flush_seconds : float
        Time between commits.
    memory_mb : float
        How much may wait while the store cannot be written. Later rows are lost until it can.
    alone : bool
        Write in calls of :meth:`add` only, without a thread.
    ending : Ending
        What is done at the end.
    """

    def __init__(
        self,
        store: GrowingStore,
        where: str,
        lock: RecordingLock | None,
        *,
        last_step: int | None,
        lost: list[list[int]],
        flush_seconds: float,
        memory_mb: float,
        alone: bool,
        ending: Ending,
    ) -> None:
        self._store, self._where, self._lock, self._ending = store, where, lock, ending
        self._last_step = self._resumed = last_step
        self._lost, self._losing, self._lost_rows = lost, False, 0
        self._flush_seconds = flush_seconds
        self._most = max(1, int(memory_mb * 1e6 / (store.samples * store.dtype.itemsize)))
        self._steps: list[int] = []
        self._rows: list[np.ndarray] = []
        self._measured: list[dict[str, float]] = []
        self._taking = threading.Condition()  # guards what waits
        self._writing = threading.RLock()  # guards the store; taken first where both are
        self._failure = ""  # of the write that failed last, if none succeeded since
        self._failures = 0
        self._hung = False  # a write that neither ended nor failed
        self._retry = _RETRY_SECONDS[0]
        self._next = time.monotonic() + flush_seconds  # when rows that wait are to be written
        self._untold: list[str] = []
        self._process = os.getpid()
        self._stopping = self._abandoned = self.ended = False
        self._thread: threading.Thread | None = None
        if not alone:
            self._thread = threading.Thread(target=self._write_on, name="rdmviz recorder", daemon=True)
            self._thread.start()
        _LIVING.add(self)

    def add(
        self,
        step: Any,
        losses: Any,
        metrics: Mapping[str, float] | None,
        snapshot: Parts | None = None,
    ) -> None:
        """Take one row, and a snapshot with it.

        Raises
        ------
        LossShapeError, StepsError, MetricError, SnapshotError
            The row does not fit; nothing of it is kept.
        StoreExistsError
            The recording has ended.
        """
        if os.getpid() != self._process:
            raise StoreLockedError(
                f"{self._where} is recorded by process {self._process}, and this one was forked from it; "
                "append rows there, or make a Recorder of another path here"
            )
        if self.ended:
            raise StoreExistsError(
                f"step {step!r:.60} came after the store was closed; record into a new one"
            )
        told = ""
        if self._thread is None and self._lock is not None:
            self._lock.renew()
        with self._taking:
            try:
                number, row, measured = checked_row(
                    step, losses, metrics, samples=self._store.samples, last=self._last_step
                )
            except StepsError as error:
                raise self._with_way_out(error) from error
            if snapshot is not None:
                self._store.snapshots.check(number, snapshot)
                self._store.snapshots.add(number, snapshot)
            if len(self._rows) >= self._most and self._failure:
                told = self._lose(number)
            else:
                self._losing = False
                self._steps.append(number)
                with np.errstate(
                    over="ignore"
                ):  # a loss beyond float32 is recorded as infinite, and shown so
                    self._rows.append(row.astype(self._store.dtype))
                self._measured.append(measured)
            self._last_step = number
            waiting = len(self._rows)
            if waiting == 1 or waiting >= self._store.height:
                self._taking.notify()
        if snapshot is not None:
            self.flush()  # at once: snapshots are large
            if self._failure and (left := self._store.snapshots.limit()) is not None:
                told = (
                    f"the snapshot of step {left} is left out: {self._where} cannot be written to "
                    f"({self._failure}), and as many wait as there is memory for"
                )
        elif self._thread is None or self._flush_seconds == 0:
            if self._due():
                self.flush()
        else:
            self._hold_up()
        self._tell(" ".join(filter(None, [told, *self._untold])))

    def flush(self) -> None:
        """Write and commit what waits; if that fails it waits on, and the person is told."""
        if os.getpid() != self._process or self.ended:
            return
        waited, self._hung = self._hung, False
        if not self._writing.acquire(timeout=0.0 if waited else _PATIENCE_SECONDS):
            self._hung = True  # it was waited for once
            if waited:
                return
            self._failed(f"a write has not ended for {_PATIENCE_SECONDS:.0f} seconds")
            return
        try:
            self._write()
        except Exception as error:  # file systems, codecs and networks each raise their own
            self._failed(_shown(error))
        finally:
            self._writing.release()

    def close(self) -> None:
        """Write what waits, tell once more what went wrong, and end."""
        if os.getpid() != self._process or self.ended:
            return
        self._stop()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(_PATIENCE_SECONDS)
        self.flush()
        unfinished = bool(self._rows)
        if not unfinished and not self._store.snapshots.waiting:
            try:
                self._ending.finish()
            except Exception as error:
                self._failed(_shown(error))
                unfinished = True
        self.ended = True
        _LIVING.discard(self)
        texts = list(self._untold)
        if self._failures:
            texts.append(self._summary(unfinished))
        if self._lock is not None and not self._hangs():  # else the thread does when it wakes
            self._lock.release()
        self._tell(" ".join(texts))

    def abandon(self) -> None:
        """End in the background: whoever held the rows is gone."""
        if os.getpid() == self._process:
            self._abandoned = True
            self._stop()
            if self._thread is None and self._lock is not None:
                self._lock.release()

    def _stop(self) -> None:
        with self._taking:
            self._stopping = True
            self._taking.notify()

    def _write_on(self) -> None:
        while not self._stopping:
            with self._taking:
                if not self._stopping:
                    waits = self._rows or self._store.pending
                    left = self._next - time.monotonic() if waits else RENEW_SECONDS
                    self._taking.wait(min(max(left, 0.001), RENEW_SECONDS))
            if self._lock is not None:
                self._lock.renew()
            if self._due():
                self.flush()
        if self._abandoned:
            self.close()
        elif self.ended and self._lock is not None:
            self._lock.release()

    def _hangs(self) -> bool:
        thread = self._thread
        return thread is not None and thread is not threading.current_thread() and thread.is_alive()

    def _check_goes_on(self) -> None:
        if self.ended:
            raise StoreLockedError("the recording ended while a write hung")

    def _hold_up(self) -> None:
        """Wait where a training is faster than its disk, but not for one that hangs."""
        most = _CHUNKS_AHEAD * self._store.height
        with self._taking:
            if not self._taking.wait_for(lambda: self._failure or len(self._rows) < most, _PATIENCE_SECONDS):
                self._failed(f"a write has not ended for {_PATIENCE_SECONDS:.0f} seconds")

    def _due(self) -> bool:
        if not self._rows and not self._store.pending:
            return False
        full = len(self._rows) >= self._store.height and not self._failure
        return full or time.monotonic() >= self._next

    def _write(self) -> None:
        if not self._rows and not self._store.pending:
            return
        if self._lock is not None:
            self._lock.check()
        self._store.check_undisturbed()
        while True:
            with self._taking:
                count = min(len(self._rows), self._store.height)
                steps = np.array(self._steps[:count], dtype=np.int64)
                rows, measured = self._rows[:count], self._measured[:count]
                lost = [list(gap) for gap in self._lost]
            before = self._store.written
            try:
                if count:
                    self._store.write(steps, np.stack(rows), measured)
                self._check_goes_on()
                self._store.commit(lost)
            except BaseException:
                self._store.written = before  # the same rows once more
                raise
            with self._taking:
                for kept in (self._steps, self._rows, self._measured):
                    del kept[:count]
                self._taking.notify_all()
            if not count:
                break
        if self._store.snapshots.waiting:  # after the rows, for which there may be room
            self._store.snapshots.write()
            self._store.commit(lost)
        self._failure, self._retry = "", _RETRY_SECONDS[0]
        self._next = time.monotonic() + self._flush_seconds

    def _failed(self, why: str) -> None:
        first, self._failure = not self._failure, why
        self._failures += 1
        self._next = time.monotonic() + self._retry
        self._retry = min(2 * self._retry, _RETRY_SECONDS[1])
        with self._taking:
            self._taking.notify_all()
        if first and not self._stopping:
            size = self._most * self._store.samples * self._store.dtype.itemsize / 1e6
            self._tell(
                f"{self._where} cannot be written to ({why}). The training goes on: rows wait in memory, up "
                f"to {self._most} of them ({size:.0f} MB), and are written once they can be"
            )

    def _lose(self, step: int) -> str:
        """Count a row as lost, and return what to tell the person, if it is the first of a gap."""
        self._lost_rows += 1
        if self._losing:
            self._lost[-1][1:] = step, self._lost[-1][2] + 1
            return ""
        self._losing = True
        self._lost.append([step, step, 1])
        return (
            f"{self._where} still cannot be written to ({self._failure}), and {self._most} rows wait, as "
            f"many as memory_mb allows: rows from step {step} on are lost until it can"
        )

    def _summary(self, unfinished: bool) -> str:
        """Return what went wrong and what became of the rows; those that still wait are kept elsewhere."""
        text = f"{self._where} could not be written to at times ({self._failures} attempts failed)"
        if unfinished:
            text = f"{self._where} cannot be written to ({self._failure})"
            try:
                text += f". {self._ending.rescue(self._steps, self._rows, self._measured)}"
            except Exception as error:
                text += f", and {len(self._rows)} rows are lost: nor can they be kept elsewhere ({error})"
        if waiting := [*self._store.snapshots.waiting, *self._store.snapshots.left_out]:
            text += f"; snapshots that could not be written are lost: steps {', '.join(map(str, waiting))}"
        if self._lost_rows:
            text += f"; {self._lost_rows} rows are lost for want of memory: {_spans(self._lost)}"
        elif not unfinished:
            text += "; every row was written in the end"
        return text

    def _tell(self, text: str) -> None:
        if not text:
            return
        self._untold.clear()
        try:
            warnings.warn(text, RecordingWarning, stacklevel=3)
        except RecordingWarning:
            # Where warnings are errors they are raised in the training, not in a thread that nobody watches.
            if threading.current_thread() is not self._thread:
                raise
            self._untold.append(text)

    def _with_way_out(self, error: StepsError) -> StepsError:
        if self._resumed is None or self._last_step != self._resumed:
            return error
        return StepsError(
            f"{error}: {self._where} was resumed with resume=True and holds rows up to step {self._resumed}. "
            "To go on from an older checkpoint, drop the rows after it: drop_after=step, with the step of "
            "the checkpoint"
        )


def _shown(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _spans(gaps: list[list[int]]) -> str:
    return ", ".join(f"steps {first} to {last}" for first, last, _ in gaps[-5:])


_LIVING: weakref.WeakSet[WaitingRows] = weakref.WeakSet()


def _end_all() -> None:
    failure = None
    for rows in list(_LIVING):
        try:
            rows.close()
        except Exception as error:  # a warning that is an error here; the others end all the same
            failure = error
    if failure is not None:
        raise failure


# Zarr writes by threads that no longer take work when atexit comes; this comes before they end.
getattr(threading, "_register_atexit", atexit.register)(_end_all)
