"""Free energy under weight decay: closed forms, then what holds for every landscape."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rdmviz.compute.errors import ComputeError, LandscapeError
from rdmviz.compute.theories.landscape.free_energy import Landscape
from rdmviz.compute.theories.landscape.hysteresis import followed, hysteresis
from rdmviz.compute.theories.landscape.phases import minima, transition

landscapes = st.builds(Landscape, st.integers(1, 6), st.floats(0.1, 10), st.floats(0.1, 10))
deep = st.builds(Landscape, st.integers(2, 6), st.floats(0.1, 10), st.floats(0.1, 10))
shares = st.floats(1e-6, 0.999)


@pytest.mark.parametrize(
    ("depth", "gamma_c", "jump", "gamma_spinodal"),
    [(2, 0.3969, 0.5, 0.4725), (3, 0.2722, 0.6667, 0.3849), (4, 0.2104, 0.75, 0.3470)],
)
def test_deep_networks_jump_where_theory_says(depth, gamma_c, jump, gamma_spinodal):
    found = transition(Landscape(depth))
    assert found.order == "first"
    assert found.gamma_c == pytest.approx(gamma_c, abs=0.5e-4)
    assert found.jump == pytest.approx(jump, abs=0.5e-4)
    assert found.gamma_spinodal == pytest.approx(gamma_spinodal, abs=0.5e-4)
    assert found.u_spinodal == found.jump / 2
    assert found.gamma_origin == 0


@pytest.mark.parametrize(("a", "c"), [(1, 1), (2, 0.5), (0.3, 4)])
def test_one_hidden_layer_goes_to_zero_smoothly(a, c):
    landscape = Landscape(1, a, c)
    found = transition(landscape)
    assert (found.order, found.gamma_c, found.jump, found.gamma_spinodal) == ("second", c, 0, c)
    gamma = np.linspace(0, 2 * c, 41)
    at = minima(landscape, gamma)
    np.testing.assert_allclose(at.lowest, np.maximum(0, (c - gamma) / a), rtol=1e-15, atol=1e-15)
    np.testing.assert_array_equal(at.origin, gamma >= c)
    np.testing.assert_array_equal(np.isnan(at.trained), gamma >= c)


def test_two_hidden_layers_have_the_roots_of_a_cubic():
    """With ``u = v³``: ``v (1 - v³) = γ``."""
    at = minima(Landscape(2), gamma := np.linspace(0.01, 0.47, 30))
    for g, trained, barrier in zip(gamma, at.trained, at.barrier, strict=True):
        roots = np.roots([1, 0, 0, -1, g])
        real = np.sort(roots[np.abs(roots.imag) < 1e-9].real) ** 3
        np.testing.assert_allclose([barrier, trained], real[-2:], rtol=1e-9)


@given(landscapes)
def test_at_the_transition_both_minima_are_as_deep_and_at_the_spinodal_the_trained_one_is_flat(landscape):
    at = transition(landscape)
    scale = landscape.c**2 / landscape.a
    assert landscape.free_energy(0, at.gamma_c) == pytest.approx(landscape.target_power)
    assert landscape.free_energy(at.jump, at.gamma_c) == pytest.approx(
        landscape.target_power, abs=1e-12 * scale
    )
    if at.order == "first":
        assert abs(landscape.slope(at.jump, at.gamma_c)) < 1e-12 * landscape.c
        assert abs(landscape.slope(at.u_spinodal, at.gamma_spinodal)) < 1e-12 * landscape.c
        assert abs(landscape.curvature(at.u_spinodal, at.gamma_spinodal)) < 1e-12 * landscape.a
        assert at.gamma_c < at.gamma_spinodal


@given(deep, shares)
def test_minimum_and_barrier_are_stationary_and_curve_as_they_should(landscape, share):
    at = transition(landscape)
    gamma = share * at.gamma_spinodal
    found = minima(landscape, gamma)
    assert 0 < found.barrier < at.u_spinodal < found.trained < landscape.c / landscape.a
    # Terms of the slope cancel at the minimum, where they are of order c; the root is good to some roundings.
    assert abs(landscape.slope(found.trained, gamma)) < 1e-9 * landscape.c
    assert landscape.curvature(found.trained, gamma) > 0
    # The barrier is small where γ is: its slope, 2 γ u^(2/M - 1) less about 2 c, is in units of c, too.
    assert abs(landscape.slope(found.barrier, gamma)) < 1e-9 * landscape.c
    assert landscape.curvature(found.barrier, gamma) < 0
    assert found.origin


@given(landscapes, st.floats(0, 2))
def test_no_place_lies_lower_than_the_lowest_minimum(landscape, share):
    gamma = share * transition(landscape).gamma_c
    found = minima(landscape, gamma)
    u = np.linspace(0, 1.5 * landscape.c / landscape.a, 4001)
    energies = landscape.free_energy(u, gamma)
    lowest = landscape.free_energy(found.lowest, gamma)
    assert lowest <= energies.min() + 1e-12 * landscape.c**2 / landscape.a
    if found.lowest > 0:
        assert abs(u[energies.argmin()] - found.lowest) < 2 * u[1] or lowest == pytest.approx(energies[0])


@given(landscapes, st.floats(0.05, 5), st.floats(0, 3))
def test_slope_and_curvature_are_derivatives(landscape, u, gamma):
    h = 1e-4 * u
    f = landscape.free_energy(np.array([u - h, u, u + h]), gamma)
    # The sum of its terms: differences keep h² of it, and lose its rounding over h or h².
    fit = landscape.target_power + landscape.a * u**2 + 2 * landscape.c * u
    size = fit + gamma * landscape.layers * u ** (2 / landscape.layers)
    assert landscape.slope(u, gamma) == pytest.approx((f[2] - f[0]) / (2 * h), abs=1e-7 * size / u)
    assert landscape.curvature(u, gamma) == pytest.approx(
        (f[2] - 2 * f[1] + f[0]) / h**2, abs=1e-6 * size / u**2
    )


@given(landscapes, shares)
def test_stiffness_softens_at_second_order_and_at_the_origin_of_deep_networks_never(landscape, share):
    at = transition(landscape)
    gamma = share * at.gamma_spinodal
    trained = minima(landscape, gamma).trained
    stiff = landscape.stiffness(trained, gamma)
    origin = landscape.stiffness(0, gamma)
    if at.order == "second":
        assert stiff == pytest.approx(4 * (landscape.c - gamma), rel=1e-9)
        assert origin == pytest.approx(2 * (gamma - landscape.c), rel=1e-12)
    else:
        assert stiff > 0
        assert origin == 2 * gamma
        # It vanishes as F'' does: (1/M) (du/dw)² F''(u) where F' = 0.
        m = landscape.layers
        du_dw = m * trained ** (1 - 1 / m)
        assert stiff == pytest.approx(
            du_dw**2 / m * landscape.curvature(trained, gamma), rel=1e-6, abs=1e-9 * landscape.c
        )


@given(landscapes, st.floats(-5, 5), st.floats(-5, 5), shares)
def test_units_of_inputs_and_targets_carry_over(landscape, log_x, log_y, share):
    """x -> s x and y -> t y: a s², c s t, u t/s, and γ by what its power asks for."""
    s, t = np.exp(log_x), np.exp(log_y)
    other = Landscape(landscape.depth, landscape.a * s**2, landscape.c * s * t)
    here, there = transition(landscape), transition(other)
    gammas = np.array([share, 1.1]) * here.gamma_c
    np.testing.assert_allclose(
        minima(other, gammas * there.gamma_c / here.gamma_c).lowest,
        minima(landscape, gammas).lowest * t / s,
        rtol=1e-9,
    )
    unit = (t / s) ** (1 - 2 / landscape.layers) * s * t
    assert there.gamma_c == pytest.approx(here.gamma_c * unit, rel=1e-12)


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_without_weight_decay_a_network_learns_all_there_is(depth):
    at = minima(Landscape(depth, 2.0, 3.0), 0.0)
    assert at.trained == at.lowest == 1.5
    assert at.barrier == 0
    assert not at.origin
    assert Landscape(depth, 2.0, 3.0).free_energy(1.5, 0) == pytest.approx(0, abs=1e-12)
    assert Landscape(depth, 2.0, 3.0, 7.0).free_energy(1.5, 0) == pytest.approx(7 - 4.5)


@pytest.mark.parametrize("depth", [2, 3, 4])
def test_the_end_of_the_trained_branch(depth):
    at = transition(Landscape(depth))
    below, there = minima(Landscape(depth), [at.gamma_spinodal * (1 - 1e-12), at.gamma_spinodal]).trained
    # The branch ends as a square root of the distance, here 1e-6.
    assert below == pytest.approx(at.u_spinodal, rel=1e-5)
    assert below > at.u_spinodal
    assert np.isnan(there)


@pytest.mark.parametrize("depth", [2, 3, 4])
def test_a_sweep_up_and_down_shows_hysteresis_between_spinodal_and_zero(depth):
    landscape = Landscape(depth)
    at = transition(landscape)
    found = hysteresis(landscape, np.linspace(0, 1.2 * at.gamma_spinodal, 61)[::-1])
    assert (np.diff(found.gamma) > 0).all()
    trained = minima(landscape, found.gamma).trained
    held = found.gamma < at.gamma_spinodal
    np.testing.assert_array_equal(found.up, np.where(held, trained, 0))
    assert not found.down[1:].any()  # the origin is stable for every positive weight decay
    assert found.down[0] == 1  # and not without any


def test_one_hidden_layer_has_no_hysteresis():
    found = hysteresis(Landscape(1), np.linspace(0, 2, 41))
    np.testing.assert_array_equal(found.up, found.down)
    np.testing.assert_allclose(found.up, np.maximum(0, 1 - found.gamma), atol=1e-15)


def test_noise_narrows_hysteresis_to_where_the_barrier_is_low():
    landscape = Landscape(2)
    gamma = np.linspace(0.01, 0.6, 60)
    at = minima(landscape, gamma)
    found = hysteresis(landscape, gamma, kick=0.1)
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(found.up > 0, at.trained - 0.1 >= at.barrier)
        np.testing.assert_array_equal(found.down > 0, at.barrier < 0.1)
    assert (found.up > 0).sum() < (hysteresis(landscape, gamma).up > 0).sum()


@given(deep, st.floats(0.01, 0.99), st.floats(0, 3))
def test_gradient_flow_goes_down_to_the_minimum_of_its_basin(landscape, share, start):
    gamma = share * transition(landscape).gamma_spinodal
    at = minima(landscape, gamma)
    u0 = start * landscape.c / landscape.a
    (u,) = followed(landscape, [gamma], u0)
    assert u == (at.trained if u0 > at.barrier else 0)
    assert (
        landscape.free_energy(u, gamma) <= landscape.free_energy(u0, gamma) + 1e-12 * landscape.target_power
    )
    assert followed(landscape, [], u0).shape == (0,)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Landscape(0), r"depth.*got 0"),
        (lambda: Landscape(-1), "got -1"),
        (lambda: Landscape(1.5), "got 1.5"),
        (lambda: Landscape(True), "got True"),
        (lambda: Landscape(1, a=0), "a must be positive and finite; got 0"),
        (lambda: Landscape(1, a=-1.0), "got -1"),
        (lambda: Landscape(1, a=np.nan), "got nan"),
        (lambda: Landscape(1, c=0), "c must be positive"),
        (lambda: Landscape(1, c=np.inf), "got inf"),
        (lambda: Landscape(1, a=1, c=2, target_power=3.9), "c²/a = 4.*got 3.9"),
        (lambda: Landscape(1).free_energy(1, -0.1), r"at least 0; got -0\.1"),
        (lambda: minima(Landscape(2), [0.1, np.nan]), "got nan"),
        (lambda: minima(Landscape(2), np.inf), "got inf"),
        (lambda: Landscape(2).slope([1, 0], 0.1), r"positive u; got 0\.0"),
        (lambda: Landscape(2).curvature(-1, 0.1), r"got -1\.0"),
        (lambda: Landscape(2).stiffness(-1, 0.1), r"got -1\.0"),
        (lambda: hysteresis(Landscape(2), [0.1, -0.2]), r"got -0\.2"),
        (lambda: followed(Landscape(2), [0.1], -1), "start is a strength"),
        (lambda: followed(Landscape(2), [0.1], 1, kick=np.nan), "kick is a strength"),
        (lambda: followed(Landscape(2), 0.1, 1), r"one dimension; got shape \(\)"),
    ],
)
def test_what_has_no_landscape_is_refused(make, message):
    with pytest.raises(LandscapeError, match=message) as caught:
        make()
    assert isinstance(caught.value, ComputeError)
