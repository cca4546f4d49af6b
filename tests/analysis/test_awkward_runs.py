"""Every verb on losses of any kind, layout and size: right numbers, a named error or a NaN that is named."""

import dask.array as da
import numpy as np
import pytest
import xarray as xr
from layouts import LAYOUTS
from scipy.linalg import hadamard
from toy import FROM_EIGENVALUES

from rdmviz.analysis import analyze, eigenmodes, follow, groups, mode_tracks, null_edge
from rdmviz.analysis.path import ModePath
from rdmviz.errors import FlatWindowError, NonFiniteLossError, NullError, WindowError
from rdmviz.run import TrainingRun

RNG = np.random.default_rng(17)
T, N, W = 60, 12, 16
LOSSES = RNG.gamma(2.0, size=(T, N)) * RNG.uniform(0.5, 2, size=N) + 3
WHOLE = RNG.integers(0, 256, size=(T, N))
NO_WINDOWS = [1, 0, -3, 2.5, 16.0, True, None, "8"]

VERBS = {
    "analyze": lambda run, window=W: analyze(run, window),
    "analyze, capacity": lambda run, window=W: analyze(run, window, "constant", shc="capacity"),
    "analyze, total": lambda run, window=W: analyze(run, window, "none", shc="total"),
    "eigenmodes": lambda run, window=W: eigenmodes(run, run.n_steps - 1, window),
    "groups": lambda run, window=W: groups(run, run.n_steps - 1, window),
    "mode_tracks": lambda run, window=W: mode_tracks(run, window),
    "null_edge": lambda run, window=W: null_edge(run, run.n_steps - 1, window),
    "null_edge, ar1": lambda run, window=W: null_edge(run, run.n_steps - 1, window, method="ar1", draws=19),
}
OF_ONE_WINDOW = [name for name in VERBS if not name.startswith(("analyze", "mode_tracks"))]


def run_of(losses, **options):
    return TrainingRun.from_arrays(losses, **options)


def same(found, expected, rtol=1e-10):
    assert set(found.variables) == set(expected.variables)
    for name, variable in expected.variables.items():
        if variable.dtype.kind == "f":
            np.testing.assert_allclose(found[name], variable, rtol=rtol, atol=1e-12, err_msg=name)
        else:
            np.testing.assert_array_equal(found[name], variable, err_msg=name)


def followed(run, folder, window=W):
    run.save(folder / "run")
    return xr.concat(follow(folder / "run", window, timeout=0), "step")


IN_RUNS = {**LAYOUTS, "chunks": lambda losses: da.from_array(losses, chunks=(25, 5))}


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("layout", IN_RUNS)
def test_the_layout_of_the_losses_changes_nothing(layout, verb):
    same(VERBS[verb](run_of(IN_RUNS[layout](LOSSES))), VERBS[verb](run_of(LOSSES)))


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("dtype", [np.uint8, ">i4", np.uint64, np.float16, np.float32, np.longdouble])
def test_the_dtype_of_the_losses_changes_nothing(dtype, verb):
    same(VERBS[verb](run_of(WHOLE.astype(dtype))), VERBS[verb](run_of(WHOLE.astype(float))))


def test_memory_maps_and_followed_stores_give_the_numbers_of_memory(tmp_path):
    kept = np.memmap(tmp_path / "losses", dtype=np.float32, mode="w+", shape=(T, N))
    kept[:] = LOSSES
    kept.flush()
    mapped, whole = (
        np.memmap(tmp_path / "losses", dtype=np.float32, mode="r", shape=(T, N)),
        run_of(kept[:].copy()),
    )
    for verb in VERBS.values():
        same(verb(run_of(mapped)), verb(whole))
    same(followed(run_of(mapped), tmp_path), analyze(whole, W).drop_vars(FROM_EIGENVALUES))


def test_booleans_are_zeros_and_ones():
    same(analyze(run_of(WHOLE > 100), W), analyze(run_of((WHOLE > 100).astype(float)), W))


@pytest.mark.parametrize("verb", [*VERBS.values(), ModePath], ids=[*VERBS, "ModePath"])
@pytest.mark.parametrize("bad", [*NO_WINDOWS, T + 1])
def test_windows_that_are_none(verb, bad):
    with pytest.raises(WindowError, match="window="):
        verb(run_of(LOSSES), bad)


@pytest.mark.parametrize("bad", NO_WINDOWS)
def test_windows_that_none_can_follow_with(bad):
    with pytest.raises(WindowError, match="window="):
        follow("run", bad)


