"""Particle clouds: what they give back, and that they do not turn by themselves."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import orthogonal_procrustes
from scipy.spatial.transform import Rotation
from shapes_of_points import clusters, cross_polytope, on_circle, on_sphere

from rdmviz.compute.errors import DistanceError, RepresentationError
from rdmviz.compute.theories.distances.clouds import aligned, classical_clouds, spectral_clouds
from rdmviz.compute.theories.distances.matrices import distance_matrix
from rdmviz.compute.theories.distances.spectra import distance_spectra


def distance_after_turning(a, b):
    """Root mean square distance of two clouds after the best turn."""
    return np.sqrt(np.square(a @ orthogonal_procrustes(a, b)[0] - b).sum(axis=1).mean())


def test_a_circle_comes_back_as_a_circle():
    n = 30
    cloud = spectral_clouds(distance_spectra(on_circle(n)[None]))
    exact = 2 * np.pi / n / np.sin(np.pi / n) ** 2  # |λ_1|, and a unit eigenvector sqrt(2/n) cos
    radius = np.sqrt(exact * 2 / n)
    third = np.sqrt(2 * np.pi / n / np.sin(3 * np.pi / n) ** 2 * 2 / n)
    lengths = np.linalg.norm(cloud.places[0, :, :2], axis=1)
    np.testing.assert_allclose(lengths, radius, rtol=1e-12)
    assert (np.abs(cloud.places[0, :, 2]) <= third * (1 + 1e-12)).all()
    assert cloud.gap == pytest.approx(1, rel=1e-10)  # the third harmonic is double and is cut


def test_an_octahedron_comes_back_as_an_octahedron():
    cloud = spectral_clouds(distance_spectra(cross_polytope(2)[None]))
    expected = np.sqrt(np.pi / 2) * cross_polytope(2)  # |λ| = π, eigenvectors of unit length over two points
    assert distance_after_turning(cloud.places[0], expected) < 1e-12
    assert cloud.share == pytest.approx(1, abs=1e-12)
    assert np.isinf(cloud.gap)


def test_four_clusters_are_the_corners_of_a_tetrahedron():
    for clouds in (
        spectral_clouds(distance_spectra(clusters(4, 5)[None])),
        classical_clouds(clusters(4, 5)[None]),
    ):
        corners = distance_matrix(clouds.places[0, ::5], "euclidean")
        sides = corners[np.triu_indices(4, 1)]
        np.testing.assert_allclose(sides, sides[0], rtol=1e-10)
        assert distance_matrix(clouds.places[0, :5], "euclidean").max() < 1e-7


def test_classical_scaling_of_lengths_gives_the_points_back():
    points = np.random.default_rng(0).standard_normal((1, 25, 3)) * [3, 2, 1]
    clouds = classical_clouds(points, "euclidean")
    assert distance_after_turning(clouds.places[0], points[0] - points[0].mean(axis=0)) < 1e-12
    assert clouds.share == pytest.approx(1, abs=1e-12)
    wide = np.random.default_rng(1).standard_normal((1, 25, 6)) * [5, 4, 3, 2, 1, 1]
    clouds = classical_clouds(wide, "euclidean")
    singular = np.linalg.svd(wide[0] - wide[0].mean(axis=0), compute_uv=False) ** 2
    np.testing.assert_allclose(np.square(clouds.places[0]).sum(axis=0), singular[:3], rtol=1e-10)
    assert clouds.share == pytest.approx(singular[:3].sum() / singular.sum(), rel=1e-10)
    assert clouds.gap == pytest.approx(singular[2] / singular[3], rel=1e-10)


def test_angles_are_not_euclidean_and_count_against_the_share():
    assert 0.5 < classical_clouds(on_sphere(np.random.default_rng(2), 40, 2, 1)).share < 0.99


@pytest.mark.parametrize("n", [2, 3])
def test_few_points_fill_few_axes(n):
    points = np.random.default_rng(n).standard_normal((2, n, 5))
    for clouds in (spectral_clouds(distance_spectra(points, vectors=n - 1)), classical_clouds(points)):
        assert clouds.places.shape == (2, n, 3)
        assert (clouds.places[..., 0] != 0).any()
        assert not clouds.places[..., n - 1 :].any()
        np.testing.assert_allclose(clouds.share, 1)
        assert np.isnan(clouds.gap).all()


def test_points_that_coincide_are_a_cloud_at_one_place():
    for clouds in (
        spectral_clouds(distance_spectra(np.ones((1, 6, 3)))),
        classical_clouds(np.ones((1, 6, 3))),
    ):
        assert not clouds.places.any()
        assert np.isnan(clouds.share).all()
        assert np.isnan(clouds.gap).all()


@given(st.integers(0, 2**32 - 1), st.integers(4, 20), st.integers(2, 6))
def test_turned_and_mirrored_clouds_come_to_lie_on_the_first(seed, n, snapshots):
    rng = np.random.default_rng(seed)
    cloud = rng.standard_normal((n, 3))
    turns = np.linalg.qr(rng.standard_normal((snapshots, 3, 3)))[0]
    found = aligned(cloud @ turns)
    np.testing.assert_allclose(found, np.broadcast_to(found[0], found.shape), atol=1e-12)
    np.testing.assert_allclose(found[0], cloud @ turns[0])


@given(st.integers(0, 2**32 - 1), st.integers(1, 5))
def test_alignment_keeps_shapes_and_what_comes_later_changes_nothing_before(seed, cut):
    clouds = np.random.default_rng(seed).standard_normal((6, 8, 3))
    found = aligned(clouds)
    np.testing.assert_array_equal(aligned(clouds[:cut]), found[:cut])
    for one, other in zip(clouds, found, strict=True):
        np.testing.assert_allclose(
            distance_matrix(other, "euclidean"), distance_matrix(one, "euclidean"), atol=1e-12
        )


def test_a_sphere_that_is_slowly_squeezed_moves_smoothly_where_raw_eigenvectors_flip():
    """Between snapshots no point moves further than the shapes differ, but for what a best turn leaves."""
    rng = np.random.default_rng(5)
    points = on_sphere(rng, 80, 2)
    squeeze = np.linspace(0.8, 1.25, 40)  # the order of the axes changes on the way
    turn = Rotation.from_rotvec([0.3, -0.2, 0.5]).as_matrix()
    run = np.stack([points * [1, 1 / s, s] @ turn for s in squeeze])
    raw = spectral_clouds(distance_spectra(run, "euclidean")).places
    smooth = aligned(raw)
    jumps = [np.linalg.norm(np.diff(c, axis=0), axis=-1).max(axis=1) for c in (raw, smooth)]
    size = np.linalg.norm(raw, axis=-1).mean()
    assert jumps[0].max() > size
    assert jumps[1].max() < 0.05 * size  # each step squeezes two axes by 1.2 %: four times that


def test_a_collapse_on_the_way_does_not_lose_the_orientation():
    rng = np.random.default_rng(6)
    cloud = rng.standard_normal((10, 3))
    turn = np.linalg.qr(rng.standard_normal((3, 3)))[0]
    found = aligned([np.zeros((10, 3)), cloud, np.zeros((10, 3)), cloud @ turn])
    assert not found[[0, 2]].any()
    np.testing.assert_allclose(found[3], cloud, atol=1e-12)


def test_what_are_no_clouds_is_refused():
    with pytest.raises(DistanceError, match="vectors=3"):
        spectral_clouds(distance_spectra(np.random.default_rng(0).random((1, 6, 3)), vectors=2))
    with pytest.raises(DistanceError, match=r"shape \(4, 3\)"):
        aligned(np.ones((4, 3)))
    with pytest.raises(DistanceError, match="NaN"):
        aligned(np.full((2, 4, 3), np.nan))
    with pytest.raises(RepresentationError, match="no snapshot"):
        classical_clouds([])
