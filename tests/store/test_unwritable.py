"""A disk that is full, gone or hangs: the training goes on, rows wait, and the person is told."""

from __future__ import annotations

import contextlib
import json
import re
import resource
import shutil
import subprocess
import threading
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

from rdmviz import Recorder, open_run
from rdmviz.checking import check_run
from rdmviz.errors import OptionError, RecordingWarning, StoreUnwritableError
from rdmviz.store import RunWriter
from rdmviz.store.growing import GrowingStore

N = 2000
NOISE = np.random.default_rng(0).random((400, N), dtype=np.float32)


class LimitedFiles:
    """No file may grow beyond some kilobytes while it is full: the one that tests print to neither."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(self) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (8192, self._before[1]))

    def clear(self) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, self._before)

    def close(self) -> None:
        self.clear()


class SmallDisk:
    """A file system of its own, filled by a file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "disk"
        self.folder.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(self.folder)]
        subprocess.run(mount, check=True, capture_output=True)

    def fill(self) -> None:
        with contextlib.suppress(OSError), (self.folder / "ballast").open("wb", buffering=0) as ballast:
            while True:
                ballast.write(bytes(4096))

    def clear(self) -> None:
        (self.folder / "ballast").unlink()

    def close(self) -> None:
        subprocess.run(["umount", "-l", str(self.folder)], check=True)


@contextlib.contextmanager
def full(disk):
    disk.fill()
    try:
        yield
    finally:
        disk.clear()


@pytest.fixture(params=["small disk", "limited files"])
def disk(request, tmp_path):
    made: LimitedFiles | SmallDisk = LimitedFiles(tmp_path)
    if request.param == "small disk":
        with contextlib.suppress(OSError, subprocess.CalledProcessError):  # not everybody may mount
            made = SmallDisk(tmp_path)
    yield made
    made.close()


def append(writer, steps, pause: float = 0, metrics=None) -> None:
    for step in steps:
        writer.append(step, NOISE[step], None if metrics is None else dict.fromkeys(metrics, step))
        time.sleep(pause)


def append_and_flush(writer, steps, pause: float = 0, metrics=None) -> None:
    append(writer, steps, pause, metrics)
    writer.flush()


def wait_for_rows(path, rows: int) -> None:
    patience = time.monotonic() + 20
    while json.loads((path / "zarr.json").read_text())["attributes"]["rdmviz"]["rows"] < rows:
        assert time.monotonic() < patience
        time.sleep(0.02)


def test_a_full_disk_costs_no_row(disk):
    path = disk.folder / "run"
    writer = RunWriter(path, N, flush_seconds=0.05)
    append_and_flush(writer, range(50), metrics=["acc"])
    with full(disk):
        told = r"cannot be written to \(OSError.*training goes on"
        with pytest.warns(RecordingWarning, match=told) as warned:
            append_and_flush(writer, range(50, 300), 0.001, ["acc", "new"])
        assert len(warned) == 1
        run = open_run(path)
        np.testing.assert_array_equal(run.loss, NOISE[: run.n_steps])
        assert run.n_steps == 50
    wait_for_rows(path, 300)  # without being asked
    writer.append(300, NOISE[300])
    with pytest.warns(RecordingWarning, match=r"attempts failed.*every row was written in the end"):
        writer.close()
    run = open_run(path)
    np.testing.assert_array_equal(run.loss, NOISE[:301])
    np.testing.assert_array_equal(run.metrics["acc"], [*range(300), np.nan])
    assert run.store.lost == ()


