"""Ornstein-Uhlenbeck processes, the Gaussian 2RDM, a second-order transition: covariances that are known."""

import numpy as np
import pytest
from oracles import reader

from rdmviz.compute.rdm import observables as obs
from rdmviz.compute.rdm.detrending import basis, degrees_of_freedom
from rdmviz.compute.rdm.gram import banded_gram
from rdmviz.compute.rdm.modes import window_modes
from rdmviz.compute.rdm.windows import window_traces
from rdmviz.compute.warning.indicators import rolling_autocorrelation, rolling_variance


def ornstein_uhlenbeck(h, dt, shape, rng, diffusion=1.0):
    """Exact samples of d theta = -h theta dt + sqrt(2 D) dW; `h` a number or one per row."""
    rate = np.broadcast_to(h, shape[0])
    phi, variance = np.exp(-rate * dt), diffusion / rate
    theta = np.empty(shape)
    theta[0] = rng.normal(size=shape[1:]) * np.sqrt(variance[0])
    for t in range(1, shape[0]):
        kick = np.sqrt(variance[t] * (1 - phi[t] ** 2))
        theta[t] = phi[t] * theta[t - 1] + kick * rng.normal(size=shape[1:])
    return theta


def autocovariance(h, dt, diffusion=1.0):
    """Exact covariance matrix between all rows of the same process."""
    phi, stationary = np.exp(-h * dt), diffusion / h
    variance = np.empty(len(h))
    variance[0] = stationary[0]
    for t in range(1, len(h)):
        variance[t] = phi[t] ** 2 * variance[t - 1] + stationary[t] * (1 - phi[t] ** 2)
    log_decay = np.cumsum(h * dt)
    lag = np.abs(log_decay[:, None] - log_decay[None, :])
    return variance[np.minimum.outer(np.arange(len(h)), np.arange(len(h)))] * np.exp(-lag)


@pytest.mark.parametrize("h", [0.5, 1.0, 2.0])
def test_stationary_process_top_eigenvalue(h):
    rng = np.random.default_rng(1)
    n_rows, dt, gradient = 20_000, 0.1, rng.normal(size=6)
    losses = ornstein_uhlenbeck(h, dt, (n_rows,), rng)[:, None] * gradient
    found = window_modes(reader(losses), n_rows - 1, n_rows, "constant", 3, n_rows)
    expected = gradient @ gradient / h
    assert found.eigenvalues[0] == pytest.approx(expected, rel=4 * np.sqrt(2 / (n_rows * h * dt)))
    assert len(found.vectors) == 1  # every other mode is rounding
    assert abs(found.vectors[0] @ gradient) == pytest.approx(np.linalg.norm(gradient), rel=1e-10)


@pytest.mark.parametrize(("power", "slope"), [(1, -2.0), (2, -4.0)])
def test_heat_capacity_diverges_with_the_power_theory_gives(power, slope):
    """Losses g theta: SHC ~ h^-2; losses k theta²/2: SHC ~ h^-4; PR is 1 in both."""
    found, rates = [], np.array([0.5, 1.0, 2.0])
    coefficients = np.random.default_rng(0).uniform(0.5, 1.5, size=8)
    n = len(coefficients)
    for h in rates:
        theta = ornstein_uhlenbeck(h, 0.1 / h, (60_000,), np.random.default_rng(5))
        losses = (theta if power == 1 else theta**2 / 2)[:, None] * coefficients
        modes = window_modes(reader(losses), 59_999, 60_000, "constant", 1, 60_000)
        square = (modes.eigenvalues**2).sum()
        found.append(obs.heat_capacity_variance(modes.trace, square, n))
        assert obs.participation_ratio(modes.trace, square) == pytest.approx(1, rel=1e-10)
        top = coefficients @ coefficients / h if power == 1 else coefficients @ coefficients / (2 * h**2)
        assert found[-1] == pytest.approx(top**2 * (n - 1) / n**2, rel=0.25)
    assert np.polyfit(np.log(rates), np.log(found), 1)[0] == pytest.approx(slope, abs=0.15)


def test_a_short_window_hides_slowing_down():
    """h=.5, Delta=.1, w=50: 0.987 of the true variance 2.0."""
    h, dt, w = 0.5, 0.1, 50
    phi, k = np.exp(-h * dt), np.arange(1, w)
    formula = (1 / h) * (1 - (1 / w) * (1 + 2 * ((1 - k / w) * phi**k).sum()))
    assert formula == pytest.approx(0.987, abs=5e-4)
    q = basis(w, "constant")
    a = np.eye(w) - q @ q.T
    assert np.trace(a @ autocovariance(np.full(w, h), dt) @ a) / w == pytest.approx(formula, rel=1e-12)
    theta = ornstein_uhlenbeck(h, dt, (2_000, 200), np.random.default_rng(0))
    mean = np.mean([rolling_variance(series, w)[w - 1 :].mean() for series in theta.T])
    assert mean * (w - 1) / w == pytest.approx(formula, rel=0.03)


