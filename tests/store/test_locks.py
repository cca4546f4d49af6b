"""Two recorders on one path: the second is refused, until the first has ended, however it ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from rdmviz import Recorder, open_run
from rdmviz.errors import RecordingWarning, StoreLockedError
from rdmviz.store import RunWriter
from rdmviz.store.locks import RecordingLock

HOLD = """
import sys, time
from rdmviz.store import RunWriter
writer = RunWriter(sys.argv[1], 3)
writer.append(0, [1, 2, 3])
writer.flush()
print("ready", flush=True)
exec(sys.stdin.read())
"""


def recorder_elsewhere(path) -> subprocess.Popen[str]:
    child = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout.readline() == "ready\n"
    return child


def names(folder) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_the_second_is_refused_until_the_first_is_killed(tmp_path):
    path = tmp_path / "run"
    with recorder_elsewhere(path) as child:
        for attempt in (
            lambda: RunWriter(path, 3, resume=True),
            lambda: RunWriter(path, 3, overwrite=True),
            lambda: Recorder(path, resume=True),  # also before it knows how many datapoints there are
            lambda: open_run(path).save(path, overwrite=True),
        ):
            with pytest.raises(StoreLockedError, match=rf"recorded by process {child.pid} on .*another path"):
                attempt()
        os.kill(child.pid, signal.SIGKILL)
    with Recorder(path, resume=True) as recorder:
        recorder.append(1, [4, 5, 6])
    assert open_run(path).steps.tolist() == [0, 1]
    assert names(tmp_path) == {"run"}


def test_an_exit_without_closing_writes_what_waits_and_unlocks(tmp_path):
    path = tmp_path / "run"
    with recorder_elsewhere(path) as child:
        child.communicate("writer._rows._flush_seconds = 1e9; writer.append(1, [4, 5, 6])")
    assert child.returncode == 0
    assert names(tmp_path) == {"run"}
    assert open_run(path).steps.tolist() == [0, 1]


def test_a_child_that_was_forked_neither_writes_nor_unlocks(tmp_path):
    path = tmp_path / "run"
    forked = """
import os
child = os.fork()
if child == 0:
    try:
        writer.append(1, [4, 5, 6])
    except OSError as error:
        print(type(error).__name__, flush=True)
    writer.flush()
    writer.close()
    sys.exit()  # which runs what is to run at exit
