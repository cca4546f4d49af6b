"""Dask-backed runs: the same numbers, wherever the losses are and whatever happens to the workers."""

import os
import signal
import threading
import time

import dask
import dask.array as da
import numpy as np
import pytest
import xarray as xr
from distributed import Client, LocalCluster, wait

import rdmviz
from rdmviz.analysis import on_dask
from rdmviz.errors import ChunkError, FlatWindowError, LossShapeError, NonFiniteLossError, OptionError

RNG = np.random.default_rng(8)
T, N, W = 190, 230, 24
LOSSES = (RNG.gamma(2.0, size=(T, N)) + 30 * np.exp(-np.arange(T) / 40)[:, None]).astype(np.float32)
LOSSES[:, :40] += 3 * np.sin(np.arange(T) / 7)[:, None]
CHUNKS = [(T, 50), (T, N), (7, N), (7, 33), ((100, 90), (1, 2, 3, 224)), (1, 1000)]


def run_of(losses, **options):
    return rdmviz.TrainingRun.from_arrays(losses, **options)


def same(one, two, rtol=1e-10):
    for name in one.data_vars:
        np.testing.assert_allclose(two[name], one[name], rtol=rtol, atol=0, err_msg=name)


def same_modes(one, two):
    np.testing.assert_allclose(two.eigenvalue, one.eigenvalue, rtol=1e-10)
    np.testing.assert_allclose(two.eigenvector, one.eigenvector, atol=1e-10)
    np.testing.assert_allclose(two.drift, one.drift, rtol=1e-9)


@pytest.mark.parametrize("tile_bytes", [96 << 20, 40_000])
@pytest.mark.parametrize("chunks", CHUNKS)
def test_chunks_of_any_shape_give_the_numbers_of_memory(monkeypatch, chunks, tile_bytes):
    monkeypatch.setattr(on_dask, "_TILE_BYTES", tile_bytes)
    chunked, whole = run_of(da.from_array(LOSSES, chunks=chunks)), run_of(LOSSES)
    for detrend in ("linear", "none"):
        same(rdmviz.analyze(whole, W, detrend), rdmviz.analyze(chunked, W, detrend))
    same_modes(rdmviz.eigenmodes(whole, 120, W), rdmviz.eigenmodes(chunked, 120, W))


def test_verbs_take_a_chunked_run():
    chunked, whole = run_of(da.from_array(LOSSES, chunks=(T, 60))), run_of(LOSSES)
    np.testing.assert_array_equal(rdmviz.groups(chunked, 150).group, rdmviz.groups(whole, 150).group)
    xr.testing.assert_allclose(
        rdmviz.null_edge(chunked, 150, method="shuffle"), rdmviz.null_edge(whole, 150, method="shuffle")
    )
    tracked, expected = rdmviz.mode_tracks(chunked, W), rdmviz.mode_tracks(whole, W)
    np.testing.assert_array_equal(tracked.identity, expected.identity)
    assert "190 rows (steps 0 to 189) × 230 datapoints, float32, in 4 dask chunks" in repr(chunked)


def test_fewer_datapoints_than_rows_in_a_window():
    chunked, whole = run_of(da.from_array(LOSSES[:, :9], chunks=(50, 4))), run_of(LOSSES[:, :9])
    same(rdmviz.analyze(whole, W), rdmviz.analyze(chunked, W))
    same_modes(rdmviz.eigenmodes(whole, 100, W), rdmviz.eigenmodes(chunked, 100, W))


def test_a_gap_in_one_chunk_silences_the_whole_row(tmp_path):
    losses = LOSSES.copy()
    losses[[80, 99], [3, 200]] = np.nan, np.inf
    chunked, whole = run_of(da.from_array(losses, chunks=(100, 50))), run_of(losses)
    found = rdmviz.analyze(chunked, W)
    same(rdmviz.analyze(whole, W), found)
    assert found.attrs["silent_steps"] == [80, 99]
    np.testing.assert_array_equal(chunked.finite_rows(), whole.finite_rows())
    with pytest.raises(NonFiniteLossError, match="first at row 80"):
        rdmviz.eigenmodes(chunked, 90, W)
    chunked.save(tmp_path / "run")
    np.testing.assert_array_equal(rdmviz.open_run(tmp_path / "run").loss, losses)


