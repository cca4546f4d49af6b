import numpy as np
import pytest
from oracles import reader

from rdmviz.compute.rdm import observables as obs
from rdmviz.compute.rdm.gram import banded_gram
from rdmviz.compute.rdm.windows import window_spectra, window_traces


def _traces(rows: np.ndarray, detrend: str = "constant"):
    """Traces of one window that holds all rows."""
    found = window_traces(banded_gram(rows, len(rows)), len(rows), detrend)
    return found.trace[-1], found.square[-1], found.nu


@pytest.mark.parametrize("n", [3, 40, 200])
def test_heat_capacity_identity_with_trace_and_participation_ratio(n):
    rng = np.random.default_rng(n)
    values = rng.gamma(0.5, size=n)
    trace, square = values.sum(), (values**2).sum()
    found = obs.heat_capacity_variance(trace, square, n)
    assert found == pytest.approx(np.var(values), rel=1e-12)
    ratio = obs.participation_ratio(trace, square)
    assert found == pytest.approx(trace**2 / n * (1 / ratio - 1 / n), rel=1e-12)


def test_known_spectra():
    equal, single = np.array([2.0, 2, 2, 2]), np.array([5.0, 0, 0, 0])
    assert obs.entropy(equal) == pytest.approx(np.log(4))
    assert obs.effective_rank(equal) == pytest.approx(4)
    assert obs.heat_capacity_capacity(equal) == pytest.approx(0, abs=1e-15)
    assert obs.entropy(single) == 0
    assert obs.effective_rank(single) == 1
    assert obs.heat_capacity_capacity(single) == 0
    # Two levels p, 1-p: capacity p (1-p) ln²(p / (1-p))
    assert obs.heat_capacity_capacity(np.array([3.0, 1.0])) == pytest.approx(0.75 * 0.25 * np.log(3) ** 2)


def test_nothing_moves():
    zero = np.zeros((2, 4))
    for of_spectrum in (obs.entropy, obs.effective_rank, obs.heat_capacity_capacity):
        assert np.isnan(of_spectrum(zero)).all()
    assert np.isnan(obs.participation_ratio(np.zeros(2), np.zeros(2))).all()
    assert np.isnan(obs.participation_ratio_unbiased(np.zeros(2), np.zeros(2), 9)).all()
    assert (obs.heat_capacity_variance(np.zeros(2), np.zeros(2), 5) == 0).all()


def test_participation_ratio_does_not_underflow_at_tiny_losses():
    assert obs.participation_ratio(np.float64(2e-150), np.float64(2e-300)) == pytest.approx(2.0)


@pytest.mark.parametrize("detrend", ["constant", "linear", "quadratic"])
def test_white_noise_participation_ratio(detrend):
    n, window = 400, 50
    ratios = []
    for seed in range(20):
        trace, square, nu = _traces(np.random.default_rng(seed).normal(size=(window, n)), detrend)
        ratios.append(obs.participation_ratio(trace, square))
    assert np.mean(ratios) == pytest.approx(n * nu / (n + nu + 1), rel=0.03)


def test_unbiased_participation_ratio_of_white_noise():
    found = []
    for seed in range(40):
        trace, square, nu = _traces(np.random.default_rng(seed).normal(size=(50, 400)))
        found.append(obs.participation_ratio_unbiased(trace, square, nu))
    assert np.mean(found) == pytest.approx(400, rel=0.05)


def test_unbiased_participation_ratio_of_a_spiked_spectrum():
    """Five equal modes among 400 datapoints: PR = 5, and the plain one is biased down."""
    found, plain = [], []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        modes = np.linalg.qr(rng.normal(size=(400, 5)))[0].T
        trace, square, nu = _traces(rng.normal(size=(50, 5)) @ modes)
        found.append(obs.participation_ratio_unbiased(trace, square, nu))
        plain.append(obs.participation_ratio(trace, square))
    assert np.mean(found) == pytest.approx(5, rel=0.05)
    assert np.mean(plain) < np.mean(found) - 0.2


def test_unbiased_estimate_is_nan_where_it_has_no_meaning():
    assert np.isnan(obs.participation_ratio_unbiased(np.float64(5), np.float64(5), 5))
    assert np.isnan(obs.participation_ratio_unbiased(np.float64(5), np.float64(25), 1))


def test_heat_capacities_from_traces_and_from_spectra_agree():
    rng = np.random.default_rng(0)
    losses = rng.gamma(1.0, size=(80, 12))
    gram = banded_gram(losses, 20)
    found = window_traces(gram, 20, "linear", reader(losses))
    spectra = window_spectra(gram, found, np.arange(19, 80))[:, :12]
    np.testing.assert_allclose(
        obs.heat_capacity_variance(found.trace, found.square, 12)[19:], spectra.var(axis=1), rtol=1e-10
    )
