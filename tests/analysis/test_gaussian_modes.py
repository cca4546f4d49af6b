"""The Gaussian 2RDM along a run: steady signs, and overlap with the modes of the training."""

from __future__ import annotations

import numpy as np
import pytest

from rdmviz import TrainingRun, eigenmodes, gaussian_modes, gaussian_overlap
from rdmviz.compute.rdm.draws import modes_of_draws, steady_signs
from rdmviz.compute.rdm.observables import participation_ratio_unbiased
from rdmviz.errors import OptionError, WindowError

T, N, WINDOW = 120, 40, 32


def orthonormal(rng: np.random.Generator, count: int, n: int) -> np.ndarray:
    return np.linalg.qr(rng.normal(size=(n, count)))[0].T


def a_run(seed: int = 0, left_out: int = 0, alike: bool = True) -> tuple[TrainingRun, np.ndarray]:
    """A run that moves along two directions, and snapshots of which the first two modes are these."""
    rng = np.random.default_rng(seed)
    there = N - left_out
    directions = orthonormal(rng, 2, there)
    loss = rng.normal(size=(T, N)) * 1e-3
    loss[:, :there] += rng.normal(size=(T, 2)) * [3, 1] @ directions
    drawn = directions if alike else orthonormal(rng, 4, there)[2:]
    steps = np.arange(10, T, 20)
    vectors = np.full((len(steps), 2, N), np.nan)
    vectors[:, :, :there] = drawn * rng.choice([-1, 1], size=(len(steps), 2, 1))
    gaussian = {
        "eigenvalues": np.tile([4.0, 2, 1, 1], (len(steps), 1)),
        "eigenvectors": vectors,
        "draws": np.full(len(steps), 65),
    }
    return TrainingRun.from_arrays(loss, snapshot_steps=steps, gaussian=gaussian), drawn


def test_signs_are_steady_and_numbers_those_of_the_spectrum():
    run, drawn = a_run()
    found = gaussian_modes(run)
    assert found.step.values.tolist() == list(range(10, T, 20))
    np.testing.assert_array_equal(found.eigenvector, np.tile(found.eigenvector[0], (6, 1, 1)))
    np.testing.assert_allclose(np.abs(found.eigenvector[0]), np.abs(drawn))
    np.testing.assert_allclose(found.explained, np.tile([0.5, 0.25], (6, 1)))
    np.testing.assert_allclose(found.trace, 8)
    np.testing.assert_allclose(found.participation_ratio, 64 / 22)
    square = 64**2 / (63 * 66) * (22 - 64 / 64)  # nu = 64: the estimate of Tr C^2 from independent draws
    np.testing.assert_allclose(found.participation_ratio_unbiased, 64 / square)
    np.testing.assert_allclose(found.spectral_heat_capacity, np.var([4, 2, 1, 1] + [0] * (N - 4)))


def test_signs_follow_modes_that_change_places_and_pass_over_what_is_missing():
    rng = np.random.default_rng(1)
    basis = orthonormal(rng, 3, N)
    spectra = np.stack([basis, -basis[[1, 0, 2]], np.full_like(basis, np.nan), -basis])
    turned = spectra * steady_signs(spectra)[:, :, None]
    np.testing.assert_array_equal(turned[1], basis[[1, 0, 2]])
    np.testing.assert_array_equal(turned[3], basis)


@pytest.mark.parametrize("left_out", [0, 7])
def test_overlap_of_the_same_modes_and_of_others(left_out):
    run, _ = a_run(left_out=left_out)
    found = gaussian_overlap(run, 2, window=WINDOW)
    assert np.isnan(found.overlap).values.tolist() == [True, True, False, False, False, False]
    assert float(found.overlap.min()) > 0.999
    assert float(found.chance) == 2 / (N - left_out)
    strangers, _ = a_run(left_out=left_out, alike=False)
    other = gaussian_overlap(strangers, 2, window=WINDOW)
    assert float(other.overlap.max()) < found.chance + 6 * found.chance_deviation
    modes = eigenmodes(run, step=110, window=WINDOW, modes=2)
    if not left_out:
        expected = np.abs(run.gaussian.eigenvectors[-1].to_numpy() @ modes.eigenvector.to_numpy().T)
        np.testing.assert_allclose(found.cosine[-1], np.minimum(expected, 1), rtol=1e-9)


def test_what_cannot_be_asked_for():
    run, _ = a_run()
    with pytest.raises(OptionError, match=r"modes=3: the snapshots keep 2 eigenvectors.*ask for 2"):
        gaussian_overlap(run, 3, window=WINDOW)
    with pytest.raises(WindowError):
        gaussian_overlap(run, 2, window=T + 1)
    with pytest.raises(OptionError, match="takes a TrainingRun"):
        gaussian_modes(np.ones((3, 3)))


def test_the_unbiased_participation_ratio_counts_directions():
    """Independent draws of isotropic losses: the plain ratio sees the draws, the unbiased the datapoints."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(20):
        values, vectors = modes_of_draws(rng.normal(size=(64, 300)), 4)
        assert values.shape == (63,)
        assert vectors.shape == (4, 300)
        trace, square = values.sum(), np.square(values).sum()
        found.append((trace**2 / square, participation_ratio_unbiased(trace, square, 63)))
    plain, unbiased = np.mean(found, axis=0)
    assert plain == pytest.approx(300 * 63 / (300 + 63 + 1), rel=0.03)
    assert unbiased == pytest.approx(300, rel=0.05)
