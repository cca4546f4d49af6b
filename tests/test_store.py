"""The Zarr store: what goes in comes out, damage is told, and nothing is destroyed."""

from __future__ import annotations

import json
import tempfile
import threading
import time
import zipfile
from pathlib import Path

import fsspec
import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from rdmviz import TrainingRun, open_run
from rdmviz.errors import (
    LossShapeError,
    MetricError,
    OptionError,
    RecordingWarning,
    RunNotFoundError,
    SchemaVersionError,
    StepsError,
    StoreExistsError,
    TruncatedStoreError,
)
from rdmviz.store import RunWriter
from rdmviz.store.growing import GrowingStore
from rdmviz.store.layout import chunk_rows


def a_run(rows: int = 50, samples: int = 7, seed: int = 0) -> TrainingRun:
    rng = np.random.default_rng(seed)
    return TrainingRun.from_arrays(
        rng.normal(size=(rows, samples)).astype(np.float32),
        np.cumsum(rng.integers(1, 9, rows)),
        probe={"text": [f"<b>{i}</b> \u2028é" for i in range(samples)], "id": np.arange(samples)},
        metrics={"val/acc": rng.normal(size=rows)},
        name="a run",
        attrs={"seed": seed},
    )


def committed(path: Path) -> int:
    return json.loads((path / "zarr.json").read_text())["attributes"]["rdmviz"]["rows"]


def assert_same(one: TrainingRun, other: TrainingRun) -> None:
    np.testing.assert_array_equal(one.loss, other.loss)
    assert one.loss.dtype == other.loss.dtype
    np.testing.assert_array_equal(one.steps, other.steps)
    assert one.probe.identical(other.probe)
    assert one.metrics.identical(other.metrics)
    assert (one.name, one.attrs) == (other.name, other.attrs)


@pytest.fixture(params=["folder", "run.zip", "file://", "memory://"])
def place(request, tmp_path) -> str:
    if request.param == "file://":
        return (tmp_path / "by url").as_uri()
    if request.param == "memory://":
        return f"memory://{tmp_path.name}-{id(tmp_path)}"
    return str(tmp_path / "deep" / request.param)


def test_round_trip_and_no_overwriting_unasked(place):
    run, second = a_run(), a_run(seed=1)
    assert run.save(place) == place
    opened = open_run(place)
    assert_same(opened, run)
    with pytest.raises(StoreExistsError, match="overwrite=True"):
        second.save(place)
    assert_same(open_run(place), run)
    second.save(place, overwrite=True)
    assert_same(open_run(place), second)


def test_a_run_can_replace_the_store_it_is_read_from(place):
    run = a_run()
    run.save(place)
    open_run(place).save(place, overwrite=True)  # its losses have not been read before
    assert_same(open_run(place), run)


def test_a_zip_is_read_by_url_but_written_locally(tmp_path):
    run = a_run()
    run.save(tmp_path / "run.zip")
    url = f"memory://{tmp_path.name}/run.zip"
    with pytest.raises(OptionError, match=r"local \.zip"):
        run.save(url)
    fsspec.filesystem("memory").pipe_file(url, (tmp_path / "run.zip").read_bytes())
    assert_same(open_run(url), run)


