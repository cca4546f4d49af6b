"""TAP magnetisations, their number and phases, against closed forms."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq
from spin_glasses import spiked_glass

from rdmviz.compute.errors import SpinModelError
from rdmviz.compute.theories.spins.bonds import SpinModel, spin_model
from rdmviz.compute.theories.spins.phases import phase
from rdmviz.compute.theories.spins.stability import tap_stability
from rdmviz.compute.theories.spins.tap import layer_magnetisations, tap_solutions
from rdmviz.compute.theories.spins.temperatures import glass_temperature


def without_fields(couplings):
    return SpinModel(couplings, np.zeros(len(couplings)), (len(couplings),))


def test_magnetisation_of_a_ferromagnet():
    n, strength, temperature = 200, 1.0, 0.6
    model = without_fields((np.ones((n, n)) - np.eye(n)) * strength / n)
    found = tap_solutions(model, temperature)
    beta, k = 1 / temperature, (n - 1) / n

    def left_over(m):
        return m - np.tanh(beta * k * m - beta**2 * m * k / n * (1 - m**2))

    expected = brentq(left_over, 0.1, 1)
    assert found.converged.all()
    assert len(found.distinct) == 1  # up to the sign of all spins
    np.testing.assert_allclose(np.abs(found.magnetisations), expected, rtol=1e-6)
    assert phase(found, tap_stability(model.couplings).temperature) == "hidden order"


@given(st.floats(0.1, 2), st.floats(-1, 1), st.floats(-1, 1), st.floats(1, 5))
def test_two_spins_solve_the_equations(coupling, one, two, temperature):
    model = SpinModel(np.array([[0, coupling], [coupling, 0]]), np.array([one, two]), (1, 1))
    found = tap_solutions(model, temperature, starts=4, iterations=5000)
    for m in found.magnetisations[found.converged]:
        other = m[::-1]
        expected = np.tanh(
            (coupling * other + model.fields) / temperature
            - m * (coupling / temperature) ** 2 * (1 - other**2)
        )
        np.testing.assert_allclose(m, expected, atol=1e-7)
    if temperature > 2.5 * coupling:
        assert found.converged.all()
        assert len(found.distinct) == 1


def test_magnetisations_and_free_energy_are_right_to_second_order_in_the_couplings():
    rng = np.random.default_rng(0)
    weights = [0.1 * rng.standard_normal((3, 4)), 0.1 * rng.standard_normal((2, 3))]
    biases = [rng.uniform(-1, 1, 3), [0.5, -0.5]]
    states = np.array(list(product([-1.0, 1.0], repeat=9)))
    errors = []
    for scale in (1.0, 0.5):
        model = spin_model([scale * w for w in weights], biases)
        energies = -0.5 * np.einsum("si,ij,sj->s", states, model.couplings, states) - states @ model.fields
        share = np.exp(-energies)
        found = tap_solutions(model, 1.0, starts=3, tolerance=1e-13)
        assert len(found.distinct) == 1
        exact = share @ states / share.sum()
        errors.append(
            (np.linalg.norm(found.distinct[0] - exact), abs(found.free_energy[0] + np.log(share.sum()) / 9))
        )
    # What is left is of third order: an eighth at half of the couplings.
    np.testing.assert_allclose(np.divide(*errors), 8, rtol=0.15)


def test_the_hidden_direction_orders_below_its_temperature_and_not_above():
    couplings, hidden = spiked_glass(np.random.default_rng(1), 400, 2.0)
    model, at = without_fields(couplings), tap_stability(couplings).temperature
    above, below = (tap_solutions(model, at * factor, iterations=3000) for factor in (1.1, 0.7))
    assert above.converged.all()
    assert np.abs(above.distinct).max() < 1e-5
    assert phase(above, at) == "paramagnet"
    assert below.converged.all()
    assert len(below.distinct) == 1
    overlap = abs(below.distinct[0] @ hidden) / np.linalg.norm(below.distinct[0]) / np.sqrt(400)
    assert overlap > 0.85
    assert phase(below, at) == "hidden order"


def test_order_is_found_at_low_temperature_where_no_magnetisation_solves_the_equations_too():
    couplings, hidden = spiked_glass(np.random.default_rng(1), 300, 2.0)
    found = tap_solutions(without_fields(couplings), 0.25)
    stable = found.distinct[found.glass_stability > 0]
    assert len(stable) >= 1
    assert np.abs(stable[0] @ hidden) / 300 > 0.9
    assert found.glass_stability[0] > 0  # those that are stable come first
    assert sorted(found.glass_stability > 0, reverse=True) == list(found.glass_stability > 0)


def test_a_glass_has_no_stable_solution():
    couplings, _ = spiked_glass(np.random.default_rng(2), 300, 0.0)
    found = tap_solutions(without_fields(couplings), 0.6 * glass_temperature(couplings))
    assert phase(found, glass_temperature(couplings)) in ("glass", "undecided")
    assert not (found.glass_stability > 0).any()


def test_glass_stability_without_magnetisation_changes_sign_at_the_glass_temperature():
    couplings, _ = spiked_glass(np.random.default_rng(2), 150, 0.0)
    at = glass_temperature(couplings)
    for factor in (0.9, 1.5):
        found = tap_solutions(without_fields(couplings), factor * at, starts=np.zeros((1, 150)))
        assert found.converged.all()
        assert found.glass_stability[0] == pytest.approx(1 - 1 / factor**2, abs=1e-6)


def test_several_patterns_are_several_solutions():
    rng = np.random.default_rng(0)
    patterns = np.linalg.qr(rng.standard_normal((400, 3)))[0]
    patterns = np.sign(patterns)
    couplings = patterns @ patterns.T / 400
    np.fill_diagonal(couplings, 0)
    found = tap_solutions(without_fields(couplings), 0.3, starts=patterns.T * 0.9)
    assert found.converged.all()
    assert found.label.tolist() != [0, 0, 0]
    assert len(found.distinct) == 3
    np.testing.assert_allclose(np.abs(np.diagonal(found.magnetisations @ patterns)) / 400, 1, atol=0.05)
    assert (np.diff(found.free_energy) >= 0).all()
    assert phase(found, 1.0) == "several orders"


def test_the_sign_of_all_spins_counts_where_there_are_fields():
    n = 100
    model = without_fields((np.ones((n, n)) - np.eye(n)) / n)
    both = np.array([np.full(n, 0.9), np.full(n, -0.9)])
    assert len(tap_solutions(model, 0.5, starts=both).distinct) == 1
    field = SpinModel(model.couplings, np.full(n, 0.01), model.sizes)
    found = tap_solutions(field, 0.5, starts=both)
    assert len(found.distinct) == 2
    assert found.free_energy[0] < found.free_energy[1]
    assert found.label.tolist() == [0, 1]


def test_what_did_not_converge_is_told():
    couplings, _ = spiked_glass(np.random.default_rng(3), 200, 0.0)
    found = tap_solutions(without_fields(couplings), 0.8, iterations=20)
    assert not found.converged.any()
    assert (found.iterations == 20).all()
    assert (found.residual > 1e-8).all()
    assert (found.label == -1).all()
    assert found.distinct.shape == (0, 200)
    assert phase(found, 1.0) == "undecided"


def test_layers_act_as_the_whole_matrix_does():
    rng = np.random.default_rng(4)
    model = spin_model(
        [rng.standard_normal((30, 40)) / 8, rng.standard_normal((20, 30)) / 8],
        [rng.standard_normal(30), None],
    )
    layered = tap_solutions(model, 1.5, starts=3)
    whole = tap_solutions(SpinModel(model.couplings, model.fields, (90,)), 1.5, starts=3)
    np.testing.assert_allclose(layered.magnetisations, whole.magnetisations, atol=1e-7)


def test_the_same_seed_gives_the_same_solutions():
    couplings, _ = spiked_glass(np.random.default_rng(5), 60, 1.5)
    one, two, other = (tap_solutions(without_fields(couplings), 1.0, seed=s) for s in (1, 1, 2))
    np.testing.assert_array_equal(one.magnetisations, two.magnetisations)
    assert (one.magnetisations != other.magnetisations).any()


def test_magnetisation_of_each_layer():
    mean, order = layer_magnetisations([[1.0, -1.0, 0.5], [0.0, 1.0, -0.5]], (2, 1))
    assert mean.tolist() == [[0, 0.5], [0.5, -0.5]]
    assert order.tolist() == [[1, 0.25], [0.5, 0.25]]
    with pytest.raises(SpinModelError, match="as many spins"):
        layer_magnetisations([1.0, 2.0], (3,))


@pytest.mark.parametrize(
    "options",
    [
        {"temperature": 0.0},
        {"temperature": -1.0},
        {"temperature": np.nan},
        {"damping": 0.0},
        {"damping": 1.5},
        {"iterations": 0},
        {"tolerance": 0.0},
        {"starts": 0},
        {"starts": 1.5},
        {"starts": np.ones((2, 3))},
        {"starts": np.full((2, 4), 2.0)},
    ],
)
def test_options_without_meaning_are_refused(options):
    model = without_fields(np.ones((4, 4)) - np.eye(4))
    (name,) = options
    with pytest.raises(SpinModelError, match=name):
        tap_solutions(model, **{"temperature": 1.0} | options)
