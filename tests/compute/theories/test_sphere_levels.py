"""Levels of spheres: known integrals, sums, and known numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rdmviz.compute.errors import DistanceError
from rdmviz.compute.theories.distances.spheres import sphere_levels


def test_a_circle_has_the_fourier_series_of_the_triangle_and_of_the_rectified_sine():
    degree = np.arange(1, 30)
    angles = sphere_levels(1, "arccos", 30)
    assert angles.level[0] == pytest.approx(np.pi / 2, rel=1e-14)
    np.testing.assert_allclose(
        angles.level[1:], np.where(degree % 2, -2 / (np.pi * degree**2), 0), rtol=1e-12, atol=1e-14
    )
    chords = sphere_levels(1, "euclidean", 30)
    np.testing.assert_allclose(chords.level[1:], -4 / np.pi / (4 * degree**2 - 1), rtol=1e-12, atol=1e-14)


def test_chords_of_a_sphere_have_the_classical_rational_levels():
    degree = np.arange(12)
    # ∫ of sqrt(2 - 2x) P_l(x) / 2 over -1..1.
    expected = -4 / ((2 * degree - 1) * (2 * degree + 1) * (2 * degree + 3))
    found = sphere_levels(2, "euclidean", 12)
    np.testing.assert_allclose(found.level, expected, rtol=1e-12, atol=1e-14)
    assert found.multiplicity.tolist() == [2 * n + 1 for n in degree]


@pytest.mark.parametrize(
    ("dimension", "metric", "mean", "levels"),
    [
        (1, "arccos", math.pi / 2, [(-0.6366, 2), (-0.0707, 2)]),
        (2, "arccos", math.pi / 2, [(-math.pi / 8, 3), (-0.0245, 7)]),
        (3, "arccos", math.pi / 2, [(-0.2829, 4), (-0.0113, 16)]),
        (2, "euclidean", 4 / 3, [(-0.2667, 3), (-0.0381, 5), (-0.0127, 7)]),
    ],
)
def test_known_levels_to_their_last_digit(dimension, metric, mean, levels):
    found = sphere_levels(dimension, metric, 6)
    assert found.level[0] == pytest.approx(mean, rel=1e-14)
    seen = [(v, m) for v, m in zip(found.level[1:], found.multiplicity[1:], strict=True) if v < -1e-12]
    for (level, multiplicity), (expected, count) in zip(seen, levels, strict=False):
        assert multiplicity == count
        assert level == pytest.approx(expected, abs=0.5e-4)


@given(st.integers(1, 6), st.sampled_from(["arccos", "euclidean"]))
def test_all_levels_add_up_to_the_distance_of_a_point_to_itself(dimension, metric):
    """Which is zero. Terms fall like 1/l²: those beyond the last, n, add up to n times the last (of angles,
    every other is zero: half of it), but for corrections of relative size dimension/n."""
    last = 239
    found = sphere_levels(dimension, metric, last + 1)
    terms = found.level * found.multiplicity
    beyond = terms[last] * (last + 1) / (2 if metric == "arccos" else 1)
    assert terms.sum() == pytest.approx(-beyond, rel=3 * dimension / last)
    assert found.level[0] > 0
    assert (found.level[1:] < 1e-14).all()


@pytest.mark.parametrize("noise", [0.05, 0.5, 3.0])
def test_noise_shrinks_the_cosine_and_sets_the_bulk(noise):
    rho = 1 / (1 + noise)
    x, w = np.polynomial.legendre.leggauss(400)
    found = sphere_levels(2, "arccos", 40, noise=noise, points=500)
    assert found.level[1] == pytest.approx(w @ (np.arccos(rho * x) * x) / 2 - np.arccos(rho) / 500, rel=1e-12)
    # High degrees have nothing left of the sphere.
    assert 500 * found.level[39] == pytest.approx(-np.arccos(rho), rel=1e-2 if noise < 0.1 else 1e-6)
    chords = sphere_levels(2, "euclidean", 2, noise=noise, points=500)
    assert chords.level[1] == pytest.approx(
        w @ (np.sqrt(2 - 2 * x + 2 * noise) * x) / 2 - np.sqrt(2 * noise) / 500, rel=1e-12
    )


@pytest.mark.parametrize("metric", ["arccos", "euclidean"])
def test_little_noise_is_close_to_none(metric):
    """Levels move by less than s²: arccos(ρx) - arccos(x) is at most (1 - ρ)x/sqrt(1 - x²), a chord c
    grows by at most s²/c, and both bounds average to s² over a sphere."""
    clean, noisy = (sphere_levels(2, metric, 4, noise=s2).level for s2 in (0, 1e-4))
    np.testing.assert_allclose(noisy, clean, rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    "options",
    [{"dimension": 0}, {"degrees": 0}, {"noise": -0.1}, {"noise": math.inf}, {"points": 1}, {"metric": "l1"}],
)
def test_what_is_no_sphere_is_refused(options):
    with pytest.raises(DistanceError, match=str(next(iter(options.values())))):
        sphere_levels(**{"dimension": 2, **options})
