import numpy as np
import pytest

import rdmviz
from rdmviz.errors import OptionError, StepNotFoundError, WindowError

RNG = np.random.default_rng(4)
T, W = 120, 30
STEPS = 5 * np.arange(T)


def run_of(n, **changes):
    losses = RNG.gamma(2.0, size=(T, n)) + np.exp(-np.arange(T) / 30)[:, None]
    for row, value in changes.get("rows", {}).items():
        losses[row] = value
    return rdmviz.TrainingRun.from_arrays(losses, STEPS)


@pytest.mark.parametrize("n", [9, 200])
@pytest.mark.parametrize("detrend", ["constant", "linear", "quadratic", "none"])
def test_spectra_are_those_of_the_covariance(n, detrend):
    run = run_of(n)
    found = rdmviz.spectra(run, [200, 595], W, detrend)
    assert found.eigenvalue.shape == (
        2,
        min(n, W - ["none", "constant", "linear", "quadratic"].index(detrend)),
    )
    for step in (200, 595):
        x = run.loss.values[step // 5 - W + 1 : step // 5 + 1]
        t = np.arange(W) - (W - 1) / 2
        if detrend != "none":
            degree = {"constant": 0, "linear": 1, "quadratic": 2}[detrend]
            x = x - np.polynomial.polynomial.polyval(t, np.polynomial.polynomial.polyfit(t, x, degree)).T
        c = x.T @ x / found.degrees_of_freedom
        values = np.linalg.eigvalsh(c)[::-1]
        here = found.sel(step=step)
        np.testing.assert_allclose(
            here.eigenvalue, values[: len(here.mode)], rtol=1e-9, atol=1e-12 * values[0]
        )
        p = values[values > 1e-12 * values[0]] / values.sum()
        expected = {
            "trace": values.sum(),
            "participation_ratio": 1 / (p**2).sum(),
            "heat_capacity_variance": values.var(),
            "heat_capacity_capacity": (p * np.log(p) ** 2).sum() - (p * np.log(p)).sum() ** 2,
            "heat_capacity_total": c.sum(),
            "entropy": -(p * np.log(p)).sum(),
            "effective_rank": np.exp(-(p * np.log(p)).sum()),
            "spectral_gap": values[0] - values[1],
        }
        for name, value in expected.items():
            assert float(here[name]) == pytest.approx(value, rel=1e-8), name
        assert float(here.explained.sum()) == pytest.approx(1, rel=1e-12)


def test_curves_of_analyze_are_read_off_the_same_spectra():
    run = run_of(40)
    curves, found = rdmviz.analyze(run, W), rdmviz.spectra(run, window=W, detrend="linear")
    assert found.step.values[0] == STEPS[W - 1]
    late = curves.isel(step=slice(W - 1, None))
    for name in ("trace", "participation_ratio", "participation_ratio_unbiased", "entropy", "effective_rank"):
        np.testing.assert_allclose(late[name], found[name], rtol=1e-12, err_msg=name)
    np.testing.assert_allclose(late.spectral_gap, found.spectral_gap, rtol=1e-10)
    np.testing.assert_allclose(late.top_eigenvalue, found.eigenvalue[:, 0], rtol=1e-12)
    np.testing.assert_allclose(late.top_eigenvalue_share, found.explained[:, 0], rtol=1e-12)
    np.testing.assert_allclose(late.spectral_heat_capacity, found.heat_capacity_variance, rtol=1e-12)


def test_flat_and_silent_windows():
    run = run_of(20, rows={**dict.fromkeys(range(40), 1.0), 100: np.nan})
    found = rdmviz.spectra(run, [STEPS[39], STEPS[99], STEPS[110]], W)
    assert (found.eigenvalue[0] == 0).all()
    assert np.isnan(found.entropy[0])
    assert np.isfinite(found.eigenvalue[1]).all()
    assert np.isnan(found.eigenvalue[2]).all()
    assert np.isnan(found.trace[2])


def test_bad_input():
    run = run_of(9)
    with pytest.raises(StepNotFoundError, match="nothing was recorded at step 7"):
        rdmviz.spectra(run, 7, W)
    with pytest.raises(WindowError, match="no full window"):
        rdmviz.spectra(run, [200, 5], W)
    with pytest.raises(OptionError, match=r"spectra\(\) takes a TrainingRun"):
        rdmviz.spectra(np.zeros((9, 9)))
    assert rdmviz.spectra(run, [], W).sizes["step"] == 0
