"""Rows on a shared axis: closed forms and properties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rdmviz.compute.alignment import first_reach, nearest_rows, record_lows


@given(
    st.lists(st.integers(-50, 50), min_size=1, max_size=20, unique=True),
    st.lists(st.floats(-60, 60), min_size=1, max_size=20),
)
def test_the_nearest_row_is_the_nearest_and_there_is_none_outside(axis, places):
    axis = np.sort(np.array(axis, float))
    for place, row in zip(places, nearest_rows(axis, places), strict=True):
        if axis[0] <= place <= axis[-1]:
            assert row == np.abs(axis - place).argmin()
        else:
            assert row == -1


def test_an_exponential_decay_reaches_a_level_at_its_logarithm():
    steps = np.arange(0, 500, 5)
    losses = 3 * np.exp(-steps / 100)
    levels = np.geomspace(2.9, 0.1, 40)
    rows, found = first_reach(losses, steps, levels)
    # Between rows the straight line errs by (5/100)²/8 of a decay time at most.
    np.testing.assert_allclose(found, -100 * np.log(levels / 3), atol=100 * 0.05**2 / 8)
    assert (steps[rows] >= found).all()
    assert (steps[rows] - found < 5).all()


def test_a_level_is_reached_once_however_the_loss_goes_on():
    losses = np.array([4.0, 2.0, 5.0, np.nan, 1.0, 3.0, np.inf, 0.0])
    rows, lows = record_lows(losses)
    assert rows.tolist() == [0, 1, 4, 7]
    assert lows.tolist() == [4, 2, 1, 0]
    rows, steps = first_reach(losses, 10 * np.arange(8), [5.0, 4.0, 3.0, 2.0, 1.5, 0.5, -1.0])
    assert rows.tolist() == [-1, 0, 1, 1, 4, 7, -1]
    # 5 is above the start, -1 below the end; before rows 4 and 7 there is no number to draw a line from.
    np.testing.assert_array_equal(steps, [np.nan, 0, 5, 10, 40, 70, np.nan])


def test_a_run_without_a_number_reaches_nothing():
    rows, steps = first_reach([np.nan, np.nan], [0, 1], [1.0])
    assert rows.tolist() == [-1]
    assert np.isnan(steps).all()


@given(arrays(float, st.integers(1, 30), elements=st.floats(-1e3, 1e3)))
def test_lower_levels_are_reached_later_and_each_low_in_its_own_row(losses):
    steps = np.arange(len(losses)) * 3
    rows, lows = record_lows(losses)
    assert (np.diff(lows) < 0).all()
    found, at = first_reach(losses, steps, lows)
    np.testing.assert_array_equal(found, rows)
    np.testing.assert_allclose(at, steps[rows])
    levels = np.sort(np.concatenate([lows, (lows[:-1] + lows[1:]) / 2]))[::-1]
    rows, at = first_reach(losses, steps, levels)
    assert (np.diff(rows) >= 0).all()
    assert (np.diff(at) >= 0).all()
    assert (losses[rows] <= levels).all()


@pytest.mark.parametrize("place", [4.0, 5.0, 6.0])
def test_a_run_of_one_row_is_at_one_place(place):
    assert nearest_rows([5.0], [place]).tolist() == [0 if place == 5 else -1]
