"""Snapshots in the store: what goes in comes out, lazily, whole or not at all."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from rdmviz import TrainingRun, open_run
from rdmviz.errors import RecordingWarning, SnapshotError, StepsError, StoreExistsError, TruncatedStoreError
from rdmviz.store import RunWriter
from rdmviz.store.layout import PLAIN, is_store_file
from rdmviz.store.snapshots import SnapshotWriter

KINDS = ("weights", "singular_values", "representations", "gaussian")


def a_run(snapshots: int = 5, seed: int = 0) -> TrainingRun:
    rng = np.random.default_rng(seed)
    return TrainingRun.from_arrays(
        rng.normal(size=(20, 3)),
        snapshot_steps=np.arange(snapshots) * 4,
        weights={
            "fc.weight": rng.normal(size=(snapshots, 4, 6)).astype(np.float32),
            "conv.weight": rng.normal(size=(snapshots, 2, 3, 5, 5)).astype(np.float32),
            "fc.bias": rng.normal(size=(snapshots, 4)),
        },
        singular_values={"fc.weight": rng.normal(size=(snapshots, 4))},
        representations={
            "fc": rng.normal(size=(snapshots, 3, 7)).astype(np.float16),
            "block": rng.normal(size=(snapshots, 3, 5, 2)).astype(np.float32),
        },
        gaussian={
            "eigenvalues": rng.normal(size=(snapshots, 3)),
            "eigenvectors": rng.normal(size=(snapshots, 2, 3)).astype(np.float32),
            "draws": rng.normal(size=snapshots),
        },
    )


def assert_same(one: TrainingRun, other: TrainingRun) -> None:
    assert one.snapshots == other.snapshots
    np.testing.assert_array_equal(one.snapshot_steps, other.snapshot_steps)
    for kind in one.snapshots:
        assert getattr(one, kind).identical(getattr(other, kind))
        for name, layer in getattr(one, kind).items():
            assert layer.dtype == getattr(other, kind)[name].dtype
    np.testing.assert_array_equal(one.loss, other.loss)


def write(path: Path, run: TrainingRun, rows: int) -> RunWriter:
    """Record the first rows of a run as they come, with a snapshot at every fourth."""
    writer = RunWriter(path, run.n_samples, flush_seconds=1e9)
    for row in range(rows):
        parts = {
            kind: {str(name): layer[row // 4].to_numpy() for name, layer in getattr(run, kind).items()}
            for kind in run.snapshots
        }
        writer.append(row, run.rows(row, row + 1)[0], snapshot=None if row % 4 else parts)
    return writer


def test_a_run_shows_its_snapshots():
    run = a_run()
    assert run.snapshots == {
        "weights": ["fc.weight", "conv.weight", "fc.bias"],
        "singular_values": ["fc.weight"],
        "representations": ["fc", "block"],
        "gaussian": ["eigenvalues", "eigenvectors", "draws"],
    }
    assert run.weights["conv.weight"].dims == ("snapshot", *(f"conv.weight_axis{axis}" for axis in range(4)))
    assert run.singular_values["fc.weight"].dims == ("snapshot", "fc.weight_mode")
    assert run.representations["fc"].dims == ("snapshot", "sample", "fc_feature")
    assert run.representations["block"].dims == ("snapshot", "sample", "block_position", "block_feature")
    assert run.gaussian["eigenvectors"].dims == ("snapshot", "leading", "sample")
    np.testing.assert_array_equal(run.weights["step"], [0, 4, 8, 12, 16])
    assert "weights at 5 steps: 'fc.weight', 'conv.weight', 'fc.bias'" in repr(run)
    assert run.tree["weights/fc.weight"].shape == (5, 4, 6)
    assert run.tree["representations"].coords["step"].dims == ("snapshot",)


@pytest.mark.parametrize("name", ["run", "run.zip", "memory://"])
def test_saved_and_opened(tmp_path, name):
    place = f"memory://{tmp_path.name}" if name == "memory://" else tmp_path / name
    opened = open_run(a_run().save(place))
    assert_same(opened, a_run())
    with pytest.raises(StoreExistsError, match="overwrite=True"):
        a_run(seed=1).save(place)
    opened.save(place, overwrite=True)  # the very store that it is read from
    assert_same(open_run(place), a_run())
    a_run(seed=1).save(place, overwrite=True)
    assert_same(open_run(place), a_run(seed=1))


def test_the_same_run_gives_the_same_bytes_and_another_snapshot_another_run(tmp_path):
    a_run().save(tmp_path / "one.zip")
    a_run().save(tmp_path / "other.zip")
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "other.zip").read_bytes()
    run = a_run()
    weights = {name: layer.to_numpy().copy() for name, layer in run.weights.items()}
    weights["fc.weight"][3, 0, 0] += 1
    changed = TrainingRun.from_arrays(
        run.loss, snapshot_steps=run.snapshot_steps, weights=weights,
        singular_values=dict(run.singular_values), representations=dict(run.representations),
    )  # fmt: skip
    stores = [open_run(saved.save(tmp_path / f"{i}.zip")).store for i, saved in enumerate((run, changed))]
    assert stores[0].identity != stores[1].identity


_layers = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1).filter(
    lambda name: name not in ("sample", "step", "snapshot") and not name.endswith(("_mode", "_feature"))
)


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_any_snapshots_come_back_as_they_were(data):
    count, samples = data.draw(st.integers(1, 20)), data.draw(st.integers(2, 3))
    dtypes = st.sampled_from(["float16", "float32", "float64"])
    sizes = {
        "weights": hnp.array_shapes(min_dims=1, max_dims=3, max_side=2),
        "singular_values": hnp.array_shapes(min_dims=1, max_dims=1, max_side=3),
        "representations": hnp.array_shapes(min_dims=1, max_dims=2, max_side=2).map(lambda s: (samples, *s)),
    }
    given_ = {
        kind: {
            name: data.draw(hnp.arrays(data.draw(dtypes), (count, *data.draw(shape))))
            for name in data.draw(st.lists(_layers, unique=True, max_size=2))
        }
        for kind, shape in sizes.items()
    }
    kinds = {kind: layers for kind, layers in given_.items() if layers}
    steps = sorted(data.draw(st.sets(st.integers(-(2**63), 2**63 - 1), min_size=count, max_size=count)))
    run = TrainingRun.from_arrays(np.ones((1, samples)), snapshot_steps=steps if kinds else None, **given_)
    for kind, layers in kinds.items():
        for name, values in layers.items():
            np.testing.assert_array_equal(getattr(run, kind)[name], values)
    with tempfile.TemporaryDirectory() as folder:
        for name in ("run", "run.zip"):
            assert_same(open_run(run.save(Path(folder) / name)), run)


def test_every_kind_of_index(tmp_path):
    run = a_run()
    opened = open_run(run.save(tmp_path / "run"))
    expected, lazily = run.representations["block"].to_numpy(), opened.representations["block"]
    for key in (
        np.s_[2], np.s_[-1], np.s_[1:4], np.s_[::-2], np.s_[3:3], np.s_[:, 1], np.s_[[4, 0]],
        np.s_[2, [2, 0]],
        np.s_[1:, 0, -1], np.s_[::2, ::-1, 1:4, 0], np.s_[0, 1, 2, 1],
    ):  # fmt: skip
        np.testing.assert_array_equal(lazily[key], expected[key])
    picked = {"snapshot": [3, 1], "sample": [0, 2], "block_feature": [1]}
    np.testing.assert_array_equal(lazily.isel(picked), run.representations["block"].isel(picked))


def test_one_layer_of_one_snapshot_is_read_and_no_other(tmp_path):
    run = a_run()
    run.save(tmp_path / "run")
    folder = tmp_path / "run" / "snapshots"
    for chunk in folder.glob("*/*/c/*"):
        if chunk.is_dir() and chunk != folder / "weights" / "fc.weight" / "c" / "3":
            shutil.rmtree(chunk)
    opened = open_run(tmp_path / "run")
    np.testing.assert_array_equal(opened.weights["fc.weight"][3], run.weights["fc.weight"][3])
    with pytest.raises(
        TruncatedStoreError, match=r"rows 2 to 2 of 'snapshots/weights/fc.weight' are missing"
    ):
        opened.weights["fc.weight"][2].to_numpy()
    shutil.rmtree(folder)
    reopened = open_run(tmp_path / "run")  # nothing of the snapshots is read before they are asked for
    np.testing.assert_array_equal(reopened.loss, run.loss)
    assert reopened.snapshots == run.snapshots
    with pytest.raises(TruncatedStoreError, match="snapshots/"):
        _ = reopened.weights


def test_snapshots_are_written_when_they_are_taken(tmp_path):
    writer = write(tmp_path / "run", a_run(), rows=6)
    opened = open_run(tmp_path / "run")
    assert opened.n_steps == 5  # up to the row of the second snapshot; the sixth row waits
    assert_same_snapshots(opened, a_run(), 2)
    writer.close()
    assert open_run(tmp_path / "run").n_steps == 6


def assert_same_snapshots(run: TrainingRun, whole: TrainingRun, count: int) -> None:
    assert run.snapshot_steps.tolist() == whole.snapshot_steps[:count].tolist()
    for kind in KINDS:
        assert getattr(run, kind).identical(getattr(whole, kind).isel(snapshot=slice(count)))


def test_arrays_outgrow_their_first_room(tmp_path):
    run = TrainingRun.from_arrays(
        np.zeros((1, 2)), snapshot_steps=range(100), weights={"w": np.arange(200.0).reshape(100, 2)}
    )
    assert_same(open_run(run.save(tmp_path / "run")), run)
    assert 100 <= zarr.open_group(tmp_path / "run")["snapshots/weights/w"].shape[0] <= 200


@pytest.fixture
def disk(monkeypatch):
    """A disk that has no room for what is in ``disk.full``."""
    disk = SimpleNamespace(full=frozenset())
    real = SnapshotWriter._put

    def put(self, path, *args, **kwargs):
        if path.removeprefix("snapshots/") in disk.full:
            raise OSError(28, "No space left on device")
        real(self, path, *args, **kwargs)

    monkeypatch.setattr(SnapshotWriter, "_put", put)
    return disk


@pytest.mark.parametrize("path", ["weights/conv.weight", "gaussian/eigenvectors", "gaussian/draws", "step"])
@pytest.mark.parametrize("before", [0, 2])
def test_a_full_disk_leaves_no_half_snapshot_and_loses_none(tmp_path, disk, path, before):
    run = a_run()
    writer = RunWriter(tmp_path / "run", 3, flush_seconds=1e9)
    for index in range(4):
        disk.full = {path} if index in (before, before + 1) else ()
        parts = {
            kind: {str(name): layer[index].to_numpy() for name, layer in getattr(run, kind).items()}
            for kind in KINDS
        }
        told = pytest.warns(RecordingWarning, match="No space") if index == before else nullcontext()
        with told:
            writer.append(4 * index, run.rows(4 * index, 4 * index + 1)[0], snapshot=parts)
        opened = open_run(tmp_path / "run")
        assert opened.n_steps == index + 1
        count = before if disk.full else index + 1
        assert opened.snapshot_steps.tolist() == [0, 4, 8, 12][:count]
        if count:
            assert_same_snapshots(opened, run, count)
    disk.full = ()
    with pytest.warns(RecordingWarning, match="attempts failed.*; every row was written in the end"):
        writer.close()
    assert_same_snapshots(open_run(tmp_path / "run"), run, 4)


def test_a_snapshot_is_written_when_there_is_room_though_no_row_comes(tmp_path, disk):
    writer = RunWriter(tmp_path / "run", 2, flush_seconds=0.05)
    disk.full = {"weights/a"}
    with pytest.warns(RecordingWarning, match="No space"):
        writer.append(0, [0, 0], snapshot={"weights": {"a": np.ones(10)}})
    assert open_run(tmp_path / "run").snapshots == {}
    disk.full = ()
    patience = time.monotonic() + 10
    while not open_run(tmp_path / "run").snapshots:
        assert time.monotonic() < patience
        time.sleep(0.05)
    with pytest.warns(RecordingWarning, match="attempts failed"):
        writer.close()


def test_what_waits_for_a_full_disk_is_bounded(tmp_path, disk, monkeypatch):
    monkeypatch.setattr("rdmviz.store.snapshots._MOST_WAITING", 2 * 80)
    writer = RunWriter(tmp_path / "run", 2)
    disk.full = {"weights/a"}
    with pytest.warns(RecordingWarning, match="No space"):
        writer.append(0, [0, 0], snapshot={"weights": {"a": np.full(10, 0.0)}})
    writer.append(1, [1, 1], snapshot={"weights": {"a": np.full(10, 1.0)}})
    with pytest.warns(RecordingWarning, match="step 2 is left out.*No space"):
        writer.append(2, [2, 2], snapshot={"weights": {"a": np.full(10, 2.0)}})
    disk.full = ()
    writer.append(3, [3, 3], snapshot={"weights": {"a": np.full(10, 3.0)}})
    run = open_run(tmp_path / "run")
    assert run.steps.tolist() == [0, 1, 2, 3]
    assert run.snapshot_steps.tolist() == [0, 1, 3]
    np.testing.assert_array_equal(run.weights["a"][:, 0], [0, 1, 3])
    with pytest.warns(RecordingWarning, match="attempts failed"):
        writer.close()


def test_snapshots_that_are_lost_in_the_end_are_told(tmp_path, disk):
    writer = RunWriter(tmp_path / "run", 2)
    disk.full = {"weights/a"}
    with pytest.warns(RecordingWarning, match="No space"):
        writer.append(0, [0, 0], snapshot={"weights": {"a": np.ones(10)}})
    with pytest.warns(RecordingWarning, match="snapshots that could not be written are lost: steps 0"):
        writer.close()
    assert open_run(tmp_path / "run").steps.tolist() == [0]


def test_a_recording_that_is_killed_keeps_the_snapshots_before(tmp_path):
    code = (
        "import os, signal, sys\n"
        "import numpy as np\n"
        "from zarr.storage import LocalStore\n"
        "from rdmviz.store import RunWriter\n"
        "written, real = 0, LocalStore.set\n"
        "async def set(self, key, value, *rest):\n"
        "    global written\n"
        "    written += 1\n"
        "    if written == int(sys.argv[2]):\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    await real(self, key, value, *rest)\n"
        "LocalStore.set = set\n"
        "writer = RunWriter(sys.argv[1], 2, flush_seconds=0)\n"
        "for step in range(3):\n"
        "    parts = {'weights': {n: np.full((2, 2), step + 1.0) for n in 'ab'}}\n"
        "    writer.append(step, [step, step], snapshot=parts)\n"
    )
    counts = set()
    for moment in range(12, 40, 6):
        path = tmp_path / str(moment)
        ended = subprocess.run([sys.executable, "-c", code, str(path), str(moment)], check=False)
        if ended.returncode == 0:
            break
        assert ended.returncode == -signal.SIGKILL
        try:
            run = open_run(path)
        except TruncatedStoreError as error:
            assert "no committed row" in str(error)  # noqa: PT017  # the first row may not be there yet
            counts.add(0)
            continue
        count = len(run.snapshot_steps)
        counts.add(count)
        assert count <= run.n_steps
        for layer in run.weights.values() if count else ():
            np.testing.assert_array_equal(layer[:, 0, 0], run.snapshot_steps + 1)
        assert all(
            is_store_file(file.relative_to(path).as_posix()) for file in path.rglob("*") if file.is_file()
        )
    assert counts >= {0, 1, 2}


def test_recording_goes_on_after_the_snapshots_that_are_there(tmp_path):
    run = a_run()
    write(tmp_path / "run", run, rows=16).close()
    writer = RunWriter(
        tmp_path / "run", 3, resume=True, drop_after=9
    )  # of four, those of steps 0, 4 and 8 stay
    nan = {
        kind: {str(name): np.full_like(layer[0], np.nan) for name, layer in getattr(run, kind).items()}
        for kind in KINDS
    }
    with pytest.raises(SnapshotError, match=r"'fc.weight' are not there"):
        writer.append(10, [1, 2, 3], snapshot={"weights": nan["weights"]})
    writer.append(10, [1, 2, 3], snapshot=nan)
    writer.close()
    again = open_run(tmp_path / "run")
    assert again.snapshot_steps.tolist() == [0, 4, 8, 10]
    for kind in KINDS:
        for name, layer in getattr(again, kind).items():
            assert np.isnan(layer[3]).all()  # a chunk of NaN is written, and no damage
            np.testing.assert_array_equal(layer[:3], getattr(run, kind)[name][:3])


def test_a_recording_without_its_snapshots_may_have_others(tmp_path):
    write(tmp_path / "run", a_run(), rows=4).close()
    writer = RunWriter(tmp_path / "run", 3, resume=True, drop_after=-1)
    writer.append(0, [1, 2, 3])
    writer.flush()
    assert open_run(tmp_path / "run").snapshots == {}
    writer.append(1, [1, 2, 3], snapshot={"weights": {"fc.weight": np.ones(2)}})
    writer.close()
    np.testing.assert_array_equal(open_run(tmp_path / "run").weights["fc.weight"], [[1, 1]])


def test_followed_while_it_grows(tmp_path):
    run = a_run()
    writer = write(tmp_path / "run", run, rows=5)
    before = open_run(tmp_path / "run")
    parts = {kind: {str(n): v[2].to_numpy() for n, v in getattr(run, kind).items()} for kind in KINDS}
    writer.append(8, run.rows(8, 9)[0], snapshot=parts)
    assert before.snapshot_steps.tolist() == [0, 4]
    assert_same_snapshots(TrainingRun.from_store(before.store.grown()), run, 3)
    writer.close()


def test_who_knows_no_snapshots_reads_the_run(tmp_path):
    a_run().save(tmp_path / "run")
    document = json.loads((tmp_path / "run" / "zarr.json").read_text())
    head = document["attributes"]["rdmviz"]
    assert head["schema"] == PLAIN
    head["snapshots"]["from a newer rdmviz"] = [{"name": "x", "array": "x"}]  # the same, in our turn
    (tmp_path / "run" / "zarr.json").write_text(json.dumps(document))
    assert_same(open_run(tmp_path / "run"), a_run())
    del head["snapshots"]
    (tmp_path / "run" / "zarr.json").write_text(json.dumps(document))
    without = open_run(tmp_path / "run")
    np.testing.assert_array_equal(without.loss, a_run().loss)
    assert without.snapshots == {}
    a_run(seed=1).save(tmp_path / "run", overwrite=True)  # every file there is the run's


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_without_snapshots_says_how_to_record_them(kind):
    run = TrainingRun.from_arrays(np.ones((3, 2)), name="plain")
    assert run.snapshots == {}
    assert run.snapshot_steps.shape == (0,)
    assert not set(run.tree.children) & set(KINDS)
    with pytest.raises(SnapshotError, match=r"'plain' holds no .* \(it holds no snapshots\).*Snapshots\("):
        getattr(run, kind)


def _head(change):
    def damage(path: Path) -> None:
        document = json.loads((path / "zarr.json").read_text())
        change(document["attributes"]["rdmviz"]["snapshots"])
        (path / "zarr.json").write_text(json.dumps(document))

    return damage


def _array(path, **changed):
    def damage(run: Path) -> None:
        file = run / "snapshots" / path / "zarr.json"
        file.write_text(json.dumps({**json.loads(file.read_text()), **changed}))

    return damage


@pytest.mark.parametrize(
    "damage",
    [
        _head(lambda head: head.update(count=-1)),
        _head(lambda head: head.update(count="many")),
        _head(lambda head: head.update(count=True)),
        _head(lambda head: head.update(count=40)),
        _head(lambda head: head.update(weights=3)),
        _head(lambda head: head.update(weights=[{"name": "x", "array": "../../loss"}])),
        _head(lambda head: head.update(weights=[{"name": "x", "array": "lost"}])),
        _array("weights/fc.weight", shape=[3, 4, 6]),
        _array("weights/fc.weight", data_type="int32", fill_value=0),
        _array("representations/fc", shape=[16, 4, 7]),
        _array(
            "weights/fc.weight", chunk_grid={"name": "regular", "configuration": {"chunk_shape": [2, 4, 6]}}
        ),
        _array("step", shape=[2]),
        _array("step", data_type="int32"),
        lambda run: (run / "snapshots" / "step" / "c" / "0").unlink(),
        lambda run: (run / "snapshots" / "step" / "c" / "0").write_bytes(b"short"),
        lambda run: (run / "snapshots" / "weights" / "fc.weight" / "zarr.json").unlink(),
        lambda run: (run / "snapshots" / "weights" / "fc.weight" / "c" / "0" / "0" / "0").write_bytes(b"no"),
    ],
)
def test_damage_is_told(tmp_path, damage):
    a_run().save(tmp_path / "run")
    damage(tmp_path / "run")

    def everything():
        run = open_run(tmp_path / "run")
        for kind in run.snapshots:
            getattr(run, kind).load()

    with pytest.raises(TruncatedStoreError, match="damaged or unfinished"):
        everything()


@pytest.mark.parametrize(
    ("snapshot", "says"),
    [
        ({}, "'a' are not there"),
        ({"weights": {"a": np.ones(3)}}, r"have shape \(3,\).*have shape \(2,\)"),
        ({"weights": {"a": np.ones(2, "f4")}}, "dtype float32.*dtype float64"),
        ({"weights": {"a": np.ones(2), "b": np.ones(2)}}, "the one before are not there"),
        ({"weights": {"a": np.ones((2, 0))}}, r"shape \(2, 0\)"),
        ({"weights": {"a": np.ones(2, int)}}, "expected floats"),
        ({"representations": {"a": np.ones((3, 2))}}, r"expected floats \(2 datapoints, features\)"),
        ({"gradients": {"a": np.ones(2)}}, "'gradients'; expected weights"),
        ({"weights": {"a": np.broadcast_to(np.float32(0), (2**15, 2**14))}}, "at most 2147482624"),
        ({"weights": {"step": np.ones(2)}}, "'step'"),
        ({"representations": {"a": np.ones((2, 2)), "a_feature": np.ones((2, 2))}}, "'a_feature'"),
    ],
)
def test_a_snapshot_that_does_not_fit_leaves_the_run_as_it_was(tmp_path, snapshot, says):
    writer = RunWriter(tmp_path / "run", 2)
    writer.append(0, [1, 2], snapshot={"weights": {"a": np.ones(2)}})
    with pytest.raises(SnapshotError, match=says):
        writer.append(1, [1, 2], snapshot=snapshot)
    writer.append(1, [3, 4], snapshot={"weights": {"a": np.full(2, 2.0)}})
    writer.close()
    run = open_run(tmp_path / "run")
    np.testing.assert_array_equal(run.loss, [[1, 2], [3, 4]])
    np.testing.assert_array_equal(run.weights["a"], [[1, 1], [2, 2]])


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"weights": {"a": np.ones((2, 3))}}, SnapshotError, "snapshot_steps=None; expected both"),
        ({"snapshot_steps": [0, 1]}, SnapshotError, "snapshots of nothing"),
        ({"snapshot_steps": [], "weights": {"a": np.ones((0, 3))}}, SnapshotError, "one training step per"),
        ({"snapshot_steps": [1, 1], "weights": {"a": np.ones((2, 3))}}, StepsError, "must increase"),
        (
            {"snapshot_steps": [0, 1], "weights": {"a": np.ones((3, 3))}},
            SnapshotError,
            "numbers, 2 snapshots of",
        ),
        ({"snapshot_steps": [0, 1], "weights": {"a": np.ones((2, 0))}}, SnapshotError, "shape"),
        ({"snapshot_steps": [0, 1], "weights": {"a": 3}}, SnapshotError, "shape ()"),
        ({"snapshot_steps": [0, 1], "weights": {"a": [[1], [1, 2]]}}, SnapshotError, "could not be read"),
        ({"snapshot_steps": [0, 1], "weights": {"a": np.ones((2, 3), complex)}}, SnapshotError, "complex128"),
        ({"snapshot_steps": [0, 1], "weights": {"": np.ones((2, 3))}}, SnapshotError, "not empty"),
        ({"snapshot_steps": [0, 1], "weights": {"step": np.ones((2, 3))}}, SnapshotError, "'step'"),
        ({"snapshot_steps": [0, 1], "weights": [np.ones((2, 3))]}, SnapshotError, "a list"),
        ({"snapshot_steps": [0, 1], "singular_values": {"a": np.ones((2, 3, 3))}}, SnapshotError, "singular"),
        (
            {"snapshot_steps": [0, 1], "representations": {"a": np.ones((2, 5, 3))}},
            SnapshotError,
            "4 datapoi",
        ),
        ({"snapshot_steps": [0, 1], "representations": {"a": np.ones((2, 4))}}, SnapshotError, "features"),
    ],
)
def test_arrays_that_are_no_snapshots_are_refused(options, error, says):
    with pytest.raises(error, match=says):
        TrainingRun.from_arrays(np.ones((3, 4)), **options)


def test_integers_become_floats_and_floats_are_not_copied():
    weights = np.ones((2, 3), np.float32)
    run = TrainingRun.from_arrays(
        np.ones((1, 2)), snapshot_steps=(0, 9), weights={"a": weights, "b": np.arange(6).reshape(2, 3)}
    )
    assert run.weights["b"].dtype == np.float64
    assert np.shares_memory(run.weights["a"].to_numpy(), weights)
    assert weights.flags.writeable
    with pytest.raises(ValueError, match="read-only"):
        run.weights["a"].to_numpy()[0] = 2
