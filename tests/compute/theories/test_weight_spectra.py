"""Bulk, outliers, shuffled edges and spacings of weight matrices."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rdmviz.compute.errors import NullError, WeightsError
from rdmviz.compute.theories.weights.layers import layer_spectra, spectra_of_eigenvalues
from rdmviz.compute.theories.weights.marchenko_pastur import bulk_density, bulk_edges, fit_bulk
from rdmviz.compute.theories.weights.matrices import as_matrix, top_eigenvalue, weight_eigenvalues
from rdmviz.compute.theories.weights.shuffling import shuffled_edges
from rdmviz.compute.theories.weights.signal import overlaps, signal_line, signal_strength, signal_threshold
from rdmviz.compute.theories.weights.spacings import (
    POISSON_RATIO,
    WIGNER_RATIO,
    level_spacings,
    wigner_surmise,
)

SCALES = st.floats(0.01, 100)
RATIOS = st.floats(0.02, 1)


def spiked(rng, n, m, strength, scale=1.0):
    """Noise of bulk scale 1 with a signal, and the signal's vectors."""
    u, v = rng.standard_normal(n), rng.standard_normal(m)
    u, v = u / np.linalg.norm(u), v / np.linalg.norm(v)
    noise = rng.standard_normal((n, m)) * np.sqrt(scale / m)
    return noise + np.sqrt(strength) * np.outer(u, v), u, v


@given(
    arrays(np.float64, st.tuples(st.just(2), st.integers(2, 6), st.integers(2, 6)), elements=st.floats(-9, 9))
)
def test_eigenvalues_are_squared_singular_values_and_do_not_mind_transposing(weights):
    found = weight_eigenvalues(weights)
    expected = np.linalg.svd(weights, compute_uv=False) ** 2
    np.testing.assert_allclose(found, expected, atol=1e-10)
    np.testing.assert_allclose(weight_eigenvalues(weights.transpose(0, 2, 1)), found, atol=1e-10)


def test_kernels_count_as_matrices_of_their_output_channels():
    kernels = np.random.default_rng(0).standard_normal((3, 5, 4, 3, 3)).astype(np.float32)
    expected = np.linalg.svd(kernels.reshape(3, 5, 36).astype(float), compute_uv=False) ** 2
    np.testing.assert_allclose(weight_eigenvalues(kernels), expected)
    assert as_matrix(kernels[0]).shape == as_matrix(kernels[0].reshape(5, 36).T).shape == (5, 36)


@pytest.mark.parametrize("shape", [(100, 130), (300, 300), (200, 900), (400, 150)])
def test_lanczos_finds_the_largest_eigenvalue(shape):
    matrix = as_matrix(np.random.default_rng(1).standard_normal(shape))
    expected = np.linalg.norm(matrix, 2) ** 2
    assert top_eigenvalue(matrix) == pytest.approx(expected, rel=1e-5)
    assert top_eigenvalue(matrix.astype(np.float32)) == pytest.approx(expected, rel=1e-4)


@given(SCALES, RATIOS)
def test_the_density_is_that_of_the_bulk(scale, ratio):
    low, high = bulk_edges(scale, ratio)
    angle = (np.arange(4000) + 0.5) / 4000 * np.pi  # the density times this step has no cusp at the edges
    x = low + (high - low) * (1 - np.cos(angle)) / 2
    weight = bulk_density(x, scale, ratio) * (high - low) * np.sin(angle) / 2 * np.pi / 4000
    assert weight.sum() == pytest.approx(1, abs=1e-3)
    assert (weight * x).sum() == pytest.approx(scale, rel=1e-3)
    assert (weight * (x - scale) ** 2).sum() == pytest.approx(ratio * scale**2, rel=1e-3)
    assert bulk_density([low - 0.1 * scale, high * 1.01], scale, ratio).tolist() == [0, 0]


def test_the_density_of_square_matrices_has_no_bound_at_zero():
    assert np.isinf(bulk_density(0.0, 1.0, 1.0))
    assert bulk_density(0.0, 1.0, 0.5) == 0


@pytest.mark.parametrize("shape", [(60, 60), (100, 250), (250, 100), (300, 1200)])
def test_the_fit_finds_the_scale_of_noise_and_does_not_mind_outliers(shape):
    rng = np.random.default_rng(3)
    n, m = sorted(shape)
    clean = rng.standard_normal((5, *shape)) * np.sqrt(2.5 / m)
    dirty = clean + np.array(
        [9 * np.outer(rng.standard_normal(shape[0]), rng.standard_normal(shape[1])) for _ in range(5)]
    )
    for weights, outliers in ((clean, 0), (dirty, 1)):
        bulk = fit_bulk(weight_eigenvalues(weights), shape)
        np.testing.assert_allclose(bulk.scale, 2.5, rtol=0.05)
        np.testing.assert_allclose([bulk.lower, bulk.upper], bulk_edges(bulk.scale, n / m))
        assert bulk.n_outliers.tolist() == [outliers] * 5