def test_a_disk_that_stays_full_leaves_the_rows_elsewhere(disk):
    path = disk.folder / "run"
    with Recorder(path, metadata={"id": np.arange(N)}, flush_seconds=0) as recorder:
        append(recorder, range(10))
        of_all = isinstance(disk, LimitedFiles)  # those where the rows go, too
        with (
            full(disk) if of_all else contextlib.nullcontext(disk.fill()),
            pytest.warns(RecordingWarning, match="training goes on"),
        ):
            append(recorder, range(10, 200), metrics=["acc"])
        if of_all:
            path.rename(disk.folder / "away")
        with pytest.warns(
            RecordingWarning, match="steps 10 to 199, are kept as a run of their own"
        ) as warned:
            recorder._finish()
    kept = Path(re.search(r"in (\S+rows\.rdmviz)", str(warned[-1].message)).group(1))
    rescued = open_run(kept)
    assert rescued.steps.tolist() == list(range(10, 200))
    np.testing.assert_array_equal(rescued.loss, NOISE[10:200])
    assert rescued.metrics["acc"][0] == 10
    assert rescued.probe["id"].size == N
    shutil.rmtree(kept.parent)
    if isinstance(disk, SmallDisk):
        assert open_run(path).n_steps == 10
        assert not (disk.folder / ".run.lock").exists()


def test_a_mount_that_vanishes_is_not_filled_anew(tmp_path):
    mount = tmp_path / "mount"
    path = mount / "run"
    writer = RunWriter(path, N, flush_seconds=0.05)
    writer.append(0, NOISE[0])
    writer.flush()
    mount.rename(tmp_path / "away")
    mount.mkdir()  # as the empty folder beneath a mount
    with pytest.warns(RecordingWarning, match="FileNotFoundError: the run is not there"):
        append_and_flush(writer, range(1, 20))
    assert list(mount.iterdir()) == []
    mount.rmdir()
    (tmp_path / "away").rename(mount)
    wait_for_rows(path, 20)
    with pytest.warns(RecordingWarning, match="every row was written in the end"):
        writer.close()
    np.testing.assert_array_equal(open_run(path).loss, NOISE[:20])
    assert [entry.name for entry in mount.iterdir()] == ["run"]


def test_another_run_that_came_to_the_place_is_left_alone(tmp_path):
    writer = RunWriter(tmp_path / "run", N, flush_seconds=1e9)
    writer.append(0, NOISE[0])
    (tmp_path / "run").rename(tmp_path / "moved")
    (tmp_path / "other").mkdir()
    with Recorder(tmp_path / "other" / "run") as other:
        other.append(5, [1, 2])
    (tmp_path / "other" / "run").rename(tmp_path / "run")
    with pytest.warns(RecordingWarning, match="another recording wrote there"):
        writer.flush()
    with pytest.warns(RecordingWarning, match="kept as a run of their own") as warned:
        writer.close()
    shutil.rmtree(Path(re.search(r"in (\S+rows\.rdmviz)", str(warned[-1].message)).group(1)).parent)
    assert open_run(tmp_path / "run").loss.to_numpy().tolist() == [[1, 2]]


def test_rows_beyond_memory_are_lost_and_the_gap_is_noted(tmp_path):
    path, away = tmp_path / "run", tmp_path / "away"
    writer = RunWriter(path, N, flush_seconds=1e9, memory_mb=10 * N * 4 / 1e6)
    writer.append(0, NOISE[0])
    writer.flush()
    for begin in (1, 31):
        path.rename(away)
        with pytest.warns(RecordingWarning, match="up to 10 of them"):
            append_and_flush(writer, [begin])
        lost = rf"10 rows wait, as many as memory_mb allows: rows from step {begin + 10} on are lost"
        with pytest.warns(RecordingWarning, match=lost) as warned:
            append(writer, range(begin + 1, begin + 30))
        assert len(warned) == 1
        away.rename(path)
        writer.flush()
    writer.append(61, NOISE[61])
    with pytest.warns(
        RecordingWarning, match="40 rows are lost for want of memory: steps 11 to 30, steps 41 to 60"
    ):
        writer.close()
    kept = [0, *range(1, 11), *range(31, 41), 61]
    run = open_run(path)
    assert run.steps.tolist() == kept
    np.testing.assert_array_equal(run.loss, NOISE[kept])
    assert run.store.lost == ((11, 30, 20), (41, 60, 20))
    noted = check_run(path).notes
    assert any(note.startswith("20 rows from step 41 to 60 could not be kept") for note in noted), noted
    assert open_run(run.save(tmp_path / "copy")).store.lost == run.store.lost
    RunWriter(path, N, resume=True, drop_after=35).close()
    assert open_run(path).store.lost == ((11, 30, 20),)
    RunWriter(path, N, resume=True, drop_after=15).close()
    assert open_run(path).store.lost == ((11, 15, 5),)
    writer = RunWriter(path, N, resume=True, drop_after=10)
    writer.append(12, NOISE[12])
    writer.close()
    assert open_run(path).store.lost == ()


