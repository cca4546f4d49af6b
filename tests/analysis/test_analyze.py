import copy
import gc
import pickle
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import xarray as xr

from rdmviz.analysis import analyze, gram_cache
from rdmviz.analysis.gram_cache import gram_of
from rdmviz.errors import DetrendError, OptionError, WindowError
from rdmviz.run import TrainingRun

RNG = np.random.default_rng(21)
T, N = 300, 40
LOSSES = np.abs(RNG.normal(size=(T, N))) + 3 * np.exp(-np.arange(T) / 90)[:, None] * RNG.uniform(0.5, 1, N)
STEPS = np.cumsum(RNG.integers(1, 5, size=T))

CURVES = {
    "trace",
    "participation_ratio",
    "participation_ratio_unbiased",
    "spectral_heat_capacity",
    "top_eigenvalue",
    "mean_loss",
    "mean_loss_variance",
    "mean_loss_autocorrelation",
    "mean_loss_slope",
}


def _run(losses=LOSSES, steps=STEPS):
    return TrainingRun.from_arrays(losses, steps=steps, name="toy")


@pytest.mark.parametrize("window", [32, 50, 100])
def test_constant_windows_against_numpy_cov(window):
    found = analyze(_run(), window=window, detrend="constant")
    for row in (window - 1, 150, T - 1):
        rows = LOSSES[row - window + 1 : row + 1]
        values = np.linalg.eigvalsh(np.cov(rows.T))
        at = found.isel(step=row)
        trace, square = values.sum(), (values**2).sum()
        assert float(at.trace) == pytest.approx(trace, rel=1e-10)
        assert float(at.participation_ratio) == pytest.approx(trace**2 / square, rel=1e-10)
        assert float(at.spectral_heat_capacity) == pytest.approx(values.var(), rel=1e-10)
        assert float(at.top_eigenvalue) == pytest.approx(values[-1], rel=1e-10)
        mean = rows.mean(axis=1)
        assert float(at.mean_loss) == pytest.approx(mean[-1], rel=1e-12)
        assert float(at.mean_loss_variance) == pytest.approx(mean.var(ddof=1), rel=1e-10)
        assert float(at.mean_loss_autocorrelation) == pytest.approx(
            np.corrcoef(mean[:-1], mean[1:])[0, 1], abs=1e-10
        )
        times = STEPS[row - window + 1 : row + 1]
        slope = np.polyfit(times - times.mean(), mean, 1)[0]
        assert float(at.mean_loss_slope) == pytest.approx(abs(slope), rel=1e-8)


def test_curves_steps_units_and_settings():
    found = analyze(_run(), window=40)
    assert set(found.data_vars) == CURVES
    assert (found.step == STEPS).all()
    assert all({"units", "long_name"} <= set(found[name].attrs) for name in CURVES)
    assert found.attrs["window"] == 40
    assert found.attrs["detrend"] == "linear"
    assert found.attrs["shc"] == "variance"
    assert found.attrs["first_full_step"] == STEPS[39]
    for name in CURVES - {"mean_loss"}:
        known = np.isfinite(found[name].values)
        assert not known[:39].any(), name
        assert known[39:].all(), name
    assert np.isfinite(found.mean_loss.values).all()


@pytest.mark.parametrize("stride", [3, np.int64(7)])
def test_stride_keeps_every_so_many_rows(stride):
    run = _run()
    xr.testing.assert_identical(
        analyze(run, window=40, stride=stride).drop_attrs(),
        analyze(run, window=40).isel(step=slice(None, None, int(stride))).drop_attrs(),
    )


def test_heat_capacity_variants():
    run = _run()
    row, rows = 200, LOSSES[141:201]
    values = np.linalg.eigvalsh(np.cov(rows.T))
    p = values / values.sum()
    capacity = (p * np.log(p) ** 2).sum() - (p * np.log(p)).sum() ** 2
    found = {
        v: analyze(run, 60, "constant", shc=v).spectral_heat_capacity
        for v in ("variance", "capacity", "total")
    }
    assert float(found["variance"][row]) == pytest.approx(values.var(), rel=1e-10)
    assert float(found["capacity"][row]) == pytest.approx(capacity, rel=1e-8)
    assert float(found["total"][row]) == pytest.approx(rows.sum(axis=1).var(ddof=1), rel=1e-10)
    assert {v: c.attrs["units"] for v, c in found.items()} == {
        "variance": "loss^4",
        "capacity": "1",
        "total": "loss^2",
    }
    q = np.polyfit(np.arange(60), rows.sum(axis=1), 1)
    residual = rows.sum(axis=1) - np.polyval(q, np.arange(60))
    linear = analyze(run, 60, "linear", shc="total").spectral_heat_capacity
    assert float(linear[row]) == pytest.approx(residual @ residual / 58, rel=1e-9)
    raw = analyze(run, 60, "none", shc="total").spectral_heat_capacity
    assert float(raw[row]) == pytest.approx((rows.sum(axis=1) ** 2).mean(), rel=1e-10)


def test_bad_rows_are_gaps_and_the_attributes_name_the_steps():
    losses = LOSSES.copy()
    losses[100, 4], losses[102] = np.nan, np.inf
    found = analyze(_run(losses), window=40)
    clean = analyze(_run(), window=40)
    assert found.attrs["silent_steps"] == [STEPS[100], STEPS[102]]
    assert f"first at step {STEPS[100]}, last at step {STEPS[102]}" in found.attrs["silent"]
    assert f"speak again from step {STEPS[142]}" in found.attrs["silent"]
    gap = np.zeros(T, dtype=bool)
    gap[:39] = gap[100:142] = True
    for name in CURVES - {"mean_loss"}:
        values = found[name].values
        assert (np.isnan(values) == gap).all(), name
        np.testing.assert_allclose(values[~gap], clean[name].values[~gap], rtol=1e-9)
    assert np.flatnonzero(np.isnan(found.mean_loss.values)).tolist() == [100, 102]
    losses[-5:] = np.nan
    assert "do not speak again" in analyze(_run(losses), window=40).attrs["silent"]
    assert "silent" not in clean.attrs


