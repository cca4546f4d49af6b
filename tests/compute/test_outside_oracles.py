"""Windows against implementations that nobody here wrote: NumPy, SciPy, scikit-learn and Dask."""

from functools import reduce
from operator import add

import dask.array as da
import numpy as np
import pytest
from oracles import reader
from scipy.signal import detrend as scipy_detrend
from sklearn.decomposition import PCA, IncrementalPCA

import rdmviz
from rdmviz.compute.rdm.gram import banded_gram
from rdmviz.compute.rdm.modes import window_modes
from rdmviz.compute.rdm.streaming import StreamingWindow
from rdmviz.compute.rdm.windows import window_spectra, window_traces

T = 90
ENDS = np.array([63, 70, 89])
SHAPES = [(24, 60), (60, 24), (40, 40)]  # rows in a window, datapoints
MEANS = [0.0, 1e4, 1e6]


def a_run(n, mean=0.0, seed=0, modes=None):
    """Three modes of well separated strengths over noise, or so many modes and no noise."""
    rng = np.random.default_rng(seed)
    strengths = np.array([30.0, 10.0, 4.0]) if modes is None else 10.0 / np.arange(1, modes + 1)
    directions = np.linalg.qr(rng.normal(size=(n, len(strengths))))[0].T
    losses = (rng.normal(size=(T, len(strengths))) * strengths) @ directions
    return losses + (rng.normal(size=(T, n)) if modes is None else 0.0) + mean * rng.uniform(1, 2, size=n)


def window_of(losses, end, window):
    return losses[end - window + 1 : end + 1]


def same_spectrum(found, expected):
    """All eigenvalues to 1e-10 of the first, and none beyond those that are expected."""
    k = min(len(found), len(expected))
    np.testing.assert_allclose(found[:k], expected[:k], rtol=0, atol=1e-10 * expected[0])
    assert (np.concatenate([found[k:], expected[k:]]) <= 1e-10 * expected[0]).all()


def same_vectors(found, expected):
    signs = np.sign(np.einsum("kn,kn->k", found, expected))
    np.testing.assert_allclose(found * signs[:, None], expected, rtol=0, atol=1e-10)


def everything(losses, window, detrend="constant"):
    """Traces and spectra by the Gram, by the stream, and by the rows of the window, for each of `ENDS`."""
    gram = banded_gram(losses, window + 1)
    traces = window_traces(gram, window, detrend, reader(losses))
    spectra = window_spectra(gram, traces, ENDS, reader(losses))
    for end, spectrum in zip(ENDS, spectra, strict=True):
        stream = StreamingWindow.from_rows(losses[: end + 1], window, detrend)
        modes = window_modes(reader(losses), end, window, detrend, 3, T)
        yield (
            window_of(losses, end, window),
            (traces.trace[end], stream.latest.trace, modes.trace),
            (traces.square[end], stream.latest.square, modes.eigenvalues @ modes.eigenvalues),
            (spectrum, stream.spectrum(), modes.eigenvalues),
            modes.vectors,
        )


@pytest.mark.parametrize("mean", MEANS)
@pytest.mark.parametrize(("window", "n"), SHAPES)
def test_numpy_cov(window, n, mean):
    for rows, traces, squares, spectra, vectors in everything(a_run(n, mean), window):
        covariance = np.cov(rows, rowvar=False)
        np.testing.assert_allclose(traces, np.trace(covariance), rtol=1e-10)
        np.testing.assert_allclose(squares, np.vdot(covariance, covariance), rtol=1e-10)
        for spectrum in spectra:
            same_spectrum(spectrum, np.linalg.eigvalsh(covariance)[::-1])
        same_vectors(vectors, np.linalg.eigh(covariance)[1].T[::-1][:3])


@pytest.mark.parametrize("detrend", ["linear", "quadratic"])
@pytest.mark.parametrize(("window", "n"), SHAPES)
def test_singular_values_of_rows_detrended_elsewhere(window, n, detrend):
    time = np.arange(window) - (window - 1) / 2
    for rows, traces, squares, spectra, vectors in everything(a_run(n, 100.0), window, detrend):
        rest = scipy_detrend(rows, axis=0)
        if detrend == "quadratic":
            rest = (
                rows
                - np.polynomial.polynomial.polyval(time, np.polynomial.polynomial.polyfit(time, rows, 2)).T
            )
        _, singular, expected = np.linalg.svd(rest, full_matrices=False)
        values = singular**2 / (window - {"linear": 2, "quadratic": 3}[detrend])
        np.testing.assert_allclose(traces, values.sum(), rtol=1e-10)
        np.testing.assert_allclose(squares, values @ values, rtol=1e-10)
        for spectrum in spectra:
            same_spectrum(spectrum, values)
        same_vectors(vectors, expected[:3])