def test_noise_stays_below_the_edges_as_often_as_the_level_says():
    weights = np.random.default_rng(7).standard_normal((400, 40, 80))
    found = layer_spectra(weights, level=0.9)
    for alarms in (found.bulk.n_outliers > 0, found.n_above_shuffled > 0):
        assert alarms.mean() == pytest.approx(0.1, abs=4 * np.sqrt(0.1 * 0.9 / 400))


def test_the_tolerance_falls_with_size_to_the_two_thirds():
    tolerance = []
    for n in (50, 800):
        bulk = fit_bulk(np.linspace(2.9, 0.1, n), (n, 2 * n))
        tolerance.append(float(bulk.edge / bulk.upper) - 1)
    assert tolerance[0] / tolerance[1] == pytest.approx(16 ** (2 / 3), rel=0.1)


def test_shuffling_knows_of_heavy_tails_and_keeps_the_level_where_the_fit_does_not():
    weights = np.random.default_rng(2).standard_t(3, (60, 60, 120))
    found = layer_spectra(weights, draws=19)
    assert (found.bulk.n_outliers > 0).mean() > 0.5  # a few large entries, no structure
    assert (found.n_above_shuffled > 0).mean() < 0.15


def test_shuffled_edges_are_the_same_for_a_seed_and_scale_with_the_weights():
    weights = np.random.default_rng(0).standard_normal((2, 150, 200))
    one, two = (shuffled_edges(w, seed=4) for w in (weights, 8 * weights))
    np.testing.assert_array_equal(one.edge, shuffled_edges(weights, seed=4).edge)
    np.testing.assert_allclose(two.edge, 64 * one.edge, rtol=1e-6)
    assert (one.largest.max(axis=1) <= one.edge).all()
    assert (one.edge != shuffled_edges(weights, seed=5).edge).all()


@given(SCALES, RATIOS, st.floats(1.01, 50))
def test_strength_is_the_inverse_of_the_signal_line(scale, ratio, times):
    strength = times * float(signal_threshold(scale, ratio))
    line = signal_line(strength, scale, ratio)
    assert line > bulk_edges(scale, ratio)[1]
    assert signal_strength(line, scale, ratio) == pytest.approx(strength, rel=1e-5)
    short, long = overlaps(strength, scale, ratio)
    assert 0 < long <= short <= 1


def test_below_the_threshold_nothing_shows():
    assert signal_line(0.5, 1, 0.5) == bulk_edges(1, 0.5)[1]
    assert signal_strength(1.0, 1, 0.5) == signal_threshold(1, 0.5)
    assert [float(q) for q in overlaps(0.7, 1, 0.5)] == [0, 0]
    assert [float(q) for q in overlaps([1.0, 0.0], 0, 0.5)[0]] == [1, 0]


def test_outliers_say_how_strong_the_signals_are_and_how_well_their_vectors_point():
    rng = np.random.default_rng(11)
    n, m, strength = 300, 500, 2.0
    found, cosines = [], []
    for _ in range(12):
        weights, u, v = spiked(rng, n, m, strength)
        left, _, right = np.linalg.svd(weights, full_matrices=False)
        cosines.append(((left[:, 0] @ u) ** 2, (right[0] @ v) ** 2))
        outliers = layer_spectra(weights[None], draws=0).outliers
        found.append([outliers.strength[0, 0], outliers.overlap[0, 0], outliers.overlap_long[0, 0]])
    mean = np.mean(found, axis=0)
    assert mean[0] == pytest.approx(strength, rel=0.05)
    np.testing.assert_allclose(mean[1:], np.mean(cosines, axis=0), rtol=0.03)


def test_several_signals_are_all_found():
    rng = np.random.default_rng(0)
    weights = spiked(rng, 120, 240, 9.0)[0] + spiked(rng, 120, 240, 4.0, scale=0.0)[0]
    found = layer_spectra(weights[None])
    assert found.bulk.n_outliers.tolist() == found.n_above_shuffled.tolist() == [2]
    np.testing.assert_allclose(found.outliers.strength, [[9, 4]], rtol=0.15)


def test_spacings_of_a_random_matrix_follow_wigner_and_of_unrelated_levels_poisson():
    rng = np.random.default_rng(6)
    noise = rng.standard_normal((400, 800)) / np.sqrt(800)
    levels = weight_eigenvalues(noise[None])[0]
    for options in ({}, {"unfolding": "marchenko_pastur", "scale": 1.0, "ratio": 0.5}):
        found = level_spacings(levels, **options)
        assert found.unfolded.mean() == pytest.approx(1)
        assert found.to_wigner < 1.63 / np.sqrt(320) < found.to_poisson  # the 1% point of Kolmogorov's law
        assert found.ratio == pytest.approx(WIGNER_RATIO, abs=0.03)
    unrelated = level_spacings(rng.gamma(2, size=400))
    assert unrelated.to_poisson < 1.63 / np.sqrt(320) < unrelated.to_wigner
    assert unrelated.ratio == pytest.approx(POISSON_RATIO, abs=0.04)


