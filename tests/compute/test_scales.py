import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import adjusted_rand_score

from rdmviz.compute.errors import ComputeError
from rdmviz.compute.rdm.clusters import cluster
from rdmviz.compute.rdm.scales import SMALLEST, Spread, choose_scale, scaled, spread_of


def test_two_sizes_are_two_classes():
    found = spread_of(np.repeat([1.0, -25.0], [30, 10])[:, None])
    assert found.bimodality == pytest.approx(1)
    assert found.boundary == pytest.approx(5)
    assert found.participation == pytest.approx((30 + 10 * 625) ** 2 / (40 * (30 + 10 * 625**2)))
    assert found.participation_above == pytest.approx(1)


@pytest.mark.parametrize("n", [2, 10, 64])
def test_even_sizes_are_bimodal_by_three_quarters(n):
    sizes = np.exp(0.05 * np.arange(n))
    assert spread_of(sizes[:, None]).bimodality == pytest.approx(0.75 * n**2 / (n**2 - 1))


def test_lognormal_sizes():
    """Cut in the middle, two halves of a normal explain 2/pi; the participation is exp(-4 s²)."""
    sizes = np.exp(0.5 * np.random.default_rng(0).normal(size=40_000))
    found = spread_of(sizes[:, None])
    assert found.bimodality == pytest.approx(2 / np.pi, abs=0.01)
    assert found.boundary == pytest.approx(1, abs=0.05)
    assert found.participation == pytest.approx(np.exp(-1), rel=0.1)


@pytest.mark.parametrize("points", [np.zeros((5, 2)), np.ones((5, 2)), 1e150 * np.ones((3, 1))])
def test_points_that_do_not_differ_in_size(points):
    assert (spread_of(points).bimodality, spread_of(points).participation) == (0, 1)
    assert choose_scale(spread_of(points)) == "linear"
    for scale in ("magnitude", "direction", "log"):
        assert np.ptp(scaled(points, scale), axis=0).max() == 0


def test_a_few_beyond_an_empty_decade_are_a_class_of_their_own():
    sizes = np.exp(0.3 * np.random.default_rng(1).normal(size=500))
    assert not spread_of(sizes[:, None]).is_bimodal
    sizes[7] = 300.0
    found = spread_of(sizes[:, None])
    assert found.bimodality == 1
    assert np.sort(sizes)[-2] < found.boundary < 300
    assert found.participation_above == 1
    assert choose_scale(found) == "linear"


@pytest.mark.parametrize(
    ("bimodality", "overall", "above", "scale"),
    [
        (0.9, 0.3, 0.5, "magnitude"),
        (0.9, 0.1, 0.9, "linear"),
        (0.7, 0.1, 0.3, "direction"),
        (0.7, 0.3, 0.3, "linear"),
    ],
)
def test_rule(bimodality, overall, above, scale):
    spread = Spread(bimodality, 1.0, overall, above)
    assert choose_scale(spread) == scale
    for before in ("linear", "magnitude", "direction"):  # far from the edge it does not matter
        assert choose_scale(spread, before) == scale


@pytest.mark.parametrize(
    ("spread", "kept"),
    [
        (Spread(0.82, 1.0, 0.3, 0.5), {"linear", "magnitude"}),
        (Spread(0.9, 1.0, 0.3, 0.58), {"linear", "magnitude"}),
        (Spread(0.7, 1.0, 0.18, 0.5), {"linear", "direction"}),
        (Spread(0.7, 1.0, 0.22, 0.5), {"linear", "direction"}),
    ],
)
def test_near_the_edge_the_scale_before_stays(spread, kept):
    for before in kept:
        assert choose_scale(spread, before) == before


def _rotation(rng, k):
    return np.linalg.qr(rng.normal(size=(k, k)))[0]


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 40), st.integers(1, 4), st.integers(0, 10**6), st.floats(0.1, 2), st.floats(1e-9, 1e9))
def test_scales_do_not_depend_on_units_or_on_the_axes(n, k, seed, tail, unit):
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(n, k)) * np.exp(tail * rng.normal(size=n))[:, None]
    turn = _rotation(rng, k)
    here, there = spread_of(points), spread_of(unit * points @ turn)
    assert there.bimodality == pytest.approx(here.bimodality, abs=1e-9)
    assert there.participation == pytest.approx(here.participation)
    np.testing.assert_allclose(
        scaled(unit * points @ turn, "magnitude"), scaled(points, "magnitude"), atol=1e-8
    )
    np.testing.assert_allclose(
        scaled(unit * points @ turn, "direction"), scaled(points, "direction") @ turn, atol=1e-8
    )
    assert (np.linalg.norm(scaled(points, "direction"), axis=1) <= 1 + 1e-12).all()


