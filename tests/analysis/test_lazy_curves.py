"""Curves that need an eigenproblem per window."""

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import xarray as xr
from toy import LOSSES, RNG, STEPS, N, T, make_run

from rdmviz.analysis import analyze, curves
from rdmviz.analysis.gram_cache import gram_of
from rdmviz.compute.rdm.windows import window_spectra, window_traces


def test_eigenvalues_are_computed_for_the_steps_that_are_read(monkeypatch):
    asked = []
    spectra = curves.window_spectra
    monkeypatch.setattr(curves, "window_spectra", lambda *a: asked.extend(a[2].tolist()) or spectra(*a))
    found = analyze(make_run(), window=40)
    assert "..." in repr(found)
    assert asked == []
    part = found.top_eigenvalue.isel(step=slice(100, 110)).values
    assert asked == list(range(100, 110))
    whole = found.top_eigenvalue.values
    assert sorted(asked) == list(range(T))
    np.testing.assert_array_equal(whole[100:110], part)
    found.top_eigenvalue.isel(step=[5, 200]).values  # noqa: B018  # reading is the act that is tested
    assert len(asked) == T


def test_lazy_curves_index_as_arrays_do():
    lazy = analyze(make_run(), window=40)
    array = lazy.top_eigenvalue.copy(deep=True).load().values
    for key in (7, -1, slice(3, 200, 9), slice(None, None, -1), [5, 2, 2], np.arange(T) % 7 == 0):
        np.testing.assert_array_equal(analyze(make_run(), window=40).top_eigenvalue[key].values, array[key])
    step = int(STEPS[123])
    assert float(lazy.top_eigenvalue.sel(step=step)) == array[123]


def test_lazy_curves_are_copied_pickled_and_read_by_threads():
    found = analyze(make_run(), window=40)
    with ThreadPoolExecutor(4) as pool:
        read = list(pool.map(lambda _: found.top_eigenvalue.values, range(4)))
    for other in (pickle.loads(pickle.dumps(found)), copy.deepcopy(found), found.copy()):
        xr.testing.assert_identical(other, found)
    for values in read:
        np.testing.assert_array_equal(values, found.top_eigenvalue.values)
    fresh = pickle.loads(pickle.dumps(analyze(make_run(), window=40)))
    np.testing.assert_array_equal(fresh.top_eigenvalue.values, read[0])


def test_writing_into_what_was_read_does_not_reach_the_memory():
    found = analyze(make_run(), window=40)
    first = found.top_eigenvalue.values.copy()
    values = found.top_eigenvalue.isel(step=slice(50, 60)).values
    values[:] = -1
    np.testing.assert_array_equal(found.top_eigenvalue.values, first)


def test_long_windows_are_solved_few_at_a_time(monkeypatch):
    sizes = []
    spectra = curves.window_spectra
    monkeypatch.setattr(curves, "window_spectra", lambda *a: sizes.append(len(a[2])) or spectra(*a))
    monkeypatch.setattr(curves, "_BATCH_ENTRIES", 3 * N**2)
    found = analyze(make_run(), window=100).top_eigenvalue[:101].load()
    assert max(sizes) == 3  # n x n, for there are fewer datapoints than rows
    assert float(found[100]) == pytest.approx(np.linalg.norm(_fluctuations(100, 100), 2) ** 2 / 98, rel=1e-10)


def test_few_datapoints_are_solved_by_their_own_covariance():
    losses = RNG.normal(size=(400, 3)) + 1e4
    read = []
    run = make_run(losses, np.arange(400))
    found = analyze(run, window=200, detrend="constant")
    rows = run.rows
    gram = gram_of(run, 200)
    traces = window_traces(gram, 200, "constant", rows)
    spectra = window_spectra(gram, traces, np.arange(250, 260), lambda *at: read.append(at) or rows(*at))
    assert read == [(51, 260)]  # once, for windows that overlap
    assert spectra.shape == (10, 200)
    assert not spectra[:, 3:].any()
    expected = np.linalg.eigvalsh(np.cov(losses[56:256].T))[::-1]
    np.testing.assert_allclose(spectra[5, :3], expected, rtol=1e-10)
    assert float(found.top_eigenvalue[255]) == pytest.approx(expected[0], rel=1e-10)
    far = window_spectra(gram, traces, np.array([199, 399]), lambda *at: read.append(at) or rows(*at))
    assert read[1:] == [(0, 200), (200, 400)]
    assert (far[:, 0] > 0).all()


def _fluctuations(row, window):
    """Rows of a window minus their straight lines."""
    rows, times = LOSSES[row - window + 1 : row + 1], np.arange(window)
    return rows - np.stack([np.polyval(np.polyfit(times, column, 1), times) for column in rows.T], axis=1)