@pytest.mark.parametrize(("solver", "mean"), [*(("full", mean) for mean in MEANS), ("covariance_eigh", 0.0)])
@pytest.mark.parametrize(("window", "n"), SHAPES)
def test_scikit_learn_pca(window, n, mean, solver):
    """Its "covariance_eigh" squares the mean, off by up to 1e-5 at a mean of 1e6: held without one."""
    for rows, traces, _, spectra, vectors in everything(a_run(n, mean), window):
        pca = PCA(svd_solver=solver).fit(rows)
        np.testing.assert_allclose(traces, pca.explained_variance_.sum(), rtol=1e-10)
        for spectrum in spectra:
            same_spectrum(spectrum, pca.explained_variance_)
        same_vectors(vectors, pca.components_[:3])


@pytest.mark.parametrize("mean", MEANS)
@pytest.mark.parametrize(("window", "n", "modes", "batch"), [(60, 12, None, 15), (24, 60, 6, 8)])
def test_scikit_learn_incremental_pca(window, n, modes, batch, mean):
    """Exact where it keeps as many components as there are, which have to fit its first batch of rows.

    By itself it is then within 4e-12 of extended precision at a mean of 1e6, and 2e-15 without one.
    """
    for rows, traces, _, spectra, vectors in everything(a_run(n, mean, modes=modes), window):
        pca = IncrementalPCA(n_components=modes or n)
        for start in range(0, window, batch):
            pca.partial_fit(rows[start : start + batch])
        np.testing.assert_allclose(traces, pca.explained_variance_.sum(), rtol=1e-10)
        for spectrum in spectra:
            same_spectrum(spectrum, pca.explained_variance_)
        same_vectors(vectors, pca.components_[:3])


@pytest.mark.parametrize("mean", MEANS)
@pytest.mark.parametrize(("window", "n"), SHAPES)
def test_dask_arrays(window, n, mean):
    losses = a_run(n, mean)
    cuts = np.array_split(np.arange(n), 4)
    gram = reduce(add, (banded_gram(losses[:, part], window + 1) for part in cuts))
    traces = window_traces(gram, window, "constant", reader(losses))
    chunked = da.from_array(losses, chunks=(T, -(-n // 4)))
    for end, spectrum in zip(ENDS, window_spectra(gram, traces, ENDS, reader(losses)), strict=True):
        rows = window_of(chunked, end, window)
        covariance = da.cov(rows, rowvar=0).compute()
        assert traces.trace[end] == pytest.approx(np.trace(covariance), rel=1e-10)
        assert traces.square[end] == pytest.approx(np.vdot(covariance, covariance), rel=1e-10)
        same_spectrum(spectrum, np.linalg.eigvalsh(covariance)[::-1])
        _, singular, vectors = da.linalg.svd((rows - rows.mean(axis=0)).rechunk((window, -1)))
        same_spectrum(spectrum, singular.compute() ** 2 / (window - 1))
        modes = window_modes(reader(losses), end, window, "constant", 3, T)
        same_vectors(modes.vectors, vectors[:3].compute())


@pytest.mark.parametrize("chunks", [None, (T, 7), (13, 9)])
@pytest.mark.parametrize(("window", "n"), SHAPES)
def test_what_the_verbs_say_is_what_pca_says(window, n, chunks):
    losses = a_run(n, 100.0)
    run = rdmviz.TrainingRun.from_arrays(losses if chunks is None else da.from_array(losses, chunks=chunks))
    curves = rdmviz.analyze(run, window, "constant").load()
    tracked = rdmviz.mode_tracks(run, window, modes=3)
    for end in ENDS.tolist():
        pca = PCA(svd_solver="full").fit(window_of(losses, end, window))
        values, at = pca.explained_variance_, curves.isel(step=end)
        assert float(at.trace) == pytest.approx(values.sum(), rel=1e-10)
        assert float(at.top_eigenvalue) == pytest.approx(values[0], rel=1e-10)
        assert float(at.participation_ratio) == pytest.approx(
            values.sum() ** 2 / (values @ values), rel=1e-10
        )
        np.testing.assert_allclose(tracked.eigenvalue[end], values[:3], rtol=1e-10)
        modes = rdmviz.eigenmodes(run, end, window, modes=3)
        np.testing.assert_allclose(modes.eigenvalue, values[:3], rtol=1e-10)
        np.testing.assert_allclose(modes.explained, pca.explained_variance_ratio_[:3], rtol=1e-10)
        same_vectors(modes.eigenvector.values, pca.components_[:3])