os.waitpid(child, 0)
from rdmviz.store.locks import check_unlocked
from pathlib import Path
print(Path(sys.argv[1]).with_name(".run.lock").exists())
writer.append(2, [7, 8, 9])
"""
    with recorder_elsewhere(path) as child:
        said, _ = child.communicate(forked)
    assert said.split() == ["StoreLockedError", "True"]
    assert open_run(path).steps.tolist() == [0, 2]


def test_in_one_process_and_by_another_name(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path)
    writer = RunWriter(tmp_path / "run", 3)
    for path in (tmp_path / "run", tmp_path / "link" / "run", (tmp_path / "run").as_uri()):
        with pytest.raises(StoreLockedError, match=r"close that recorder first: recorder\.close\(\)"):
            RunWriter(path, 3, resume=True)
    writer.close()
    RunWriter(tmp_path / "run", 3, resume=True).close()


def test_of_many_that_come_at_once_one_gets_it(tmp_path):
    path = tmp_path / "run"
    stale = tmp_path / ".run.lock"
    for _ in range(8):
        lock_of(stale)
        os.utime(stale, (0, 0))
        got, refused = [], []

        def take(got=got, refused=refused) -> None:
            try:
                got.append(RecordingLock(path))
            except StoreLockedError as error:
                refused.append(error)

        threads = [threading.Thread(target=take) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (len(got), len(refused)) == (1, 5)
        got[0].release()
    assert names(tmp_path) == set()


def test_one_that_nobody_holds_any_more_unlocks(tmp_path):
    writer = RunWriter(tmp_path / "run", 3, flush_seconds=1e9)
    writer.append(0, [1, 2, 3])
    writer.flush()
    writer.append(1, [1, 2, 3])
    del writer
    patience = time.monotonic() + 10
    while ".run.lock" in names(tmp_path):
        assert time.monotonic() < patience
        time.sleep(0.01)
    assert open_run(tmp_path / "run").n_steps == 2


def lock_of(path, **facts) -> None:
    path.write_text(
        json.dumps({"pid": 7, "host": "elsewhere", "started": "1", "time": "then", "token": "t"} | facts)
    )


def test_a_lock_from_another_host_counts_while_it_is_touched(tmp_path):
    RunWriter(tmp_path / "run", 3).close()
    lock = tmp_path / ".run.lock"
    lock_of(lock)
    with pytest.raises(
        StoreLockedError, match=rf"process 7 on 'elsewhere' since 'then'.*delete {lock}, or wait"
    ):
        RunWriter(tmp_path / "run", 3, resume=True)
    assert names(tmp_path) == {"run", ".run.lock"}
    an_hour_ago = time.time() - 3600
    os.utime(lock, (an_hour_ago, an_hour_ago))
    RunWriter(tmp_path / "run", 3, resume=True).close()
    assert names(tmp_path) == {"run"}


def test_a_process_number_that_came_again_is_not_the_holder(tmp_path):
    lock = RecordingLock(tmp_path / "run")
    path = tmp_path / ".run.lock"
    entry = json.loads(path.read_text())
    with pytest.raises(StoreLockedError):
        RecordingLock(tmp_path / "run")
    path.write_text(json.dumps(entry | {"started": "1"}))
    RecordingLock(tmp_path / "run").release()
    lock.release()


@pytest.mark.parametrize("content", ['{"pid": "x"}', '{"pid": -1}', '{"host": [1]}'])
def test_a_lock_may_say_anything(tmp_path, content):
    path = tmp_path / ".run.lock"
    path.write_text(content)
    with pytest.raises(StoreLockedError, match=r"\.run\.lock"):
        RecordingLock(tmp_path / "run")
    os.utime(path, (0, 0))
    RecordingLock(tmp_path / "run").release()


@pytest.mark.parametrize("content", ["", "not json", "[]", "[" * 9000])
def test_a_lock_that_names_nobody_was_left_by_a_killed_process(tmp_path, content):
    (tmp_path / ".run.lock").write_text(content)
    writes = threading.Timer(0.1, lock_of, [tmp_path / ".run.lock"])
    writes.start()
    with pytest.raises(StoreLockedError, match="process 7"):
        RecordingLock(tmp_path / "run")
    (tmp_path / ".run.lock").write_text(content)
    RecordingLock(tmp_path / "run").release()
    assert names(tmp_path) == set()


def test_whoever_was_suspended_and_lost_the_lock_does_not_write(tmp_path):
    writer = RunWriter(tmp_path / "run", 3, flush_seconds=1e9)
    writer.append(0, [1, 2, 3])
    writer.flush()
    writer.append(1, [1, 2, 3])
    lock_of(tmp_path / ".run.lock", token="another")
    with pytest.warns(RecordingWarning, match="'elsewhere' since 'then' took over its lock"):
        writer.flush()
    assert open_run(tmp_path / "run").n_steps == 1
    (tmp_path / ".run.lock").unlink()
    with pytest.warns(RecordingWarning, match="every row was written"):
        writer.close()
    np.testing.assert_array_equal(open_run(tmp_path / "run").loss[1], [1, 2, 3])


def test_the_holder_touches_it(tmp_path, monkeypatch):
    monkeypatch.setattr("rdmviz.store.locks.RENEW_SECONDS", 0.0)
    monkeypatch.setattr("rdmviz.store.waiting.RENEW_SECONDS", 0.02)
    writer = RunWriter(tmp_path / "run", 3)
    lock = tmp_path / ".run.lock"
    os.utime(lock, (0, 0))
    patience = time.monotonic() + 10
    while lock.stat().st_mtime == 0:  # though no row comes
        assert time.monotonic() < patience
        time.sleep(0.01)
    writer.close()
