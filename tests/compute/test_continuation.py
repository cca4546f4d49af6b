import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ortho_group

from rdmviz.compute.rdm.continuation import continued, degenerate_blocks, turn_onto


def rotation(angle):
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s], [s, c]])


def test_blocks_are_runs_of_equal_eigenvalues_and_zeros_are_no_modes():
    values = np.array([3.0, 3.0, 2.0, 1.0, 1.0, 1.0, 0.0, 0.0])
    assert degenerate_blocks(values).tolist() == [0, 0, 1, 2, 2, 2, 3, 4]
    assert degenerate_blocks(np.zeros(3)).tolist() == [0, 1, 2]


@pytest.mark.parametrize(("gap", "blocks"), [(0.9e-9, [0, 1, 1]), (1.1e-9, [0, 1, 2])])
def test_equal_is_relative_to_the_modes_themselves(gap, blocks):
    assert degenerate_blocks(1e-3 * np.array([1e3, 1.0, 1.0 - gap])).tolist() == blocks


def test_signs_and_partners_follow_the_vectors_even_where_the_order_swaps():
    turn, partner = continued(np.array([[0.0, -0.9], [0.8, 0.1]]), np.arange(2), np.arange(2), seen=2)
    assert turn.tolist() == [[-1, 0], [0, 1]]
    assert partner.tolist() == [1, 0]


def test_a_mode_that_shares_less_than_half_has_no_partner_but_a_sign():
    turn, partner = continued(np.array([[-0.7]]), np.arange(1), np.arange(1), seen=1)
    assert (turn.item(), partner.item()) == (-1, -1)
    assert continued(np.array([[-0.71]]), np.arange(1), np.arange(1), seen=1)[1].item() == 0


def test_two_modes_never_continue_the_same_one_even_if_rounding_says_so():
    overlaps = np.array([[0.0, 0.9], [0.1, -0.8]])
    assert continued(overlaps, np.arange(2), np.arange(2), seen=2)[1].tolist() == [1, -1]


def test_a_mode_points_along_the_one_that_was_seen():
    overlaps = np.array([[0.65, -0.75]])
    turn, partner = continued(overlaps, np.arange(1), np.arange(2), seen=1)
    assert (turn.item(), partner.item()) == (1, 1)
    assert continued(overlaps, np.arange(1), np.arange(2), seen=2)[0].item() == -1


@pytest.mark.parametrize("angle", [0.3, np.pi / 4, 2.0, -3.0])
def test_a_degenerate_pair_is_turned_back_whatever_basis_it_comes_in(angle):
    overlaps = np.eye(3)
    overlaps[1:, 1:] = rotation(angle)
    blocks = np.array([0, 1, 1])
    turn, partner = continued(overlaps, blocks, blocks, seen=3)
    np.testing.assert_allclose(turn.T @ overlaps, np.eye(3), atol=1e-14)
    assert partner.tolist() == [0, 1, 2]


def test_vectors_of_a_slowly_rotating_degenerate_plane_are_continuous():
    rng = np.random.default_rng(5)
    slow, plane = 0.02, np.zeros((4, 2))
    worst = {"turned": 1.0, "signs alone": 1.0}
    for blocks, way in ((np.zeros(2, dtype=int), "turned"), (np.arange(2), "signs alone")):
        before = None
        for step in range(200):
            c, s = np.cos(slow * step), np.sin(slow * step)
            plane[:] = [[c, 0], [0, c], [s, 0], [0, s]]
            raw = plane @ rotation(rng.uniform(0, 2 * np.pi))
            if before is None:
                before = raw
                continue
            turn, _ = continued(raw.T @ before, blocks, blocks, seen=2)
            vectors = raw @ turn
            worst[way] = min(worst[way], (vectors * before).sum(axis=0).min())
            before = vectors
    assert worst["turned"] == pytest.approx(np.cos(slow), abs=1e-12)
    assert worst["signs alone"] < 0.75


def test_modes_of_a_block_that_splits_are_the_same_modes():
    turn, partner = continued(rotation(np.pi / 4 + 0.01), np.arange(2), np.zeros(2, dtype=int), seen=2)
    assert sorted(partner.tolist()) == [0, 1]
    assert (np.abs(turn) == np.eye(2)).all()


def test_a_new_mode_in_a_block_is_the_part_that_nothing_continues():
    along = np.array([0.6, 0.8])  # the predecessor, in the arbitrary basis of the block
    turn, partner = continued(along[:, None], np.zeros(2, dtype=int), np.arange(1), seen=1)
    np.testing.assert_allclose(turn.T @ along, [1, 0], atol=1e-14)
    assert partner.tolist() == [0, -1]


@st.composite
def frames(draw):
    k = draw(st.integers(1, 7))
    overlaps = ortho_group.rvs(k + 2, random_state=draw(st.integers(0, 2**32 - 1)))[:k, :k]
    steps = [draw(st.lists(st.booleans(), min_size=k - 1, max_size=k - 1)) for _ in range(2)]
    blocks, before = (np.concatenate([[0], np.cumsum(x)]).astype(int) for x in steps)
    return overlaps, blocks, before, draw(st.integers(1, k))


@given(frames())
def test_turns_are_orthogonal_within_blocks_and_partners_are_unique(found):
    overlaps, blocks, before, seen = found
    turn, partner = continued(overlaps, blocks, before, seen)
    np.testing.assert_allclose(turn.T @ turn, np.eye(len(blocks)), atol=1e-12)
    assert (turn[blocks[:, None] != blocks] == 0).all()
    known = partner[partner >= 0]
    assert len(set(known.tolist())) == len(known)
    alone = (np.bincount(blocks)[blocks] == 1) & (partner >= 0)
    shown = alone & (np.bincount(before)[before][partner] == 1) & (partner < seen)
    after = turn.T @ overlaps
    assert (after[np.flatnonzero(shown), partner[shown]] > np.sqrt(0.5)).all()


def test_modes_are_turned_onto_courses_by_rank_and_block():
    rng = np.random.default_rng(1)
    courses = np.linalg.qr(rng.normal(size=(9, 4)))[0]
    mixed = courses.T.copy()
    mixed[1:3] = rotation(1.1) @ -mixed[1:3]
    turn = turn_onto(courses, mixed[:3], np.array([2.0, 1.0, 1.0, 0.5]))
    np.testing.assert_allclose(turn @ mixed[:3], courses.T[:3], atol=1e-14)
