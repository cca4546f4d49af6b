"""The linear student's spectrum against the formulas and against matrices that are diagonalised."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import eigh

from rdmviz.compute.errors import WeightsError
from rdmviz.compute.theories.weights.departure import departure
from rdmviz.compute.theories.weights.layers import layer_spectra
from rdmviz.compute.theories.weights.teacher_student import (
    critical_rate,
    critical_time,
    teacher_student,
    trainability,
)

RATES = st.floats(0.001, 0.999)
SIGMAS = st.floats(0.05, 5)
RATIOS = st.floats(0.05, 1)


def student_weights(rng, n, m, rate, times, sigma=1.0):
    """Weights of a student at several times, and the teacher's vectors."""
    start = rng.standard_normal((n, m)) * (sigma / np.sqrt(m))
    u, v = rng.standard_normal(n), rng.standard_normal(m)
    u, v = u / np.linalg.norm(u), v / np.linalg.norm(v)
    left = ((1 - rate) ** np.asarray(times, float))[:, None, None]
    return left * start + (1 - left) * np.outer(u, v), u, v


def tops_of_students(rng, n, m, rate, draws, steps=80):
    """Largest eigenvalues and overlaps of students after a step, ``(draws, 2)``, in law those of dense draws.

    Rotations that leave u and v alone bring Gaussian weights to three diagonals: normal entries on the middle
    one, chi-distributed ones beside it. Lanczos from u gives the largest eigenvalue and its weight, the
    overlap.
    """
    scale = (1 - rate) / np.sqrt(m)
    middle = scale * rng.standard_normal((draws, n))
    middle[:, 0] += rate
    below = scale * np.sqrt(rng.chisquare(np.arange(n - 1, 0, -1), (draws, n - 1)))
    above = scale * np.sqrt(rng.chisquare(np.arange(m - 1, m - 1 - n, -1), (draws, n)))
    bands = [middle**2 + above**2, middle[:, :-1] * below + above[:, :-1] * middle[:, 1:]]
    bands[0][:, 1:] += below**2
    bands.append(above[:, :-2] * below[:, 1:])
    before, now = np.zeros((2, draws, n))
    now[:, 0] = 1
    jacobi = np.zeros((draws, steps, steps))
    norm = np.zeros(draws)
    for k in range(steps):
        after = bands[0] * now - norm[:, None] * before
        for shift in (1, 2):
            after[:, :-shift] += bands[shift] * now[:, shift:]
            after[:, shift:] += bands[shift] * now[:, :-shift]
        jacobi[:, k, k] = (after * now).sum(axis=1)
        after -= jacobi[:, k, k, None] * now
        norm = np.linalg.norm(after, axis=1)
        if k + 1 < steps:
            jacobi[:, k, k + 1] = jacobi[:, k + 1, k] = norm
        before, now = now, after / norm[:, None]
    values, vectors = np.linalg.eigh(jacobi)
    same = values > values[:, -1:] * (1 - 1e-7)  # copies that rounding makes
    return np.stack([values[:, -1], (vectors[:, 0] ** 2 * same).sum(axis=1)], axis=1)


def test_critical_rate_of_one_step():
    assert critical_rate(1, 1, 0.5) == pytest.approx(0.457, abs=5e-4)


@pytest.mark.parametrize(
    ("rate", "largest", "overlap"), [(0.5, 0.75, 1 / 3), (0.6, 0.636, 0.737), (0.8, 0.701, 0.968)]
)
def test_outlier_and_overlap_after_one_step(rate, largest, overlap):
    curves = teacher_student(1, rate, 1, 0.5)
    assert float(curves.largest) == pytest.approx(largest, abs=1e-3)
    assert float(curves.overlap) == pytest.approx(overlap, abs=1e-3)
    found = tops_of_students(np.random.default_rng(2), 200, 400, rate, 200).mean(axis=0)
    assert found[0] == pytest.approx(float(curves.largest), rel=0.02)
    if rate > 0.5:
        assert found[1] == pytest.approx(float(curves.overlap), rel=0.02)


def test_overlap_near_the_threshold_comes_to_its_limit_with_size():
    """At a rate of .5 the outlier has just left (c = 1 against .71): 200 x 400 is not yet at the limit."""
    rng = np.random.default_rng(0)
    small, large = (
        tops_of_students(rng, n, 2 * n, 0.5, draws)[:, 1] for n, draws in ((200, 1500), (1600, 500))
    )
    assert small.mean() * 3 == pytest.approx(0.96, abs=0.03)
    assert large.mean() * 3 == pytest.approx(1, rel=0.02)


def test_three_diagonals_are_the_dense_draw():
    rng = np.random.default_rng(5)
    banded, dense = tops_of_students(rng, 60, 90, 0.6, 1500, steps=60), []
    for _ in range(1500):
        weights, u, _ = student_weights(rng, 60, 90, 0.6, [1])
        values, vectors = eigh(weights[0] @ weights[0].T, subset_by_index=[59, 59])
        dense.append((values[0], (vectors[:, 0] @ u) ** 2))
    error = np.sqrt((banded.var(axis=0) + np.var(dense, axis=0)) / 1500)
    assert (np.abs(banded.mean(axis=0) - np.mean(dense, axis=0)) < 4 * error).all()


