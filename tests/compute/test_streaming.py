"""The window that follows a run row by row, against extended precision and against the batch path."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import DETRENDS, reader, traces

from rdmviz.compute.errors import (
    DetrendError,
    FlatWindowError,
    LossShapeError,
    NonFiniteLossError,
    WindowError,
)
from rdmviz.compute.rdm import observables
from rdmviz.compute.rdm.gram import banded_gram
from rdmviz.compute.rdm.modes import window_modes
from rdmviz.compute.rdm.streaming import StreamingWindow
from rdmviz.compute.rdm.summed import detrended_variance
from rdmviz.compute.rdm.windows import window_spectra, window_traces
from rdmviz.compute.warning.indicators import rolling_autocorrelation, rolling_slope, rolling_variance

RNG = np.random.default_rng(8)
T, W = 240, 16
STEP = np.arange(T)[:, None]


def a_run(kind: str, n: int) -> np.ndarray:
    noise = RNG.normal(size=(T, n))
    rates = RNG.uniform(0.5, 2, size=n)
    return {
        "white": noise,
        "mean 1e6": noise + 1e6 * rates,
        "walk": np.cumsum(noise, axis=0) + 5,
        "falls by six orders": 10.0 ** (-6 * STEP / T) * (1 + 0.01 * noise),
        "drop of 1e10": np.where(STEP > 100, 1e-10, 1.0) * (1 + 0.1 * noise),
        "fall to a floor of 1e-8": np.exp(-STEP / 4) * rates + 1e-8 * (1 + 0.1 * noise),
        "smooth": np.exp(-STEP / 200 * rates),
        "drift 1e3 times the noise": 1e3 * STEP * rates + noise,
        "long drift that bends": 1e4 * np.sin(STEP / 60 * rates) + noise,
        "spike of 1e10 times the noise": np.where(STEP == 77, 1e4, 1e-6 * noise),
        "spike of 1e8 on a mean": np.where(STEP == 77, 1e8, 1 + 1e-3 * noise),
        "huge": 1e150 * noise,
        "tiny": 1e-150 * noise,
    }[kind]


KINDS = [
    "white",
    "mean 1e6",
    "walk",
    "falls by six orders",
    "drop of 1e10",
    "fall to a floor of 1e-8",
    "smooth",
    "drift 1e3 times the noise",
    "long drift that bends",
    "spike of 1e10 times the noise",
    "spike of 1e8 on a mean",
]


def streamed(losses, window, detrend, **options):
    stream = StreamingWindow(losses.shape[1], window, detrend, **options)
    return stream, [stream.append(row) for row in losses]


def column(found, name):
    return np.array([getattr(one, name) for one in found])


@pytest.mark.parametrize("detrend", DETRENDS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("window", "n"), [(W, 40), (50, 30)])
def test_every_row_is_exact_to_ten_digits(kind, detrend, window, n):
    losses = a_run(kind, n)
    stream = StreamingWindow(n, window, detrend)
    found, tops = [], np.full(T, np.nan)
    for at, row in enumerate(losses):
        found.append(stream.append(row))
        if at % 3 == 0:
            tops[at] = stream.spectrum()[0]
    trace, square, top = traces(losses, window, detrend)
    np.testing.assert_allclose(column(found, "trace"), trace, rtol=1e-10)
    np.testing.assert_allclose(column(found, "square"), square, rtol=1e-10)
    np.testing.assert_allclose(column(found, "participation_ratio"), trace**2 / square, rtol=1e-10)
    np.testing.assert_allclose(tops[::3], top[::3], rtol=1e-10)


@pytest.mark.parametrize("detrend", DETRENDS)
@pytest.mark.parametrize("kind", ["huge", "tiny"])
def test_losses_at_the_ends_of_float64_equal_the_batch(kind, detrend):
    losses = a_run(kind, 20)
    _, found = streamed(losses, W, detrend)
    batch = window_traces(banded_gram(losses, W), W, detrend, reader(losses))
    np.testing.assert_allclose(column(found, "trace"), batch.trace, rtol=1e-10)
    np.testing.assert_allclose(column(found, "purity"), batch.purity, rtol=1e-10)
    assert np.isnan(column(found, "heat_capacity_variance")).all()  # loss^4 leaves float64


@pytest.mark.parametrize("detrend", DETRENDS)
def test_rows_that_cannot_be_squared_silence_their_windows_only(detrend):
    losses = RNG.normal(size=(T, 20)) + 50
    _, clean = streamed(losses, 25, detrend)
    losses[0] = losses[77, 3] = np.inf
    losses[78], losses[150] = np.nan, 1e300
    stream, found = streamed(losses[:80], 25, detrend)
    assert np.isnan(stream.spectrum()).all()
    with pytest.raises(NonFiniteLossError):
        stream.modes()
    found += [stream.append(row) for row in losses[80:]]
    gap = np.zeros(T, dtype=bool)
    gap[:25] = gap[77 : 78 + 25] = gap[150:175] = True
    for name in ("trace", "participation_ratio", "heat_capacity_total", "mean_loss_variance"):
        assert (np.isnan(column(found, name)) == gap).all(), name
        np.testing.assert_allclose(column(found, name)[~gap], column(clean, name)[~gap], rtol=1e-10)
    assert np.flatnonzero(np.isnan(column(found, "mean_loss"))).tolist() == [0, 77, 78, 150]


def test_denormal_and_all_zero_losses_are_flat():
    for losses in (np.zeros((40, 3)), np.full((40, 3), 5e-324), 1e-200 * RNG.normal(size=(40, 3))):
        for detrend in DETRENDS:
            stream, found = streamed(losses, W, detrend)
            assert (column(found, "trace")[W - 1 :] == 0).all()
            assert not stream.spectrum().any()


@pytest.mark.parametrize("detrend", ["constant", "linear", "quadratic"])
def test_flat_stretches_are_exactly_zero_and_have_no_ratios(detrend):
    losses = RNG.normal(size=(T, 20)) + 4
    losses[60:140] = losses[60]
    if detrend != "constant":
        losses[60:140] *= 1 + 1e-3 * STEP[60:140]
    stream, found = streamed(losses[:140], W, detrend)
    for name in ("trace", "purity", "square", "heat_capacity_variance", "heat_capacity_total"):
        assert (column(found, name)[75:] == 0).all(), name
    for name in ("participation_ratio", "participation_ratio_unbiased"):
        assert np.isnan(column(found, name)[75:]).all()
    assert not stream.spectrum().any()
    with pytest.raises(FlatWindowError):
        stream.modes()
    found += [stream.append(row) for row in losses[140:]]
    moving = column(found, "trace") > 0
    assert moving[W - 1 : 75].all()
    assert moving[140:].all()


@pytest.mark.parametrize("detrend", DETRENDS)
def test_the_other_observables_are_those_of_the_batch(detrend):
    losses = np.cumsum(RNG.normal(size=(T, 12)), axis=0) + 1e4
    times = np.cumsum(RNG.integers(1, 6, size=T))
    stream = StreamingWindow(12, 20, detrend)
    found = [stream.append(row, time) for row, time in zip(losses, times, strict=True)]
    batch = window_traces(banded_gram(losses, 20), 20, detrend, reader(losses))
    mean = losses.mean(axis=1)
    expected = {
        "participation_ratio_unbiased": observables.participation_ratio_unbiased(
            batch.trace, batch.square, batch.nu
        ),
        "heat_capacity_variance": observables.heat_capacity_variance(batch.trace, batch.square, 12),
        "heat_capacity_total": detrended_variance(losses.sum(axis=1), 20, detrend),
        "mean_loss_variance": rolling_variance(mean, 20),
        "mean_loss_autocorrelation": rolling_autocorrelation(mean, 20),
        "mean_loss_slope": np.abs(rolling_slope(mean, 20, times)),
    }
    np.testing.assert_allclose(column(found, "mean_loss"), mean, rtol=1e-14)
    for name, values in expected.items():
        np.testing.assert_allclose(column(found, name), values, rtol=1e-8, err_msg=name)  # of plain sums


def test_spectra_and_modes_of_the_present_window():
    losses = RNG.normal(size=(60, 30)) + 1e4
    for n, k in ((30, 3), (7, 2)):
        stream, _ = streamed(losses[:, :n], W, "linear")
        batch = window_traces(banded_gram(losses[:, :n], W), W, "linear")
        spectrum = window_spectra(banded_gram(losses[:, :n], W), batch, np.array([59]), reader(losses[:, :n]))
        np.testing.assert_allclose(stream.spectrum(), spectrum[0], atol=1e-10 * spectrum[0, 0])
        mine, theirs = stream.modes(k), window_modes(reader(losses[:, :n]), 59, W, "linear", k, 60)
        np.testing.assert_allclose(mine.vectors, theirs.vectors, atol=1e-12)
        assert len(mine.vectors) == k
        np.testing.assert_array_equal(stream.rows(), losses[44:, :n])


def test_going_on_from_recorded_rows():
    losses = RNG.normal(size=(90, 8)) + 3
    whole, found = streamed(losses, W, "linear")
    for kept in (80, 10):
        stream = StreamingWindow.from_rows(losses[:kept], W, "linear")
        assert stream.n_rows == kept
        np.testing.assert_allclose(
            stream.latest.trace, found[kept - 1].trace, rtol=1e-10
        )  # NaN while not full
        later = [stream.append(row) for row in losses[kept:]]
        assert [one.row for one in later] == list(range(kept, 90))
        for name in ("trace", "purity", "mean_loss_slope"):
            np.testing.assert_allclose(column(later, name), column(found, name)[kept:], rtol=1e-10)
    np.testing.assert_array_equal(whole.rows(), stream.rows())


@given(
    seed=st.integers(0, 2**32 - 1),
    detrend=st.sampled_from(DETRENDS),
    window=st.integers(4, 12),
    n=st.integers(2, 9),
    scale=st.floats(-40, 40),
    mean=st.floats(0, 6),
)
@settings(max_examples=40, deadline=None)
def test_streamed_equals_batch(seed, detrend, window, n, scale, mean):
    rng = np.random.default_rng(seed)
    losses = 10**scale * (rng.normal(size=(3 * window, n)) + 10**mean)
    _, found = streamed(losses, window, detrend)
    batch = window_traces(banded_gram(losses, window), window, detrend, reader(losses))
    np.testing.assert_allclose(column(found, "trace"), batch.trace, rtol=1e-10)
    np.testing.assert_allclose(column(found, "purity"), batch.purity, rtol=1e-10)


def test_integers_and_short_floats_are_taken_and_other_rows_refused():
    whole = RNG.integers(0, 50, size=(20, 4))
    for dtype in (np.int64, np.uint8, np.float16, np.float32):
        _, found = streamed(whole.astype(dtype), 8, "linear")
        trace, _, _ = traces(whole.astype(float), 8, "linear")
        np.testing.assert_allclose(column(found, "trace"), trace, rtol=1e-10)
    stream = StreamingWindow(4, 8)
    for bad in ([1.0, 2.0], np.ones((1, 4)), ["a", "b", "c", "d"], [1j, 0, 0, 0]):
        with pytest.raises(LossShapeError, match="expected 4 real numbers"):
            stream.append(bad)
    assert stream.n_rows == 0
    with pytest.raises(WindowError, match="first full window needs 8"):
        stream.modes()
    with pytest.raises(WindowError, match="at least 4 rows"):
        StreamingWindow(4, 3, "quadratic")
    with pytest.raises(WindowError, match="whole number"):
        StreamingWindow(4, 3.0)
    with pytest.raises(DetrendError, match="'cubic'"):
        StreamingWindow(4, 8, "cubic")
    with pytest.raises(LossShapeError, match="two datapoints"):
        StreamingWindow(1, 8)
    with pytest.raises(LossShapeError, match=r"\(rows, datapoints\)"):
        StreamingWindow.from_rows(np.ones(5), 3)
