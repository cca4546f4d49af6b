import itertools

import numpy as np
import pytest
from oracles import reader

from rdmviz.compute.rdm.followed import FollowedSigns
from rdmviz.compute.rdm.gram import banded_gram
from rdmviz.compute.rdm.modes import window_modes
from rdmviz.compute.rdm.windows import window_traces

T, N, K = 400, 40, 4


def walk(seed=3):
    rng = np.random.default_rng(seed)
    return 3 + np.cumsum(0.05 * rng.normal(size=(T, N)), axis=0) + 0.2 * rng.normal(size=(T, N))


def oriented(losses, window, detrend, ends):
    rows = reader(losses)

    def solve(end):
        return window_modes(rows, end, window, detrend, K, len(losses))

    gram = banded_gram(losses, window + 1)
    traces = window_traces(gram, window, detrend, rows)
    followed = FollowedSigns(gram, traces, rows, K, lambda end: solve(end).left)
    found = {}
    for end in ends:
        modes = solve(end)
        found[end] = followed.turn(end, modes.left, modes.eigenvalues) @ modes.vectors
    return found


@pytest.mark.parametrize("detrend", ["none", "constant", "linear", "quadratic"])
@pytest.mark.parametrize("window", [65, 96, 150])
def test_a_mode_that_stays_does_not_turn(window, detrend):
    ends = range(window - 1, T)
    found = oriented(walk(), window, detrend, ends)
    overlaps = np.array([found[b] @ found[a].T for a, b in itertools.pairwise(ends)])
    strong = np.abs(overlaps) > 0.8
    assert strong.sum() > 2 * len(ends)
    assert (overlaps[strong] > 0).all()


def test_the_order_of_questions_does_not_matter():
    losses = walk()
    ends = list(range(79, T))
    straight = oriented(losses, 80, "linear", ends)
    mixed = oriented(losses, 80, "linear", [int(e) for e in np.random.default_rng(0).permutation(ends)])
    for end in ends:
        np.testing.assert_array_equal(straight[end], mixed[end])


def test_a_new_mode_that_comes_with_one_row_is_caught():
    losses = walk()
    losses[200:, :5] += 40.0
    ends = range(150, 290)
    found = oriented(losses, 70, "constant", ends)
    after = np.array([found[end][0] for end in range(202, 268)])
    assert (np.einsum("tn,tn->t", after[1:], after[:-1]) > 0.9).all()


def test_after_a_gap_the_fixed_rule_starts_again():
    losses = walk()
    losses[150] = np.nan
    found = oriented(losses, 70, "constant", [69, 220])
    for end, vectors in found.items():
        fixed = window_modes(reader(losses), end, 70, "constant", K, T).vectors
        np.testing.assert_array_equal(vectors, fixed)
