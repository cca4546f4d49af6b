"""A hundred trainings killed at random moments: each store is whole, and holds what was committed."""

from __future__ import annotations

import subprocess
import sys
import time

import numpy as np

from rdmviz import open_run
from rdmviz.errors import NoRowsYetError, RunNotFoundError
from rdmviz.store import RunStore, RunWriter
from rdmviz.store.places import reading

N = 300
KILLED = 100

# Forks children that record as fast as they can, each to a store of its own, and kills them. What a child has
# flushed it writes down, four bytes a time, which a kill cannot tear.
TRAININGS = """
import os, signal, sys, time
import numpy as np
import rdmviz.store.growing
from rdmviz.store import RunWriter

rdmviz.store.growing.chunk_rows = lambda *_: 16  # many chunks
folder, first, stop, n = sys.argv[1], *map(int, sys.argv[2:])


def train(number):
    flushed = os.open(f"{folder}/{number}.flushed", os.O_CREAT | os.O_WRONLY)
    probe = {"id": np.arange(n), "text": [f"datapoint {i}" for i in range(n)]}
    seconds = (0, 0.005, 1e9)[number % 3]
    writer = RunWriter(f"{folder}/{number}", n, probe=probe, flush_seconds=seconds, dtype="float64")
    for step in range(10**9):
        writer.append(step, step + np.arange(n) / n, {"acc": step} if step % 2 else {"lr": step})
        if step % 11 == 10:
            writer.flush()
        if step % 11 == 10 or seconds == 0:
            os.pwrite(flushed, (step + 1).to_bytes(4, "little"), 0)


rng = np.random.default_rng(first)
for number in range(first, stop):
    child = os.fork()
    if child == 0:
        train(number)
    moment = rng.uniform(0, 0.1)
    time.sleep(moment)
    while number % 4 and not os.path.exists(f"{folder}/{number}"):  # every fourth may be killed before
        time.sleep(0.002)
    time.sleep(moment)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
"""


def check(store: RunStore) -> None:
    """Row t of datapoint i holds t + i / N, and the metrics t where they were given."""
    rows = np.arange(store.shape[0])
    np.testing.assert_array_equal(store.steps, rows)
    np.testing.assert_array_equal(store.rows(0, len(rows)), rows[:, None] + np.arange(N) / N)
    for name, remainder in (("lr", 0), ("acc", 1)):
        if name in store.metrics:
            np.testing.assert_array_equal(
                store.metrics[name], np.where(rows % 2 == remainder, rows.astype(float), np.nan)
            )


def test_a_hundred_trainings_killed_at_random_moments(tmp_path, monkeypatch):
    for name in ("_SETTLE_SECONDS", "_WRITTEN_SECONDS"):
        monkeypatch.setattr(f"rdmviz.store.locks.{name}", 0.0)  # nobody else comes for what they left
    halves = [
        subprocess.Popen(
            [sys.executable, "-c", TRAININGS, tmp_path, str(first), str(first + KILLED // 2), str(N)]
        )
        for first in (0, KILLED // 2)
    ]
    looked = rows_seen = 0
    while any(half.poll() is None for half in halves):  # a reader, meanwhile
        folders = sorted(tmp_path.glob("*.flushed"), key=lambda path: path.stat().st_mtime)
        for folder in folders[-2:]:
            try:
                store = RunStore(reading(folder.with_suffix("")), "killed")
                check(store)
                grown = store.grown()
            except (NoRowsYetError, RunNotFoundError):
                continue
            check(grown)
            looked, rows_seen = looked + 1, rows_seen + grown.shape[0]
        time.sleep(0.05)
    assert [half.returncode for half in halves] == [0, 0]
    assert looked > 20
    assert rows_seen > 20
    counts = []
    for number in range(KILLED):
        path = tmp_path / str(number)
        flushed = (
            int.from_bytes((tmp_path / f"{number}.flushed").read_bytes(), "little") if path.exists() else 0
        )
        try:
            store = RunStore(reading(path), str(path))
            check(store)
            count = store.shape[0]
        except (NoRowsYetError, RunNotFoundError):  # it was killed before its first row was committed
            count = 0
        assert count >= flushed
        counts.append(count)
        writer = RunWriter(path, N, resume=True, dtype="float64")
        for step in range(count, count + 20):
            writer.append(step, step + np.arange(N) / N, {"acc": step} if step % 2 else {"lr": step})
        writer.close()
        check(open_run(path).store)
        assert open_run(path).n_steps == count + 20
    assert sum(count > 0 for count in counts) > KILLED // 2
    left = {path.name for path in tmp_path.iterdir() if not path.name.endswith(".flushed")}
    assert left == {str(number) for number in range(KILLED)}
