import numpy as np
import pytest
from oracles import DETRENDS, detrended_exactly, reader

from rdmviz.compute.errors import ComputeError
from rdmviz.compute.rdm import planes
from rdmviz.compute.rdm.modes import window_modes
from rdmviz.compute.rdm.planes import loadings_along

RNG = np.random.default_rng(4)
LOSSES = 100 + np.cumsum(RNG.normal(size=(90, 30)), axis=0) * RNG.uniform(0.2, 2, 30)


@pytest.mark.parametrize("detrend", DETRENDS)
def test_loadings_are_the_covariance_with_the_fluctuation_of_the_direction(detrend):
    now = window_modes(reader(LOSSES), 80, 40, detrend, 3, 90)
    directions = RNG.normal(size=(2, 30))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    loadings, variances = loadings_along(now.fluctuations, directions, now.nu)
    x = detrended_exactly(LOSSES[41:81], detrend).astype(float)
    covariance = x.T @ x / now.nu
    expected = np.einsum("kn,nm,km->k", directions, covariance, directions)
    np.testing.assert_allclose(variances, expected, rtol=1e-10)
    np.testing.assert_allclose(loadings, directions @ covariance / np.sqrt(expected)[:, None], rtol=1e-9)


@pytest.mark.parametrize("n", [12, 90])
def test_along_its_own_modes_a_window_has_its_loadings(n):
    losses = RNG.normal(size=(60, n)) * RNG.uniform(0.2, 2, size=n) + 100
    found = window_modes(reader(losses), 55, 40, "constant", 4, 60)
    loadings, variances = loadings_along(found.fluctuations, found.vectors, found.nu)
    np.testing.assert_allclose(variances, found.eigenvalues[:4], rtol=1e-10)
    own = np.sqrt(found.eigenvalues[:4, None]) * found.vectors
    np.testing.assert_allclose(loadings, own, atol=1e-10 * np.abs(own).max())


def test_a_clean_split_has_its_closed_form():
    """One cosine over half of the datapoints: variance (w/2)/(w-1) each, all of it along their direction."""
    w = 32
    wave = np.cos(2 * np.pi * np.arange(w) / w)
    x = np.zeros((w, 8))
    x[:, :4] = wave[:, None]
    direction = np.zeros((2, 8))
    direction[0, :4], direction[1, 4:] = 0.5, 0.5
    loadings, variances = loadings_along(lambda samples: x[:, samples], direction, w - 1)
    one = (w / 2) / (w - 1)
    np.testing.assert_allclose(variances, [4 * one, 0], rtol=1e-13)
    np.testing.assert_allclose(loadings[0], [np.sqrt(one)] * 4 + [0] * 4, rtol=1e-13)
    assert (loadings[1] == 0).all(), "a direction in which nothing moves has no loadings, not noise"


def test_slabs_and_a_choice_of_datapoints_change_nothing(monkeypatch):
    found = window_modes(reader(LOSSES), 80, 40, "linear", 2, 90)
    whole, variances = loadings_along(found.fluctuations, found.vectors, found.nu)
    monkeypatch.setattr(planes, "slab_width", lambda _: 7)
    for samples in (None, np.array([3, 28, 0])):
        part, again = loadings_along(found.fluctuations, found.vectors, found.nu, samples)
        expected = whole if samples is None else whole[:, samples]
        np.testing.assert_allclose(part, expected, atol=1e-12 * np.abs(whole).max())
        np.testing.assert_allclose(again, variances, rtol=1e-12)


def test_directions_of_another_probe_are_refused():
    found = window_modes(reader(LOSSES), 80, 40, "linear", 2, 90)
    with pytest.raises(ComputeError, match="directions over 31 datapoints, but X has 30"):
        loadings_along(found.fluctuations, np.ones((1, 31)), found.nu)