def test_direction_of_one_mode_is_its_sign_and_what_hardly_moves_goes_to_the_middle():
    assert scaled(np.array([[2.0], [-3.0], [2.5]]), "direction").ravel().tolist() == [1, -1, 1]
    mixed = scaled(np.array([[100.0], [-100.0], [1.0], [-1.0]]), "direction")
    np.testing.assert_allclose(mixed[:, 0], np.array([10, -10, 1, -1]) / 11)
    assert scaled(np.array([[2.0], [-3.0], [0.0]]), "direction")[2] == 0


def test_magnitude_has_a_floor():
    assert scaled(np.array([[1.0], [0.0], [1e-9]]), "magnitude").ravel() == pytest.approx(
        [-np.log(SMALLEST), 0, 0]
    )


def test_unknown_scale():
    with pytest.raises(ComputeError, match=r"scale='sqrt' is unknown; choose one of 'auto', 'linear'"):
        scaled(np.ones((3, 1)), "sqrt")


N = 240


def _case(name, seed):
    """Planted groups: loadings ``(n, k)`` and which group each datapoint is in."""
    rng = np.random.default_rng(seed)
    halves, thirds = np.arange(N) % 2, np.arange(N) % 3
    sign, amplitude = 2.0 * halves - 1, np.exp(1.5 * rng.normal(size=N))
    blocks = np.eye(3)[thirds] * [1, 0.8, 0.6]
    quarters = np.arange(N) % 4
    some = np.eye(4)[quarters][:, :3] * [1, 0.8, 0.6]
    rest = 0.01 * rng.normal(size=(N, 3))
    return {
        "signed": ((sign * (1 + 0.1 * rng.normal(size=N)))[:, None], halves),
        "signed, heavy tails": ((sign * amplitude)[:, None], halves),
        "two sizes, heavy tails": (np.exp(0.5 * rng.normal(size=N) + 5 * halves)[:, None], halves),
        "two sizes, any sign": (
            (rng.choice([-1, 1], N) * np.exp(0.5 * rng.normal(size=N) + 5 * halves))[:, None],
            halves,
        ),
        "blocks": (blocks + 0.05 * rng.normal(size=(N, 3)), thirds),
        "blocks, heavy tails": (blocks * amplitude[:, None] + 1e-3 * rng.normal(size=(N, 3)), thirds),
        "blocks and a rest": (some * (1 + 0.1 * rng.normal(size=N))[:, None] + rest, quarters),
        "uneven blocks and a rest": (some * np.exp(0.6 * rng.normal(size=N))[:, None] + rest, quarters),
    }[name]


def _agreement(name, scale, seed):
    points, truth = _case(name, seed)
    return adjusted_rand_score(truth, cluster(scaled(points, scale), mass=(points**2).sum(axis=1)))


@pytest.mark.parametrize(
    ("name", "found_by", "missed_by"),
    [
        ("signed", {"linear", "direction", "auto"}, {"magnitude"}),
        ("signed, heavy tails", {"direction", "auto"}, {"linear", "magnitude"}),
        ("two sizes, heavy tails", {"magnitude", "auto"}, {"linear"}),
        ("two sizes, any sign", {"magnitude", "auto"}, {"linear"}),
        ("blocks", {"linear", "direction", "auto"}, {"magnitude"}),
        ("blocks, heavy tails", {"direction", "auto"}, {"linear", "magnitude"}),
        ("blocks and a rest", {"linear", "direction", "auto"}, {"magnitude"}),
        ("uneven blocks and a rest", {"direction"}, {"magnitude", "auto"}),  # the rule's known gap
    ],
)
def test_which_scale_finds_which_groups(name, found_by, missed_by):
    agreement = {
        scale: [_agreement(name, scale, seed) for seed in range(5)] for scale in found_by | missed_by
    }
    for scale in found_by:
        assert min(agreement[scale]) > 0.9, (scale, agreement)
    for scale in missed_by:
        assert np.mean(agreement[scale]) < 0.8, (scale, agreement)
