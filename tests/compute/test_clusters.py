import numpy as np
import pytest
from scipy.cluster.hierarchy import fcluster, linkage

from rdmviz.compute.errors import ComputeError
from rdmviz.compute.rdm import clusters
from rdmviz.compute.rdm.clusters import (
    cluster,
    embedding,
    numbered_by_mass,
    sampled,
    separation,
    seriation,
    silhouette,
)

RNG = np.random.default_rng(5)


def _blobs(sizes, spread=0.05):
    centres = np.array([[3, 0], [0, 2], [-1.5, 0], [0, -1]])[: len(sizes)]
    truth = np.repeat(np.arange(len(sizes)), sizes)
    return centres[truth] + spread * RNG.normal(size=(len(truth), 2)), truth


def _same(a, b):
    return len(set(zip(a.tolist(), b.tolist(), strict=True))) == len(set(a.tolist())) == len(set(b.tolist()))


@pytest.mark.parametrize("sizes", [(20, 30), (40, 40, 40), (50, 20, 30, 10)])
def test_separate_groups_are_found_and_counted(sizes):
    points, truth = _blobs(sizes)
    order = RNG.permutation(len(points))
    assert _same(cluster(points[order]), truth[order])


def test_large_sets_are_sampled_and_still_found_whole():
    points, truth = _blobs((3000, 2000, 1000))
    assert _same(cluster(points), truth)


def test_groups_are_numbered_by_mass():
    points, _ = _blobs((50, 20, 30))
    labels = cluster(points)
    mass = np.bincount(labels, weights=(points**2).sum(axis=1))
    assert (np.diff(mass) < 0).all()


def test_groups_are_numbered_by_the_mass_that_is_given():
    points, truth = _blobs((50, 20, 30))
    mass = np.where(truth == 2, 5.0, np.where(truth == 0, 1.0, 0.0))
    assert (cluster(points, mass=mass) == np.array([1, 2, 0])[truth]).all()
    labels = np.array([0, -1, 1, 1, -1])
    assert numbered_by_mass(labels, np.array([1.0, 9, 1, 1, 9])).tolist() == [1, -1, 0, 0, -1]
    assert numbered_by_mass(np.full(3, -1), np.ones(3)).tolist() == [-1] * 3


def test_sampled_points_are_spread_over_the_ranks_of_mass():
    mass = RNG.permutation(np.arange(1000.0))
    assert mass[sampled(mass, 5)].tolist() == [999, 749, 499, 250, 0]
    assert sampled(mass, 1000).tolist() == list(range(1000))


def test_the_number_of_groups_before_stays_where_another_is_hardly_better():
    points = RNG.normal(size=(60, 2))  # no groups: every number does about equally well
    alone = int(cluster(points).max()) + 1
    kept = [before for before in range(2, 7) if cluster(points, before=before).max() + 1 == before]
    assert alone in kept
    assert len(kept) > 1
    separate, truth = _blobs((20, 20, 20))
    for before in (2, 4, 6):
        assert _same(cluster(separate, before=before), truth)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_asked_count(count):
    assert cluster(_blobs((50, 20, 30))[0], count).max() == count - 1


def test_points_that_do_not_differ_are_one_group():
    assert not cluster(np.ones((7, 2)), 3).any()
    assert not cluster(np.ones((7, 2))).any()


@pytest.mark.parametrize("points", [RNG.normal(size=(40, 3)), RNG.integers(0, 4, (40, 2)).astype(float)])
def test_cuts_are_those_of_scipy(points):
    """With and without ties: points on a grid merge at equal heights. (Equal points are never parted.)"""
    tree = linkage(points, "ward")
    counts = range(1, 40)
    for count, labels in zip(counts, clusters._cuts(tree, counts), strict=True):
        assert _same(labels, fcluster(tree, count, "maxclust"))


@pytest.mark.parametrize("n", [2, 3, 4])
def test_few_points(n):
    assert len(cluster(np.arange(n, dtype=float)[:, None] + 1)) == n


def test_count_out_of_range():
    for count in (0, 8):
        with pytest.raises(ComputeError, match="expected 1 to 7"):
            cluster(np.ones((7, 2)), count)


