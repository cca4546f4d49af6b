"""Power laws with intervals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rdmviz.compute.errors import SpinModelError
from rdmviz.compute.theories.spins.power_law import power_law


@given(st.floats(-3, 3), st.floats(1e-3, 1e3))
def test_a_power_law_is_found_exactly(exponent, prefactor):
    times = np.geomspace(10, 1000, 12)
    found = power_law(times, prefactor * times**exponent, draws=50)
    assert found.exponent == pytest.approx(exponent, abs=1e-9)
    assert found.prefactor == pytest.approx(prefactor, rel=1e-6)
    np.testing.assert_allclose(found.interval, exponent, atol=1e-9)
    assert found.decades == pytest.approx(2)
    assert found.r_squared == pytest.approx(1) or abs(exponent) < 1e-6


def test_the_interval_holds_the_exponent_as_often_as_it_says():
    rng = np.random.default_rng(0)
    times = np.geomspace(1, 100, 24)
    held = 0
    for seed in range(300):
        found = power_law(times, times**0.4 * np.exp(0.2 * rng.standard_normal(24)), draws=400, seed=seed)
        held += found.interval[0] <= 0.4 <= found.interval[1]
    assert 0.88 < held / 300 < 0.99


def test_a_plateau_has_no_share_explained():
    assert np.isnan(power_law([1, 2, 3, 4], [2.0] * 4).r_squared)
    assert power_law([1, 2, 3, 4], [2.0] * 4).exponent == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(
    ("times", "values", "options", "said"),
    [
        ([1, 2, 3], [1, 2, 3], {}, "4 points"),
        ([1, 2, 3, 4], [1, 2, 3], {}, "4 points"),
        ([0, 1, 2, 3], [1, 2, 3, 4], {}, "positive"),
        ([1, 2, 3, 4], [1, 2, 3, -4], {}, "positive"),
        ([1, 2, 3, 4], [1, 2, 3, np.nan], {}, "positive"),
        ([1, 2, 2, 4], [1, 2, 3, 4], {}, "increasing"),
        ([1, 2, 3, 4], [1, 2, 3, 4], {"level": 1.0}, "level"),
        ([1, 2, 3, 4], [1, 2, 3, 4], {"draws": 0}, "draws"),
    ],
)
def test_what_is_no_power_law_is_refused(times, values, options, said):
    with pytest.raises(SpinModelError, match=said):
        power_law(times, values, **options)
