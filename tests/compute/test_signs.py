import itertools

import numpy as np
import pytest
from oracles import DETRENDS, reader

from rdmviz.compute.errors import WindowError
from rdmviz.compute.rdm.gram import banded_gram
from rdmviz.compute.rdm.modes import window_modes
from rdmviz.compute.rdm.signs import SignChain
from rdmviz.compute.rdm.windows import window_traces

RNG = np.random.default_rng(17)
T, N, W, K = 220, 50, 24, 4


def _walk():
    return np.cumsum(0.05 * RNG.normal(size=(T, N)), axis=0) + 0.2 * RNG.normal(size=(T, N)) + 3


def _frames(losses, detrend, ends, window=W):
    rows = reader(losses)

    def solve(end):
        return window_modes(rows, end, window, detrend, K, len(losses))

    gram = banded_gram(losses, window + 1)
    chain = SignChain(gram, window_traces(gram, window, detrend, rows), rows, K, lambda end: solve(end).left)
    found = {}
    for end in ends:
        modes = solve(end)
        found[end] = chain.turn(end, modes.left, modes.eigenvalues) @ modes.vectors
    return found


def _turned(frames, ends):
    """Partners in neighbouring windows that overlap strongly, and point the other way."""
    count = strong = 0
    for a, b in itertools.pairwise(ends):
        overlaps = frames[b] @ frames[a].T
        best = np.take_along_axis(overlaps, np.abs(overlaps).argmax(axis=1)[:, None], axis=1)
        strong += int((np.abs(best) > 0.6).sum())
        count += int((best < -0.6).sum())
    assert strong > 2 * len(ends)
    return count


@pytest.mark.parametrize("detrend", DETRENDS)
def test_no_mode_turns_between_neighbouring_windows(detrend):
    ends = range(W - 1, T)
    assert _turned(_frames(_walk(), detrend, ends), ends) == 0


@pytest.mark.parametrize("detrend", ["constant", "linear", "quadratic"])
def test_nor_where_the_gram_has_lost_its_digits_to_drift(detrend):
    losses = _walk()
    losses[:120] += 1e4 * np.arange(120)[:, None] * RNG.uniform(0.5, 1, N)
    losses[120:] += losses[119]
    ends = range(W - 1, 119)
    assert _turned(_frames(losses, detrend, ends), ends) == 0


def test_the_sign_of_the_raw_vectors_does_not_matter():
    losses, rows = _walk(), None
    rows = reader(losses)
    gram = banded_gram(losses, W + 1)
    traces = window_traces(gram, W, "constant", rows)
    chain = SignChain(gram, traces, rows, K, lambda end: window_modes(rows, end, W, "constant", K, T).left)
    found = window_modes(rows, 100, W, "constant", K, T)
    turn = chain.turn(100, found.left, found.eigenvalues)
    np.testing.assert_array_equal(chain.turn(100, -found.left, found.eigenvalues), -turn)


def test_the_first_window_and_those_after_a_gap_follow_the_fixed_rule():
    losses = _walk()
    losses[90] = np.nan
    losses[150 : 150 + W] = losses[150]
    found = _frames(losses, "constant", [W - 1, 90 + W, 150 + W])
    for end, vectors in found.items():
        fixed = window_modes(reader(losses), end, W, "constant", K, T).vectors
        np.testing.assert_array_equal(vectors, fixed)
    ends = range(90 + W, 149)
    assert _turned(_frames(losses, "constant", ends), ends) == 0


def test_a_window_as_long_as_the_run():
    losses = _walk()[:W]
    assert _frames(losses, "constant", [W - 1])[W - 1].shape == (K, N)


def test_the_gram_must_reach_one_row_further():
    losses = _walk()
    gram = banded_gram(losses, W)
    with pytest.raises(WindowError, match=f"max_window={W + 1}"):
        SignChain(gram, window_traces(gram, W, "constant"), reader(losses), K, lambda end: np.eye(1))