def test_lag_one_autocorrelation_of_a_long_window():
    theta = ornstein_uhlenbeck(1.0, 0.1, (20_000,), np.random.default_rng(2))
    found = rolling_autocorrelation(theta, 20_000)[-1]
    assert found == pytest.approx(np.exp(-0.1), abs=4 * np.sqrt((1 - np.exp(-0.2)) / 20_000))


@pytest.mark.parametrize("detrend", ["none", "constant", "linear", "quadratic"])
def test_ramp_meets_the_exact_expectation_in_each_window(detrend):
    n_rows, dt, w = 1_500, 0.1, 200
    h = np.linspace(2.0, 0.15, n_rows)
    gradients = np.random.default_rng(0).normal(size=(4, 12))
    ends = np.array([199, 500, 900, 1200, 1499])
    found = []
    for seed in range(24):
        losses = ornstein_uhlenbeck(h, dt, (n_rows, 4), np.random.default_rng(seed)) @ gradients
        found.append(window_traces(banded_gram(losses, w), w, detrend, reader(losses)).trace[ends])
    sigma = autocovariance(h, dt)
    q = basis(w, detrend)
    a = np.eye(w) - q @ q.T
    for end, mean in zip(ends, np.mean(found, axis=0), strict=True):
        inside = slice(end - w + 1, end + 1)
        expected = np.trace(a @ sigma[inside, inside] @ a) / degrees_of_freedom(w, detrend)
        assert mean == pytest.approx(expected * (gradients**2).sum(), rel=0.25)


def test_gaussian_density_matrix_of_linear_regression():
    """l_i = (r_i + delta.x_i)²/2 with Gaussian delta: C = r_i r_j K + K∘K/2, K = sigma² X X^T."""
    rng = np.random.default_rng(4)
    x, r, sigma, draws = rng.normal(size=(15, 6)), rng.normal(size=15), 0.3, 4_000
    k = sigma**2 * x @ x.T
    expected = np.outer(r, r) * k + k * k / 2
    losses = (r + sigma * rng.normal(size=(draws, 6)) @ x.T) ** 2 / 2
    found = window_modes(reader(losses), draws - 1, draws, "constant", 15, draws)
    covariance = found.vectors.T @ (found.eigenvalues[: len(found.vectors), None] * found.vectors)
    error = np.linalg.norm(covariance - expected) / np.linalg.norm(expected)
    assert error < 5 / np.sqrt(draws)


@pytest.mark.parametrize("decay", [0.5, 1.5, 2.0])
def test_the_second_order_transition_of_a_linear_network_under_weight_decay(decay):
    """Langevin motion of w1, w2 in ``(1 - w1 w2)² + decay |w|²``: losses k_i (1 - w1 w2)² have C = V k k^T.

    ``V = 2 decay² T`` below the transition at 1 and ``2 {[T/2(decay-1)]² + [T/2(decay+1)]²}`` above it
    (the model is that of Ziyin & Ueda, arXiv:2205.12510). Losses above are chi-squared at the worst, whose
    variance 20000 draws give to 2.6%: held to four times that.
    """
    rng, temperature, dt, draws = np.random.default_rng(0), 1e-3, 0.02, 20_000
    w = np.full((2, draws), np.sqrt(max(1 - decay, 0.0)))
    for _ in range(int(4 / abs(decay - 1) / dt)):
        force = 2 * (1 - w[0] * w[1]) * w[::-1] - 2 * decay * w
        w = w + force * dt + np.sqrt(2 * temperature * dt) * rng.normal(size=w.shape)
    strengths = rng.uniform(0.5, 2, size=6)
    losses = ((1 - w[0] * w[1]) ** 2)[:, None] * strengths
    below, above = 2 * decay**2 * temperature, 0.0
    if decay > 1:
        above = 2 * sum((temperature / 2 / (decay + sign)) ** 2 for sign in (-1, 1))
    found = window_modes(reader(losses), draws - 1, draws, "constant", 6, draws)
    assert found.eigenvalues[0] == pytest.approx((above or below) * strengths @ strengths, rel=0.1)
    assert len(found.vectors) == 1
    np.testing.assert_allclose(found.vectors[0], strengths / np.linalg.norm(strengths), rtol=1e-9)
