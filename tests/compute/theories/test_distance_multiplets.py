"""Top multiplets and the dimension they imply: exact ones, random points, noise without structure."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shapes_of_points import clusters, cross_polytope, icosahedron, on_circle, on_sphere

from rdmviz.compute.errors import DistanceError
from rdmviz.compute.theories.distances.multiplets import LEAST_GAP, gap_ratios, top_multiplet
from rdmviz.compute.theories.distances.spectra import distance_spectra


def multiplet(points, metric="arccos", **options):
    return top_multiplet(distance_spectra(np.atleast_3d(points.T).T, metric, 0).eigenvalues, **options)


def test_regular_points_of_a_circle_a_sphere_and_higher_ones():
    for points, m in [
        (on_circle(60), 2),
        (icosahedron(), 3),
        *((cross_polytope(d), d + 1) for d in (1, 3, 5)),
    ]:
        found = multiplet(points)
        assert found.multiplicity == m
        assert found.dimension == m - 1
        assert found.spread == pytest.approx(1, abs=1e-12)
        assert found.resolved


def test_the_gaps_of_a_circle_are_those_of_its_exact_levels():
    """|λ| ~ 1/sin²(πk/N) for odd k, twice each."""
    n = 80
    levels = np.sin(np.pi * np.arange(1, 10, 2) / n) ** -2
    ratios = gap_ratios(distance_spectra(on_circle(n)[None], vectors=0).eigenvalues, at_most=8)
    assert ratios.shape == (1, 8)
    np.testing.assert_allclose(ratios[0, ::2], 1, rtol=1e-10)
    np.testing.assert_allclose(ratios[0, 1::2], levels[:-1] / levels[1:], rtol=1e-10)


@pytest.mark.parametrize("metric", ["arccos", "euclidean"])
@pytest.mark.parametrize(("count", "size"), [(2, 5), (4, 10), (9, 3)])
def test_k_clusters_have_multiplicity_k_minus_1_whatever_their_noise(metric, count, size):
    rng = np.random.default_rng(count)
    for noise in (0, 0.02):
        points = clusters(count, size)
        found = multiplet(points + noise * rng.standard_normal(points.shape), metric)
        assert found.multiplicity == count - 1
        assert found.resolved
        assert found.doubt < 0.5
        assert np.isinf(found.gap) == (noise == 0)


@pytest.mark.parametrize("dimension", [1, 2, 3, 4])
def test_random_points_of_a_sphere_tell_its_dimension(dimension):
    found = multiplet(on_sphere(np.random.default_rng(dimension), 200, dimension, 30))
    assert (found.dimension == dimension).all()
    assert (found.gap > 5).all()
    assert (found.doubt < 0.5).all()


def test_noise_of_high_dimension_does_not_hide_a_sphere_and_has_no_multiplet_itself():
    rng = np.random.default_rng(5)
    noise = rng.standard_normal((20, 120, 400)) / 20
    sphere = np.zeros((20, 120, 400))
    sphere[..., :3] = on_sphere(rng, 120, 2, 20)
    for metric in ("arccos", "euclidean"):
        found = multiplet(sphere + 0.5 * noise, metric)
        assert (found.dimension == 2).all()
        alone = multiplet(noise, metric)
        assert not alone.resolved.any()
        assert np.isnan(alone.dimension).all()
        assert (alone.gap < LEAST_GAP).all()


@pytest.mark.parametrize("n", [30, 60, 120])
def test_isotropic_noise_of_as_many_dimensions_stays_below_the_least_gap(n):
    noise = np.random.default_rng(n).standard_normal((60, n, n))
    assert (multiplet(noise).gap < LEAST_GAP).all()


def test_the_rule_on_spectra_made_by_hand():
    values = np.array(
        [
            [30, -8, -8, -8, -1, -0.9, -0.8, -0.8, -0.8],  # a clean triplet
            [30, -8, -4, -2, -1, -0.5, -0.25, -0.2, -0.2],  # gaps all alike: no place to cut
            [30, -8, -2, -2, -0.7, -0.6, -0.6, -0.6, -0.6],  # two gaps, 4 and 20/7
            [0, 0, 0, 0, 0, 0, 0, 0, 0],  # all points coincide
            [30, -9, -5, -4, -2, -2, -2, -2, -2],  # the multiplet is wider than the gap below it
        ],
        dtype=float,
    )
    found = top_multiplet(values)
    assert found.multiplicity.tolist() == [3, 1, 1, 0, 3]
    np.testing.assert_allclose(found.gap, [8, 2, 4, 1, 2])
    np.testing.assert_allclose(found.spread, [1, 1, 1, 1, 9 / 4])
    np.testing.assert_allclose(found.doubt[1:], [1, np.log(20 / 7) / np.log(4), 1, 1])
    assert found.resolved.tolist() == [True, True, True, False, False]
    np.testing.assert_array_equal(found.dimension, [2, 0, 0, np.nan, np.nan])


@given(st.integers(0, 2**32 - 1), st.integers(4, 30), st.integers(-20, 20), st.integers(1, 20))
def test_scale_changes_nothing_and_multiplicity_stays_within_half(seed, n, exponent, at_most):
    values = np.sort(-np.random.default_rng(seed).exponential(size=(3, n - 1)), axis=1)
    values = np.c_[-values.sum(axis=1), values]
    one, other = (top_multiplet(values * scale, at_most) for scale in (1, 2.0**exponent))
    np.testing.assert_array_equal(one.multiplicity, other.multiplicity)
    np.testing.assert_array_equal(one.gap, other.gap)
    assert (one.multiplicity >= 1).all()
    assert (one.multiplicity <= min(at_most, n // 2)).all()
    assert ((one.doubt >= 0) & (one.doubt <= 1)).all()


def test_two_points_have_no_gap():
    assert gap_ratios([3.0, -2, -1]).tolist() == [2]
    with pytest.raises(DistanceError, match="at least 3 points"):
        top_multiplet([2.0, -2])
    with pytest.raises(DistanceError, match="at_most of at least 1; got 6 and 0"):
        gap_ratios([5.0, -1, -1, -1, -1, -1], at_most=0)
