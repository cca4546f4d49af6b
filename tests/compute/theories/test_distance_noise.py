"""Ambient noise from the bulk: exact where noise vectors are orthogonal, and with real noise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shapes_of_points import on_sphere

from rdmviz.compute.errors import DistanceError
from rdmviz.compute.theories.distances.multiplets import top_multiplet
from rdmviz.compute.theories.distances.noise import ambient_noise, bulk_level
from rdmviz.compute.theories.distances.spectra import distance_spectra
from rdmviz.compute.theories.distances.spheres import sphere_levels


def with_orthogonal_noise(points, s2):
    """What isotropic noise of variance ``s2`` is in infinitely many dimensions: each its own direction."""
    own = np.broadcast_to(np.eye(points.shape[-2]), (*points.shape[:-1], points.shape[-2]))
    return np.concatenate([points, np.sqrt(s2) * own], axis=-1)


@pytest.mark.parametrize("noise", [0.2, 1.0, 3.0])
def test_noise_in_infinitely_many_dimensions_gives_the_bulk_and_the_multiplet_of_theory(noise):
    """cos of an angle is ρ times that of the sphere exactly; the rest errs as random points do.

    Harmonics of degree l are down by ρ^l: at the median, k = N/2 and l ~ sqrt(N/2) = 10, below 1e-2 of the
    multiplet's share of the bulk for the least noise. The multiplet's mean errs by c/N, taken out as for the
    clean sphere.
    """
    rng = np.random.default_rng(int(10 * noise))
    n, seeds = 100, 40
    means = []
    for points in (n, 2 * n):
        noisy = with_orthogonal_noise(on_sphere(rng, points, 2, seeds), noise)
        spectra = distance_spectra(noisy, "arccos", 0).eigenvalues
        # Less the diagonal, which is known: it falls as 1/N and would be taken for the error.
        theory = sphere_levels(2, "arccos", 2, noise=noise, points=points).level[1]
        means.append(spectra[:, 1:4].mean(axis=1) / points - theory)
        assert (top_multiplet(spectra).multiplicity == 3).all()
    level = bulk_level(spectra)
    np.testing.assert_allclose(level, np.arccos(1 / (1 + noise)), rtol=1e-2 if noise < 1 else 1e-3)
    np.testing.assert_allclose(ambient_noise(level), noise, rtol=3e-2 if noise < 1 else 5e-3)
    extrapolated = 2 * means[1].mean() - means[0].mean()
    error = np.sqrt((4 * means[1].var(ddof=1) + means[0].var(ddof=1)) / seeds)
    assert abs(extrapolated) < 4 * error


@pytest.mark.parametrize("metric", ["arccos", "euclidean"])
def test_noise_of_many_dimensions_is_read_off_within_the_bound_of_weyl(metric):
    """In D dimensions distances stray by a symmetric random matrix, whose norm bounds the bulk's error.

    Its entries have the deviation σ of a product of two noise vectors, ``sqrt(2 s² + s⁴)/sqrt(D)``, times the
    slope of the distance in it, ``ρ / sqrt(1 - ρ²)`` at most for angles and ``1/sqrt(2 s²)`` for lengths; the
    norm is ``2 σ sqrt(N)``. Squared lengths of the noise stray by ``sqrt(2/D)`` relative, which is less.
    """
    rng = np.random.default_rng(3)
    n, dimensions, s2 = 100, 20000, 0.8
    signal = np.zeros((n, dimensions))
    signal[:, :3] = on_sphere(rng, n, 2)
    noisy = signal + np.sqrt(s2 / dimensions) * rng.standard_normal((n, dimensions))
    level = bulk_level(distance_spectra(noisy[None], metric, 0).eigenvalues)[0]
    rho = 1 / (1 + s2)
    expected, slope = {
        "arccos": (np.arccos(rho), rho / np.sqrt(1 - rho**2)),
        "euclidean": (np.sqrt(2 * s2), 1 / np.sqrt(2 * s2)),
    }[metric]
    assert abs(level - expected) < 2 * np.sqrt(n) * slope * np.sqrt((2 * s2 + s2**2) / dimensions)
    assert ambient_noise(level, metric) == pytest.approx(s2, rel=0.15)


@given(st.floats(0, 50))
def test_level_and_noise_are_inverse(noise):
    assert ambient_noise(np.arccos(1 / (1 + noise))) == pytest.approx(noise, rel=1e-9, abs=1e-12)
    assert ambient_noise(np.sqrt(2 * noise), "euclidean") == pytest.approx(noise, rel=1e-12)


def test_without_signal_the_noise_is_infinite_and_without_noise_the_bulk_is_the_spacing():
    orthogonal = np.eye(40)[None]
    level = bulk_level(distance_spectra(orthogonal).eigenvalues)
    np.testing.assert_allclose(level, np.pi / 2, rtol=1e-12)
    assert np.isinf(ambient_noise([np.pi / 2, 2.0])).all()
    rng = np.random.default_rng(0)
    # Twice as many points of a circle lie twice as close.
    coarse, fine = (
        bulk_level(distance_spectra(on_sphere(rng, n, 1, 20)).eigenvalues).mean() for n in (100, 200)
    )
    assert coarse / fine == pytest.approx(2, rel=0.1)


def test_what_is_no_level_or_metric_is_refused():
    with pytest.raises(DistanceError, match=r"-0\.1"):
        ambient_noise([0.2, -0.1])
    with pytest.raises(DistanceError, match="'chord'"):
        ambient_noise(0.2, "chord")
    with pytest.raises(DistanceError, match="nan"):
        ambient_noise(np.nan)
