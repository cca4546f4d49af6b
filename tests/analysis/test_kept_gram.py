"""The Gram beside a stored run: found again, extended by appended rows, and never taken for another's."""

import os
import shutil
import threading

import numpy as np
import pytest

import rdmviz
from rdmviz.analysis import gram_cache, kept_gram
from rdmviz.errors import StoreExistsError
from rdmviz.store.writer import RunWriter

RNG = np.random.default_rng(2)
N, HEIGHT = 1000, 40
LOSSES = RNG.gamma(2.0, size=(400, N)).astype(np.float32)


@pytest.fixture(autouse=True)
def _small_runs_are_dear(monkeypatch):
    monkeypatch.setattr(kept_gram, "_DEAR_BYTES", 0)
    monkeypatch.setattr(kept_gram, "_SHARE", 10)
    monkeypatch.setattr("rdmviz.store.growing.chunk_rows", lambda *_: HEIGHT)


@pytest.fixture
def read(monkeypatch):
    """Rows whose products are taken, as (first, stop) of each pass."""
    passes = []
    build = gram_cache.banded_gram

    def recorded(rows, *args, known=None, **options):
        passes.append(0 if known is None else known.n_rows)
        return build(rows, *args, known=known, **options)

    monkeypatch.setattr(gram_cache, "banded_gram", recorded)
    return passes


def recording(path, rows, losses=LOSSES):
    writer = RunWriter(path, N, flush_seconds=1e9)
    for step in range(rows):
        writer.append(step, losses[step])
    writer.flush()
    return writer


def curves(path, window=50):
    found = rdmviz.analyze(rdmviz.open_run(path), window=window)
    return found.drop_vars("top_eigenvalue")


def test_a_second_session_finds_it(tmp_path, read):
    recording(tmp_path / "run", 300).close()
    first = curves(tmp_path / "run")
    assert [p.name for p in (tmp_path / "run" / "cache").iterdir()] == ["gram.npz"]
    second = curves(tmp_path / "run")
    assert read == [0]
    assert first.identical(second)
    moved = shutil.copytree(tmp_path / "run", tmp_path / "copy")
    assert curves(moved).identical(first)
    assert read == [0]


@pytest.mark.parametrize("before", [120, 290, 300])
def test_appended_rows_extend_it(tmp_path, read, before):
    writer = recording(tmp_path / "run", before)
    curves(tmp_path / "run")
    for step in range(before, 333):
        writer.append(step, LOSSES[step])
    writer.close()
    grown = curves(tmp_path / "run")
    full_chunks = before // HEIGHT * HEIGHT
    assert read == [0, full_chunks // 65 * 65]
    assert grown.identical(curves(tmp_path / "run"))
    assert len(read) == 2
    expected = rdmviz.analyze(rdmviz.TrainingRun.from_arrays(LOSSES[:333]), window=50)
    np.testing.assert_array_equal(grown.trace, expected.trace)


def test_a_longer_window_replaces_it_and_serves_shorter_ones(tmp_path, read):
    recording(tmp_path / "run", 300).close()
    for window in (50, 100, 50, 99):
        curves(tmp_path / "run", window)
    assert read == [0, 0]


def test_other_losses_never_get_it(tmp_path, read):
    recording(tmp_path / "run", 300).close()
    curves(tmp_path / "run")
    keep = tmp_path / "gram.npz"
    shutil.move(tmp_path / "run" / "cache" / "gram.npz", keep)
    other = LOSSES.copy()
    other[170, 3] += 1e-3  # in one chunk
    recording(tmp_path / "other", 300, other).close()
    (tmp_path / "other" / "cache").mkdir()
    shutil.copy(keep, tmp_path / "other" / "cache" / "gram.npz")
    found = curves(tmp_path / "other")
    assert read == [0, 130]  # what comes before the chunk is the same
    expected = rdmviz.analyze(rdmviz.TrainingRun.from_arrays(other[:300]), window=50)
    np.testing.assert_array_equal(found.trace, expected.trace)


@pytest.mark.parametrize("damage", [b"", b"not a zip", "cut", "pickle", "shape", "flips"])
def test_a_damaged_one_is_made_anew(tmp_path, read, damage):
    recording(tmp_path / "run", 300).close()
    expected, path = curves(tmp_path / "run"), tmp_path / "run" / "cache" / "gram.npz"
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-1000])
    elif damage == "pickle":
        np.savez(path, chunks=np.array([object()], dtype=object))
    elif damage == "shape":
        with np.load(path) as archive:
            np.savez(path, **{**archive, "scales": archive["scales"][:-1]})
    elif damage == "flips":
        whole = np.frombuffer(path.read_bytes(), np.uint8)
        for seed in range(40):
            flipped = whole.copy()
            flipped[np.random.default_rng(seed).integers(0, len(whole), size=400)] ^= 0xFF
            flipped[np.random.default_rng(seed).integers(-1200, 0, size=4)] ^= 0xFF  # the directory
            path.write_bytes(flipped.tobytes())
            assert curves(tmp_path / "run").identical(expected)
        path.write_bytes(b"")
        read[:] = read[:1]
    else:
        path.write_bytes(damage)
    assert curves(tmp_path / "run").identical(expected)
    assert read == [0, 0]


