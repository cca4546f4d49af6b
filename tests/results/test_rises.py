"""Alarms that control runs calibrate."""

from __future__ import annotations

import numpy as np
import pytest
from results.rises import Baseline, calibrated

BASELINE = Baseline(settled=5, window=4, windows=3)


def test_a_rise_is_what_three_windows_in_a_row_keep_above_the_baseline():
    curve = np.full(20, 2.0)
    curve[:8] = 50.0  # windows that hold a row of the transient
    curve[[11, 14, 15, 16, 17]] = 9.0, 3.0, 4.0, 3.5, 5.0
    rises = BASELINE.rises(curve)
    assert (BASELINE.first, BASELINE.watched) == (8, 13)
    assert len(rises) == 20 - BASELINE.watched
    np.testing.assert_allclose(rises, [0, 0, 0, 1, 1.5, 0, 0])
    np.testing.assert_allclose(BASELINE.rises(curve, zero=1.5), rises + 0.5)


@pytest.mark.parametrize(("rate", "level"), [(0.0, 9.0), (0.1, 9.0), (0.2, 8.0), (0.39, 8.0), (0.4, 7.0)])
def test_the_level_leaves_no_more_controls_alarmed_than_allowed(rate, level):
    highest = [7.0, 1.0, 9.0, 2.0, 8.0]
    assert calibrated(highest, rate) == level
    assert np.mean([peak > level for peak in highest]) <= rate
