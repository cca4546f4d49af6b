"""Nulls: closed forms, and how often they call noise a mode."""

from itertools import pairwise

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.linalg import toeplitz
from scipy.stats import binom

from rdmviz.compute.errors import DetrendError, LossShapeError, NullError
from rdmviz.compute.rdm import nulls
from rdmviz.compute.rdm.detrending import basis, degrees_of_freedom, detrended
from rdmviz.compute.rdm.gram import banded_gram
from rdmviz.compute.rdm.nulls import marchenko_pastur_cdf, marchenko_pastur_edge, surrogate_edge
from rdmviz.compute.rdm.rows import fluctuations_of
from rdmviz.compute.rdm.windows import window_spectra, window_traces

RNG = np.random.default_rng(12)
CENTRED = ("constant", "linear", "quadratic")


def spectra(rows, nu):
    """All eigenvalues that can differ from zero of many windows, ``(S, nu or window, n)``, descending."""
    n = rows.shape[2]
    products = rows @ rows.transpose(0, 2, 1) if nu <= n else rows.transpose(0, 2, 1) @ rows
    return np.linalg.eigvalsh(products)[:, ::-1][:, : min(n, nu)] / nu


def too_often(share, draws):
    """More false alarms than 5%, which nulls keep to within two points."""
    return binom.ppf(0.9999, draws, 0.07) / draws < share


def autoregression(phi, window, n):
    rows = RNG.normal(size=(window + 100, n))
    for before, row in pairwise(rows):
        row[:] = phi * before + np.sqrt(1 - phi**2) * row
    return rows[100:]


@pytest.mark.parametrize("ratio", [0.01, 0.3, 0.9, 1.0])
def test_cdf_is_the_integral_of_the_density_and_has_its_moments(ratio):
    low, high = (1 - np.sqrt(ratio)) ** 2, (1 + np.sqrt(ratio)) ** 2

    def density(x):
        return np.sqrt((high - x) * (x - low)) / (2 * np.pi * ratio * x)

    for share in (0.05, 0.4, 0.97):
        x = low + share * (high - low)
        assert marchenko_pastur_cdf(x, ratio) == pytest.approx(quad(density, low, x)[0], abs=1e-8)
    np.testing.assert_allclose(marchenko_pastur_cdf([-1, low, high, 9], ratio), [0, 0, 1, 1], atol=1e-12)
    above = quad(lambda x: 1 - marchenko_pastur_cdf(x, ratio), 0, high, points=[low])[0]
    square = quad(lambda x: 2 * x * (1 - marchenko_pastur_cdf(x, ratio)), 0, high, points=[low])[0]
    assert above == pytest.approx(1, abs=1e-7)
    assert square == pytest.approx(1 + ratio, abs=1e-7)


def test_tracy_widom_quantiles_against_published_ones():
    known = {0.5: -1.2685, 0.9: 0.4501, 0.95: 0.9793, 0.99: 2.0234, 0.999: 3.2724}
    for level, quantile in known.items():
        assert nulls.tracy_widom_quantile(level) == pytest.approx(quantile, abs=0.03)


@pytest.mark.parametrize(("window", "n"), [(64, 13), (64, 62), (64, 130), (16, 700), (200, 60)])
@pytest.mark.parametrize("detrend", CENTRED)
def test_white_noise_has_no_modes(window, n, detrend):
    nu, draws = degrees_of_freedom(window, detrend), 400
    rows = detrended(RNG.normal(size=(window, draws * n)), detrend).reshape(window, draws, n)
    found = marchenko_pastur_edge(spectra(3 * rows.transpose(1, 0, 2), nu), n, nu)
    assert not too_often((found.n_above > 0).mean(), draws)
    spread = np.sqrt(2 / (n * nu))  # of the best estimate there is
    assert found.noise.mean() == pytest.approx(9, rel=0.01 + 4 * spread / np.sqrt(draws))
    assert found.noise.std() / 9 < 1.25 * spread


