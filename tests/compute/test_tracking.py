import numpy as np
import pytest

from rdmviz.compute.rdm import tracking
from rdmviz.compute.rdm.tracking import KeyframeChain, matching_labels, matching_signs


def test_signs_follow_the_best_partner_even_where_the_order_swaps():
    reference = np.eye(4)[:2]
    swapped = np.stack([-reference[1], reference[0]])
    assert matching_signs(swapped, reference).tolist() == [-1, 1]


def test_vectors_without_a_partner_keep_their_sign():
    assert matching_signs(-np.eye(4)[2:], np.eye(4)[:2]).tolist() == [1, 1]
    assert matching_signs(np.eye(3), None).tolist() == [1, 1, 1]


def test_labels_follow_shared_members():
    before = np.array([0, 0, 0, 1, 1, 2, 2])
    now = np.array([2, 2, 2, 0, 0, 1, 1])
    assert matching_labels(now, before)[now].tolist() == before.tolist()


def test_a_new_group_takes_a_label_nobody_had():
    before = np.array([0, 0, 0, 0, 1, 1])
    now = np.array([0, 0, 2, 2, 1, 1])
    new = matching_labels(now, before)[now]
    assert new[4] == 1
    assert sorted({new[0], new[2]}) == [0, 2]


def test_a_group_that_vanishes_frees_its_label_only_if_needed():
    before = np.array([0, 0, 1, 1, 2, 2])
    assert matching_labels(np.array([0, 0, 0, 0, 1, 1]), before).tolist() in ([0, 2], [1, 2])


def _chain(spacing=3, gaps=()):
    """A vector that turns slowly and comes with a sign that flickers."""
    solved = []

    def solve(row):
        solved.append(row)
        if row in gaps:
            return None
        angle = 0.05 * row
        return np.array([[np.cos(angle), np.sin(angle)]]) * (-1) ** (row // 2)

    chain = KeyframeChain(solve, matching_signs, lambda v, s: v * s[:, None], first=5, spacing=spacing)
    return chain, solve, solved


def test_oriented_vectors_turn_smoothly():
    chain, solve, _ = _chain()
    found = np.array([chain.orient(row, solve(row))[0] for row in range(5, 200)])
    assert (np.einsum("ij,ij->i", found[1:], found[:-1]) > 0.9).all()


def test_answers_do_not_depend_on_the_path(monkeypatch):
    monkeypatch.setattr(tracking, "_CACHE_BYTES", 0)  # the smallest cache
    rng = np.random.default_rng(0)
    rows = np.arange(5, 120)
    found = []
    for order in (rows, rows[::-1], rng.permutation(rows)):
        chain, solve, _ = _chain()
        answers = {row: chain.orient(row, solve(row)) for row in order}
        found.append(np.concatenate([answers[row] for row in rows]))
    assert (found[0] == found[1]).all()
    assert (found[0] == found[2]).all()


def test_each_keyframe_is_solved_once_while_it_is_remembered():
    chain, solve, solved = _chain()
    raw = solve(95)
    solved.clear()
    for _ in range(3):
        chain.orient(95, raw)
    assert solved == list(range(5, 96, 3))


def test_a_gap_breaks_the_chain_and_the_next_keyframe_starts_afresh():
    chain, solve, _ = _chain(gaps=(11,))
    for row in (11 + 1, 11 + 3):  # oriented by nobody: the sign it comes with
        assert (chain.orient(row, solve(row)) == solve(row)).all()
    after = chain.orient(14, solve(14))
    assert chain.orient(15, solve(15))[0] @ after[0] == pytest.approx(1, abs=0.01)