def test_a_folder_that_is_no_run_is_never_replaced(tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("years of work")
    for attempt in (a_run().save, lambda path, overwrite: RunWriter(path, 3, overwrite=overwrite)):
        with pytest.raises(StoreExistsError, match="not a run"):
            attempt(tmp_path / "thesis", overwrite=True)
    (tmp_path / "note.zip").write_text("not a zip")
    with pytest.raises(StoreExistsError, match="not a run"):
        a_run().save(tmp_path / "note.zip", overwrite=True)
    assert (tmp_path / "thesis" / "chapter.tex").read_text() == "years of work"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["note.zip", "thesis"]


@pytest.mark.parametrize("name", ["notes.txt", "loss/mine.csv", "backup/zarr.json", "loss/c/0/0.bak"])
def test_a_run_folder_with_other_files_is_not_replaced(tmp_path, name):
    a_run().save(tmp_path / "run")
    mine = tmp_path / "run" / name
    mine.parent.mkdir(exist_ok=True)
    mine.write_text("mine")
    for attempt in (a_run().save, lambda path, overwrite: RunWriter(path, 3, overwrite=overwrite)):
        with pytest.raises(StoreExistsError, match=f"{mine.name}.* is not of the run"):
            attempt(tmp_path / "run", overwrite=True)
    assert mine.read_text() == "mine"
    assert_same(open_run(tmp_path / "run"), a_run())


def test_a_link_is_not_followed_when_replacing(tmp_path):
    a_run().save(tmp_path / "run")
    (tmp_path / "link").symlink_to(tmp_path / "run")
    with pytest.raises(StoreExistsError, match="not of the run"):
        a_run(seed=1).save(tmp_path / "link", overwrite=True)
    assert_same(open_run(tmp_path / "run"), a_run())


def test_a_zip_with_other_files_is_not_replaced(tmp_path):
    a_run().save(tmp_path / "run.zip")
    with zipfile.ZipFile(tmp_path / "run.zip", "a") as archive:
        archive.writestr("notes.txt", "mine")
    with pytest.raises(StoreExistsError, match=r"notes\.txt"):
        a_run(seed=1).save(tmp_path / "run.zip", overwrite=True)
    assert_same(open_run(tmp_path / "run.zip"), a_run())


def test_a_zip_that_is_recorded_anew_stays_until_the_end(tmp_path):
    a_run().save(tmp_path / "run.zip")
    writer = RunWriter(tmp_path / "run.zip", 3, overwrite=True)
    writer.append(4, [1, 2, 3])
    assert_same(open_run(tmp_path / "run.zip"), a_run())
    writer.close()
    assert open_run(tmp_path / "run.zip").steps.tolist() == [4]


def test_empty_folders_are_room(tmp_path):
    for name in ("empty", "empty.zip"):
        (tmp_path / name).mkdir()
        assert_same(open_run(a_run().save(tmp_path / name)), a_run())


def test_other_files_below_a_url_are_not_deleted(tmp_path):
    url = f"memory://{tmp_path.name}/mixed"
    a_run().save(url)
    fsspec.filesystem("memory").pipe_file(f"{url}/notes.txt", b"mine")
    with pytest.raises(StoreExistsError, match=r"notes\.txt"):
        a_run().save(url, overwrite=True)
    assert fsspec.filesystem("memory").cat_file(f"{url}/notes.txt") == b"mine"


def test_what_a_killed_writer_left_can_be_replaced(tmp_path):
    a_run().save(tmp_path / "run")
    for name in ("zarr.0123456789abcdef.partial", "loss/c/0/0.0123456789abcdef.partial"):
        (tmp_path / "run" / name).write_bytes(b"")
    a_run(seed=1).save(tmp_path / "run", overwrite=True)
    assert_same(open_run(tmp_path / "run"), a_run(seed=1))


@pytest.mark.parametrize("step", ["save", "write"])
def test_a_replacement_that_fails_loses_nothing(tmp_path, monkeypatch, step):
    a_run().save(tmp_path / "run")
    if step == "save":
        real = Path.rename

        def refuse(self, target):
            if self.name.endswith(".part"):
                raise OSError("no")
            return real(self, target)

        monkeypatch.setattr(Path, "rename", refuse)
        with pytest.raises(OSError, match="no"):
            a_run(seed=1).save(tmp_path / "run", overwrite=True)
    else:
        monkeypatch.setattr("rdmviz.store.growing._fill", lambda *args: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            RunWriter(tmp_path / "run", 3, probe={"id": [1, 2, 3]}, overwrite=True)
    assert_same(open_run(tmp_path / "run"), a_run())
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


_text = st.text(st.characters(codec=None, exclude_characters="\x00"), max_size=12)
_names = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=12
).filter(lambda name: name not in ("sample", "step"))


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_any_run_comes_back_as_it_was(data):
    rows, samples = data.draw(st.integers(1, 5)), data.draw(st.integers(2, 4))
    dtype = data.draw(st.sampled_from(["float16", "float32", "float64"]))
    number = st.floats(width=64)
    columns = st.one_of(
        hnp.arrays("float64", samples, elements=number),
        hnp.arrays("int64", samples),
        hnp.arrays("uint8", samples),
        hnp.arrays("bool", samples),
        st.lists(_text, min_size=samples, max_size=samples),
    )
    run = TrainingRun.from_arrays(
        data.draw(hnp.arrays(dtype, (rows, samples))),
        sorted(data.draw(st.sets(st.integers(-(2**63), 2**63 - 1), min_size=rows, max_size=rows))),
        probe=data.draw(st.dictionaries(_names, columns, max_size=4)),
        metrics=data.draw(st.dictionaries(_names, hnp.arrays("float64", rows, elements=number), max_size=3)),
        name=data.draw(st.text(st.characters(exclude_categories=["Cs"]))),
    )
    with tempfile.TemporaryDirectory() as folder:
        for name in ("run", "run.zip"):
            opened = open_run(run.save(Path(folder) / name))
            assert_same(opened, run)


def test_lazy_loss_reads_like_an_array(tmp_path):
    run = a_run()
    opened = open_run(run.save(tmp_path / "run"))
    expected = run.loss.to_numpy()
    for key in (
        np.s_[3],
        np.s_[3:9],
        np.s_[9:3:-2],
        np.s_[::-1],
        np.s_[5:5],
        np.s_[:, 4],
        np.s_[-2, 3:6],
        np.s_[[4, 1]],
    ):
        np.testing.assert_array_equal(opened.loss[key], expected[key])
    np.testing.assert_array_equal(opened.rows(10, 33), expected[10:33])
    assert opened.rows(10, 10).shape == (0, 7)


@pytest.fixture
def chunked(tmp_path, monkeypatch) -> tuple[TrainingRun, Path]:
    """A store of several chunks of ten rows."""
    monkeypatch.setattr("rdmviz.store.layout._ROWS_PER_SMALL_CHUNK", 10)
    run = a_run(rows=55)
    run.save(tmp_path / "run")
    assert len(list((tmp_path / "run" / "loss" / "c").iterdir())) == 6
    return run, tmp_path / "run"


def test_opening_and_reading_rows_touch_only_the_chunks_needed(chunked):
    run, path = chunked
    for number in (0, 1, 4, 5):
        (path / "loss" / "c" / str(number) / "0").unlink()
    opened = open_run(path)
    np.testing.assert_array_equal(opened.rows(20, 40), run.rows(20, 40))
    np.testing.assert_array_equal(opened.loss[25], run.loss[25])


def test_a_missing_chunk_is_told_not_filled_in(chunked):
    _, path = chunked
    (path / "loss" / "c" / "2" / "0").unlink()
    with pytest.raises(TruncatedStoreError, match="rows 20 to 29 of 'loss' are missing"):
        open_run(path).rows(15, 35)


def test_rows_that_are_all_nan_are_no_damage(tmp_path):
    run = TrainingRun.from_arrays(np.full((5, 3), np.nan))
    assert np.isnan(open_run(run.save(tmp_path / "run")).rows(0, 5)).all()


def test_zeros_and_nan_in_columns_are_no_damage(tmp_path):
    run = TrainingRun.from_arrays(
        np.ones((5, 3)),
        probe={"zero": [0, 0, 0], "no": [False] * 3, "nan": [np.nan] * 3},
        metrics={"nan": [np.nan] * 5},
    )
    assert_same(open_run(run.save(tmp_path / "run")), run)


def test_a_chunk_of_nan_is_told_from_a_lost_one(tmp_path, monkeypatch):
    monkeypatch.setattr("rdmviz.store.layout._ROWS_PER_SMALL_CHUNK", 10)
    path = TrainingRun.from_arrays(np.full((30, 3), np.nan)).save(tmp_path / "run")
    (tmp_path / "run" / "loss" / "c" / "2" / "0").unlink()
    assert np.isnan(open_run(path).rows(0, 20)).all()
    with pytest.raises(TruncatedStoreError, match="rows 20 to 29 of 'loss' are missing"):
        open_run(path).rows(15, 25)


def test_a_cut_chunk_is_told(chunked):
    _, path = chunked
    chunk = path / "loss" / "c" / "2" / "0"
    chunk.write_bytes(chunk.read_bytes()[:40])
    with pytest.raises(TruncatedStoreError, match="'loss' cannot be read"):
        open_run(path).rows(20, 30)


def _edit(path: Path, change) -> None:
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def _head(change):
    return lambda path: _edit(path / "zarr.json", lambda d: change(d["attributes"]["rdmviz"]))


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: (path / "zarr.json").write_text("{"),
        lambda path: (path / "zarr.json").write_text(""),
        lambda path: (path / "loss" / "zarr.json").unlink(),
        lambda path: (path / "loss" / "zarr.json").write_text("{}"),
        lambda path: (path / "step" / "zarr.json").unlink(),
        lambda path: (path / "probe" / "text_ends" / "zarr.json").unlink(),
        lambda path: (path / "probe" / "id" / "zarr.json").unlink(),
        lambda path: _edit(path / "loss" / "zarr.json", lambda d: d.update(shape=[20, 7])),
        lambda path: _edit(path / "step" / "zarr.json", lambda d: d.update(shape=[20])),
        lambda path: _edit(path / "loss" / "zarr.json", lambda d: d.update(data_type="int32", fill_value=0)),
        lambda path: _edit(path / "loss" / "zarr.json", lambda d: d.update(codecs=[{"name": "pickle"}])),
        lambda path: (path / "probe" / "text" / "c" / "0").write_bytes(b"no"),
        lambda path: (path / "probe" / "text_ends" / "c" / "0").unlink(),
        _head(lambda head: head.update(rows=56)),
        _head(lambda head: head.update(rows=-3)),
        _head(lambda head: head.update(rows="many")),
        _head(lambda head: head.update(rows=float("inf"))),
        _head(lambda head: head.update(probe=[{"name": "sample", "array": "id"}])),
        _head(lambda head: head.update(metrics=[{"name": "step", "array": "column.0"}])),
        _head(lambda head: head.update(metrics=[{"name": 3, "array": "column.0"}])),
        _head(lambda head: head.update(metrics=[{"name": "a", "array": "column.0"}] * 2)),
        lambda path: (path / "probe" / "id" / "c" / "0").unlink(),
        lambda path: (path / "metrics" / "column.0" / "c" / "0").unlink(),
        lambda path: (path / "step" / "c" / "0").unlink(),
        _head(lambda head: head.pop("rows")),
        _head(lambda head: head.pop("probe")),
        _head(lambda head: head.update(probe=[{"name": "x", "array": "../../etc"}])),
        _head(lambda head: head.update(metrics=[{"name": "x", "array": "gone"}])),
        _head(lambda head: head.update(metrics=["x"])),
        _head(lambda head: head.update(metrics=4)),
        lambda path: _edit(path / "loss" / "zarr.json", lambda d: d["codecs"].pop()),
        _head(lambda head: head.update(attrs=3)),
    ],
)
def test_damage_is_told_on_opening(chunked, damage):
    _, path = chunked
    damage(path)
    with pytest.raises(TruncatedStoreError, match="damaged or unfinished"):
        open_run(path)


