import numpy as np
import pytest
from oracles import DETRENDS, detrended_exactly

from rdmviz.compute.errors import DetrendError, WindowError
from rdmviz.compute.rdm.detrending import basis, check_window, degree, degrees_of_freedom, detrended


@pytest.mark.parametrize("detrend", DETRENDS)
@pytest.mark.parametrize("window", [4, 50, 257])
def test_basis_is_orthonormal_and_spans_the_polynomials(window, detrend):
    q = basis(window, detrend)
    assert q.shape == (window, degree(detrend) + 1)
    np.testing.assert_allclose(q.T @ q, np.eye(q.shape[1]), atol=1e-14)
    for power in range(q.shape[1]):
        t = np.arange(window, dtype=float) ** power
        np.testing.assert_allclose(q @ (q.T @ t), t, atol=1e-12 * t.max())


@pytest.mark.parametrize("detrend", DETRENDS)
def test_degrees_of_freedom_is_the_trace_of_the_projection(detrend):
    q = basis(20, detrend)
    assert degrees_of_freedom(20, detrend) == pytest.approx(np.trace(np.eye(20) - q @ q.T))


@pytest.mark.parametrize("detrend", DETRENDS)
def test_detrended_agrees_with_extended_precision_under_a_huge_trend(detrend):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(30, 5)) + 1e6 * np.arange(30)[:, None]
    exact = detrended_exactly(rows, detrend).astype(float)
    np.testing.assert_allclose(detrended(rows, detrend), exact, atol=1e-7)


def test_basis_is_shared_and_cannot_be_written_to():
    with pytest.raises(ValueError, match="read-only"):
        basis(10, "linear")[0] = 1


@pytest.mark.parametrize(
    ("window", "detrend", "message"),
    [
        (1, "none", "needs at least 2"),
        (1, "constant", "needs at least 2"),
        (2, "linear", "needs at least 3"),
        (3, "quadratic", "needs at least 4"),
        (-5, "constant", "too short"),
        (11, "constant", "longer than the 10 recorded rows"),
        (2.5, "constant", "whole number"),
        (True, "constant", "whole number"),
        (float("nan"), "constant", "whole number"),
        (None, "constant", "whole number"),
    ],
)
def test_windows_that_do_not_fit(window, detrend, message):
    with pytest.raises(WindowError, match=message):
        check_window(window, detrend, 10)


@pytest.mark.parametrize(
    ("window", "detrend"), [(2, "constant"), (3, "linear"), (4, "quadratic"), (10, "none")]
)
def test_shortest_and_longest_windows_fit(window, detrend):
    assert check_window(np.int64(window), detrend, 10) == window


@pytest.mark.parametrize("bad", ["cubic", "", None, 1])
def test_unknown_detrending_names_the_choices(bad):
    with pytest.raises(DetrendError, match="'none', 'constant', 'linear', 'quadratic'"):
        degree(bad)