def test_a_window_longer_than_a_followed_run_is_silent(tmp_path):
    found = followed(run_of(LOSSES), tmp_path, T + 1)
    assert np.isnan(found.trace).all()
    np.testing.assert_allclose(found.mean_loss, LOSSES.mean(axis=1), rtol=1e-12)


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("scale", [1e-310, 1e-200, 1e-160, 1e-157])
def test_losses_whose_squares_underflow_are_flat_and_named(scale, chunked, tmp_path):
    losses = LOSSES * scale
    run = run_of(da.from_array(losses, chunks=(T, 5)) if chunked else losses)
    found = analyze(run, W).load()
    assert (found.trace[W - 1 :] == 0).all()
    assert (found.top_eigenvalue[W - 1 :] == 0).all()
    assert np.isnan(found.participation_ratio).all()
    assert (
        f"0, squares too small for float64: trace in {T - W + 1} windows, first at step 15"
        in found.out_of_range
    )
    np.testing.assert_allclose(found.mean_loss, losses.mean(axis=1), rtol=1e-10)
    for verb in OF_ONE_WINDOW:
        with pytest.raises(FlatWindowError, match=r"too small for float64, record other units"):
            VERBS[verb](run)
    tracked = mode_tracks(run, W)
    assert tracked.sizes["track"] == 0
    assert (tracked.eigenvalue[W - 1 :] == 0).all()
    if not chunked:
        assert (followed(run, tmp_path).trace[W - 1 :] == 0).all()


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("scale", [1e152, 1e153, 1e154, 1e300])
def test_losses_whose_squares_overflow_are_silent_and_named(scale, chunked, tmp_path):
    losses = LOSSES * scale
    run = run_of(da.from_array(losses, chunks=(T, 5)) if chunked else losses)
    found = analyze(run, W).load()
    if np.isfinite(found.trace[-1]):
        usual = analyze(run_of(LOSSES), W)
        np.testing.assert_allclose(found.trace / scale / scale, usual.trace, rtol=1e-10)
        np.testing.assert_allclose(found.participation_ratio, usual.participation_ratio, rtol=1e-10)
    else:
        for name in ("trace", "participation_ratio", "top_eigenvalue", "spectral_heat_capacity"):
            assert np.isnan(found[name]).all()
        assert "out_of_range" in found.attrs or found.attrs["silent_steps"] == list(range(T))
    for detrend in ("none", "linear"):
        total = analyze(run, W, detrend, shc="total").spectral_heat_capacity
        assert np.isnan(total[-1]) or total[-1] > 1e300
    if scale > 1e152:
        for verb in OF_ONE_WINDOW:
            with pytest.raises(NonFiniteLossError, match="too large for float64"):
                VERBS[verb](run)
        assert mode_tracks(run, W).sizes["track"] == 0
    if not chunked:
        same(followed(run, tmp_path), found.drop_vars(FROM_EIGENVALUES), rtol=1e-9)


