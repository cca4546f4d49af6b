import numpy as np
import pytest
from oracles import DETRENDS, detrended_exactly, reader

from rdmviz.compute.errors import FlatWindowError, NonFiniteLossError, WindowError
from rdmviz.compute.rdm.modes import orientation, window_modes

RNG = np.random.default_rng(8)


@pytest.mark.parametrize("detrend", DETRENDS)
@pytest.mark.parametrize("n", [10, 90])
def test_modes_solve_the_eigenproblem_of_the_covariance(detrend, n):
    losses = RNG.normal(size=(60, n)) * RNG.uniform(0.2, 2, size=n) + 100
    found = window_modes(reader(losses), 55, 40, detrend, 5, 60)
    x = detrended_exactly(losses[16:56], detrend).astype(float)
    covariance = x.T @ x / found.nu
    expected = np.linalg.eigvalsh(covariance)[::-1]
    np.testing.assert_allclose(found.eigenvalues, expected[: min(n, 40)], atol=1e-10 * expected[0])
    np.testing.assert_allclose(found.vectors @ found.vectors.T, np.eye(5), atol=1e-10)
    residual = covariance @ found.vectors.T - found.vectors.T * found.eigenvalues[:5]
    assert np.abs(residual).max() < 1e-10 * expected[0]
    np.testing.assert_allclose(found.fluctuations(), x, atol=1e-10)
    assert found.trace == pytest.approx(np.trace(covariance), rel=1e-10)


@pytest.mark.parametrize("n", [10, 90])
def test_modes_that_are_zero_are_left_out(n):
    losses = np.outer(RNG.normal(size=50), RNG.normal(size=n)) + np.outer(
        RNG.normal(size=50), RNG.normal(size=n)
    )
    assert len(window_modes(reader(losses), 49, 50, "constant", 8, 50).vectors) == 2


def test_drift_is_the_displacement_across_the_window():
    direction = np.array([0.6, 0.8, 0.0])
    losses = 7 - 0.25 * np.arange(30)[:, None] * direction
    found = window_modes(reader(losses), 29, 21, "constant", 2, 30)
    assert found.drift == pytest.approx([-0.25 * 20])
    np.testing.assert_allclose(found.vectors, [direction], atol=1e-12)


def test_the_heavier_side_is_positive():
    vectors = np.array([[0.1, -0.9, 0.3], [0.5, 0.5, -0.1], [-1.0, 1.0, 0.0], [1.0, -1.0, 0.0]])
    assert orientation(vectors).tolist() == [-1, 1, -1, 1]


def test_integer_losses():
    losses = RNG.integers(0, 100, size=(20, 6)).astype(np.uint8)
    found = window_modes(reader(losses), 19, 20, "constant", 2, 20)
    assert found.trace == pytest.approx(losses.var(axis=0, ddof=1).sum())


def test_flat_windows_have_no_modes():
    flat = np.tile(RNG.normal(size=5), (20, 1))
    with pytest.raises(FlatWindowError, match="ends at row 15"):
        window_modes(reader(flat), 15, 10, "constant", 2, 20)
    line = 0.3 + np.arange(20)[:, None] * RNG.normal(size=5)
    with pytest.raises(FlatWindowError, match="once the linear part is removed"):
        window_modes(reader(line), 15, 10, "linear", 2, 20)


def test_bad_rows_and_places():
    losses = RNG.normal(size=(20, 5))
    losses[3, 0] = np.nan
    with pytest.raises(NonFiniteLossError, match="first at row 3"):
        window_modes(reader(losses), 10, 10, "constant", 2, 20)
    for end in (8, 20, -1):
        with pytest.raises(WindowError, match="the first ends at row 9, the last at row 19"):
            window_modes(reader(losses), end, 10, "constant", 2, 20)
    with pytest.raises(WindowError, match="modes=0"):
        window_modes(reader(losses), 19, 10, "constant", 0, 20)
