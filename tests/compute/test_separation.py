"""Agreement of modes with known classes, against scikit-learn and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import adjusted_rand_score, roc_auc_score

from rdmviz.compute.errors import ComputeError
from rdmviz.compute.rdm.separation import adjusted_rand_index, magnitude_split, roc_auc, sign_split

LABELS = st.integers(1, 40).flatmap(
    lambda n: st.tuples(*[st.lists(st.integers(-2, 4), min_size=n, max_size=n)] * 2)
)


@given(LABELS)
def test_adjusted_rand_index_is_that_of_scikit_learn(labels):
    one, other = map(np.array, labels)
    assert adjusted_rand_index(one, other) == pytest.approx(adjusted_rand_score(one, other), abs=1e-12)


def test_adjusted_rand_index_takes_text_and_refuses_other_items():
    assert adjusted_rand_index(np.array(["a", "a", "b"]), np.array([5, 5, 1])) == 1
    for one, other in [((3,), (4,)), ((0,), (0,)), ((2, 2), (2, 2))]:
        with pytest.raises(ComputeError, match="labels have shapes"):
            adjusted_rand_index(np.zeros(one), np.zeros(other))


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=40))
def test_roc_auc_is_the_area_under_the_roc_curve(pairs):
    sizes, inside = np.array([size for size, _ in pairs], float), np.array([mine for _, mine in pairs])
    found = roc_auc(sizes, inside)
    if inside.all() or not inside.any():
        assert np.isnan(found)
    else:
        assert found == pytest.approx(roc_auc_score(inside, sizes), abs=1e-12)


def test_splits_by_sign_and_by_size():
    vector = np.array([0.5, -0.4, 0.001, -0.002, 0.6])
    assert sign_split(vector).tolist() == [1, 0, 1, 0, 1]
    assert magnitude_split(vector).tolist() == [1, 1, 0, 0, 1]
