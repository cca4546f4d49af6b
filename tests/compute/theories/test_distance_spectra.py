"""Spectra of distance matrices: of regular points, of random ones, and what always holds."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from shapes_of_points import clusters, cross_polytope, icosahedron, on_circle, on_sphere

from rdmviz.compute.errors import DistanceError, RepresentationError
from rdmviz.compute.theories.distances.matrices import METRICS, distance_matrix
from rdmviz.compute.theories.distances.spectra import distance_spectra, distance_spectrum, magnitudes
from rdmviz.compute.theories.distances.spheres import sphere_levels

whole = st.tuples(st.integers(2, 12), st.integers(1, 6)).flatmap(
    lambda shape: arrays(np.float64, shape, elements=st.integers(-20, 20))
)


def spectrum(points, metric="arccos"):
    return distance_spectra(points[None], metric, 0).eigenvalues[0]


@pytest.mark.parametrize("n", [10, 64, 200])
def test_evenly_spaced_points_of_a_circle_have_their_exact_doublets(n):
    """The matrix is circulant; its eigenvalues are the Fourier sums of a triangle and of a rectified sine."""
    frequency = np.r_[1 : n // 2, n // 2]
    double = np.repeat(frequency, 2)[:-1]  # for even n the highest frequency is single
    triangle = np.where(double % 2, -2 * np.pi / n / np.sin(np.pi * double / n) ** 2, 0)
    rounding = 4 * n * np.finfo(float).eps * n * np.pi / 2  # 4 N eps times the norm of the matrix
    found = spectrum(on_circle(n))
    assert found[0] == pytest.approx(n * np.pi / 2, abs=rounding)
    np.testing.assert_allclose(found[1:], np.sort(triangle), atol=rounding)
    sines = 2 * np.sin(np.pi / n) / (np.cos(2 * np.pi * double / n) - np.cos(np.pi / n))
    found = spectrum(on_circle(n), "euclidean")
    assert found[0] == pytest.approx(2 / np.tan(np.pi / (2 * n)), abs=rounding)
    np.testing.assert_allclose(found[1:], np.sort(sines), atol=rounding)


@pytest.mark.parametrize("dimension", range(7))
def test_a_cross_polytope_has_one_multiplet_of_d_plus_1(dimension):
    found = spectrum(cross_polytope(dimension))
    m = dimension + 1
    expected = np.r_[np.pi * m, np.full(m, -np.pi), np.zeros(m - 1)]
    np.testing.assert_allclose(found, expected, atol=1e-13 * m)


def test_an_icosahedron_has_the_levels_of_its_symmetry():
    a = math.acos(5**-0.5)
    odd = math.sqrt(5) * (2 * a - np.pi)
    # Vertex to itself 0, five at a, five at π - a, one at π.
    expected = np.r_[6 * np.pi, np.full(3, odd - np.pi), np.full(3, -odd - np.pi), np.zeros(5)]
    np.testing.assert_allclose(spectrum(icosahedron()), np.r_[expected[0], np.sort(expected[1:])], atol=1e-13)


@pytest.mark.parametrize(("metric", "apart"), [("arccos", np.pi / 2), ("euclidean", 2**0.5)])
@pytest.mark.parametrize(("count", "size"), [(2, 5), (5, 8), (12, 2)])
def test_equidistant_clusters_have_degenerate_negatives_one_fewer(metric, apart, count, size):
    expected = np.r_[
        apart * size * (count - 1), np.full(count - 1, -apart * size), np.zeros(count * (size - 1))
    ]
    found = distance_spectra(clusters(count, size)[None], metric, 0)
    np.testing.assert_allclose(found.eigenvalues[0], expected, atol=1e-13 * count * size)
    assert found.perron == pytest.approx(expected[0])
    assert found.duplicates.tolist() == [count * (size - 1)]


@pytest.mark.parametrize(
    ("dimension", "metric"), [(1, "arccos"), (2, "arccos"), (3, "arccos"), (2, "euclidean")]
)
def test_random_points_of_a_sphere_have_its_levels(dimension, metric):
    """A multiplet's mean errs by c/N: twice that of 2N less that of N, within 4 of its standard errors."""
    rng = np.random.default_rng(10 * dimension)
    n, seeds = 150, 40
    theory = sphere_levels(dimension, metric, 4)
    degrees = [0, *np.flatnonzero(theory.level < -1e-12)[:2]]
    sizes = np.cumsum([0, *theory.multiplicity[degrees]])
    means = {}
    for points in (n, 2 * n):
        values = distance_spectra(on_sphere(rng, points, dimension, seeds), metric, 0).eigenvalues / points
        means[points] = np.stack([values[:, a:b].mean(axis=1) for a, b in pairwise(sizes)])
    extrapolated = 2 * means[2 * n].mean(axis=1) - means[n].mean(axis=1)
    error = np.sqrt((4 * means[2 * n].var(axis=1, ddof=1) + means[n].var(axis=1, ddof=1)) / seeds)
    assert (np.abs(extrapolated - theory.level[degrees]) < 4 * error).all()


