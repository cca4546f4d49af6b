import numpy as np
import pytest

from rdmviz.compute.errors import LossShapeError, WindowError
from rdmviz.compute.warning.indicators import (
    of_one_window,
    rolling_autocorrelation,
    rolling_slope,
    rolling_variance,
)

RNG = np.random.default_rng(9)
SERIES = np.cumsum(RNG.normal(size=300)) + 100
PLATEAU = SERIES + 1e6 * (np.arange(300) < 110)  # a plateau whose digits must not reach the rest


def _windows(series, window):
    return [series[i - window + 1 : i + 1] for i in range(window - 1, len(series))]


@pytest.mark.parametrize("series", [SERIES, PLATEAU], ids=["walk", "plateau"])
@pytest.mark.parametrize("window", [3, 4, 7, 50, 150, 299, 300])
def test_against_numpy_window_by_window(series, window):
    inside = _windows(series, window)
    variance = rolling_variance(series, window)
    assert np.isnan(variance[: window - 1]).all()
    np.testing.assert_allclose(variance[window - 1 :], [np.var(x, ddof=1) for x in inside], rtol=1e-11)
    correlation = rolling_autocorrelation(series, window)
    expected = [np.corrcoef(x[:-1], x[1:])[0, 1] for x in inside]
    np.testing.assert_allclose(correlation[window - 1 :], expected, atol=1e-11)
    t = np.arange(window) - (window - 1) / 2
    slopes = [t @ (x - x.mean()) / (t @ t) for x in inside]
    np.testing.assert_allclose(rolling_slope(series, window)[window - 1 :], slopes, rtol=1e-8, atol=1e-8)


def test_longer_lags():
    found = rolling_autocorrelation(SERIES, 40, lag=5)[39:]
    expected = [np.corrcoef(x[:-5], x[5:])[0, 1] for x in _windows(SERIES, 40)]
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_slope_is_per_unit_of_time_on_an_uneven_grid():
    times = np.cumsum(RNG.integers(1, 9, size=60))
    np.testing.assert_allclose(rolling_slope(3 - 0.25 * times, 11, times)[10:], -0.25, rtol=1e-12)


def test_constant_series_have_no_variance_and_no_correlation():
    flat = np.full(30, 0.1)
    assert (rolling_variance(flat, 7)[6:] == 0).all()
    assert np.isnan(rolling_autocorrelation(flat, 7)).all()
    assert (rolling_slope(flat, 7)[6:] == 0).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_gaps_are_as_long_as_the_window(bad):
    series = SERIES.copy()
    series[150] = bad
    for rolling in (rolling_variance, rolling_autocorrelation, rolling_slope):
        found = rolling(series, 20)
        assert np.flatnonzero(np.isnan(found[19:])).tolist() == list(range(131, 151))


def test_bad_input():
    with pytest.raises(LossShapeError, match="one value per row"):
        rolling_variance(np.zeros((3, 3)), 2)
    for window in (1, 301):
        with pytest.raises(WindowError, match=f"window={window}"):
            rolling_variance(SERIES, window)
    with pytest.raises(WindowError, match="expected 7 rows"):
        rolling_autocorrelation(SERIES, 6, lag=5)
    with pytest.raises(WindowError, match="lag=0"):
        rolling_autocorrelation(SERIES, 6, lag=0)
    with pytest.raises(LossShapeError, match="one per row"):
        rolling_slope(SERIES, 5, np.arange(7))


@pytest.mark.parametrize("size", [2, 3, 30])
def test_one_window_is_the_rolling_ones_last(size):
    times = np.cumsum(RNG.integers(1, 5, size=size)).astype(float)
    for series in (RNG.normal(size=size) + 1e5, np.full(size, 3.7), 2 * times):
        variance, correlation, slope = of_one_window(series, times)
        assert variance == pytest.approx(rolling_variance(series, size)[-1], rel=1e-9)
        assert slope == pytest.approx(rolling_slope(series, size, times)[-1], rel=1e-9)
        known = rolling_autocorrelation(series, size)[-1] if size > 2 else np.nan
        assert correlation == pytest.approx(known, rel=1e-9, nan_ok=True)
    assert np.isnan(of_one_window(times, np.ones(size))[2])