def test_a_flat_window_has_no_modes():
    with pytest.raises(FlatWindowError):
        rdmviz.eigenmodes(run_of(da.ones((50, 40), chunks=(50, 10))), 40, W)


@pytest.mark.parametrize("dtype", [np.float16, np.int32, np.float64, ">f4"])
def test_any_real_dtype(dtype):
    losses = (LOSSES * 10).astype(dtype)
    same(
        rdmviz.analyze(run_of(losses), W),
        rdmviz.analyze(run_of(da.from_array(losses, chunks=(T, 70))), W),
    )


@pytest.mark.parametrize("chunks", ["auto", 10, (50, 100), (-1, 60)])
def test_stores_are_opened_in_chunks(tmp_path, chunks):
    run_of(LOSSES, probe={"label": np.arange(N) % 3}).save(tmp_path / "run")
    chunked = rdmviz.open_run(tmp_path / "run", chunks=chunks)
    assert chunked.chunked.shape == (T, N)
    if chunks == 10:
        assert chunked.chunked.chunks[1] == (N,)
    same(rdmviz.analyze(run_of(LOSSES), W), rdmviz.analyze(chunked, W))
    assert set(rdmviz.groups(chunked, 150).finding_column.values) == {"label"}


def test_what_cannot_be_chunked_says_so(tmp_path):
    run_of(LOSSES).save(tmp_path / "run")
    for chunks in ("huge", 0, -5, (0, 10), {"step": 100}, True, (1, 2, 3), 2.5):
        with pytest.raises(OptionError, match=r"chunks=.*do not fit.*give 'auto'"):
            rdmviz.open_run(tmp_path / "run", chunks=chunks)
    np.savez(tmp_path / "run.npz", loss=LOSSES)
    with pytest.raises(OptionError, match="only a store is read chunk by chunk"):
        rdmviz.open_run(tmp_path / "run.npz", chunks="auto")
    lazy = da.from_array(LOSSES, chunks=(50, 50))
    with pytest.raises(LossShapeError, match="compute_chunk_sizes"):
        run_of(lazy[lazy[:, 0] > 0])
    with pytest.raises(LossShapeError, match="complex"):
        run_of(lazy.astype(complex))


def broken(block, block_info=None):
    if block_info[0]["array-location"][1][0] == 100:
        raise OSError("bad sector")
    return block


@pytest.mark.parametrize(
    ("ask", "rows", "named"),
    [
        (lambda run: rdmviz.analyze(run, W), T, "rows 0 to 189"),
        (lambda run: rdmviz.eigenmodes(run, 100, W), W, "rows 77 to 100"),
    ],
)
def test_an_error_names_its_part_of_the_losses(monkeypatch, ask, rows, named):
    monkeypatch.setattr(on_dask, "_TILE_BYTES", 4 * rows * 50)
    losses = da.from_array(LOSSES, chunks=(T, 50)).map_blocks(broken, dtype=np.float32, meta=np.empty((0, 0)))
    with pytest.raises(
        ChunkError, match=f"{named}, datapoints 100 to 149 of the losses.*OSError: bad sector"
    ):
        ask(run_of(losses))


@pytest.fixture(scope="module")
def client():
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 3}),
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0", silence_logs=50) as cluster,
        Client(cluster) as client,
    ):
        yield client


@pytest.mark.parametrize("chunks", [(T, 50), (20, 100)])
def test_a_cluster_gives_the_numbers_of_memory(client, tmp_path, chunks):
    assert len(client.scheduler_info()["workers"]) == 2
    whole = run_of(LOSSES)
    whole.save(tmp_path / "run")
    for chunked in (
        run_of(da.from_array(LOSSES, chunks=chunks)),
        run_of(da.from_array(LOSSES, chunks=chunks).persist()),
        rdmviz.open_run(tmp_path / "run", chunks=chunks),
    ):
        same(rdmviz.analyze(whole, W), rdmviz.analyze(chunked, W))
        same_modes(rdmviz.eigenmodes(whole, 120, W), rdmviz.eigenmodes(chunked, 120, W))


