"""Which datapoints are in the matrix, and in which order."""

from __future__ import annotations

import numpy as np
import pytest

import rdmviz
from rdmviz.analysis import ModePath
from rdmviz.widgets.arrangement import Arrangement, block_starts, by_preference, choose_members
from rdmviz.widgets.frames import choose_shown


def make_run(n=600, rows=200, seed=0):
    rng = np.random.default_rng(seed)
    kind = np.arange(n) % 3
    waves = np.cumsum(rng.standard_normal((rows, 3)), axis=0)
    return rdmviz.TrainingRun.from_arrays(50 + waves[:, kind] + 0.2 * rng.standard_normal((rows, n)))


@pytest.fixture(scope="module")
def arrangement():
    run = make_run()
    shown = choose_shown(run.n_samples)
    return Arrangement(ModePath(run, window=32, modes=4), shown, by_preference(shown, None))


def test_any_leading_part_of_the_preferred_has_an_equal_share_of_every_class():
    shown = choose_shown(200_000)
    classes = np.zeros(200_000, int)
    classes[::1000] = 1
    preferred = by_preference(shown, classes)
    assert sorted(preferred) == list(range(20_000))
    assert np.bincount(classes[shown[preferred[:40]]]).tolist() == [20, 20]
    even = np.sort(by_preference(np.arange(10_000), None)[:100])
    assert np.diff(even).max() <= 200


def test_a_small_group_is_represented_at_the_cost_of_the_largest():
    labels = np.zeros(2000, int)
    labels[1500:] = 1
    labels[[10, 700, 1999]] = 2
    labels[1990:1997] = -1
    members = choose_members(by_preference(np.arange(2000), None), labels, 400)
    assert len(set(members)) == 400
    counts = {group: int((labels[members] == group).sum()) for group in (-1, 0, 1, 2)}
    assert counts[2] == 3
    assert counts[-1] == 7
    assert counts[1] == pytest.approx(100, abs=2)


@pytest.mark.parametrize("sizes", [(400,), (1, 399), (100, 7, 200, 1, 92)])
def test_blocks_are_even_and_keep_to_their_groups(sizes):
    groups = np.repeat(np.arange(len(sizes), dtype=np.uint8), sizes)
    starts = block_starts(groups, 64)
    assert len(starts) == 64
    assert starts[0] == 0
    lengths = np.diff(starts, append=400)
    assert lengths.min() >= 1
    assert lengths.max() <= 8
    assert np.isin(np.flatnonzero(np.diff(groups)) + 1, starts).all()


def test_groups_are_together_and_the_order_stays_for_a_window(arrangement):
    start = arrangement.path.first + 64
    layouts = [arrangement.at(row) for row in range(start, start + 32)]
    for group, order, _starts in layouts:
        assert len(set(order)) == 400
        assert (np.diff(group[order].astype(int)) >= 0).all()
    same = [
        np.array_equal(one.order, layouts[0].order)
        for one in layouts
        if np.array_equal(one.group, layouts[0].group)
    ]
    assert len(same) >= 8
    assert all(same)


def test_selected_datapoints_take_the_place_of_one_of_their_group(arrangement):
    row = arrangement.path.first + 100
    arranged = arrangement.at(row)
    outside = np.setdiff1d(np.arange(600), arranged.order)[[0, 50, 100]].tolist()
    inside = arranged.order[[5, 300]].tolist()
    frame = arrangement.path.at(row)
    order = arrangement.including(arranged, frame, outside + inside)
    assert set(outside + inside) <= set(order)
    assert len(set(order)) == 400
    assert (order != arranged.order).sum() == 3, "nothing else moves"
    np.testing.assert_array_equal(arranged.group[order], arranged.group[arranged.order])
    many = arrangement.including(arranged, frame, list(range(600)))
    np.testing.assert_array_equal(many, arranged.order)  # all places are taken by selected ones
    taken = arranged.order[:350].tolist()
    outside = np.setdiff1d(np.arange(600), arranged.order)
    order = arrangement.including(arranged, frame, [*outside.tolist(), *taken])
    assert set(taken) <= set(order), "a selected datapoint gives its place to no other"
    assert len(set(order) & set(outside.tolist())) == 50


def test_a_selected_datapoint_that_is_not_on_the_map_is_not_in_the_matrix():
    run = make_run(n=500)
    shown = np.arange(0, 500, 2)
    arrangement = Arrangement(ModePath(run, window=32, modes=4), shown, by_preference(shown, None))
    arranged = arrangement.at(100)
    order = arrangement.including(arranged, arrangement.path.at(100), [1, 499])
    np.testing.assert_array_equal(order, arranged.order)
