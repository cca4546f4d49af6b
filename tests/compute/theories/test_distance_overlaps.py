"""Subspace overlap along a run."""

from __future__ import annotations

import numpy as np
import pytest
from shapes_of_points import on_sphere

from rdmviz.compute.errors import DistanceError
from rdmviz.compute.rdm.subspaces import chance_overlap, subspace_overlap
from rdmviz.compute.theories.distances.overlaps import overlap_along
from rdmviz.compute.theories.distances.spectra import distance_spectra


def test_every_pair_has_the_overlap_of_its_two_subspaces():
    rng = np.random.default_rng(0)
    vectors = np.linalg.qr(rng.standard_normal((5, 12, 3)))[0].transpose(0, 2, 1)
    found = overlap_along(vectors)
    for i in range(5):
        for j in range(5):
            assert found[i, j] == pytest.approx(subspace_overlap(vectors[i], vectors[j]), rel=1e-12)


def test_turned_and_scaled_points_keep_their_subspace_and_others_share_what_chance_gives():
    rng = np.random.default_rng(1)
    n = 200
    points = on_sphere(rng, n, 2)
    turn = np.linalg.qr(rng.standard_normal((3, 3)))[0]
    strangers = on_sphere(rng, n, 2, 60)
    spectra = distance_spectra([points, 3 * points @ turn, *strangers])
    found = overlap_along(spectra.vectors)
    assert found[0, 1] == pytest.approx(1, abs=1e-10)
    others = found[2:, 2:][np.triu_indices(60, 1)]
    # Both subspaces are orthogonal to nearly the same Perron vector: chance in n - 1 dimensions.
    mean, deviation = chance_overlap(3, n - 1)
    assert abs(others.mean() - mean) < 4 * deviation / np.sqrt(30)  # 60 strangers make 30 pairs at least
    assert found[0, 2:].max() < mean + 6 * deviation


@pytest.mark.parametrize("shape", [(3, 4), (0, 2, 5), (2, 0, 5)])
def test_what_are_no_vectors_is_refused(shape):
    with pytest.raises(DistanceError, match="snapshots × vectors × points"):
        overlap_along(np.zeros(shape))
