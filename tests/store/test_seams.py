"""Where writing, ending and beginning anew meet: what one recording leaves undone harms no other."""

from __future__ import annotations

import threading
import time
import warnings

import numpy as np
import pytest

from rdmviz import TrainingRun, open_run
from rdmviz.errors import RecordingWarning, StoreLockedError
from rdmviz.store import RunWriter
from rdmviz.store import waiting as waiting_module
from rdmviz.store.growing import GrowingStore


def wait_for(true, seconds=10):
    deadline = time.monotonic() + seconds
    while not true() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert true()


def test_a_write_that_hung_destroys_nothing_when_it_wakes(tmp_path, monkeypatch):
    monkeypatch.setattr(waiting_module, "_PATIENCE_SECONDS", 0.2)
    path, wakes, hangs = tmp_path / "run", threading.Event(), threading.Event()
    writer = RunWriter(path, 2, flush_seconds=0.01)
    writer.append(0, [0, 0])
    writer.flush()
    write = GrowingStore.write

    def hang(self, *args):
        hangs.set()
        wakes.wait()
        write(self, *args)

    monkeypatch.setattr(GrowingStore, "write", hang)
    writer.append(1, [1, 1])
    assert hangs.wait(10)
    monkeypatch.setattr(GrowingStore, "write", write)
    with pytest.warns(RecordingWarning, match="has not ended"):
        writer.close()
    with pytest.raises(StoreLockedError):  # whoever hangs may wake
        RunWriter(path, 2, resume=True)
    wakes.set()
    lock = path.with_name(".run.lock")
    wait_for(lambda: not lock.exists())
    again = RunWriter(path, 2, resume=True)
    again.append(5, [5, 5])
    again.close()
    assert open_run(path).steps.tolist() == [0, 5]


def test_a_run_is_not_saved_where_one_is_recorded_nor_recorded_where_one_is_saved(tmp_path):
    path = tmp_path / "run"
    run = TrainingRun.from_arrays(np.arange(20.0).reshape(10, 2))
    run.save(path)
    tried: list[Exception] = []

    class Slow(TrainingRun):
        def rows(self, start, stop):
            with pytest.raises(StoreLockedError) as caught:
                RunWriter(path, 2, dtype="float64", resume=True)
            tried.append(caught.value)
            return super().rows(start, stop)

    run.__class__ = Slow
    run.save(path, overwrite=True)
    assert tried
    RunWriter(path, 2, dtype="float64", resume=True).close()
    writer = RunWriter(tmp_path / "other", 2)
    with pytest.raises(StoreLockedError):
        run.save(tmp_path / "other", overwrite=True)
    writer.close()


def test_a_commit_that_arrives_though_it_fails_locks_nobody_out(tmp_path, monkeypatch):
    writer = RunWriter(tmp_path / "run", 2, flush_seconds=1e9)
    commit, fails = GrowingStore.commit, [True]

    def failing(self, lost=None):
        counted = self._counted
        commit(self, lost)
        if fails:
            self._counted = counted  # as it is where the answer is lost on its way
            raise TimeoutError("no answer")

    monkeypatch.setattr(GrowingStore, "commit", failing)
    writer.append(0, [0, 0])
    with pytest.warns(RecordingWarning, match="no answer"):
        writer.flush()
    fails.clear()
    writer.append(1, [1, 1])
    with pytest.warns(RecordingWarning, match="every row was written in the end"):
        writer.close()
    assert open_run(tmp_path / "run").steps.tolist() == [0, 1]


def test_a_snapshot_whose_commit_fails_is_committed_with_the_next(tmp_path, monkeypatch):
    writer = RunWriter(tmp_path / "run", 2, flush_seconds=1e9)
    writer.append(0, [0, 0])
    writer.flush()
    commit, fails = GrowingStore.commit, [True]

    def failing(self, lost=None):
        if fails and self.snapshots.head is not None:
            raise OSError("no room")
        commit(self, lost)

    monkeypatch.setattr(GrowingStore, "commit", failing)
    with pytest.warns(RecordingWarning, match="no room"):
        writer.append(1, [1, 1], snapshot={"weights": {"w": np.ones(3, np.float32)}})
    fails.clear()
    with pytest.warns(RecordingWarning, match="in the end"):
        writer.close()
    run = open_run(tmp_path / "run")
    assert (run.steps.tolist(), run.snapshot_steps.tolist()) == ([0, 1], [1])


def test_every_recording_ends_where_the_warnings_of_one_are_errors(tmp_path):
    writers = [RunWriter(tmp_path / str(k), 2, flush_seconds=1e9) for k in range(3)]
    for writer in writers:
        writer.append(0, [0, 0])
    (tmp_path / "0").rename(tmp_path / "away")
    with warnings.catch_warnings():
        warnings.simplefilter("error", RecordingWarning)
        with pytest.raises(RecordingWarning):
            waiting_module._end_all()
    assert [open_run(tmp_path / name).n_steps for name in "12"] == [1, 1]
    assert not list(tmp_path.glob(".*.lock"))
