"""A recording that goes on where it stopped, and only drops rows when it is told to."""

from __future__ import annotations

import json
import shutil

import fsspec
import numpy as np
import pytest

from rdmviz import Recorder, TrainingRun, open_run
from rdmviz.errors import (
    LossShapeError,
    OptionError,
    ProbeError,
    RecordingWarning,
    RunNotFoundError,
    StepsError,
    TruncatedStoreError,
)
from rdmviz.store import RunStore, RunWriter
from rdmviz.store.places import at, reading

N = 5
PICTURES = np.random.default_rng(0).integers(0, 255, (N, 3, 4), dtype=np.uint8)
PROBE = {"id": np.arange(N), "text": list("abcdé"), "score": [1.0, np.nan, 2, 3, 4], "photo": PICTURES}


def row(step: int) -> np.ndarray:
    return step + np.arange(N) / 8


def record(path, steps, **options) -> None:
    writer = RunWriter(path, N, **options)
    for step in steps:
        writer.append(step, row(step), {"acc": step / 2})
    writer.close()


@pytest.fixture(params=["folder", "run.zip", "memory://"])
def place(request, tmp_path) -> str:
    if request.param == "memory://":
        return f"memory://{tmp_path.name}-resumed"
    return str(tmp_path / request.param)


@pytest.fixture(autouse=True)
def many_chunks(monkeypatch):
    monkeypatch.setattr("rdmviz.store.growing.chunk_rows", lambda *_: 8)


def test_rows_follow_those_that_are_there(place):
    record(place, range(21), probe=PROBE, name="first", attrs={"lr": 0.1})
    before = RunStore(reading(at(place)), place)
    record(place, range(21, 30), probe=PROBE, resume=True, name="second")
    writer = RunWriter(place, N, resume=True)  # without a probe: it stays
    writer.append(30, row(30), {"late": 1})
    writer.close()
    run = open_run(place)
    assert run.steps.tolist() == list(range(31))
    np.testing.assert_array_equal(run.loss, [row(step).astype(np.float32) for step in range(31)])
    np.testing.assert_array_equal(run.metrics["acc"], [*np.arange(30) / 2, np.nan])
    np.testing.assert_array_equal(run.metrics["late"], [np.nan] * 30 + [1])
    assert run.probe["text"].to_numpy().tolist() == PROBE["text"]
    np.testing.assert_array_equal(run.images["photo"], PICTURES)
    assert (run.name, run.attrs) == ("first", {"lr": 0.1})
    assert run.store.identity == before.identity


def test_a_follower_goes_on(tmp_path):
    record(tmp_path / "run", range(10))
    store = RunStore(reading(tmp_path / "run"), "run")
    record(tmp_path / "run", range(10, 20), resume=True)
    assert store.committed() == 20
    assert store.grown().steps.tolist() == list(range(20))
    assert not store.replaced()


def test_where_there_is_nothing_one_begins(place):
    record(place, range(3), resume=True)
    record(place, range(3, 5), resume=True)
    assert open_run(place).steps.tolist() == list(range(5))


def test_a_run_without_rows_is_begun_anew(tmp_path):
    record(tmp_path / "run", [], probe={"id": np.arange(N)})
    record(tmp_path / "run", range(3), resume=True)
    assert open_run(tmp_path / "run").n_steps == 3


def test_a_step_that_is_there_names_the_way_out(tmp_path):
    record(tmp_path / "run", range(10))
    writer = RunWriter(tmp_path / "run", N, resume=True)
    with pytest.raises(StepsError, match=r"step 4 after step 9.*resume=True.*drop_after=step"):
        writer.append(4, row(4))
    writer.append(10, row(10))
    with pytest.raises(StepsError, match=r"step 10 after step 10; .* Count on over epochs$"):
        writer.append(10, row(4))
    writer.close()
    assert open_run(tmp_path / "run").steps.tolist() == list(range(11))


@pytest.mark.parametrize("left", [4, 7, 8, 15, 20, 99])
def test_rows_after_a_step_are_dropped_when_told(place, left):
    record(place, range(0, 40, 2))
    with Recorder(place, resume=True, drop_after=left) as recorder:
        for step in range(left + 1, left + 9):
            recorder.append(step, row(step) + 100)
    run = open_run(place)
    kept = list(range(0, min(left + 1, 40), 2))
    assert run.steps.tolist() == kept + list(range(left + 1, left + 9))
    np.testing.assert_array_equal(run.loss[: len(kept), 0], kept)
    np.testing.assert_array_equal(run.loss[len(kept) :, 0], np.arange(left + 101, left + 109))
    assert np.isnan(run.metrics["acc"][len(kept) :]).all()


def test_everything_may_be_dropped(tmp_path):
    record(tmp_path / "run", range(5, 10))
    record(tmp_path / "run", range(3), resume=True, drop_after=-1)
    assert open_run(tmp_path / "run").steps.tolist() == [0, 1, 2]


