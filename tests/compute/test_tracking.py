import numpy as np

from rdmviz.compute.rdm import tracking
from rdmviz.compute.rdm.tracking import KeyframeChain, matching_labels, relabelled


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


def test_datapoints_in_no_group_have_no_say_and_stay_in_none():
    before = np.array([0, 0, 1, 1, -1, -1])
    now = np.array([1, -1, 0, 0, 1, 1])
    assert relabelled(now, matching_labels(now, before)).tolist() == [0, -1, 1, 1, 0, 0]
    nobody = np.full(6, -1)
    assert relabelled(nobody, matching_labels(nobody, before)).tolist() == [-1] * 6
    assert relabelled(now, matching_labels(now, nobody)).tolist() == now.tolist()


def _chain(spacing=3, gaps=()):
    """Two halves of datapoints whose border moves slowly, numbered anyhow."""
    solved = []

    def solve(row):
        solved.append(row)
        if row in gaps:
            return None
        labels = (np.arange(400) > 100 + row).astype(np.int64)
        return labels if row % 2 else 1 - labels

    chain = KeyframeChain(solve, matching_labels, lambda raw, new: new[raw], first=5, spacing=spacing)
    return chain, solve, solved


def test_labels_stay_along_the_run():
    chain, solve, _ = _chain()
    found = np.array([chain.orient(row, solve(row)) for row in range(5, 200)])
    assert ((found[1:] != found[:-1]).sum(axis=1) == 1).all()  # the datapoint on the border


def test_answers_do_not_depend_on_the_path(monkeypatch):
    monkeypatch.setattr(tracking, "_CACHE_BYTES", 0)  # the smallest cache
    rows = np.arange(5, 120)
    found = []
    for order in (rows, rows[::-1], np.random.default_rng(0).permutation(rows)):
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
    for row in (12, 14):  # labelled by nobody: as they come
        assert (chain.orient(row, solve(row)) == solve(row)).all()
    assert (chain.orient(15, solve(15)) != chain.orient(14, solve(14))).sum() == 1
