"""A check finds whatever is damaged, and tells what is odd in words."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from zarr.storage import LocalStore

from rdmviz import TrainingRun
from rdmviz.analysis.gram_cache import gram_bytes, gram_of
from rdmviz.checking import check_run
from rdmviz.contents import contents
from rdmviz.errors import OptionError, RunNotFoundError
from rdmviz.store import RunWriter
from rdmviz.store.growing import GrowingStore

ROWS, N = 9000, 6
RNG = np.random.default_rng(0)
LOSS = RNG.normal(size=(ROWS, N)).astype(np.float32)
PICTURES = RNG.integers(0, 255, (N, 8, 8), dtype=np.uint8)


def whole() -> TrainingRun:
    return TrainingRun.from_arrays(
        LOSS,
        np.arange(ROWS) * 10,
        probe={"text": list("abcdef"), "drawing": PICTURES},
        metrics={"acc": np.linspace(0, 1, ROWS)},
        snapshot_steps=[0, 500, 90000],
        weights={"fc.weight": RNG.normal(size=(3, 4, 5))},
        singular_values={"fc.weight": RNG.normal(size=(3, 4))},
    )


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Path:
    """A run of three chunks of losses."""
    return Path(whole().save(tmp_path_factory.mktemp("saved") / "run"))


@pytest.fixture
def copy(saved, tmp_path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "run"))


def test_a_whole_run(saved):
    seen = []
    report = check_run(saved, watch=lambda done, rows: seen.append((done, rows)))
    assert (report.whole, report.wrong, report.notes) == (True, [], [])
    assert report.contents is not None
    assert report.contents["rows"] == ROWS
    assert seen == [(4096, ROWS), (8192, ROWS), (ROWS, ROWS)]


@pytest.mark.parametrize("source", ["zip", "npz", "csv"])
def test_what_is_no_folder_is_checked_as_well(tmp_path, source):
    if source == "zip":
        path = whole().save(tmp_path / "run.zip")
    elif source == "npz":
        path = tmp_path / "run.npz"
        np.savez(path, loss=LOSS, id=np.arange(N))
    else:
        path = tmp_path / "run.csv"
        path.write_text("step,a,b\n0,1,2\n1,3,nan\n")
    report = check_run(path)
    assert report.whole
    assert len(report.notes) == (2 if source == "csv" else 0)  # the row with NaN, and too few rows


def test_damage_in_any_chunk_is_found(saved, tmp_path):
    chunks = sorted(path.relative_to(saved) for path in saved.rglob("c/**/*") if path.is_file())
    assert len(chunks) > 8
    path = tmp_path / "run"
    shutil.copytree(saved, path)
    for number, chunk in enumerate(chunks):
        content = (saved / chunk).read_bytes()
        flipped = bytearray(content)
        flipped[len(flipped) // 2] ^= 1
        for damaged in (bytes(flipped), (content[:-3], b"", None)[number % 3]):
            if damaged is None:
                (path / chunk).unlink()
            else:
                (path / chunk).write_bytes(damaged)
            report = check_run(path)
            assert not report.whole, (chunk, damaged)
            assert chunk.parts[0] in report.wrong[0]
        (path / chunk).write_bytes(content)
    assert check_run(path).whole


def test_a_lost_chunk_costs_no_other(copy):
    chunks = sorted((copy / "loss" / "c").iterdir())
    (chunks[1] / "0").unlink()
    report = check_run(copy)
    assert len(report.wrong) == 1
    assert report.wrong[0].startswith("4,096 rows (steps 40960 to 81910) cannot be read: ")
    assert report.contents is not None
    assert None not in report.contents["loss"].values()
    picture = next((copy / "probe").rglob("drawing/c/*/*/*"))
    picture.write_bytes(picture.read_bytes()[:-1])
    assert [sentence[:8] for sentence in check_run(copy).wrong] == ["4,096 ro", "pictures"]
    (chunks[0] / "0").unlink()
    (copy / "snapshots" / "weights" / "fc.weight" / "c" / "1" / "0" / "0").unlink()
    report = check_run(copy)
    assert report.wrong[-1].startswith("weights of layer 'fc.weight' cannot be read: ")
    assert report.wrong[0].startswith("8,192 rows (steps 0 to 81910) cannot be read: ")
    assert report.contents is not None
    assert report.contents["loss"]["first_mean"] is None


def test_headers_that_do_not_fit_are_told(copy):
    head = copy / "zarr.json"
    text = head.read_text()
    head.write_text(text.replace('"rows": 9000', '"rows": 90000'))
    report = check_run(copy)
    assert "90000 rows are committed but loss holds 9000" in report.wrong[0]
    head.write_text(text[: len(text) // 2])
    assert "header cannot be read" in check_run(copy).wrong[0]


def test_a_recording_that_has_begun(tmp_path):
    writer = RunWriter(tmp_path / "run", 3, flush_seconds=1e9)
    assert "no committed row yet" in check_run(tmp_path / "run").wrong[0]
    writer.append(0, [1.0, 2.0, 3.0])
    writer.flush()
    GrowingStore(LocalStore(tmp_path / "run")).write(np.array([1, 2]), np.ones((2, 3), np.float32))
    report = check_run(tmp_path / "run")
    assert report.whole
    assert any("2 rows beyond the last commit have been written" in note for note in report.notes)
    (tmp_path / "run" / "mine.txt").write_text("mine")
    assert any(
        "1 file in the folder is not of the run: 'mine.txt'" in n for n in check_run(tmp_path / "run").notes
    )


def test_what_is_odd_is_told(tmp_path):
    loss = np.random.default_rng(1).normal(size=(40, 5))
    loss[7, 2:] = np.inf
    loss[:, 1] = np.nan
    loss[:, 4] = np.where(np.arange(40) == 7, np.inf, 2.5)
    loss[31] = loss[30]
    run = TrainingRun.from_arrays(
        loss, [*range(39), 1000], probe={"id": range(5)}, metrics={"test": [np.nan] * 40}
    )
    notes = check_run(run.save(tmp_path / "run")).notes
    told = "\n".join(notes)
    assert "1 datapoint of 5 has no finite loss at any step: 1" in told
    assert "1 datapoint of 5 has the same loss at every step: 4" in told
    assert "not evenly spaced (1 to 962 apart)" in told
    assert "40 rows are fewer than the default window of 64" in told
    assert "1 metric has no finite value at any step: 'test'" in told
    assert "repeat" not in told  # NaN is never the same
    clean = np.delete(loss, [1], axis=1)
    run = TrainingRun.from_arrays(clean, [*range(39), 1000])
    told = "\n".join(check_run(run.save(tmp_path / "clean")).notes)
    assert "1 row of 40 has NaN or infinite losses, first at step 7 (3 datapoints of 4)" in told
    assert "1 row repeats the row before, first at step 31" in told
    assert "no probe column" in told


def test_weights_that_are_not_finite_are_told(tmp_path):
    weights = np.zeros((3, 2, 2))
    weights[1:, 0] = np.nan
    run = TrainingRun.from_arrays(
        LOSS[:70], probe={"id": range(N)}, snapshot_steps=[0, 1, 2], weights={"fc": weights}
    )
    report = check_run(run.save(tmp_path / "run"))
    assert report.notes == ["weights of layer 'fc' are not finite in 2 of 3 snapshots"]


def test_a_run_without_one_finite_row_is_wrong(tmp_path):
    run = TrainingRun.from_arrays(np.full((70, 3), np.nan), probe={"id": range(3)})
    report = check_run(run.save(tmp_path / "run"))
    assert "no row is finite: 3 datapoints of 3 already at step 0" in report.wrong[0]


def test_what_is_no_run_is_an_error_and_what_is_broken_is_not(tmp_path):
    with pytest.raises(RunNotFoundError):
        check_run(tmp_path / "nothing")
    (tmp_path / "table.csv").write_text("step,sample,loss\n0,a,1\n0,a,2\n")
    assert "2 losses for sample 'a'" in check_run(tmp_path / "table.csv").wrong[0]
    with pytest.raises(OptionError, match="step='nosuch'"):
        check_run(tmp_path / "table.csv", step="nosuch")
    (tmp_path / "run.npz").write_bytes(b"\x80\x04.")
    assert "pickle" in check_run(tmp_path / "run.npz").wrong[0]


def test_contents_are_what_is_there(saved):
    found = contents(whole(), saved)
    assert found["steps"] == {"first": 0, "last": (ROWS - 1) * 10, "least_apart": 10, "most_apart": 10}
    assert found["probe"] == [{"name": "text", "kind": "category", "distinct": 6, "examples": list("abcde")}]
    assert found["images"] == [{"name": "drawing", "shape": [8, 8], "dtype": "uint8"}]
    assert found["metrics"] == [{"name": "acc", "least": 0.0, "most": 1.0, "last": 1.0, "measured": ROWS}]
    assert found["snapshots"]["steps"] == [0, 500, 90000]
    assert found["snapshots"]["layers"] == {"weights": ["fc.weight"], "singular_values": ["fc.weight"]}
    assert found["bytes_on_disk"] == sum(path.stat().st_size for path in saved.rglob("*") if path.is_file())
    assert found["bytes_of_losses"] == LOSS.nbytes
    far = TrainingRun.from_arrays(LOSS[:3], [-(2**63), 0, 2**63 - 1])
    assert contents(far, "memory://far")["steps"]["most_apart"] == 2**63
    assert contents(far, "memory://far")["bytes_on_disk"] is None


@pytest.mark.parametrize("rows", [20, 64, 65, 66, 1000])
def test_the_memory_that_is_foretold_is_what_the_gram_takes(rows):
    gram = gram_of(TrainingRun.from_arrays(LOSS[:rows]), min(64, rows))
    assert gram_bytes(rows) == gram.segments.nbytes
    assert (
        sum(vars(gram)[name].nbytes for name in ("scales", "anchor_products", "row_sums"))
        < gram_bytes(rows) / 10
    )