def test_flat_stretches_have_no_variance_and_no_ratio():
    losses = LOSSES.copy()
    losses[100:200] = losses[100]
    for shc in ("variance", "capacity", "total"):
        flat = analyze(_run(losses), window=40, shc=shc).isel(step=slice(139, 200))
        assert (flat.trace.values == 0).all()
        assert (flat.top_eigenvalue.values == 0).all()
        assert (flat.mean_loss_variance.values == 0).all()
        assert np.isnan(flat.participation_ratio.values).all()
        assert np.isnan(flat.participation_ratio_unbiased.values).all()
        assert np.isnan(flat.mean_loss_autocorrelation.values).all()
        shape = flat.spectral_heat_capacity.values
        assert np.isnan(shape).all() if shc == "capacity" else (shape == 0).all()


@pytest.mark.parametrize(
    ("window", "detrend"), [(2, "none"), (2, "constant"), (3, "linear"), (4, "quadratic"), (T, "linear")]
)
def test_shortest_and_longest_windows(window, detrend):
    found = analyze(_run(), window=window, detrend=detrend).isel(step=slice(window - 1, None))
    assert (found.trace.values > 0).all()
    np.testing.assert_array_less(found.top_eigenvalue.values, found.trace.values * (1 + 1e-9))


def test_two_rows_of_two_datapoints():
    found = analyze(_run([[1.0, 2.0], [3.0, 5.0]], [0, 1]), window=2, detrend="constant")
    assert float(found.trace[1]) == pytest.approx(2 + 4.5)
    assert float(found.top_eigenvalue[1]) == pytest.approx(6.5)
    assert float(found.participation_ratio[1]) == pytest.approx(1)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"window": T + 1}, WindowError, "longer than the 300 recorded rows"),
        ({"window": 1}, WindowError, "too short"),
        ({"window": 2}, WindowError, "at least 3 rows"),
        ({"window": 10.0}, WindowError, "whole number"),
        ({"detrend": "cubic"}, DetrendError, "'quadratic'"),
        ({"shc": "specific"}, OptionError, "'capacity'"),
        ({"stride": 0}, OptionError, "stride=0"),
        ({"stride": 1.5}, OptionError, "stride=1.5"),
    ],
)
def test_bad_settings(settings, error, message):
    with pytest.raises(error, match=message):
        analyze(_run(), **settings)


def test_losses_are_read_once_for_windows_of_a_kind(monkeypatch):
    run, passes = _run(), []
    build = gram_cache.banded_gram
    monkeypatch.setattr(gram_cache, "banded_gram", lambda *a, **k: passes.append(a[1]) or build(*a, **k))
    for window in (50, 63, 10, 33):
        for detrend in ("constant", "linear", "quadratic", "none"):
            analyze(run, window=window, detrend=detrend)
    assert passes == [64]
    analyze(run, window=70)
    analyze(run, window=127)
    assert passes == [64, 128]


def test_the_gram_dies_with_its_run():
    run = _run()
    gram = weakref.ref(gram_of(run, 20))
    del run
    gc.collect()
    assert gram() is None


def test_eigenvalues_are_computed_for_the_steps_that_are_read(monkeypatch):
    from rdmviz.analysis import curves

    asked = []
    spectra = curves.window_spectra
    monkeypatch.setattr(curves, "window_spectra", lambda *a: asked.extend(a[2].tolist()) or spectra(*a))
    found = analyze(_run(), window=40)
    assert "..." in repr(found)
    assert asked == []
    part = found.top_eigenvalue.isel(step=slice(100, 110)).values
    assert asked == list(range(100, 110))
    whole = found.top_eigenvalue.values
    assert sorted(asked) == list(range(T))
    np.testing.assert_array_equal(whole[100:110], part)
    found.top_eigenvalue.isel(step=[5, 200]).values  # noqa: B018
    assert len(asked) == T


def test_lazy_curves_index_as_arrays_do():
    lazy = analyze(_run(), window=40)
    array = lazy.top_eigenvalue.copy(deep=True).load().values
    for key in (7, -1, slice(3, 200, 9), slice(None, None, -1), [5, 2, 2], np.arange(T) % 7 == 0):
        np.testing.assert_array_equal(analyze(_run(), window=40).top_eigenvalue[key].values, array[key])
    step = int(STEPS[123])
    assert float(lazy.top_eigenvalue.sel(step=step)) == array[123]


def test_lazy_curves_are_copied_pickled_and_read_by_threads():
    found = analyze(_run(), window=40)
    with ThreadPoolExecutor(4) as pool:
        read = list(pool.map(lambda _: found.top_eigenvalue.values, range(4)))
    for other in (pickle.loads(pickle.dumps(found)), copy.deepcopy(found), found.copy()):
        xr.testing.assert_identical(other, found)
    for values in read:
        np.testing.assert_array_equal(values, found.top_eigenvalue.values)
    fresh = pickle.loads(pickle.dumps(analyze(_run(), window=40)))
    np.testing.assert_array_equal(fresh.top_eigenvalue.values, read[0])


def test_writing_into_what_was_read_does_not_reach_the_memory():
    found = analyze(_run(), window=40)
    first = found.top_eigenvalue.values.copy()
    values = found.top_eigenvalue.isel(step=slice(50, 60)).values
    values[:] = -1
    np.testing.assert_array_equal(found.top_eigenvalue.values, first)
