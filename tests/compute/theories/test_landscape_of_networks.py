"""Networks that are trained for real lie where the landscape says, and jump where it says."""

from __future__ import annotations

import numpy as np
import pytest
from linear_networks import balanced_network, loss, random_network, train

from rdmviz.compute.errors import LandscapeError
from rdmviz.compute.theories.landscape.free_energy import Landscape
from rdmviz.compute.theories.landscape.hysteresis import followed, hysteresis
from rdmviz.compute.theories.landscape.networks import (
    end_to_end_strength,
    gamma_of_sgd,
    moments,
    sgd_weight_decay,
)
from rdmviz.compute.theories.landscape.phases import minima, transition

DIRECTION = np.array([2.0, -1, 2]) / 3


@pytest.mark.parametrize("halved", [False, True])
@pytest.mark.parametrize(("gamma", "expected"), [(0.2, 0.8), (0.5, 0.5), (0.8, 0.2), (0.95, 0.05), (1.05, 0)])
def test_one_hidden_layer_follows_the_curve_within_a_percent(gamma, expected, halved):
    """From a random start of width 4; 4000 steps are 40 relaxation times where it is slowest."""
    start = random_network(np.random.default_rng(0), 1, 0.3)
    decay = sgd_weight_decay(gamma, halved_loss=halved)
    trained = train(start, DIRECTION, decay, 8000 if halved else 4000, halved=halved)
    u = end_to_end_strength(trained, DIRECTION)
    assert minima(Landscape(1), gamma).lowest == pytest.approx(expected, abs=1e-12)
    assert u == pytest.approx(expected, rel=0.01, abs=1e-3 if expected == 0 else 0)


@pytest.mark.parametrize(
    ("depth", "gammas"), [(2, [0.1, 0.3, 0.39, 0.46, 0.5]), (3, [0.05, 0.2, 0.27, 0.37, 0.42])]
)
def test_deeper_networks_hold_on_up_to_the_spinodal_jump_and_do_not_come_back(depth, gammas):
    landscape = Landscape(depth)
    at = transition(landscape)
    assert gammas[2] < at.gamma_c < gammas[3] < at.gamma_spinodal < gammas[4]
    weights = random_network(np.random.default_rng(1), depth, 0.7)
    if end_to_end_strength(weights, DIRECTION) < 0:
        weights[0] = -weights[0]
    swept = []
    for gamma in [*gammas, *gammas[::-1]]:
        weights = train(weights, DIRECTION, sgd_weight_decay(gamma), 2500)
        swept.append(end_to_end_strength(weights, DIRECTION))
    theory = hysteresis(landscape, gammas)
    np.testing.assert_allclose(swept[:5], theory.up, rtol=0.01, atol=1e-6)
    np.testing.assert_allclose(swept[:4:-1], theory.down, atol=1e-6)
    assert (theory.up[:4] > at.u_spinodal).all()
    assert not theory.down.any()


