import numpy as np
import pytest
from oracles import DETRENDS, reader, traces

from rdmviz.compute.errors import DetrendError, NonFiniteLossError, WindowError
from rdmviz.compute.rdm.gram import banded_gram
from rdmviz.compute.rdm.rows import read_window
from rdmviz.compute.rdm.windows import full_windows, window_spectra, window_traces

RNG = np.random.default_rng(11)
T = 210
STEP = np.arange(T)[:, None]


def _run(kind: str, n: int) -> np.ndarray:
    noise = RNG.normal(size=(T, n))
    rates = RNG.uniform(0.5, 2, size=n)
    return {
        "white": noise,
        "mean 1e4": noise + 1e4,
        "mean 1e6": noise + 1e6 * RNG.uniform(0.5, 1, size=n),
        "walk": np.cumsum(noise, axis=0) + 5,
        "falls by six orders": 10.0 ** (-6 * STEP / T) * (1 + 0.01 * noise),
        "falls by six orders at once": np.where(STEP > 100, 1e-6, 1.0) * (1 + 0.1 * noise),
        "smooth": np.exp(-STEP / 200 * rates),
        "drift 1e3 times the noise": 1e3 * STEP * rates + noise,
        "spike": noise + 1e4 * (STEP == 120),
    }[kind]


KINDS = [
    "white",
    "mean 1e4",
    "mean 1e6",
    "walk",
    "falls by six orders",
    "falls by six orders at once",
    "smooth",
    "drift 1e3 times the noise",
    "spike",
]


@pytest.mark.parametrize("detrend", DETRENDS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("window", "max_window", "n"), [(16, 16, 40), (16, 64, 9), (50, 64, 30)])
def test_fast_path_is_exact_to_ten_digits(kind, detrend, window, max_window, n):
    losses = _run(kind, n)
    gram = banded_gram(losses, max_window)
    found = window_traces(gram, window, detrend, reader(losses))
    spectra = window_spectra(gram, found, np.arange(T), reader(losses))
    trace, square, top = traces(losses, window, detrend)
    np.testing.assert_allclose(found.trace, trace, rtol=1e-10)
    np.testing.assert_allclose(found.square, square, rtol=1e-10)
    np.testing.assert_allclose(spectra[:, 0], top, rtol=1e-10)
    np.testing.assert_allclose(spectra.sum(axis=1), trace, rtol=1e-10)


@pytest.mark.parametrize("n", [12, 70])
@pytest.mark.parametrize("mean", [0.0, 1e6])
def test_whole_spectra_equal_cov_and_eigvalsh(n, mean):
    losses = RNG.normal(size=(90, n)) * RNG.uniform(0.5, 2, size=n) + mean
    gram, w = banded_gram(losses, 40), 32
    found = window_traces(gram, w, "constant", reader(losses))
    ends = np.array([31, 50, 89])
    spectra = window_spectra(gram, found, ends)
    for end, values in zip(ends, spectra, strict=True):
        expected = np.linalg.eigvalsh(np.cov(losses[end - w + 1 : end + 1].T))[::-1]
        k = min(n, w)
        np.testing.assert_allclose(values[:k], expected[:k], atol=1e-10 * expected[0])
        assert (values[k:] <= 1e-12 * expected[0]).all()


@pytest.mark.parametrize("window", [5, 50])
def test_pure_linear_drift(window):
    slope = RNG.normal(size=30)
    losses = 3 + STEP * slope
    gram = banded_gram(losses, 64)
    constant = window_traces(gram, window, "constant", reader(losses))
    expected = slope @ slope * window * (window + 1) / 12
    np.testing.assert_allclose(constant.trace[window - 1 :], expected, rtol=1e-10)
    np.testing.assert_allclose(constant.square[window - 1 :], expected**2, rtol=1e-10)
    top = window_spectra(gram, constant, np.arange(window - 1, T), reader(losses))[:, 0]
    np.testing.assert_allclose(top, expected, rtol=1e-10)
    for detrend in ("linear", "quadratic"):
        gone = window_traces(gram, window, detrend, reader(losses))
        assert (gone.trace[window - 1 :] == 0).all()
        assert (gone.square[window - 1 :] == 0).all()
        assert not window_spectra(gram, gone, np.array([T - 1]), reader(losses)).any()


def test_a_parabola_is_gone_under_quadratic_detrending_only():
    losses = 1 + 1e-3 * STEP**2 * RNG.uniform(0.5, 1, size=30)
    gram = banded_gram(losses, 64)
    assert (window_traces(gram, 40, "quadratic", reader(losses)).trace[39:] == 0).all()
    assert (window_traces(gram, 40, "linear", reader(losses)).trace[39:] > 1e-4).all()