def test_silhouette_against_the_definition():
    points, labels = _blobs((6, 5, 1), spread=1.0)
    distances = np.linalg.norm(points[:, None] - points[None], axis=2)
    scores = []
    for i, own in enumerate(labels):
        mates = (labels == own) & (np.arange(len(labels)) != i)
        if not mates.any():
            scores.append(0.0)
            continue
        a = distances[i, mates].mean()
        b = min(distances[i, labels == other].mean() for other in set(labels.tolist()) - {own})
        scores.append((b - a) / max(a, b))
    assert silhouette(distances, labels) == pytest.approx(np.mean(scores))
    assert silhouette(distances, np.zeros_like(labels)) == -1


def test_separation_is_the_silhouette_of_those_in_a_group():
    points, labels = _blobs((12, 9, 7), spread=0.5)
    assert separation(points, labels, np.ones(28)) == pytest.approx(
        silhouette(np.linalg.norm(points[:, None] - points[None], axis=2), labels)
    )
    some = np.where(labels == 1, -1, labels)
    rest = points[labels != 1]
    assert separation(points, some, np.ones(28)) == pytest.approx(
        silhouette(np.linalg.norm(rest[:, None] - rest[None], axis=2), labels[labels != 1] // 2)
    )
    assert separation(points, np.full(28, -1), np.ones(28)) == -1


def test_embedding_distances_are_those_of_fluctuations():
    """With all modes, |y_i - y_j|² = C_ii + C_jj - 2 C_ij."""
    x = RNG.normal(size=(30, 6))
    covariance = x.T @ x / 29
    values, vectors = np.linalg.eigh(covariance)
    points = embedding(values[::-1], vectors[:, ::-1].T)
    np.testing.assert_allclose(points @ points.T, covariance, atol=1e-12)


def test_log_scale_finds_groups_of_a_heavy_tailed_mode():
    size = np.exp(np.concatenate([RNG.normal(0, 0.4, 60), RNG.normal(5, 0.4, 60)]))
    size[-1] *= 1e3  # one datapoint far beyond all others
    vector = (size / np.linalg.norm(size))[None]
    truth = np.repeat([1, 0], 60)
    linear = cluster(embedding(np.ones(1), vector), 2)
    assert np.bincount(linear).min() == 1
    log = cluster(embedding(np.ones(1), vector, "log"), 2)
    assert (log == truth).mean() > 0.95
    with pytest.raises(ComputeError, match="'linear', 'log', 'magnitude'"):
        embedding(np.ones(1), vector, "sqrt")


def test_log_scale_of_a_mode_that_is_mostly_zero():
    assert np.isfinite(embedding(np.ones(2), np.eye(5)[:2], "log")).all()


def test_seriation_keeps_groups_together_and_alike_datapoints_adjacent():
    base = RNG.normal(size=(40, 3))
    truth = RNG.permutation(np.repeat(np.arange(3), 12))
    x = base[:, truth] + 0.1 * RNG.normal(size=(40, 36))
    order = seriation(x, np.zeros(36, dtype=int))  # the blocks are found without being told
    assert sorted(order.tolist()) == list(range(36))
    assert (np.diff(truth[order]) != 0).sum() == 2
    told = seriation(x, truth)
    assert (np.diff(truth[told]) >= 0).all()
    some = np.where(truth == 1, -1, truth)  # those in no group come last
    assert truth[seriation(x, some)].tolist() == [0] * 12 + [2] * 12 + [1] * 12


def test_seriation_runs_along_with_the_datapoints_as_given():
    t = np.linspace(0, 1, 40)[:, None]
    x = np.sin(6 * t + np.linspace(0, 2, 15))  # each is most like its neighbours
    x -= x.mean(axis=0)
    assert seriation(x, np.zeros(15, dtype=int)).tolist() == list(range(15))
    assert seriation(x[:, ::-1], np.zeros(15, dtype=int)).tolist() == list(range(15))


def test_seriation_of_large_groups_and_datapoints_at_rest(monkeypatch):
    monkeypatch.setattr(clusters, "_SERIATED", 5)
    x = RNG.normal(size=(20, 30))
    x[:, [3, 7]] = 0
    order = seriation(x, np.zeros(30, dtype=int))
    assert sorted(order.tolist()) == list(range(30))
    assert set(order[-2:].tolist()) == {3, 7}
