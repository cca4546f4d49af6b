import numpy as np
import pytest

from rdmviz.compute.errors import ComputeError
from rdmviz.compute.rdm import clusters
from rdmviz.compute.rdm.clusters import cluster, embedding, seriation, silhouette

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


@pytest.mark.parametrize("count", [1, 2, 5])
def test_asked_count(count):
    assert cluster(_blobs((50, 20, 30))[0], count).max() == count - 1


def test_points_that_do_not_differ_are_one_group():
    assert not cluster(np.ones((7, 2)), 3).any()
    assert not cluster(np.ones((7, 2))).any()


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
    with pytest.raises(ComputeError, match="'linear', 'log'"):
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


def test_seriation_of_large_groups_and_datapoints_at_rest(monkeypatch):
    monkeypatch.setattr(clusters, "_SERIATED", 5)
    x = RNG.normal(size=(20, 30))
    x[:, [3, 7]] = 0
    order = seriation(x, np.zeros(30, dtype=int))
    assert sorted(order.tolist()) == list(range(30))
    assert set(order[-2:].tolist()) == {3, 7}