def test_flat_stretches_are_exactly_zero_and_others_untouched():
    losses = RNG.normal(size=(T, 20)) + 4
    losses[60:140] = losses[60]
    for detrend in ("constant", "linear", "quadratic"):
        found = window_traces(banded_gram(losses, 64), 30, detrend, reader(losses))
        assert (found.trace[89:140] == 0).all()
        assert (found.trace[29:89] > 0).all()
        assert (found.trace[140:] > 0).all()


def test_fluctuations_far_below_the_losses_are_not_taken_for_rounding():
    """1e-12 of the loss is small, and real in float64."""
    losses = 1.0 + 1e-12 * np.round(RNG.normal(size=(T, 20)) * 2**6) / 2**6
    found = window_traces(banded_gram(losses, 40), 40, "linear", reader(losses))
    trace, _, _ = traces(losses, 40, "linear")
    np.testing.assert_allclose(found.trace, trace, rtol=1e-10)
    assert (found.trace[39:] > 0).all()


@pytest.mark.parametrize("detrend", DETRENDS)
def test_windows_with_a_bad_row_are_gaps_and_nothing_else_changes(detrend):
    losses = RNG.normal(size=(T, 20)) + 50
    clean = window_traces(banded_gram(losses, 40), 25, detrend, reader(losses))
    losses[77, 3], losses[78] = np.inf, np.nan
    gram = banded_gram(losses, 40)
    found = window_traces(gram, 25, detrend, reader(losses))
    gap = np.zeros(T, dtype=bool)
    gap[:24] = gap[77 : 78 + 25] = True
    assert (np.isnan(found.trace) == gap).all()
    assert (np.isnan(found.square) == gap).all()
    np.testing.assert_allclose(found.trace[~gap], clean.trace[~gap], rtol=1e-12)
    np.testing.assert_allclose(found.square[~gap], clean.square[~gap], rtol=1e-10)
    spectra = window_spectra(gram, found, np.array([76, 77, 102, 103]))
    assert np.isnan(spectra).any(axis=1).tolist() == [False, True, True, False]


def test_without_rows_digits_are_lost_to_drift_but_not_invented():
    losses = _run("drift 1e3 times the noise", 30)
    gram = banded_gram(losses, 50)
    found = window_traces(gram, 50, "linear")
    assert found.from_rows[49:].all()
    trace, _, _ = traces(losses, 50, "linear")
    np.testing.assert_allclose(found.trace, trace, rtol=1e-4)


def test_rows_are_read_again_only_where_digits_were_lost():
    losses = RNG.normal(size=(T, 20))
    losses[:100] += 1e5 * STEP[:100]
    asked = []

    def rows(start, stop):
        asked.append((start, stop))
        return losses[start:stop]

    window_traces(banded_gram(losses, 20), 20, "linear", rows)
    assert asked
    assert max(stop for _, stop in asked) < 150


def test_full_windows_at_the_edges():
    finite = np.array([1, 1, 1, 0, 1, 1, 1], dtype=bool)
    assert full_windows(finite, 3).tolist() == [False, False, True, False, False, False, True]
    assert full_windows(finite, 7).tolist() == [False] * 7
    assert full_windows(np.ones(3, dtype=bool), 3).tolist() == [False, False, True]


def test_bad_windows_say_the_way_out():
    gram = banded_gram(RNG.normal(size=(T, 5)), 30)
    with pytest.raises(WindowError, match="max_window=31"):
        window_traces(gram, 31, "constant")
    with pytest.raises(WindowError, match="longer than the 210 recorded rows"):
        window_traces(gram, 211, "constant")
    with pytest.raises(WindowError, match="at least 4 rows"):
        window_traces(gram, 3, "quadratic")
    with pytest.raises(DetrendError, match="'cubic'"):
        window_traces(gram, 20, "cubic")


def test_a_bad_row_is_named_when_a_window_is_read():
    losses = RNG.normal(size=(20, 4))
    losses[7, 1] = np.nan
    with pytest.raises(NonFiniteLossError, match="first at row 7"):
        read_window(reader(losses), 9, 5)
    assert read_window(reader(losses), 12, 5).shape == (5, 4)


@pytest.mark.parametrize("detrend", DETRENDS[1:])
@pytest.mark.parametrize("seed", range(12))
def test_fluctuations_that_emerge_from_a_steep_fall_keep_ten_digits(seed, detrend):
    rng = np.random.default_rng(seed)
    fall = np.exp(-np.arange(173) / rng.uniform(5, 30))[:, None] * rng.uniform(1, 2, 60)
    losses = fall * 10 ** rng.uniform(2, 6) + rng.gamma(2.0, size=(173, 60))
    gram = banded_gram(losses, 20)
    for window in (20, 7):
        found = window_traces(gram, window, detrend, reader(losses))
        trace, square, _ = traces(losses, window, detrend)
        np.testing.assert_allclose(found.trace, trace, rtol=1e-10)
        np.testing.assert_allclose(found.square, square, rtol=1e-10)