@given(whole)
def test_one_eigenvalue_is_positive_and_all_add_up_to_zero(points):
    assume((points != 0).any(axis=1).all())
    for metric in METRICS:
        distances = distance_matrix(points, metric)
        values, _ = distance_spectrum(distances)
        rounding = 1e-12 * len(points) * distances.max()
        assert (values[1:] <= rounding).all()
        assert (np.diff(values[1:]) >= 0).all()
        assert abs(values.sum()) <= rounding
        sums = distances.sum(axis=1)
        assert sums.mean() - rounding <= values[0] <= sums.max() + rounding


@given(whole, st.integers(0, 2**32 - 1))
def test_order_and_turns_of_the_points_change_nothing(points, seed):
    assume((points != 0).any(axis=1).all())
    rng = np.random.default_rng(seed)
    turn = np.linalg.qr(rng.standard_normal((points.shape[1],) * 2))[0]
    other = (points @ turn)[rng.permutation(len(points))]
    for metric in METRICS:
        # Turning rounds the points, and the angle of parallel vectors by as much as that.
        np.testing.assert_allclose(
            spectrum(other, metric), spectrum(points, metric), atol=1e-12 * len(points) * 20 * np.sqrt(6)
        )


def test_vectors_belong_to_the_values_and_have_their_largest_entry_up():
    rng = np.random.default_rng(4)
    distances = distance_matrix(rng.standard_normal((20, 6)))
    values, vectors = distance_spectrum(distances, 5)
    np.testing.assert_allclose(vectors @ distances, values[1:6, None] * vectors, atol=1e-12)
    np.testing.assert_allclose(vectors @ vectors.T, np.eye(5), atol=1e-13)
    assert (vectors.max(axis=1) == np.abs(vectors).max(axis=1)).all()
    every, _ = distance_spectrum(distances)
    np.testing.assert_allclose(values, every, atol=1e-12)


def test_two_points_and_coinciding_points_have_a_spectrum():
    values, vectors = distance_spectrum([[0, 3], [3, 0]], 1)
    np.testing.assert_allclose(values, [3, -3], rtol=1e-15)
    np.testing.assert_allclose(np.abs(vectors), 0.5**0.5)
    together = distance_spectra(np.ones((2, 5, 3)))
    assert not together.eigenvalues.any()
    assert together.duplicates.tolist() == [4, 4]


def test_magnitudes_take_rounding_for_zero():
    assert magnitudes([10.0, -8, -2, -1e-15, 1e-15]).tolist() == [8, 2, 0, 0]
    with pytest.raises(DistanceError, match=r"shape \(1,\)"):
        magnitudes([1.0])


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (np.zeros((2, 3)), r"shape \(2, 3\)"),
        (np.zeros((1, 1)), "at least 2"),
        ([[0, -1], [-1, 0]], "from -1.0"),
        ([[0, np.nan], [np.nan, 0]], "finite"),
        ([[1, 2], [2, 0]], "diagonal from 0.0 to 1.0"),
        ([[0, 1], [2, 0]], "transpose"),
    ],
)
def test_what_are_no_distances_is_refused(matrix, message):
    with pytest.raises(DistanceError, match=message):
        distance_spectrum(matrix)


def test_there_are_no_more_vectors_than_points_less_one():
    with pytest.raises(DistanceError, match="vectors=3"):
        distance_spectra(np.random.default_rng(0).random((2, 3, 4)), vectors=3)
    with pytest.raises(RepresentationError, match="no snapshot"):
        distance_spectra(iter([]))