def test_a_newer_schema_is_refused(chunked):
    _, path = chunked
    _head(lambda head: head.update(schema=99))(path)
    with pytest.raises(SchemaVersionError, match=r"schema 99.*pip install --upgrade rdmviz"):
        open_run(path)


def test_a_store_of_somebody_else_is_no_run(tmp_path):
    zarr.create_group(tmp_path / "theirs", zarr_format=3)
    with pytest.raises(RunNotFoundError, match="did not write"):
        open_run(tmp_path / "theirs")


def test_rows_beyond_the_counter_are_ignored(chunked):
    run, path = chunked
    _head(lambda head: head.update(rows=23))(path)
    opened = open_run(path)
    assert opened.n_steps == 23
    np.testing.assert_array_equal(opened.loss, run.rows(0, 23))
    np.testing.assert_array_equal(opened.steps, run.steps[:23])
    assert opened.metrics.sizes["step"] == 23


def test_nothing_is_stored_as_objects_or_strings(tmp_path):
    a_run().save(tmp_path / "run")
    types = {json.loads(p.read_text()).get("data_type") for p in (tmp_path / "run").rglob("zarr.json")}
    assert types == {None, "float32", "float64", "int64", "uint8"}


def test_others_can_read_the_store_with_xarray(tmp_path):
    import xarray as xr

    run = a_run()
    with xr.open_zarr(run.save(tmp_path / "run"), consolidated=False, chunks=None) as dataset:
        np.testing.assert_array_equal(dataset["loss"], run.loss)