def test_the_surmise_is_a_density_of_mean_one():
    s = (np.arange(6000) + 0.5) / 1000
    assert wigner_surmise(s).sum() / 1000 == pytest.approx(1, abs=1e-5)
    assert (s * wigner_surmise(s)).sum() / 1000 == pytest.approx(1, abs=1e-5)


def test_spacings_that_say_nothing_are_refused():
    levels = np.linspace(1, 2, 60) ** 2
    for given_levels, options, said in [
        (levels[:20], {}, "24 at least"),
        (np.r_[levels, levels], {}, "low rank"),
        (np.r_[levels, np.nan], {}, "finite"),
        (levels, {"trim": 0.5}, "trim"),
        (levels, {"unfolding": "wigner"}, "choose one of 'smooth'"),
        (levels, {"unfolding": "marchenko_pastur"}, "fitted"),
        (levels, {"unfolding": "marchenko_pastur", "scale": 0.1, "ratio": 0.5}, "outside"),
    ]:
        with pytest.raises(WeightsError, match=said):
            level_spacings(given_levels, **options)


def test_snapshots_that_diverged_are_nan_and_leave_the_others_alone():
    weights = np.random.default_rng(0).standard_normal((4, 40, 60))
    alone = layer_spectra(weights[:1])
    weights[1, 3, 3], weights[2, 0, 0], weights[3] = np.nan, np.inf, 1e200
    found = layer_spectra(weights)
    for values in (found.eigenvalues, found.shuffled.largest):
        assert np.isnan(values[1:]).all()
    for values in (found.bulk.scale, found.bulk.n_outliers, found.n_above_shuffled, found.to_wigner):
        assert np.isnan(values[1:]).all()
    assert found.bulk.fits.tolist() == [True, False, False, False]
    assert found.bulk.edge[0] == alone.bulk.edge[0]
    assert found.shuffled.edge[0] == alone.shuffled.edge[0]


def test_zero_and_low_rank_matrices_have_no_noise():
    weights = np.zeros((2, 40, 60))
    weights[1, :3, :3] = np.diag([3.0, 2.0, 1.0])
    found = layer_spectra(weights)
    assert found.bulk.edge.tolist() == found.bulk.scale.tolist() == [0, 0]
    assert found.bulk.n_outliers.tolist() == [0, 3]
    np.testing.assert_allclose(found.outliers.strength[1], [9, 4, 1])
    np.testing.assert_allclose(found.outliers.overlap[1], 1)
    assert np.isinf(found.outliers.relative[1]).all()
    assert np.isnan(found.outliers.strength[0]).all()
    assert found.shuffled.edge[0] == 0
    assert found.n_above_shuffled[0] == 0
    assert np.isnan(found.to_wigner).all()


def test_a_spectrum_that_is_no_bulk_says_so():
    values = np.geomspace(1e6, 1e-6, 40)[None]
    found = spectra_of_eigenvalues(values, (40, 80))
    assert not found.bulk.fits[0]
    assert np.isnan([found.bulk.scale[0], found.bulk.edge[0], found.bulk.n_outliers[0]]).all()
    assert found.outliers.eigenvalue.shape == (1, 0)


def test_few_rows_have_shuffled_edges_and_no_bulk():
    weights, _, _ = spiked(np.random.default_rng(0), 4, 400, 9.0)
    found = layer_spectra(weights[None])
    assert found.bulk is None
    assert found.outliers is None
    assert found.n_above_shuffled.tolist() == [1]
    with pytest.raises(WeightsError, match="8 at least"):
        fit_bulk(found.eigenvalues, (4, 400))


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        (np.ones((3, 1, 50)), "a single row or column"),
        (np.ones((3, 50, 1)), "a single row or column"),
        (np.ones((50, 40)), r"weights\[None\]"),
        (np.ones((0, 50, 40)), "expected snapshots"),
        (np.ones((2, 50, 40), complex), "real numbers"),
        (np.full((2, 5, 4), "a"), "real numbers"),
    ],
)
def test_what_is_no_stack_of_matrices_is_refused(weights, said):
    for ask in (layer_spectra, weight_eigenvalues, shuffled_edges):
        with pytest.raises(WeightsError, match=said):
            ask(weights)


def test_one_matrix_with_nan_and_options_without_meaning_are_refused():
    with pytest.raises(WeightsError, match="nan at entry 3"):
        as_matrix([[1, 2], [3, np.nan]])
    with pytest.raises(WeightsError, match="expected a matrix"):
        as_matrix([1.0, 2.0])
    weights = np.ones((1, 10, 10))
    for draws in (-1, 1.5, True):
        with pytest.raises(WeightsError, match="draws="):
            layer_spectra(weights, draws=draws)
    with pytest.raises(NullError, match="level"):
        layer_spectra(weights, level=1.0)
    with pytest.raises(WeightsError, match="expected \\(snapshots, 10\\)"):
        spectra_of_eigenvalues(np.ones((3, 9)), (10, 20))
    with pytest.raises(WeightsError, match="transpose"):
        signal_line(1.0, 1.0, 2.0)