def test_blocks_that_are_not_what_the_array_says_are_refused():
    lazy = da.from_array(LOSSES, chunks=(T, 115))
    narrow = lazy.map_blocks(lambda block: block[:, :60], dtype=np.float32, meta=np.empty((0, 0)))
    for ask in (lambda run: rdmviz.analyze(run, W), lambda run: rdmviz.eigenmodes(run, 100, W)):
        with pytest.raises(ChunkError, match=r"datapoints 0 to .*LossShapeError.*gave shape"):
            ask(run_of(narrow))
    with pytest.raises(LossShapeError, match="masked"):
        run_of(da.ma.masked_greater(lazy, 5))


def test_a_run_recorded_again_at_the_same_path_is_another(client, tmp_path):
    run_of(LOSSES).save(tmp_path / "run")
    old = rdmviz.open_run(tmp_path / "run", chunks=(T, 50))
    held = old.loss.persist()
    wait(held.data)  # before it is replaced
    unread = rdmviz.open_run(tmp_path / "run", chunks=(T, 70))
    run_of(LOSSES[::-1].copy()).save(tmp_path / "run", overwrite=True)
    new = rdmviz.open_run(tmp_path / "run", chunks=(T, 50))
    same(rdmviz.analyze(run_of(LOSSES[::-1]), W), rdmviz.analyze(new, W))
    same_modes(rdmviz.eigenmodes(run_of(LOSSES[::-1]), 120, W), rdmviz.eigenmodes(new, 120, W))
    same(rdmviz.analyze(run_of(LOSSES), W), rdmviz.analyze(run_of(held.data), W))
    with pytest.raises(ChunkError, match="was replaced since it was opened"):
        rdmviz.analyze(unread, W)


def test_rows_of_a_chunked_store_are_indexed_as_of_any_array(tmp_path):
    run_of(LOSSES).save(tmp_path / "run")
    loss = rdmviz.open_run(tmp_path / "run", chunks=(50, 100)).loss
    for key in (5, -1, slice(100, 20, -7), [3, 50, 4], slice(None)):
        np.testing.assert_array_equal(loss[key], LOSSES[key])
        np.testing.assert_array_equal(loss[key, 7], LOSSES[key][..., 7])


def test_a_relative_path_survives_a_change_of_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run_of(LOSSES).save("run")
    plain, chunked = rdmviz.open_run("run"), rdmviz.open_run("run", chunks="auto")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    same(rdmviz.analyze(plain, W), rdmviz.analyze(chunked, W))


def test_windows_that_lost_digits_are_read_together():
    losses = np.exp(-np.arange(T)[:, None] / RNG.uniform(1, 2, 60)) * 1e6 + RNG.gamma(2.0, size=(T, 60))
    passes = []

    def counted(block, block_info=None):
        passes.append(block_info[0]["chunk-location"])
        return block

    lazy = da.from_array(losses, chunks=(T, 30)).map_blocks(counted, dtype=float, meta=np.empty((0, 0)))
    same(rdmviz.analyze(run_of(losses), W), rdmviz.analyze(run_of(lazy), W))
    assert len(passes) <= 2 * 2  # two chunks: once for the Gram, once for all windows that need their rows


def slow(block):
    time.sleep(0.1)
    return block


def test_the_result_is_right_though_a_worker_is_killed_in_the_middle(client, monkeypatch):
    monkeypatch.setattr(on_dask, "_TILE_BYTES", 4 * T * 10)
    losses = da.from_array(LOSSES, chunks=(T, 10)).map_blocks(slow, dtype=np.float32)
    victims = client.run(os.getpid)
    killed = threading.Event()

    def kill():
        os.kill(next(iter(victims.values())), signal.SIGKILL)
        killed.set()

    timer = threading.Timer(0.6, kill)
    timer.start()
    began = time.monotonic()
    found = rdmviz.analyze(run_of(losses), W)
    assert killed.is_set()
    assert time.monotonic() - began > 0.6  # the reduction was under way
    same(rdmviz.analyze(run_of(LOSSES), W), found)


def fatal(block, block_info=None):
    if block_info[0]["array-location"][1][0] == 100:
        os._exit(1)
    return block


def test_a_chunk_that_kills_its_workers_is_named(client, monkeypatch):
    monkeypatch.setattr(on_dask, "_TILE_BYTES", 4 * T * 50)
    losses = da.from_array(LOSSES, chunks=(T, 50)).map_blocks(fatal, dtype=np.float32, meta=np.empty((0, 0)))
    with pytest.raises(ChunkError, match="died time and again over rows 0 to 189, datapoints 100 to 149"):
        rdmviz.analyze(run_of(losses), W)
