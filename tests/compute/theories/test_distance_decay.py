"""Decay of distance spectra: exact power laws, spheres, and where there is no decay."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shapes_of_points import on_sphere

from rdmviz.compute.errors import DistanceError
from rdmviz.compute.theories.distances.decay import decay_slope
from rdmviz.compute.theories.distances.spectra import distance_spectra
from rdmviz.compute.theories.distances.spheres import sphere_levels


def falling(slope, count, scale=1.0):
    values = -scale * np.arange(1, count + 1.0) ** -slope
    return np.r_[-values.sum(), values]


@given(st.floats(0.2, 4), st.integers(20, 200), st.integers(-20, 20))
def test_a_power_law_gives_its_exponent(slope, count, exponent):
    found = decay_slope(falling(slope, count, 2.0**exponent), last=count // 2)
    assert found.slope == pytest.approx(slope, rel=1e-9)
    assert found.residual < 1e-9
    expected = 1 / (slope - 1) if slope > 1 else np.inf
    assert slope == pytest.approx(1, abs=1e-6) or found.dimension == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("dimension", [1, 2, 3])
@pytest.mark.parametrize("metric", ["arccos", "euclidean"])
def test_the_levels_of_a_sphere_fall_as_k_to_minus_d_plus_1_over_d(dimension, metric):
    """From degree 40 on, where the law holds up to the height of the steps.

    A step down at degree l is at most ε = ln of the ratio of neighbouring levels, (d + 1) 2/l for every other
    degree; errors of up to ε/2 tilt a line of length Λ in log k by at most 3 (ε/2)/Λ.
    """
    first_degree, last_degree = 40, 400 if dimension < 3 else 120
    theory = sphere_levels(dimension, metric, last_degree + 1)
    negative = np.flatnonzero(theory.level < -1e-14)
    values = np.repeat(theory.level[negative], theory.multiplicity[negative])
    first = int(theory.multiplicity[negative][negative < first_degree].sum())
    values = np.r_[-values.sum(), values]
    found = decay_slope(values, first=max(first, 1), last=len(values) - 1)
    length = np.log((len(values) - 1) / first)
    step = (dimension + 1) * 2 / first_degree
    assert found.slope == pytest.approx((dimension + 1) / dimension, abs=1.5 * step / length)


def test_random_points_fall_as_their_dimension_says_and_in_its_order():
    """Leaning low by as much as the docstring says."""
    rng = np.random.default_rng(0)
    for dimension, told in [(1, 0.9), (2, 1.7), (3, 2.3)]:
        found = decay_slope(distance_spectra(on_sphere(rng, 500, dimension, 4), vectors=0).eigenvalues)
        # The figures are rounded to 0.1; four runs of 500 points spread less than that.
        assert np.abs(found.dimension - told).max() < 0.15


def test_the_fit_ends_at_the_bulk():
    floor = np.full(200, 0.01)
    values = np.r_[np.arange(1, 31.0) ** -2, floor[30:]]
    found = decay_slope(np.r_[values.sum(), -values])
    assert found.last == 7  # 1/49 > 2 × 0.01 > 1/64
    assert found.slope == pytest.approx(2)


def test_where_nothing_stands_clear_of_the_bulk_there_is_no_slope():
    noise = np.random.default_rng(1).standard_normal((2, 60, 600))
    found = decay_slope(distance_spectra(noise).eigenvalues)
    assert np.isnan(found.slope).all()
    assert np.isnan(found.dimension).all()
    together = decay_slope(distance_spectra(np.ones((1, 30, 3))).eigenvalues)
    assert np.isnan(together.slope).all()


@pytest.mark.parametrize(("first", "last"), [(0, 10), (1, 4), (8, 11), (1, 41)])
def test_a_range_that_is_none_is_refused(first, last):
    with pytest.raises(DistanceError, match=rf"first={first}, last={last}"):
        decay_slope(falling(2, 40), first, last)
