"""Following a run that another process records."""

import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import xarray as xr
from toy import FROM_EIGENVALUES

from rdmviz import analyze, follow, open_run
from rdmviz.errors import (
    DetrendError,
    NoRowsYetError,
    OptionError,
    RunNotFoundError,
    TruncatedStoreError,
    WindowError,
)
from rdmviz.run import TrainingRun
from rdmviz.store import RunStore, RunWriter
from rdmviz.store.places import reading

RNG = np.random.default_rng(4)
LOSSES = 3 * np.exp(-np.arange(150) / 60)[:, None] + 0.1 * np.abs(RNG.normal(size=(150, 9)))
STEPS = np.cumsum(RNG.integers(1, 5, size=150))

WRITE = """
import sys, time
from pathlib import Path
import numpy as np
from rdmviz.store import RunWriter
losses, steps = np.load(sys.argv[2]), np.load(sys.argv[3])
writer = RunWriter(sys.argv[1], losses.shape[1], probe={"id": np.arange(losses.shape[1])}, name="live",
                   dtype="float64", flush_seconds=0.05)
time.sleep(0.4)  # whoever follows waits for the first row
for at, (step, row) in enumerate(zip(steps, losses)):
    writer.append(int(step), row)
    time.sleep(0.002)
    if at == 80:
        writer.flush()
        while not Path(sys.argv[4]).exists():  # the training goes on once its row was seen
            time.sleep(0.01)
writer.close()
"""


def assert_equal_curves(rows, run, **settings):
    found = xr.concat(rows, "step")
    expected = analyze(run, **settings)
    assert (found.step.values == expected.step.values).all()
    assert set(found.data_vars) == set(expected.data_vars) - set(FROM_EIGENVALUES)
    for name in found.data_vars:
        assert found[name].attrs == expected[name].attrs
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-10, atol=0, err_msg=name)


def write(path, rows=LOSSES, steps=STEPS, **options):
    writer = RunWriter(path, rows.shape[1], dtype="float64", flush_seconds=1e9, **options)
    for step, row in zip(steps, rows, strict=False):
        writer.append(int(step), row)
    writer.flush()
    return writer


def test_a_run_that_another_process_records(tmp_path):
    np.save(tmp_path / "losses.npy", LOSSES)
    np.save(tmp_path / "steps.npy", STEPS)
    path = tmp_path / "run.rdmviz"
    seen = tmp_path / "seen"
    command = [sys.executable, "-c", WRITE, path, tmp_path / "losses.npy", tmp_path / "steps.npy", seen]
    rows = []
    with subprocess.Popen(command) as training:
        for row in follow(path, 20, poll=0.02, timeout=20, until=lambda row: row.step[0] == STEPS[-1]):
            rows.append(row)
            if len(rows) == 81:
                seen.touch()
    assert training.returncode == 0
    assert rows[0].attrs == {"run": "live", "window": 20, "detrend": "linear", "shc": "variance"}
    assert_equal_curves(rows, open_run(path), window=20)


@pytest.mark.parametrize("shc", ["variance", "capacity", "total"])
@pytest.mark.parametrize("detrend", ["none", "constant", "quadratic"])
def test_rows_that_are_there_equal_analyze(tmp_path, detrend, shc):
    write(tmp_path / "run").close()
    rows = list(follow(tmp_path / "run", 16, detrend, shc=shc, timeout=0))
    assert_equal_curves(rows, open_run(tmp_path / "run"), window=16, detrend=detrend, shc=shc)


def test_bad_rows_and_flat_stretches_as_in_analyze(tmp_path):
    losses = LOSSES.copy()
    losses[40, 2], losses[70:120] = np.nan, losses[70]
    url = f"memory://{tmp_path.name}/followed"
    write(url, losses).close()
    assert_equal_curves(list(follow(url, 12, timeout=0)), open_run(url), window=12)


def test_blocks_of_new_rows_come_in_order_and_the_consumer_may_leave(tmp_path):
    writer = write(tmp_path / "run", LOSSES[:30])
    rows = follow(str(tmp_path / "run"), 8, poll=0.01)
    seen = [int(next(rows).step[0]) for _ in range(30)]
    for start in (30, 31, 80):
        stop = {30: 31, 31: 80, 80: 150}[start]
        for step, row in zip(STEPS[start:stop], LOSSES[start:stop], strict=True):
            writer.append(int(step), row)
        writer.flush()
        seen += [int(next(rows).step[0]) for _ in range(stop - start)]
    assert seen == STEPS.tolist()
    rows.close()
    with pytest.raises(StopIteration):
        next(rows)