def test_a_run_that_is_replaced_takes_its_cache_along(tmp_path):
    recording(tmp_path / "run", 300).close()
    curves(tmp_path / "run")
    run = rdmviz.TrainingRun.from_arrays(LOSSES)
    run.save(tmp_path / "run", overwrite=True)
    assert not (tmp_path / "run" / "cache").exists()
    curves(tmp_path / "run")
    (tmp_path / "run" / "cache" / "notes.txt").write_text("mine")
    with pytest.raises(StoreExistsError, match="notes"):
        run.save(tmp_path / "run", overwrite=True)


def test_what_cannot_be_written_is_computed_all_the_same(tmp_path, read, caplog, monkeypatch):
    recording(tmp_path / "run", 300).close()
    (tmp_path / "run" / "cache").write_text("in the way")
    with caplog.at_level("INFO", logger="rdmviz"):
        curves(tmp_path / "run")
    assert "is not kept" in caplog.text
    rdmviz.open_run(tmp_path / "run").save(tmp_path / "run.zip")
    curves(tmp_path / "run.zip")
    assert read == [0, 0]


def test_a_run_replaced_while_it_is_read_keeps_nothing(tmp_path, monkeypatch):
    recording(tmp_path / "run", 300).close()
    build = gram_cache.banded_gram

    def replaced(*args, **options):
        gram = build(*args, **options)
        rdmviz.TrainingRun.from_arrays(LOSSES[::-1][:300].copy()).save(tmp_path / "run", overwrite=True)
        return gram

    monkeypatch.setattr(gram_cache, "banded_gram", replaced)
    curves(tmp_path / "run")
    assert not (tmp_path / "run" / "cache").exists()


def test_what_a_killed_process_left_is_swept_up(tmp_path):
    recording(tmp_path / "run", 300).close()
    (tmp_path / "run" / "cache").mkdir()
    old, young = (tmp_path / "run" / "cache" / f".gram.npz.{name}.part" for name in ("0a", "0b"))
    old.write_bytes(b"half")
    young.write_bytes(b"half")
    os.utime(old, (0, 0))
    curves(tmp_path / "run")
    assert not old.exists()
    assert young.exists()


def test_another_run_is_not_waited_for(monkeypatch):
    waiting, free = threading.Event(), threading.Event()
    build = gram_cache.banded_gram

    def slow(*args, **options):
        waiting.set()
        assert free.wait(10)
        return build(*args, **options)

    busy, other = (rdmviz.TrainingRun.from_arrays(LOSSES[:100, :20]) for _ in range(2))
    rdmviz.analyze(other, 20)
    monkeypatch.setattr(gram_cache, "banded_gram", slow)
    thread = threading.Thread(target=rdmviz.analyze, args=(busy, 20))
    thread.start()
    assert waiting.wait(10)
    rdmviz.analyze(other, 20)
    free.set()
    thread.join()


def test_small_runs_are_not_worth_it(tmp_path, monkeypatch):
    monkeypatch.setattr(kept_gram, "_DEAR_BYTES", 32 << 20)
    recording(tmp_path / "run", 300).close()
    curves(tmp_path / "run")
    assert not (tmp_path / "run" / "cache").exists()


def test_a_dask_backed_run_keeps_and_extends_it_too(tmp_path, read):
    writer = recording(tmp_path / "run", 280)
    rdmviz.analyze(rdmviz.open_run(tmp_path / "run", chunks=(100, 500)), window=50)
    assert (tmp_path / "run" / "cache" / "gram.npz").exists()
    for step in range(280, 400):
        writer.append(step, LOSSES[step])
    writer.close()
    found = rdmviz.analyze(rdmviz.open_run(tmp_path / "run", chunks=(100, 500)), window=50)
    expected = rdmviz.analyze(rdmviz.TrainingRun.from_arrays(LOSSES), window=50)
    np.testing.assert_allclose(found.trace, expected.trace, rtol=1e-10)
    assert read == [0]  # the last
