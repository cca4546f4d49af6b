"""Glass and ordering temperatures of networks against what is known of them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from spin_glasses import spiked_glass

from rdmviz.compute.errors import SpinModelError
from rdmviz.compute.theories.spins.bonds import shuffled_weights, spin_model
from rdmviz.compute.theories.spins.stability import tap_stability
from rdmviz.compute.theories.spins.temperatures import (
    equal_layers_temperature,
    glass_temperature,
    naive_temperature,
    random_layers_temperature,
)


def random_layers(rng, sizes, scale=1.0):
    return [
        rng.standard_normal((after, before)) * np.sqrt(scale / before) for before, after in pairwise(sizes)
    ]


@pytest.mark.parametrize(("matrices", "expected"), [(1, 1.0), (2, 1.189), (3, 1.272)])
def test_glass_temperature_of_random_layers_of_equal_width(matrices, expected):
    assert equal_layers_temperature(1.0, matrices) == pytest.approx(expected, abs=5e-4)
    sizes = [500] * (matrices + 1)
    exact = random_layers_temperature(sizes, [1 / 500] * matrices)
    assert exact == pytest.approx(equal_layers_temperature(1.0, matrices), rel=1e-12)
    couplings = spin_model(random_layers(np.random.default_rng(0), sizes)).couplings
    assert glass_temperature(couplings) == pytest.approx(expected, rel=0.01)


def test_glass_temperature_of_layers_of_any_width():
    sizes, variances = (600, 200, 400), (1 / 300, 1 / 150)
    # T² of three layers: root of the sum of the squares beside the diagonal.
    expected = np.hypot(np.sqrt(600 * 200) / 300, np.sqrt(200 * 400) / 150) ** 0.5
    assert random_layers_temperature(sizes, variances) == pytest.approx(expected)
    rng = np.random.default_rng(1)
    weights = [
        rng.standard_normal((after, before)) * np.sqrt(v)
        for before, after, v in zip(sizes, sizes[1:], variances, strict=False)
    ]
    assert glass_temperature(spin_model(weights).couplings) == pytest.approx(expected, rel=0.01)


def test_tap_temperature_of_a_hidden_direction_is_its_strength():
    couplings, _ = spiked_glass(np.random.default_rng(0), 1500, 2.0)
    found = tap_stability(couplings)
    assert found.reached
    assert found.temperature == pytest.approx(2, rel=0.04)
    assert naive_temperature(couplings) == pytest.approx(2.5, rel=0.04)  # strength + 1 / strength


def test_tap_temperature_without_order_is_that_of_the_glass():
    rng = np.random.default_rng(2)
    for couplings in (spiked_glass(rng, 800, 0.0)[0], spin_model(random_layers(rng, [300] * 3)).couplings):
        found = tap_stability(couplings)
        assert found.temperature == pytest.approx(glass_temperature(couplings), rel=0.04)
        assert abs(found.least_eigenvalue) < 0.1
        assert naive_temperature(couplings) > 1.9 * glass_temperature(
            couplings
        )  # the naive value is no guide


def test_shuffled_weights_of_an_ordered_network_fall_back_to_the_glass():
    rng = np.random.default_rng(3)
    sizes = (200, 150, 100)
    hidden = [rng.choice([-1.0, 1.0], size) / np.sqrt(size) for size in sizes]
    weights = [
        0.5 * w + 3 * np.outer(after, before)
        for w, before, after in zip(random_layers(rng, sizes), hidden, hidden[1:], strict=False)
    ]
    ordered, disordered = (spin_model(w).couplings for w in (weights, shuffled_weights(weights, 1)))
    assert tap_stability(ordered).temperature > 2 * glass_temperature(ordered)
    assert tap_stability(disordered).temperature == pytest.approx(glass_temperature(disordered), rel=0.05)


@given(st.floats(0.1, 10), st.integers(2, 12))
def test_tap_temperature_in_closed_form(strength, n):
    """All pairs equal: A is 1 + (n-1) g²/T² - (n-1) g/T along the ones, which is 0 for n > 4 alone."""
    couplings = np.full((n, n), strength) - strength * np.eye(n)
    found = tap_stability(couplings)
    k = n - 1
    if k >= 5:  # T² - k g T + k g² = 0
        assert found.reached
        assert found.temperature == pytest.approx(strength * (k + np.sqrt(k * k - 4 * k)) / 2, rel=1e-6)
    elif k <= 3:  # closest where 2 k g²/T = k g
        assert not found.reached
        assert found.temperature == pytest.approx(2 * strength, rel=1e-3)
        assert found.least_eigenvalue == pytest.approx(1 - k / 4, abs=1e-6)


@given(st.integers(0, 50), st.integers(2, 20), st.floats(0.01, 100))
def test_no_zero_of_the_stability_lies_above_the_temperature_found(seed, n, scale):
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal((n, n)) * rng.uniform(0, 2, n)
    couplings = np.triu(noise, 1) * scale
    couplings += couplings.T
    found = tap_stability(couplings)
    reaction = np.diag((couplings**2).sum(axis=1))

    def least(t):
        return np.linalg.eigvalsh(np.eye(n) + reaction / t**2 - couplings / t)[0]

    above = found.temperature * np.geomspace(1 + 1e-6, 50, 400)
    if found.reached:
        assert min(least(t) for t in above) > 0
        assert least(found.temperature) == pytest.approx(0, abs=1e-6)
    else:
        everywhere = found.temperature * np.geomspace(0.02, 50, 400)
        assert min(least(t) for t in everywhere) > found.least_eigenvalue - 1e-4
        assert least(found.temperature) == pytest.approx(found.least_eigenvalue, abs=1e-9)


@given(st.integers(0, 20), st.integers(-6, 6))
def test_temperatures_scale_with_the_couplings(seed, power):
    couplings, _ = spiked_glass(np.random.default_rng(seed), 30, 1.5)
    for temperature in (glass_temperature, naive_temperature, lambda j: tap_stability(j).temperature):
        assert temperature(couplings * 2.0**power) == pytest.approx(2.0**power * temperature(couplings))


def test_lanczos_and_lapack_agree(monkeypatch):
    couplings, _ = spiked_glass(np.random.default_rng(4), 200, 1.5)
    noise, _ = spiked_glass(np.random.default_rng(4), 200, 0.0)
    ask = (glass_temperature, naive_temperature, lambda j: tap_stability(j).temperature)
    fast = [temperature(j) for temperature in ask for j in (couplings, noise)]
    monkeypatch.setattr("rdmviz.compute.theories.spins.extremes._DENSE", 1000)
    slow = [temperature(j) for temperature in ask for j in (couplings, noise)]
    np.testing.assert_allclose(fast, slow, rtol=1e-4)


def test_no_couplings_are_cold_at_any_temperature():
    nothing = np.zeros((200, 200))
    assert glass_temperature(nothing) == naive_temperature(nothing) == 0
    found = tap_stability(nothing)
    assert (found.temperature, found.reached) == (0, False)


def test_spins_without_neighbours_change_nothing():
    couplings, _ = spiked_glass(np.random.default_rng(5), 40, 2.0)
    padded = np.pad(couplings, (0, 5))
    assert tap_stability(padded).temperature == pytest.approx(tap_stability(couplings).temperature, rel=1e-6)


def test_layers_without_meaning_are_refused():
    for sizes, variances in [
        ((5,), ()),
        ((5, 5), (1.0, 1.0)),
        ((5, 0), (1.0,)),
        ((5, 5), (-1.0,)),
        ((5, 5), (np.nan,)),
    ]:
        with pytest.raises(SpinModelError, match="one variance"):
            random_layers_temperature(sizes, variances)
    for strength, matrices in [(-1.0, 1), (1.0, 0), (np.nan, 1)]:
        with pytest.raises(SpinModelError, match="expected C"):
            equal_layers_temperature(strength, matrices)
