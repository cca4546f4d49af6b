"""The most prominent peak of a curve, in decades."""

from __future__ import annotations

import numpy as np
import pytest

from rdmviz.compute.warning.peaks import most_prominent

NAN = np.nan


@pytest.mark.parametrize(
    ("capacity", "row"),
    [
        ([NAN, NAN, 100, 10, 1, 5, 1, 0.1], 5),  # a falling loss has its largest value at the first window
        ([NAN, 1, 2, 1, 0.5, 4, 1, 3, 1], 5),
        ([NAN, 1e-9, 1e-3, 1e-9, 10, 20, 10], 2),  # in decades
        ([NAN, 100, 10, 1], 1),
        ([NAN, 1, 10, 100], 3),
        ([NAN, 0, 3, 0, NAN], 2),
        ([NAN, 1, NAN, 8, 2, NAN], 3),
        ([NAN, NAN], None),
        ([NAN, 0, 0], None),
    ],
)
def test_the_most_prominent_peak_is_found(capacity, row):
    assert most_prominent(np.array(capacity, float)) == row
