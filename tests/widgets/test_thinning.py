"""Thinned curves keep what a person would see: extremes, ends, gaps."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rdmviz.widgets.thinning import thinned


@given(
    y=st.lists(st.one_of(st.just(np.nan), st.integers(-50, 50).map(float)), min_size=1, max_size=400),
    most=st.integers(6, 60),
)
def test_extremes_ends_and_gaps_stay_and_nothing_is_invented(y, most):
    x, y = np.arange(len(y)) * 3.0, np.array(y)
    few_x, few_y = thinned(x, y, most)
    assert len(few_x) <= max(most, 6) + 2
    assert (np.diff(few_x) > 0).all()
    np.testing.assert_array_equal(few_y, y[(few_x / 3).astype(int)])
    assert (few_x[0], few_x[-1]) == (x[0], x[-1])
    if np.isfinite(y).any():
        assert (np.nanmin(few_y), np.nanmax(few_y)) == (np.nanmin(y), np.nanmax(y))
    assert np.isnan(few_y).any() == np.isnan(y).any()


def test_a_short_curve_is_itself():
    x, y = np.arange(5.0), np.array([1, np.nan, 3, 2, 2.0])
    np.testing.assert_array_equal(thinned(x, y, 6), (x, y))