def test_who_had_read_rows_that_were_dropped_is_told(tmp_path):
    record(tmp_path / "run", range(20))
    many = RunStore(reading(tmp_path / "run"), "run")
    record(tmp_path / "run", range(6, 40), resume=True, drop_after=5)  # as many rows and more are there again
    for ask in (many.grown, many.committed):
        with pytest.raises(
            TruncatedStoreError, match="held 20 committed rows, and the recording went on from"
        ):
            ask()
    assert many.replaced()
    again = RunStore(reading(tmp_path / "run"), "run")
    record(tmp_path / "run", [50], resume=True, drop_after=39)  # none of those that were read
    assert again.grown().steps.tolist() == [*range(40), 50]
    assert not again.replaced()


@pytest.mark.parametrize(
    ("samples", "options", "error", "says"),
    [
        (N + 1, {}, LossShapeError, "5 datapoints, not 6"),
        (N, {"dtype": "float64"}, OptionError, "float32, not dtype='float64'"),
        (N, {"probe": {**PROBE, "text": list("abcde")}}, ProbeError, "column 'text'"),
        (N, {"probe": {**PROBE, "score": [1.0, 1, 2, 3, 4]}}, ProbeError, "column 'score'"),
        (N, {"probe": {**PROBE, "photo": PICTURES[::-1]}}, ProbeError, "column 'photo'"),
        (N, {"probe": {"id": np.arange(N)}}, ProbeError, "column 'photo'"),
        (N, {"probe": {**PROBE, "more": np.arange(N)}}, ProbeError, "column 'more'"),
        (N, {"overwrite": True}, OptionError, "give one"),
    ],
)
def test_another_recording_is_not_mixed_in(tmp_path, samples, options, error, says):
    record(tmp_path / "run", range(4), probe=PROBE)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(error, match=says):
        RunWriter(tmp_path / "run", samples, resume=True, **options)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_options_without_meaning(tmp_path):
    for options, says in (
        ({"drop_after": 3}, "add resume=True"),
        ({"resume": True, "overwrite": True}, "give one"),
    ):
        with pytest.raises(OptionError, match=says):
            Recorder(tmp_path / "run", **options)
    with pytest.raises(OptionError, match="path is None"):
        RunWriter(None, 3, resume=True)
    with pytest.raises(StepsError, match="'x'"):
        RunWriter(tmp_path / "run", 3, resume=True, drop_after="x")
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "notes.txt").write_text("mine")
    with pytest.raises(RunNotFoundError, match="is no run"):
        RunWriter(tmp_path / "theirs", 3, resume=True)
    assert [path.name for path in tmp_path.iterdir()] == ["theirs"]


def test_what_was_torn_beyond_the_counter_does_no_harm(tmp_path):
    """Chunks of rows that were never committed may be cut short, and be of any step."""
    path = tmp_path / "run"
    record(path, range(20))
    head = json.loads((path / "zarr.json").read_text())
    head["attributes"]["rdmviz"].update(rows=10)
    (path / "zarr.json").write_text(json.dumps(head))
    torn = path / "loss" / "c" / "2" / "0"
    torn.write_bytes(torn.read_bytes()[:-7])
    shutil.copy(torn, path / "loss" / "c" / "1" / "0.0123456789abcdef.partial")
    (path / "metrics" / "uncommitted").mkdir()
    shutil.copy(path / "metrics" / "acc" / "zarr.json", path / "metrics" / "uncommitted" / "zarr.json")
    assert open_run(path).n_steps == 10
    writer = RunWriter(path, N, resume=True)
    for step in range(10, 30):
        writer.append(step, row(step), {"uncommitted": step})
    writer.close()
    run = open_run(path)
    np.testing.assert_array_equal(run.loss, [row(step).astype(np.float32) for step in range(30)])
    np.testing.assert_array_equal(run.metrics["uncommitted"], [np.nan] * 10 + list(range(10, 30)))
    TrainingRun.from_arrays(run.loss.to_numpy()).save(path, overwrite=True)  # all of it was of the run


def test_two_that_write_to_one_url_notice(tmp_path):
    url = f"memory://{tmp_path.name}-two"
    first = RunWriter(url, N, flush_seconds=1e9)
    first.append(0, row(0))
    first.flush()
    second = RunWriter(url, N, resume=True, flush_seconds=1e9)
    second.append(1, row(1))
    second.flush()
    first.append(7, row(7))
    with pytest.warns(RecordingWarning, match="another recording wrote there"):
        first.flush()
    second.close()
    with pytest.warns(RecordingWarning, match="kept as a run of their own") as told:
        first.close()
    assert open_run(url).steps.tolist() == [0, 1]
    kept = str(told[-1].message).split(" in ")[-1].split(":")[0]
    assert open_run(kept).steps.tolist() == [7]
    shutil.rmtree(kept)
    fsspec.filesystem("memory").rm(url, recursive=True)