@given(RATES, SIGMAS, RATIOS, st.floats(0.1, 200))
def test_the_outlier_leaves_at_the_critical_rate_and_time(rate, sigma, ratio, time):
    at = float(critical_time(rate, sigma, ratio))
    assert not teacher_student(at * 0.999, rate, sigma, ratio).detached
    assert teacher_student(at * 1.001, rate, sigma, ratio).detached
    fast = float(critical_rate(time, sigma, ratio))
    assert float(critical_time(fast, sigma, ratio)) == pytest.approx(time, rel=1e-6)


@given(RATES, SIGMAS, RATIOS)
def test_curves_have_no_seam_where_the_outlier_leaves(rate, sigma, ratio):
    at = float(critical_time(rate, sigma, ratio))
    before, after = (teacher_student(at * (1 + s), rate, sigma, ratio) for s in (-1e-9, 1e-9))
    assert float(after.largest) == pytest.approx(float(before.largest), rel=1e-6)
    assert float(after.overlap) == pytest.approx(0, abs=1e-4)


def test_a_rate_of_one_forgets_its_start():
    now = teacher_student([0, 1, 2], 1.0, 1.0, 0.5)
    assert now.detached.tolist() == [False, True, True]
    np.testing.assert_allclose(now.scale, [1, 0, 0])
    np.testing.assert_allclose(now.largest, [(1 + np.sqrt(0.5)) ** 2, 1, 1])
    np.testing.assert_allclose(now.overlap, [0, 1, 1])
    assert np.isinf(now.relative[1])
    assert float(critical_time(1.0, 1.0, 0.5)) == 0


def test_no_initial_noise_shows_at_once():
    assert teacher_student(1, 0.1, 0, 0.5).detached
    assert float(critical_time(0.1, 0, 0.5)) == 0
    assert float(critical_rate(0, 1, 0.5)) == 1


def test_rates_above_one_turn_over_at_whole_times():
    assert float(teacher_student(1, 1.5, 1, 0.5).strength) == pytest.approx(2.25)
    with pytest.raises(WeightsError, match="whole times"):
        teacher_student(0.5, 1.5, 1, 0.5)


def test_trainability_is_the_curves_on_a_grid():
    found = trainability(np.linspace(0.05, 1, 20), [0.0, 0.5, 1.0, 2.0], [0, 1, 5], 0.5)
    assert found.student.overlap.shape == (3, 4, 20)
    assert found.critical_rate.shape == (3, 4)
    assert found.critical_time.shape == (4, 20)
    beyond = found.rates > found.critical_rate[..., None]
    np.testing.assert_array_equal(found.student.detached, beyond)
    one = teacher_student(5, found.rates[7], 0.5, 0.5)
    assert found.student.largest[2, 1, 7] == float(one.largest)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ((-1, 0.5, 1, 0.5), "times=-1"),
        ((1, 2.0, 1, 0.5), "rate=2.0"),
        ((1, 0.0, 1, 0.5), "rate=0.0"),
        ((1, 0.5, -1, 0.5), "sigma=-1"),
        ((1, np.nan, 1, 0.5), "rate=nan"),
        ((1, 0.5, 1, 1.5), "transpose"),
    ],
)
def test_what_has_no_meaning_is_refused(given, said):
    with pytest.raises(WeightsError, match=said):
        teacher_student(*given)
    with pytest.raises(WeightsError, match="one-dimensional"):
        trainability(0.5, [1.0], [1.0], 0.5)
    with pytest.raises(WeightsError, match=r"rates in \(0, 1\]"):
        critical_time(1.5, 1.0, 0.5)


def test_the_outlier_of_a_student_leaves_its_bulk_at_the_predicted_time():
    rng = np.random.default_rng(0)
    times, ratio, rate = np.arange(10, 220, 5), 0.5, 0.01
    found = []
    for _ in range(6):
        weights, _, _ = student_weights(rng, 200, 400, rate, times)
        spectra = layer_spectra(weights, draws=0)
        found.append(departure(times, spectra.outliers.relative[:, 0], ratio))
    expected = float(critical_time(rate, 1, ratio))
    assert np.mean([one.crossing for one in found]) == pytest.approx(expected, rel=0.1)
    assert all(0.9 * expected < one.detected < 1.4 * expected for one in found)  # later than it crosses


def test_departures_that_are_not_there_are_nan():
    nan = np.nan
    never = departure([1, 2, 3], [nan, 1.0, nan], 0.5)
    assert np.isnan([never.detected, never.crossing]).all()
    always = departure([1, 2, 3], [1.0, 1.1, 1.2], 0.5)
    assert always.detected == 1
    assert np.isnan(always.crossing)
    exact = departure([0, 1, 2, 3], [nan, 1.0, 4.0, 9.0], 1.0)  # sqrt c = t, and the line stops at c = 4
    assert exact.detected == 1
    assert np.isnan(exact.crossing)
    line = departure([0, 1.5, 1.6, 1.8], [nan, 1.5**2, 1.6**2, 1.8**2], 1.0)
    assert line.crossing == pytest.approx(1)
    with pytest.raises(WeightsError, match="increasing"):
        departure([1, 1], [nan, 1.0], 0.5)
    with pytest.raises(WeightsError, match="one each"):
        departure([1, 2, 3], [nan, 1.0], 0.5)
