"""Distances: closed forms, digits, invariances, and what has no distances."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.distance import pdist, squareform

from rdmviz.compute.errors import ComputeError, DistanceError, RepresentationError
from rdmviz.compute.theories.distances.matrices import (
    METRICS,
    distance_matrices,
    distance_matrix,
    duplicates,
    each_distance_matrix,
)

whole = st.tuples(st.integers(2, 12), st.integers(1, 6)).flatmap(
    lambda shape: arrays(np.float64, shape, elements=st.integers(-20, 20))
)


def test_angles_of_a_regular_polygon_and_lengths_of_a_grid():
    turn = 2 * np.pi * np.arange(10) / 10
    apart = np.abs(np.subtract.outer(np.arange(10), np.arange(10)))
    angles = distance_matrix(np.c_[np.cos(turn), np.sin(turn)] * np.geomspace(1e-3, 1e3, 10)[:, None])
    np.testing.assert_allclose(angles, np.minimum(apart, 10 - apart) * 2 * np.pi / 10, atol=1e-14)
    lengths = distance_matrix(np.arange(7)[:, None] * [3, 4], "euclidean")
    np.testing.assert_allclose(lengths, 5 * apart[:7, :7], rtol=1e-14)


@pytest.mark.parametrize("exponent", range(0, 13, 2))
def test_small_angles_between_nearly_equal_and_nearly_opposite_vectors_keep_their_digits(exponent):
    """The arc cosine of a dot product has lost all digits at an angle of 1e-8."""
    angle = 10.0**-exponent
    far = [[0, 0, 7], [5, -2, 0]]
    points = np.array([[1, 0, 0], [np.cos(angle), np.sin(angle), 0], [-1, 0, 0], *far])
    found = distance_matrix(points)
    assert found[0, 1] == pytest.approx(angle, rel=1e-12)
    # π itself is known to 16 digits, and so is what is left to it.
    assert np.pi - found[1, 2] == pytest.approx(angle, rel=1e-12, abs=4 * np.finfo(float).eps)
    assert found[0, 2] == np.pi


@given(whole)
def test_lengths_are_those_of_plain_subtraction(points):
    # A squared distance above 1e-3 of the radii has lost 3 of 16 digits to cancellation, less width and sums.
    np.testing.assert_allclose(
        distance_matrix(points, "euclidean"), squareform(pdist(points)), rtol=1e-11, atol=0
    )


@given(whole)
def test_angles_are_those_of_the_dot_product_where_it_has_digits(points):
    assume((points != 0).any(axis=1).all())
    found = distance_matrix(points)
    directions = points / np.linalg.norm(points, axis=1)[:, None]
    # The arc cosine turns a rounding error of a few 1e-16 near 1 into its root.
    np.testing.assert_allclose(found, np.arccos(np.clip(directions @ directions.T, -1, 1)), atol=1e-7)
    np.testing.assert_array_equal(found, found.T)
    assert not found.diagonal().any()
    assert (found <= np.pi).all()


@given(whole, st.integers(-60, 60), st.integers(0, 2**32 - 1))
def test_lengths_of_vectors_do_not_change_angles_and_shifts_not_lengths(points, exponent, seed):
    assume((points != 0).any(axis=1).all())
    rng = np.random.default_rng(seed)
    grown = points * 2.0 ** rng.integers(-60, 60, len(points))[:, None]
    np.testing.assert_allclose(distance_matrix(grown), distance_matrix(points), rtol=1e-11, atol=1e-15)
    lengths = distance_matrix(points, "euclidean")
    scaled = 2.0**exponent * (points + rng.integers(-1000, 1000, points.shape[1]))
    np.testing.assert_allclose(
        distance_matrix(scaled, "euclidean"), 2.0**exponent * lengths, rtol=1e-11, atol=0
    )


@given(whole)
def test_a_distance_is_a_metric(points):
    assume((points != 0).any(axis=1).all())
    for metric in METRICS:
        d = distance_matrix(points, metric)
        detour = (d[:, :, None] + d[None, :, :]).min(axis=1)
        assert (d <= detour * (1 + 1e-10) + 1e-12).all()


def test_a_common_mean_a_million_times_the_spread_costs_no_digits():
    rng = np.random.default_rng(0)
    spread = rng.integers(-8, 8, (40, 16)) / 8
    far = spread + 2.0**20
    np.testing.assert_allclose(
        distance_matrix(far, "euclidean"), distance_matrix(spread, "euclidean"), rtol=1e-11
    )
    exact = far.astype(np.longdouble)
    exact /= np.sqrt(np.square(exact).sum(axis=1, keepdims=True))
    chords = np.sqrt(np.square(exact[:, None] - exact).sum(axis=-1)).astype(float)
    # The directions themselves are rounded at 1e-16, which is 1e-10 of angles of 1e-6.
    np.testing.assert_allclose(distance_matrix(far), 2 * np.arcsin(chords / 2), rtol=1e-8)


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_numbers_whose_squares_leave_float64(scale):
    points = np.array([[3.0, 0], [0, 4], [3, 4]])
    np.testing.assert_allclose(
        distance_matrix(points * scale, "euclidean"), scale * distance_matrix(points, "euclidean"), rtol=1e-14
    )
    np.testing.assert_allclose(distance_matrix(points * scale), distance_matrix(points), rtol=1e-13)


def test_duplicates_are_at_distance_zero_exactly_and_are_counted():
    rng = np.random.default_rng(1)
    points = rng.standard_normal((30, 64))
    points[[7, 11, 12]] = points[3]
    points[20] = points[21]
    for metric in METRICS:
        distances = distance_matrix(points, metric)
        assert distances[3, 7] == distances[11, 12] == distances[20, 21] == 0
        assert duplicates(distances) == 4
    points[20] *= 2  # another length, the same direction
    assert duplicates(distance_matrix(points)) == 4
    assert duplicates(distance_matrix(points, "euclidean")) == 3


def test_points_that_all_coincide_have_no_distances_but_zero():
    for metric in METRICS:
        assert not distance_matrix(np.full((5, 3), 0.1), metric).any()
    assert not distance_matrix(np.zeros((5, 3)), "euclidean").any()


def test_tight_clusters_are_taken_pair_by_pair_in_blocks(monkeypatch):
    rng = np.random.default_rng(2)
    points = np.repeat(10 * np.eye(3), 20, axis=0) + 1e-9 * rng.standard_normal((60, 3))
    monkeypatch.setattr("rdmviz.compute.theories.distances.matrices._PAIR_NUMBERS", 100)
    np.testing.assert_allclose(distance_matrix(points, "euclidean"), squareform(pdist(points)), rtol=1e-11)


def test_snapshots_come_one_by_one_from_arrays_lists_and_generators():
    runs = np.random.default_rng(3).standard_normal((4, 6, 5)).astype(np.float32)
    all_at_once = distance_matrices(runs)
    assert all_at_once.shape == (4, 6, 6)
    for snapshots in (list(runs), iter(runs), runs.tolist()):
        np.testing.assert_array_equal(distance_matrices(snapshots), all_at_once)
    lazy = each_distance_matrix(iter([runs[0], "not read"]))
    np.testing.assert_array_equal(next(lazy), all_at_once[0])


@pytest.mark.parametrize(
    ("representation", "message"),
    [
        (np.zeros(4), r"shape \(4,\)"),
        (np.zeros((2, 3, 4, 5)), r"shape \(2, 3, 4, 5\)"),
        (np.ones((1, 5)), r"shape \(1, 5\).*at least two points"),
        (np.ones((5, 0)), r"shape \(5, 0\)"),
        ([["a", "b"], ["c", "d"]], "real numbers"),
        (np.ones((3, 2), complex), "complex128"),
        ([[1, 2], [np.nan, 2], [np.inf, 1]], "2 of 3 points, point 1"),
    ],
)
@pytest.mark.parametrize("metric", METRICS)
def test_what_is_no_representation_is_refused(representation, message, metric):
    with pytest.raises(RepresentationError, match=message):
        distance_matrix(representation, metric)


def test_a_zero_vector_has_no_angles_and_has_lengths():
    points = np.array([[1.0, 0], [0, 0], [0, 2]])
    with pytest.raises(RepresentationError, match=r"Snapshot 1 has 1 zero vectors among 3 points, point 1"):
        distance_matrices([np.ones((3, 2)), points])
    assert distance_matrix(points, "euclidean")[1].tolist() == [1, 0, 2]


@pytest.mark.parametrize("second", [np.ones((4, 3)), np.ones((5, 2))])
def test_width_and_points_must_not_change_along_a_run(second):
    with pytest.raises(
        RepresentationError, match=r"Snapshot 1 holds \d points of width \d, snapshot 0 4 of width 2"
    ):
        distance_matrices([np.ones((4, 2)), second])


def test_runs_without_snapshots_and_single_snapshots_are_told_apart():
    with pytest.raises(RepresentationError, match="no snapshot"):
        distance_matrices([])
    with pytest.raises(RepresentationError, match=r"representations\[None\]"):
        distance_matrices(np.ones((4, 2)))
    with pytest.raises(RepresentationError, match="got 5"):
        distance_matrices(5)


def test_an_unknown_metric_is_named_with_the_choices():
    with pytest.raises(DistanceError, match=r"'cosine'.*arccos, euclidean") as caught:
        distance_matrix(np.eye(3), "cosine")
    assert isinstance(caught.value, ComputeError)