def test_a_disk_that_hangs_holds_nothing_up(tmp_path, monkeypatch):
    monkeypatch.setattr("rdmviz.store.waiting._PATIENCE_SECONDS", 0.1)
    monkeypatch.setattr("rdmviz.store.growing.chunk_rows", lambda *_: 8)
    hangs, write = threading.Event(), GrowingStore.write

    def hang(self, *rows):
        hangs.wait(60)
        write(self, *rows)

    monkeypatch.setattr(GrowingStore, "write", hang)
    writer = RunWriter(tmp_path / "run", N, flush_seconds=0.01)
    began = time.monotonic()
    with pytest.warns(RecordingWarning, match=r"a write has not ended for 0 seconds.*training goes on"):
        append(writer, range(200))
    assert time.monotonic() - began < 5
    hangs.set()
    wait_for_rows(tmp_path / "run", 200)
    with pytest.warns(RecordingWarning, match="every row was written in the end"):
        writer.close()
    np.testing.assert_array_equal(open_run(tmp_path / "run").loss, NOISE[:200])


def test_where_warnings_are_errors_the_training_gets_them_and_no_row_is_lost(tmp_path):
    path = tmp_path / "run"
    writer = RunWriter(path, N, flush_seconds=0.01)
    path.parent.rename(tmp_path.with_name("away"))
    writer.append(0, NOISE[0])
    with pytest.raises(RecordingWarning, match="the run is not there"):
        append(writer, range(1, 300), 0.03)
    reached = writer._rows._last_step
    tmp_path.with_name("away").rename(path.parent)
    writer.flush()
    with pytest.raises(RecordingWarning, match="every row was written"):
        writer.close()
    assert open_run(path).n_steps == reached + 1


def test_a_zip_that_cannot_be_written_is_kept_elsewhere(tmp_path):
    folder = tmp_path / "folder"
    writer = RunWriter(folder / "run.zip", N)
    writer.append(0, NOISE[0])
    shutil.rmtree(folder)
    folder.write_text("in the way")
    with pytest.warns(RecordingWarning, match=r"cannot be written to.*The run is kept in") as warned:
        writer.close()
    kept = Path(re.search(r"kept in (\S+run\.zip)", str(warned[-1].message)).group(1))
    assert zipfile.is_zipfile(kept)
    np.testing.assert_array_equal(open_run(kept).loss, NOISE[:1])
    shutil.rmtree(kept.parent)


def test_a_chunk_for_which_there_is_no_room_is_told_before_training(tmp_path):
    for name in ("run", "run.zip"):
        with pytest.raises(StoreUnwritableError, match=r"MB of room, and .* need up to 1407\d+\.\d MB"):
            RunWriter(tmp_path / name, 2**45)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_told_before_training(disk):
    with full(disk):
        with pytest.raises(StoreUnwritableError):
            RunWriter(disk.folder / "run", N, probe={"id": np.random.default_rng(0).random(N)})
        assert {entry.name for entry in disk.folder.iterdir()} <= {"ballast"}


@pytest.mark.parametrize("place", ["file/run", "file/deep/run", "/proc/run", "/proc/deep/run"])
def test_a_place_that_nothing_can_be_written_to_is_told_before_training(tmp_path, place):
    (tmp_path / "file").write_text("a file")
    with pytest.raises(StoreUnwritableError, match="choose another path"):
        RunWriter(tmp_path / place, N)
    if "file" in place:
        with pytest.raises(StoreUnwritableError, match="is a file"):
            Recorder(tmp_path / place)


@pytest.mark.parametrize("megabytes", [0, -1, float("nan"), float("inf"), "1", True])
def test_refuses_what_is_no_size(tmp_path, megabytes):
    with pytest.raises(OptionError, match="memory_mb"):
        Recorder(tmp_path / "run", memory_mb=megabytes)
