import gc
import weakref

import numpy as np
import pytest
import xarray as xr

from rdmviz.analysis import analyze, eigenmodes, gram_cache
from rdmviz.analysis.gram_cache import gram_of
from rdmviz.errors import DetrendError, NonFiniteLossError, OptionError, WindowError
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
    "top_eigenvalue_share",
    "spectral_gap",
    "entropy",
    "effective_rank",
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


@pytest.mark.parametrize("fixed_sum", [False, True])
def test_the_summed_loss_keeps_its_digits_beside_a_large_mean(fixed_sum):
    losses = 1e6 * RNG.uniform(1, 2, size=50) + RNG.normal(size=(150, 50))
    losses[100:] *= 1e-9  # a sum that has fallen far below the anchor of its segment
    if fixed_sum:
        losses -= losses.mean(axis=1, keepdims=True) - np.where(np.arange(150) < 100, 1e6, 1e-3)[:, None]
    run = _run(losses, np.arange(150))
    constant, linear = (
        analyze(run, 32, d, shc="total").spectral_heat_capacity.values for d in ("constant", "linear")
    )
    plain = analyze(run, 32)
    times = np.arange(32) - np.longdouble(15.5)
    for row in (31, 63, 64, 99, *(() if fixed_sum else (131, 149))):
        sums = losses[row - 31 : row + 1].astype(np.longdouble).sum(axis=1)
        sums -= sums.mean()
        slope = times @ sums / (times @ times)
        rest = sums - slope * times
        assert constant[row] == pytest.approx(float(sums @ sums / 31), rel=1e-10)
        assert linear[row] == pytest.approx(float(rest @ rest / 30), rel=1e-10)
        assert float(plain.mean_loss_variance[row]) == pytest.approx(
            float(sums @ sums) / 31 / 2500, rel=1e-10
        )
        assert float(plain.mean_loss_slope[row]) == pytest.approx(abs(float(slope)) / 50, rel=1e-9)


@pytest.mark.parametrize("scale", [1e-150, 1e-80, 1e77, 1e150])
def test_extreme_losses_keep_their_ratios_and_name_what_leaves_float64(scale):
    found, usual = (analyze(_run(LOSSES * s), 40).load() for s in (scale, 1.0))
    for name in ("participation_ratio", "participation_ratio_unbiased", "mean_loss_autocorrelation"):
        np.testing.assert_allclose(found[name], usual[name], rtol=1e-9)
    for name in ("trace", "top_eigenvalue", "mean_loss_variance"):
        np.testing.assert_allclose(found[name] / scale / scale, usual[name], rtol=1e-9)
    capacity = analyze(_run(LOSSES * scale), 40, shc="capacity").spectral_heat_capacity
    np.testing.assert_allclose(
        capacity, analyze(_run(), 40, shc="capacity").spectral_heat_capacity, rtol=1e-9
    )
    gone = np.isnan(found.spectral_heat_capacity.values)
    if scale == 1e77:
        assert not gone[39:].any()
        assert "out_of_range" not in found.attrs
    else:
        assert gone.all()
        assert f"spectral_heat_capacity in {T - 39} windows, first at step {STEPS[39]}" in found.out_of_range
    assert "out_of_range" not in usual.attrs


def test_losses_too_large_to_be_squared_are_silent_steps():
    losses = LOSSES.copy()
    losses[120] *= 1e160
    run = _run(losses)
    assert analyze(run, 40).attrs["silent_steps"] == [STEPS[120]]
    with pytest.raises(NonFiniteLossError, match="squares are too large"):
        eigenmodes(run, int(STEPS[130]), 40)


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
    for window in (50, 64, 10, 33):
        for detrend in ("constant", "linear", "quadratic", "none"):
            analyze(run, window=window, detrend=detrend)
    assert passes == [65]
    analyze(run, window=70)
    analyze(run, window=127)
    assert passes == [65, 130]


def test_the_gram_dies_with_its_run():
    run = _run()
    gram = weakref.ref(gram_of(run, 20))
    del run
    gc.collect()
    assert gram() is None
