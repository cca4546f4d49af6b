"""Classes and residues in a 2RDM, against what is known in closed form."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rdmviz.compute.errors import ComputeError
from rdmviz.compute.rdm.residues import class_share, frequency_power

RESIDUES = np.tile(np.arange(7), 4)


def test_members_that_move_as_one_are_explained_whole():
    rows = np.random.default_rng(0).standard_normal((5, 7))[:, RESIDUES]
    assert class_share(rows, RESIDUES) == pytest.approx(1)
    assert class_share(rows, RESIDUES.astype(str)) == pytest.approx(1)


def test_independent_datapoints_are_explained_by_nothing():
    shares = [
        class_share(np.random.default_rng(seed).standard_normal((200, 28)), RESIDUES) for seed in range(20)
    ]
    assert np.mean(shares) == pytest.approx(0, abs=4 * np.std(shares) / 20**0.5)


def test_share_of_classes_beside_noise():
    """Of variance s² between classes and 1 within, s² / (s² + 1) is explained."""
    rng = np.random.default_rng(1)
    classes = np.repeat(np.arange(60), 10)
    rows = 2 * rng.standard_normal((400, 60))[:, classes] + rng.standard_normal((400, 600))
    assert class_share(rows, classes) == pytest.approx(4 / 5, abs=0.01)


@pytest.mark.parametrize("modulus", [7, 8])
def test_a_wave_has_one_frequency(modulus):
    residues = np.tile(np.arange(modulus), 3)
    for frequency in range(1, modulus // 2 + 1):
        rows = np.cos(2 * np.pi * frequency * residues / modulus + np.array([[0.3], [1.1]]))
        np.testing.assert_allclose(
            frequency_power(rows, residues, modulus), np.arange(1, modulus // 2 + 1) == frequency, atol=1e-12
        )


@pytest.mark.parametrize("modulus", [7, 8])
def test_residues_that_move_each_on_its_own_spread_evenly(modulus):
    """The identity has every frequency alike; of an even modulus the last is one instead of two."""
    power = frequency_power(np.eye(modulus), np.arange(modulus), modulus)
    even = np.full(modulus // 2, 2.0)
    if modulus % 2 == 0:
        even[-1] = 1
    np.testing.assert_allclose(power, even / even.sum())


@given(seed=st.integers(0, 2**16), shift=st.integers(0, 6), factor=st.sampled_from([0.1, 3.0]))
def test_power_knows_neither_the_origin_nor_the_unit_nor_what_all_do(seed, shift, factor):
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((4, 28))
    power = frequency_power(rows, RESIDUES, 7)
    assert power.sum() == pytest.approx(1)
    together = rng.standard_normal((4, 1))
    moved = frequency_power(factor * rows + together, (RESIDUES + shift) % 7, 7)
    np.testing.assert_allclose(moved, power, atol=1e-12)


def test_modes_stand_for_the_rows_they_are_of():
    """sqrt(lambda_k) v_k has the covariance of the rows, and so the same shares."""
    rows = np.random.default_rng(2).standard_normal((12, 28))
    values, vectors = np.linalg.eigh(rows.T @ rows)
    modes = np.sqrt(np.maximum(values, 0))[:, None] * vectors.T
    assert class_share(modes, RESIDUES) == pytest.approx(class_share(rows, RESIDUES))
    np.testing.assert_allclose(frequency_power(modes, RESIDUES, 7), frequency_power(rows, RESIDUES, 7))


def test_residues_without_datapoints_move_with_the_mean():
    rows = np.array([[1.0, -1.0, 0.0]])
    with_gap = frequency_power(rows, np.array([0, 1, 3]), 5)
    filled = frequency_power(np.array([[1.0, -1.0, 0.0, 0.0, 0.0]]), np.array([0, 1, 3, 2, 4]), 5)
    np.testing.assert_allclose(with_gap, filled)


def test_nothing_that_moves_apart_has_no_share():
    together = np.ones((3, 28))
    assert np.isnan(class_share(together, RESIDUES))
    assert np.isnan(class_share(np.eye(28), np.arange(28)))
    assert np.isnan(frequency_power(together, RESIDUES, 7)).all()


@pytest.mark.parametrize(
    ("rows", "residues", "modulus", "message"),
    [
        (np.ones(28), RESIDUES, 7, "shape"),
        (np.ones((2, 28)), RESIDUES[:27], 7, "shape"),
        (np.ones((2, 0)), np.arange(0), 7, "n >= 1"),
        (np.ones((2, 28)), RESIDUES, 6, "from 0 to 6 modulo 6"),
        (np.ones((2, 28)), RESIDUES - 1, 7, "from -1 to 5"),
        (np.ones((2, 28)), RESIDUES / 2, 7, "float64"),
        (np.ones((2, 28)), RESIDUES * 0, 1, "2 or more"),
    ],
)
def test_refuses_what_are_no_residues(rows, residues, modulus, message):
    with pytest.raises(ComputeError, match=message):
        frequency_power(rows, residues, modulus)