@pytest.mark.parametrize("depth", [2, 3])
@pytest.mark.parametrize("side", [0.9, 1.1])
def test_the_barrier_parts_what_is_learnt_from_what_is_forgotten(depth, side):
    gamma = 0.7 * transition(Landscape(depth)).gamma_c
    start = side * float(minima(Landscape(depth), gamma).barrier)
    trained = train(balanced_network(start, depth, DIRECTION), DIRECTION, sgd_weight_decay(gamma), 2500)
    (expected,) = followed(Landscape(depth), [gamma], start)
    assert (expected > 0) == (side > 1)
    assert end_to_end_strength(trained, DIRECTION) == pytest.approx(expected, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_free_energy_and_stiffness_are_those_of_a_balanced_network(depth):
    a, c, gamma = 0.7, 1.3, 0.1
    landscape = Landscape(depth, a, c)
    u = float(minima(landscape, gamma).trained)
    weights = balanced_network(u, depth, DIRECTION)
    assert end_to_end_strength(weights, DIRECTION) == pytest.approx(u, rel=1e-12)
    length = np.sqrt(sum(np.square(w).sum() for w in weights))
    h = 1e-4
    f = [loss([w * (1 + s * h / length) for w in weights], DIRECTION, gamma, a, c) for s in (-1, 0, 1)]
    assert f[1] == pytest.approx(landscape.free_energy(u, gamma), rel=1e-12)
    # Central differences: errors of h² and of rounding over h², both 1e-8.
    assert f[2] - f[0] == pytest.approx(0, abs=1e-8)
    assert (f[2] - 2 * f[1] + f[0]) / h**2 == pytest.approx(landscape.stiffness(u, gamma), rel=1e-6)


def test_balanced_layers_are_the_cheapest_for_their_strength():
    rng = np.random.default_rng(2)
    for depth in (1, 2, 3):
        for _ in range(200):
            weights = random_network(rng, depth, 1.0)
            u = end_to_end_strength(weights, DIRECTION)
            cost = sum(np.square(w).sum() for w in weights)
            assert cost >= (depth + 1) * abs(u) ** (2 / (depth + 1)) * (1 - 1e-12)
            assert loss(weights, DIRECTION, 0.2) >= Landscape(depth).free_energy(u, 0.2) - 1e-12


def test_moments_of_all_sign_vectors_are_exact():
    signs = np.array(np.meshgrid(*[[-1, 1]] * 3)).reshape(3, -1).T
    x = np.sqrt(1.7) * signs
    y = x @ (0.6 * DIRECTION) + 0.4 * signs.prod(axis=1)  # what no linear network can learn
    found = moments(x, y)
    assert found.a == pytest.approx(1.7)
    assert found.c == pytest.approx(1.7 * 0.6)
    assert found.anisotropy == pytest.approx(0, abs=1e-12)
    np.testing.assert_allclose(found.direction, DIRECTION)
    assert found.target_power == pytest.approx(1.7 * 0.36 + 0.16)
    landscape = Landscape(1, found.a, found.c, found.target_power)
    assert landscape.free_energy(minima(landscape, 0).trained, 0) == pytest.approx(0.16)
    column = moments(x, y[:, None])
    np.testing.assert_array_equal(column.direction, found.direction)
    assert moments(x * [1, 1, 2], y).anisotropy == pytest.approx(4 / 2 - 1)


def test_weight_decay_of_sgd_is_twice_gamma_and_back():
    assert sgd_weight_decay([0.2, 0.5]).tolist() == [0.4, 1.0]
    assert sgd_weight_decay(0.2, halved_loss=True) == 0.2
    for halved in (False, True):
        assert gamma_of_sgd(sgd_weight_decay(0.3, halved_loss=halved), halved_loss=halved) == 0.3


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: sgd_weight_decay(-1e-4), "got -0.0001"),
        (lambda: gamma_of_sgd(-1e-4), "got -0.0001"),
        (lambda: moments(np.ones((4, 2)), np.ones(3)), r"\(4, 2\) and \(3,\)"),
        (lambda: moments(np.ones((4, 2)), np.ones((4, 2))), "one output"),
        (lambda: moments(np.full((4, 2), np.nan), np.ones(4)), "NaN"),
        (lambda: moments(np.zeros((4, 2)), np.ones(4)), "nothing to learn"),
        (lambda: moments([[1.0], [-1.0]], [1.0, 1.0]), "nothing to learn"),
        (lambda: end_to_end_strength([np.ones((4, 3)), np.ones((1, 5))], DIRECTION), "Layer 1 has shape"),
        (lambda: end_to_end_strength([np.ones((4, 3))], DIRECTION), "4 outputs"),
        (lambda: end_to_end_strength([], DIRECTION), "network has layers"),
    ],
)
def test_what_does_not_fit_is_refused(make, message):
    with pytest.raises(LandscapeError, match=message):
        make()