def test_chunks_hold_many_rows_of_about_four_megabytes():
    assert chunk_rows(1000, 4) == 1048
    assert chunk_rows(2**22, 4) == 1
    assert chunk_rows(2, 4) == 4096


class TestWriter:
    def test_appends_and_commits(self, tmp_path):
        with_writer = RunWriter(tmp_path / "run", 3, probe={"id": [1, 2, 3]}, name="w", attrs={"a": 1})
        with pytest.raises(TruncatedStoreError, match="just begun, or nothing was recorded"):
            open_run(tmp_path / "run")
        losses = np.random.default_rng(0).normal(size=(20, 3))
        for step, row in enumerate(losses):
            with_writer.append(step * 2, row, {"lr": step} if step >= 5 else None)
            if step == 9:
                with_writer.flush()
                assert open_run(tmp_path / "run").n_steps == 10
        with_writer.close()
        with_writer.close()
        run = open_run(tmp_path / "run")
        np.testing.assert_array_equal(run.loss, losses.astype(np.float32))
        np.testing.assert_array_equal(run.metrics["lr"], [np.nan] * 5 + list(range(5, 20)))
        with pytest.raises(StoreExistsError, match="closed"):
            with_writer.append(99, losses[0])

    def test_a_metric_that_appears_late_is_nan_before(self, tmp_path):
        writer = RunWriter(tmp_path / "run", 2)
        writer.append(0, [1, 2])
        writer.flush()
        writer.append(1, [1, 2], {"acc": 0.5})
        writer.flush()
        writer.append(2, [1, 2])
        writer.close()
        np.testing.assert_array_equal(open_run(tmp_path / "run").metrics["acc"], [np.nan, 0.5, np.nan])

    @pytest.mark.parametrize(
        ("step", "losses", "metrics", "error"),
        [
            (5, [1.0, 2.0], None, LossShapeError),
            (5, [[1.0, 2.0, 3.0]], None, LossShapeError),
            (5, ["a", "b", "c"], None, LossShapeError),
            (3, [1.0, 2.0, 3.0], None, StepsError),
            (4.5, [1.0, 2.0, 3.0], None, StepsError),
            ("5", [1.0, 2.0, 3.0], None, StepsError),
            (None, [1.0, 2.0, 3.0], None, StepsError),
            (True, [1.0, 2.0, 3.0], None, StepsError),
            (float("nan"), [1.0, 2.0, 3.0], None, StepsError),
            (2**70, [1.0, 2.0, 3.0], None, StepsError),
            pytest.param(10**5000, [1.0, 2.0, 3.0], None, StepsError, id="huge"),
            (5, [[1.0], 2.0, 3.0], None, LossShapeError),
            (5, [1.0, 2.0, 3.0], 0.5, MetricError),
            (5, [1.0, 2.0, 3.0], {"a": [[1], 2]}, MetricError),
            (5, [1.0, 2.0, 3.0], {"a": "x"}, MetricError),
            (5, [1.0, 2.0, 3.0], {"a": [1, 2]}, MetricError),
            (5, [1.0, 2.0, 3.0], {"step": 1}, MetricError),
        ],
    )
    def test_a_bad_row_leaves_no_trace(self, tmp_path, step, losses, metrics, error):
        writer = RunWriter(tmp_path / "run", 3)
        writer.append(3, [1.0, 2.0, 3.0])
        with pytest.raises(error):
            writer.append(step, losses, metrics)
        writer.append(6, [4.0, 5.0, 6.0])
        writer.close()
        run = open_run(tmp_path / "run")
        assert run.steps.tolist() == [3, 6]
        assert list(run.metrics) == []

    def test_rows_are_committed_by_time_while_the_training_takes_long_over_a_step(self, tmp_path):
        writer = RunWriter(tmp_path / "run", 2, flush_seconds=0.3)
        for step in range(5):
            writer.append(step, [1, 2])
        patience = time.monotonic() + 10
        while committed(tmp_path / "run") < 5:  # nothing more is appended
            assert time.monotonic() < patience
            time.sleep(0.02)
        writer.close()

    @pytest.mark.parametrize("place", ["folder", None, "run.zip"])
    def test_every_row_is_committed_where_that_is_asked(self, tmp_path, place):
        writer = RunWriter(None if place is None else tmp_path / place, 2, flush_seconds=0)
        for step in range(3):
            writer.append(step, [1, 2])
            assert writer.read().shape[0] == step + 1
        writer.close()

    @pytest.mark.parametrize("seconds", [-1, float("nan"), "1"])
    def test_refuses_what_is_no_duration(self, tmp_path, seconds):
        with pytest.raises(OptionError, match="flush_seconds"):
            RunWriter(tmp_path / "run", 2, flush_seconds=seconds)
        assert not (tmp_path / "run").exists()

    def test_a_flush_that_failed_is_repeated(self, tmp_path, monkeypatch):
        writer = RunWriter(tmp_path / "run", 2)
        writer.append(0, [1, 2], {"acc": 0.5})
        with monkeypatch.context() as patch:
            patch.setattr(GrowingStore, "_add_metric", lambda *args: 1 / 0)
            with pytest.warns(RecordingWarning, match="ZeroDivisionError"):
                writer.flush()
        writer.append(1, [3, 4], {"acc": 0.6})
        with pytest.warns(RecordingWarning, match="every row was written"):
            writer.close()
        run = open_run(tmp_path / "run")
        assert run.loss.to_numpy().tolist() == [[1, 2], [3, 4]]
        assert run.metrics["acc"].to_numpy().tolist() == [0.5, 0.6]

    @pytest.mark.parametrize("where", ["folder", None])
    def test_threads_that_flush_and_read_lose_no_row(self, tmp_path, where):
        total = 1500
        writer = RunWriter(None if where is None else tmp_path / where, 3, flush_seconds=1e9)
        writer.append(0, np.zeros(3))
        failures: list[BaseException] = []
        stop = threading.Event()

        def follow() -> None:
            try:
                while not stop.is_set():
                    writer.flush()
                    run = TrainingRun.from_store(writer.read())
                    np.testing.assert_array_equal(run.rows(0, run.n_steps)[:, 0], run.steps)
            except BaseException as error:
                failures.append(error)

        thread = threading.Thread(target=follow)
        thread.start()
        try:
            for step in range(1, total):
                writer.append(step, np.full(3, step))
        finally:
            stop.set()
            thread.join()
        writer.close()
        assert not failures
        run = TrainingRun.from_store(writer.read())
        assert run.n_steps == total
        np.testing.assert_array_equal(run.rows(0, total)[:, 0], np.arange(total))

    def test_a_reader_never_sees_a_torn_row(self, tmp_path):
        """Row t holds t everywhere: whatever a reader sees must be whole, and grow."""
        samples, total = 50, 300
        writer = RunWriter(tmp_path / "run", samples)
        writer.append(0, np.zeros(samples), {"value": 0})
        writer.flush()
        failures: list[BaseException] = []

        def write() -> None:
            try:
                for step in range(1, total):
                    writer.append(step, np.full(samples, step), {"value": step})
                    if step % 3 == 0:
                        writer.flush()
                writer.close()
            except BaseException as error:
                failures.append(error)

        thread = threading.Thread(target=write)
        thread.start()
        seen = []
        while True:
            finished = not thread.is_alive()
            run = open_run(tmp_path / "run")
            expected = np.arange(run.n_steps)
            np.testing.assert_array_equal(run.loss, np.repeat(expected[:, None], samples, axis=1))
            np.testing.assert_array_equal(run.steps, expected)
            np.testing.assert_array_equal(run.metrics["value"], expected)
            seen.append(run.n_steps)
            if finished:
                break
        thread.join()
        assert not failures
        assert seen == sorted(seen)
        assert seen[-1] == total
        assert len(set(seen)) > 2