@pytest.mark.parametrize(("nu", "n", "strength"), [(198, 400, 6.0), (198, 60, 3.0), (62, 600, 20.0)])
def test_a_mode_above_the_threshold_is_counted_where_theory_puts_it(nu, n, strength):
    """Baik, Ben Arous and Péché: seen if it exceeds ``1 + sqrt(n/nu)``, at ``l (1 + gamma / (l - 1))``."""
    draws, gamma = 200, n / nu
    rows = 2 * RNG.normal(size=(draws, nu, n))
    rows[:, :, 0] *= np.sqrt(strength)
    values = spectra(rows, nu)
    found = marchenko_pastur_edge(values, n, nu)
    assert strength > 1 + np.sqrt(gamma)
    expected = 4 * strength * (1 + gamma / (strength - 1))
    error = values[:, 0].std() / np.sqrt(draws)
    assert values[:, 0].mean() == pytest.approx(expected, abs=4 * error + 0.02 * expected)
    assert (found.n_above >= 1).all()
    assert not too_often((found.n_above > 1).mean(), draws)
    assert found.noise.mean() == pytest.approx(4, rel=0.01)
    rows[:, :, 0] *= np.sqrt((1 + np.sqrt(gamma) / 2) / strength)  # half way to the threshold
    hidden = marchenko_pastur_edge(spectra(rows, nu), n, nu)
    assert (hidden.n_above == 0).mean() > 0.85


def test_strong_modes_move_neither_the_edge_nor_hide_weak_ones():
    nu, n, draws = 198, 400, 60
    rows = RNG.normal(size=(draws, nu, n))
    alone = marchenko_pastur_edge(spectra(rows, nu), n, nu)
    rows[:, :, :5] *= np.sqrt([1e6, 1e4, 300, 100, 12])
    found = marchenko_pastur_edge(spectra(rows, nu), n, nu)
    assert (found.n_above >= 5).all()
    assert not too_often((found.n_above > 5).mean(), draws)
    assert found.noise.mean() == pytest.approx(alone.noise.mean(), rel=0.005)
    assert found.edge.mean() == pytest.approx(alone.edge.mean(), rel=0.03)


def test_many_spectra_at_once_are_as_one_by_one_and_zeros_of_detrending_do_not_count():
    losses = RNG.normal(size=(150, 30)) + 5
    losses[:, :10] += 2 * RNG.normal(size=(150, 1))
    losses[60:90] = losses[60]
    gram = banded_gram(losses, 24)
    traces = window_traces(gram, 24, "quadratic")
    values = window_spectra(gram, traces, np.arange(150))
    assert values.shape == (150, 24)
    found = marchenko_pastur_edge(values, 30, traces.nu)
    assert found.edge.shape == (150,)
    for row in (30, 120, 149):
        x = fluctuations_of(losses[row - 23 : row + 1], "quadratic")
        one = marchenko_pastur_edge(spectra(x[None], traces.nu)[0], 30, traces.nu)
        assert (one.n_above, one.edge.shape) == (found.n_above[row], ())
        np.testing.assert_allclose([one.edge, one.noise], [found.edge[row], found.noise[row]], rtol=1e-9)
    assert np.isnan([found.edge[:23], found.noise[:23], found.n_above[:23]]).all()
    assert not np.any([found.edge[83:90], found.noise[83:90], found.n_above[83:90]])
    assert (found.n_above[120:] == 1).mean() > 0.8


def test_scaling_the_losses_scales_the_edge():
    values = spectra(RNG.normal(size=(20, 30, 50)), 30)
    one, other = (marchenko_pastur_edge(values * unit, 50, 30) for unit in (1.0, 1e-300))
    np.testing.assert_allclose(other.edge, one.edge * 1e-300, rtol=1e-12)
    np.testing.assert_array_equal(other.n_above, one.n_above)


def test_a_spectrum_without_a_bulk_has_modes_in_half_of_it_at_most():
    found = marchenko_pastur_edge(2.0 ** -np.arange(40), 100, 40)
    assert found.n_above == 20


