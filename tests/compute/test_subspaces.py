"""Overlap of subspaces: closed forms, invariances, and chance."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rdmviz.compute.rdm.subspaces import chance_overlap, relabelled_overlap, subspace_overlap


def random_subspace(rng, k, n):
    return np.linalg.qr(rng.standard_normal((n, k)))[0].T


def test_the_same_subspace_is_one_and_orthogonal_ones_are_zero():
    basis = random_subspace(np.random.default_rng(0), 6, 20)
    assert subspace_overlap(basis[:3], basis[:3]) == pytest.approx(1, abs=1e-14)
    assert subspace_overlap(basis[:3], basis[3:]) == pytest.approx(0, abs=1e-28)


def test_planes_at_an_angle_overlap_by_its_squared_cosine():
    angle = 0.7
    a = np.eye(4)[:2]
    b = np.array([[1, 0, 0, 0], [0, np.cos(angle), np.sin(angle), 0]])
    assert subspace_overlap(a, b) == pytest.approx((1 + np.cos(angle) ** 2) / 2, rel=1e-14)


@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.integers(6, 12))
def test_sign_order_and_rotation_of_a_basis_change_nothing(seed, k, n):
    rng = np.random.default_rng(seed)
    a, b = random_subspace(rng, k, n), random_subspace(rng, k, n)
    value = subspace_overlap(a, b)
    assert 0 <= value <= 1
    turned = np.linalg.qr(rng.standard_normal((k, k)))[0] @ a
    signed = (a * rng.choice([-1, 1], k)[:, None])[rng.permutation(k)]
    for other in (turned, signed):
        assert subspace_overlap(other, b) == pytest.approx(value, rel=1e-12)
        assert subspace_overlap(b, other) == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize(("k", "n"), [(1, 10), (3, 10), (4, 60)])
def test_random_subspaces_overlap_by_chance_as_stated(k, n):
    rng = np.random.default_rng(k)
    draws = 4000
    values = np.array(
        [subspace_overlap(random_subspace(rng, k, n), random_subspace(rng, k, n)) for _ in range(draws)]
    )
    mean, deviation = chance_overlap(k, n)
    assert mean == k / n
    assert abs(values.mean() - mean) < 4 * deviation / np.sqrt(draws)
    # The variance of the sample variance, from the sample itself.
    spread = np.std((values - values.mean()) ** 2) / np.sqrt(draws)
    assert abs(values.var() - deviation**2) < 4 * spread


def test_the_whole_space_leaves_nothing_to_chance():
    assert chance_overlap(5, 5) == (1, 0)


def test_relabelling_is_the_mean_over_all_permutations():
    rng = np.random.default_rng(2)
    a, b = random_subspace(rng, 2, 6), random_subspace(rng, 2, 6)
    every = [subspace_overlap(a[:, list(order)], b) for order in permutations(range(6))]
    assert relabelled_overlap(a, b) == pytest.approx(np.mean(every), rel=1e-12)


def test_a_shared_common_mode_is_not_taken_for_shared_structure():
    ones = np.full((1, 30), 30**-0.5)
    assert relabelled_overlap(ones, ones) == pytest.approx(1)
