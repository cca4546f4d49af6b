"""Correlations of pairs, and means over blocks of them, against numpy."""

from __future__ import annotations

import numpy as np

from rdmviz.compute.rdm.pairs import block_means, correlation, directions


def centred(rows=40, n=12, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((rows, n)) * np.exp(rng.standard_normal(n)) + rng.standard_normal((rows, 1))
    return x - x.mean(axis=0)


def test_correlations_are_numpys():
    x = centred()
    np.testing.assert_allclose(correlation(x), np.corrcoef(x.T), atol=1e-14)
    assert np.abs(correlation(np.hstack([x, 3 * x]))).max() <= 1.0


def test_what_does_not_move_has_no_correlation():
    x = centred()
    x[:, 3] = 0.0
    x[:, 5] *= 1e-9
    found = correlation(x, floor=np.where(np.arange(12) == 5, 1e-12, 0.0))
    undefined = np.isin(np.arange(12), [3, 5])
    np.testing.assert_array_equal(np.isnan(found), undefined[:, None] | undefined)
    assert np.isfinite(correlation(x)[5, 5]), "small is not at rest"


def test_products_of_block_means_are_means_over_blocks():
    x, starts = centred(), np.array([0, 1, 5, 9])
    means = block_means(x, starts)
    whole = x.T @ x
    for a, (left, right) in enumerate(zip(starts, [1, 5, 9, 12], strict=True)):
        for b, (top, bottom) in enumerate(zip(starts, [1, 5, 9, 12], strict=True)):
            np.testing.assert_allclose(means[:, a] @ means[:, b], whole[left:right, top:bottom].mean())


def test_datapoints_at_rest_are_left_out_of_their_block():
    x = centred()
    x[:, [0, 5, 6, 7, 8, 10]] = 0.0
    unit = directions(x)
    means = block_means(unit, [0, 1, 5, 9])
    assert np.isnan(means[:, [0, 2]]).all()
    np.testing.assert_allclose(means[:, 3], unit[:, [9, 11]].mean(axis=1))