@pytest.mark.parametrize("rank", [1, 3, 8])
@pytest.mark.parametrize("shape", [(40, 20), (40, 100), (64, 20_000)])
def test_modes_without_noise_are_counted_and_rounding_is_not(shape, rank):
    rows = RNG.normal(size=(shape[0], rank)) @ RNG.normal(size=(rank, shape[1]))
    nu = shape[0] - 1
    found = marchenko_pastur_edge(spectra((rows - rows.mean(axis=0))[None], nu)[0], shape[1], nu)
    assert (found.n_above, found.edge, found.noise) == (rank, 0, 0)


def test_surrogates_of_losses_whose_squares_just_fit():
    course = np.array([-1.0, 3.0, -3.0, 1.0]) / np.sqrt(20)  # all that quadratic detrending leaves of 4 rows
    x = np.outer(course, [1.2e154, 1.0])
    found = nulls.surrogate_edge(x, "quadratic", how="ar1", draws=19)
    np.testing.assert_allclose(found.largest, 1.2e154**2, rtol=1e-10)


@pytest.mark.parametrize("how", nulls.SURROGATES)
@pytest.mark.parametrize("detrend", CENTRED)
def test_surrogates_keep_each_variance_and_have_no_trend(how, detrend):
    x = fluctuations_of(RNG.normal(size=(40, 9)) * 10.0 ** np.arange(9), detrend)
    x[:, 3] = 0
    y = nulls._surrogate(x, detrend, how, np.random.default_rng(0))
    np.testing.assert_allclose((y**2).sum(axis=0), (x**2).sum(axis=0), rtol=1e-12)
    np.testing.assert_allclose(basis(40, detrend).T @ (y / np.abs(x).max(axis=0).clip(1)), 0, atol=1e-12)
    assert not y[:, 3].any()


@pytest.mark.parametrize("detrend", CENTRED)
def test_another_order_loses_the_expected_share_of_the_variance(detrend):
    x = fluctuations_of(RNG.exponential(size=(12, 1)), detrend)
    orders = RNG.permuted(np.repeat(x, 4000, axis=1), axis=0)
    share = (detrended(orders, detrend) ** 2).sum(axis=0) / (x**2).sum()
    expected = degrees_of_freedom(12, detrend) / 11
    assert share.mean() == pytest.approx(expected, abs=4 * share.std() / np.sqrt(4000) + 1e-12)


@pytest.mark.parametrize(("window", "detrend"), [(5, "constant"), (9, "quadratic"), (60, "linear")])
def test_correlation_of_detrended_autoregressions(window, detrend):
    projector = np.eye(window) - basis(window, detrend) @ basis(window, detrend).T
    expected = []
    for phi in nulls._AR1:
        residual = projector @ toeplitz(phi ** np.arange(window)) @ projector
        expected.append(np.trace(residual, 1) / np.trace(residual))
    np.testing.assert_allclose(nulls._lag1_of_ar1(window, detrend), expected, atol=1e-12)
    assert (np.diff(expected) > 0).all()


def false_alarms(make, detrend, how, windows=100):
    """Share of windows with a mode, and the mean number of modes."""
    counts = np.array(
        [
            surrogate_edge(fluctuations_of(make(), detrend), detrend, how=how, draws=39, seed=seed).n_above
            for seed in range(windows)
        ]
    )
    return (counts > 0).mean(), counts.mean()


@pytest.mark.parametrize(
    ("how", "detrend"), [("shuffle", "linear"), ("shift", "constant"), ("ar1", "quadratic")]
)
@pytest.mark.parametrize("n", [12, 50])
def test_unequal_noise_has_no_modes_by_surrogates_and_many_by_marchenko_pastur(how, detrend, n):
    strength = np.exp(1.5 * RNG.normal(size=n))
    share, _ = false_alarms(lambda: RNG.normal(size=(24, n)) * strength, detrend, how)
    assert not too_often(share, 100)
    nu = degrees_of_freedom(24, detrend)
    rows = detrended(RNG.normal(size=(24, 50 * n)), detrend).reshape(24, 50, n).transpose(1, 0, 2)
    assert marchenko_pastur_edge(spectra(rows * strength, nu), n, nu).n_above.mean() > 3