def test_timeout_counts_from_the_last_row(tmp_path):
    writer = write(tmp_path / "run", LOSSES[:3])
    later = threading.Timer(0.3, lambda: [writer.append(int(STEPS[3]), LOSSES[3]), writer.flush()])
    later.start()
    began = time.monotonic()
    assert len(list(follow(tmp_path / "run", poll=0.02, timeout=0.6))) == 4
    assert 0.85 < time.monotonic() - began < 5
    later.join()


def test_a_store_without_rows_is_waited_for(tmp_path):
    writer = RunWriter(tmp_path / "run", 9)
    with pytest.raises(NoRowsYetError, match="no committed row yet"):
        open_run(tmp_path / "run")
    assert list(follow(tmp_path / "run", timeout=0.1, poll=0.01)) == []
    later = threading.Timer(0.2, lambda: [writer.append(0, LOSSES[0]), writer.flush()])
    later.start()
    assert float(next(follow(tmp_path / "run", poll=0.01)).mean_loss[0]) == pytest.approx(LOSSES[0].mean())
    later.join()


def test_a_path_that_holds_no_run_is_waited_for_a_moment_and_named(tmp_path):
    later = threading.Timer(0.2, lambda: write(tmp_path / "late", LOSSES[:2]))
    later.start()
    assert len(list(follow(tmp_path / "late", timeout=0.5, poll=0.01))) == 2
    later.join()
    with pytest.raises(RunNotFoundError, match="there is late"):
        next(follow(tmp_path / "lat", poll=0.1))


def test_a_run_that_is_replaced_ends_in_an_error(tmp_path):
    write(tmp_path / "run", LOSSES[:30]).close()
    rows = follow(tmp_path / "run", 8, poll=0.01, timeout=5)
    for _ in range(30):
        next(rows)
    write(tmp_path / "run", LOSSES[:10], overwrite=True).close()
    with pytest.raises(TruncatedStoreError, match="held 30 committed rows and holds 10 now: it was replaced"):
        next(rows)


def test_files_that_do_not_grow_and_options_without_meaning(tmp_path):
    TrainingRun.from_arrays(LOSSES).save(tmp_path / "run.zip")
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "run.zip", tmp_path / "file", "run.npz", "memory://run.zip"):
        with pytest.raises(OptionError, match=r"does not grow; open it with rdmviz.open_run"):
            follow(path)
    with pytest.raises(OptionError, match="expected a path or URL"):
        follow(TrainingRun.from_arrays(LOSSES))
    with pytest.raises(WindowError, match="at least 3 rows"):
        follow("run", 2)
    with pytest.raises(DetrendError, match="'cubic'"):
        follow("run", detrend="cubic")
    with pytest.raises(OptionError, match="'capacity'"):
        follow("run", shc="specific")
    for option in ("poll", "timeout"):
        with pytest.raises(OptionError, match=f"{option}=-1; expected seconds"):
            follow("run", **{option: -1})


def test_a_store_that_grew_is_read_on_from_where_it_was(tmp_path, monkeypatch):
    writer = write(tmp_path / "run", LOSSES[:20], probe={"id": np.arange(9), "text": ["a"] * 9})
    store = RunStore(reading(tmp_path / "run"), "run")
    assert store.committed() == 20
    for step, row in zip(STEPS[20:], LOSSES[20:], strict=True):
        writer.append(int(step), row)
    assert store.committed() == 20  # appended, not committed
    writer.flush()
    assert store.committed() == 150
    read = []
    monkeypatch.setattr(RunStore, "_read", _noting(RunStore._read, read))
    grown = store.grown()
    assert read == [("step", 20, 150)]
    np.testing.assert_array_equal(grown.steps, STEPS)
    np.testing.assert_array_equal(grown.rows(10, 150), LOSSES[10:])
    assert grown.probe is store.probe
    assert store.shape == (20, 9)


def _noting(read, noted):
    def reading_and_noting(self, array, path, start, stop):
        noted.append((path, start, stop))
        return read(self, array, path, start, stop)

    return reading_and_noting