@pytest.mark.parametrize("verb", VERBS)
def test_one_row_that_cannot_be_squared_leaves_the_others_alone(verb):
    losses = LOSSES.copy()
    losses[20] = 1e300
    found, usual = VERBS[verb](run_of(losses)), VERBS[verb](run_of(LOSSES))
    if "step" in found.dims:
        found, usual = (one.isel(step=slice(20 + W, None)) for one in (found, usual))
    for name in ("trace", "spectral_heat_capacity", "eigenvalue", "eigenvector", "edge", "size", "mass"):
        if name in usual:
            np.testing.assert_allclose(found[name], usual[name], rtol=1e-9, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("chunked", [False, True])
def test_extended_precision_beyond_float64_is_an_infinite_loss(chunked):
    losses = LOSSES.astype(np.longdouble)
    losses[20, 3] = np.longdouble("1e4000")
    run = run_of(da.from_array(losses, chunks=(T, 5)) if chunked else losses)
    assert analyze(run, W).attrs["silent_steps"] == [20]
    with pytest.raises(NonFiniteLossError, match="first at row 20"):
        eigenmodes(run, 25, W)


def test_all_zero_windows(tmp_path):
    run = run_of(np.zeros((T, N)))
    for verb in OF_ONE_WINDOW:
        with pytest.raises(FlatWindowError, match=r"it has no modes$"):
            VERBS[verb](run)
    found = analyze(run, W).load()
    assert (found.trace[W - 1 :] == 0).all()
    assert "out_of_range" not in found.attrs
    same(followed(run, tmp_path), found.drop_vars(FROM_EIGENVALUES))
    assert mode_tracks(run, W).sizes["track"] == 0


@pytest.mark.parametrize("rank", [1, 2])
def test_rank_deficient_windows(rank):
    losses = RNG.normal(size=(T, rank)) @ RNG.normal(size=(rank, N)) + 7
    run = run_of(losses)
    values = np.linalg.eigvalsh(np.cov(losses[-W:].T))[::-1][:rank]
    modes = eigenmodes(run, T - 1, W)
    np.testing.assert_allclose(modes.eigenvalue, values, rtol=1e-10)
    np.testing.assert_allclose(modes.explained.sum(), 1, rtol=1e-12)
    curves = analyze(run, W, "constant").load()
    ratio = values.sum() ** 2 / (values @ values)
    assert float(curves.participation_ratio[-1]) == pytest.approx(ratio, rel=1e-10)
    tracked = mode_tracks(run, W)
    assert (tracked.identity[-1, :rank] >= 0).all()
    assert (tracked.identity[:, rank:] == -1).all()
    for method in ("marchenko-pastur", "ar1"):
        found = null_edge(run, T - 1, W, "constant", method, draws=19)
        assert int(found.n_above) <= rank
        if method == "marchenko-pastur":
            assert (int(found.n_above), float(found.edge)) == (rank, 0)
    found = groups(run, T - 1, W)
    assert found.sizes["mode"] == rank
    assert float(found.mass.sum()) == pytest.approx(1, rel=1e-12)


def test_modes_that_are_all_alike():
    """Every window of 16 rows has C = 16/15 of the identity: spectra are known, vectors are anyone's."""
    losses = np.tile(hadamard(W)[:, 1:9].astype(float), (4, 1)) + 5
    run = run_of(losses)
    curves = analyze(run, W, "constant").load().isel(step=slice(W - 1, None))
    np.testing.assert_allclose(curves.participation_ratio, 8, rtol=1e-12)
    np.testing.assert_allclose(curves.spectral_heat_capacity, 0, atol=1e-12)
    np.testing.assert_allclose(curves.top_eigenvalue, 16 / 15, rtol=1e-12)
    modes = eigenmodes(run, 63, W)
    np.testing.assert_allclose(modes.eigenvalue, 16 / 15, rtol=1e-12)
    vectors = modes.eigenvector.values
    np.testing.assert_allclose(vectors @ vectors.T, np.eye(8), atol=1e-12)
    tracked = mode_tracks(run, W).isel(step=slice(W - 1, None))
    np.testing.assert_array_equal(tracked.identity, np.tile(np.arange(8), (49, 1)))
    np.testing.assert_allclose(tracked.overlap[1:], 1, rtol=1e-10)
    assert int(null_edge(run, 63, W, "constant").n_above) == 0
    found = groups(run, 63, W)
    assert float(found.mass.sum()) == pytest.approx(1, rel=1e-12)
    path = ModePath(run, W)
    np.testing.assert_allclose(path.at(63).vectors, path.at(20).vectors, atol=1e-9)


def test_two_datapoints(tmp_path):
    run = run_of(LOSSES[:, :2])
    values = np.linalg.eigvalsh(np.cov(LOSSES[-W:, :2].T))[::-1]
    np.testing.assert_allclose(eigenmodes(run, T - 1, W).eigenvalue, values, rtol=1e-10)
    np.testing.assert_allclose(mode_tracks(run, W).eigenvalue[-1, :2], values, rtol=1e-10)
    assert set(groups(run, T - 1, W).group.values.tolist()) == {0, 1}
    with pytest.raises(NullError, match="of 2 datapoints over 14 effective rows"):
        null_edge(run, T - 1, W, method="marchenko-pastur")
    assert 0 <= int(null_edge(run, T - 1, W, draws=19).n_above) <= 2
    same(followed(run, tmp_path), analyze(run, W).drop_vars(FROM_EIGENVALUES))


def test_two_rows(tmp_path):
    losses = LOSSES[:2]
    run, step = run_of(losses), losses[1] - losses[0]
    curves = analyze(run, 2, "constant").load()
    assert float(curves.trace[1]) == pytest.approx(step @ step / 2, rel=1e-12)
    assert float(curves.participation_ratio[1]) == pytest.approx(1, rel=1e-12)
    modes = eigenmodes(run, 1, 2)
    assert modes.sizes["mode"] == 1
    np.testing.assert_allclose(np.abs(modes.drift), np.linalg.norm(step), rtol=1e-12)
    np.testing.assert_allclose(
        mode_tracks(run, 2).eigenvalue[1], [step @ step / 2, 0], rtol=1e-12, atol=1e-14
    )
    assert groups(run, 1, 2).sizes["mode"] == 1
    run.save(tmp_path / "run")
    same(
        xr.concat(follow(tmp_path / "run", 2, "constant", timeout=0), "step"),
        curves.drop_vars(FROM_EIGENVALUES),
    )
    with pytest.raises(WindowError, match="at least 3 rows"):
        analyze(run, 2)
    with pytest.raises(WindowError, match="longer than the 2 recorded rows"):
        analyze(run)