def test_autocorrelated_noise_has_modes_by_shuffling_and_none_by_what_keeps_the_correlation():
    def make():
        return autoregression(0.5, 64, 40)

    share, modes = false_alarms(make, "constant", "shuffle", windows=40)
    assert share > 0.8
    assert modes > 1.3
    for how, detrend in (("shift", "constant"), ("ar1", "linear"), ("ar1", "quadratic")):
        share, _ = false_alarms(make, detrend, how)
        assert not too_often(share, 100), how
    # The seam of a shifted residual makes the surrogates rougher than the window: why ar1 is there.
    share, _ = false_alarms(lambda: autoregression(0.8, 64, 40), "linear", "shift", windows=40)
    assert share > 0.3
    share, _ = false_alarms(lambda: autoregression(0.8, 64, 40), "linear", "ar1")
    assert not too_often(share, 100)


@pytest.mark.parametrize(
    ("how", "detrend"), [("shuffle", "linear"), ("shift", "constant"), ("ar1", "linear")]
)
def test_planted_modes_are_counted(how, detrend):
    n, windows = 40, 40
    sides = np.repeat([[1.0, 0.0], [0.0, 1.0]], n // 2, axis=1)
    strength = np.exp(0.4 * RNG.normal(size=n))
    found = []
    for seed in range(windows):
        losses = strength * RNG.normal(size=(48, n)) + RNG.normal(size=(48, 2)) @ (
            np.array([[3.0], [2.5]]) * sides
        )
        x = fluctuations_of(losses, detrend)
        found.append(surrogate_edge(x, detrend, how=how, draws=39, seed=seed))
    counts = np.array([one.n_above for one in found])
    assert (counts == 2).mean() >= 0.9
    for one in found:
        assert (one.p_values[: one.n_above] <= 0.05).all()
        assert (one.p_values[one.n_above :] > 0.05).all()
        assert (np.diff(one.p_values) >= 0).all()


@pytest.mark.parametrize("how", nulls.SURROGATES)
def test_slabs_and_seeds(how, monkeypatch):
    x = fluctuations_of(RNG.normal(size=(12, 50)), "linear")
    whole = surrogate_edge(x, "linear", how=how, draws=19, seed=3)
    again, other = (surrogate_edge(x, "linear", how=how, draws=19, seed=seed) for seed in (3, 4))
    np.testing.assert_array_equal(whole.largest, again.largest)
    assert (whole.largest != other.largest).all()
    monkeypatch.setattr(nulls, "SLAB_BYTES", 12 * 8 * 7)
    slabs = surrogate_edge(x, "linear", how=how, draws=19, seed=3)
    assert len(whole.eigenvalues) == 10
    assert whole.edge == np.sort(whole.largest)[18]
    assert len(slabs.largest) == 19
    np.testing.assert_allclose(np.median(slabs.largest), np.median(whole.largest), rtol=0.1)


def test_bad_input_says_the_way_out():
    x = fluctuations_of(RNG.normal(size=(12, 5)), "linear")
    with pytest.raises(NullError, match="and 8 at least; choose a longer window"):
        marchenko_pastur_edge(np.ones(7), 7, 40)
    with pytest.raises(NullError, match=r"shape \(7,\) of 30 datapoints"):
        marchenko_pastur_edge(np.ones(7), 30, 40)
    for level in (0, 1, True, "high"):
        with pytest.raises(NullError, match="expected a probability"):
            marchenko_pastur_edge(np.ones(30), 30, 40, level=level)
    with pytest.raises(NullError, match=r"draws=18 cannot tell a level of 0\.95; take 19 or more"):
        surrogate_edge(x, "linear", draws=18)
    with pytest.raises(NullError, match=r"draws=99 cannot tell a level of 0\.999; take 999 or more"):
        surrogate_edge(x, "linear", level=0.999)
    for draws in (0, 2.5, True):
        with pytest.raises(NullError, match="whole number"):
            surrogate_edge(x, "linear", draws=draws)
    with pytest.raises(NullError, match="'shuffle', 'shift', 'ar1'"):
        surrogate_edge(x, "linear", how="reverse")
    with pytest.raises(DetrendError, match="choose 'constant'"):
        surrogate_edge(x, "none")
    with pytest.raises(LossShapeError, match="two at least"):
        surrogate_edge(x[:, 0], "linear")
