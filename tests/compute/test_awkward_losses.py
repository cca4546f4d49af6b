"""Losses of any kind, layout and size: right numbers where there are any, and never a warning."""

import dataclasses

import numpy as np
import pytest
from layouts import LAYOUTS
from oracles import DETRENDS, reader, traces
from scipy.linalg import hadamard

from rdmviz.compute.errors import FlatWindowError, LossShapeError, NonFiniteLossError, WindowError
from rdmviz.compute.rdm import observables
from rdmviz.compute.rdm.gram import banded_gram
from rdmviz.compute.rdm.mode_tracks import mode_tracks
from rdmviz.compute.rdm.modes import window_modes
from rdmviz.compute.rdm.nulls import marchenko_pastur_edge
from rdmviz.compute.rdm.streaming import StreamingWindow
from rdmviz.compute.rdm.windows import window_spectra, window_traces

RNG = np.random.default_rng(17)
T, N, W = 60, 12, 16
LOSSES = RNG.gamma(2.0, size=(T, N)) + 3
WHOLE = RNG.integers(0, 256, size=(T, N))


def numbers(losses, window=W, detrend="linear"):
    """Everything that the array level says of a run."""
    rows, last = reader(losses), len(losses) - 1
    gram = banded_gram(losses, window + 1)
    found = window_traces(gram, window, detrend, rows)
    stream = StreamingWindow.from_rows(losses, window, detrend)
    tracks = mode_tracks(banded_gram(losses, min(window + 1, len(losses))), found, rows, 3)
    said = {
        "trace": found.trace,
        "purity": found.purity,
        "square": found.square,
        "spectra": window_spectra(gram, found, np.arange(len(losses)), rows),
        "row sums": gram.row_sums,
        "tracked": tracks.eigenvalues,
        "identity": tracks.identity,
        "spectrum of the stream": stream.spectrum(),
        **{f"{name} of the stream": value for name, value in dataclasses.asdict(stream.latest).items()},
    }
    try:
        modes = window_modes(rows, last, window, detrend, 3, len(losses))
    except (FlatWindowError, NonFiniteLossError) as error:
        return said | {"modes": type(error)}
    return said | {
        "eigenvalues": modes.eigenvalues,
        "vectors": modes.vectors,
        "drift": modes.drift,
        "fluctuations": modes.fluctuations(),
    }


def same(found, expected, rtol=1e-12):
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        if isinstance(value, type):
            assert found[name] is value
        else:
            size = np.nanmax(np.abs(value)) if np.isfinite(value).any() else 0.0
            np.testing.assert_allclose(found[name], value, rtol=rtol, atol=rtol * size, err_msg=name)


@pytest.mark.parametrize("window", [2 * N, N // 2])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_layout_of_the_losses_changes_nothing(layout, window):
    given = LAYOUTS[layout](LOSSES)
    losses = given if isinstance(given, np.ndarray) else np.asarray(given)
    same(numbers(losses, window), numbers(LOSSES, window))
    np.testing.assert_array_equal(banded_gram(given, W).segments, banded_gram(LOSSES, W).segments)
    np.testing.assert_array_equal(losses, LOSSES)  # and nothing was written


def test_a_memory_map_is_read_as_an_array(tmp_path):
    kept = np.memmap(tmp_path / "losses", dtype=np.float64, mode="w+", shape=LOSSES.shape)
    kept[:] = LOSSES
    kept.flush()
    same(
        numbers(np.memmap(tmp_path / "losses", dtype=np.float64, mode="r", shape=LOSSES.shape)),
        numbers(LOSSES),
    )


@pytest.mark.parametrize(
    "dtype", [np.uint8, np.int16, ">i4", np.int64, np.uint64, np.float16, np.float32, ">f4", np.longdouble]
)
@pytest.mark.parametrize("detrend", DETRENDS)
def test_the_dtype_of_the_losses_changes_nothing(dtype, detrend):
    same(numbers(WHOLE.astype(dtype), W, detrend), numbers(WHOLE.astype(float), W, detrend))


def test_whole_numbers_beyond_the_digits_of_a_float():
    losses = (2**62 + RNG.integers(-(2**61), 2**61, size=(T, N))).astype(np.uint64) * np.uint64(2)
    found = numbers(losses, W, "constant")
    trace, square, _ = traces(losses, W, "constant")
    np.testing.assert_allclose(found["trace"], trace, rtol=1e-10)
    np.testing.assert_allclose(found["square"], square, rtol=1e-10)


def test_the_largest_half_precision_losses_do_not_overflow():
    losses = np.where(RNG.normal(size=(T, N)) > 0, 65504, -65504).astype(np.float16)
    same(numbers(losses), numbers(losses.astype(float)))


@pytest.mark.parametrize("detrend", DETRENDS)
@pytest.mark.parametrize(
    "scale", [2.0**-1000, 2.0**-530, 2.0**-505, 2.0**-250, 2.0**250, 2.0**498, 2.0**1000]
)
def test_losses_of_any_size_have_right_numbers_or_none(scale, detrend):
    usual, found = numbers(LOSSES, W, detrend), numbers(LOSSES * scale, W, detrend)
    full = slice(W - 1, None)
    if scale == 2.0**1000:
        assert np.isnan(found["trace"]).all()
        assert found["modes"] is NonFiniteLossError
    elif scale < 2.0**-520:  # squares underflow
        for name in ("trace", "purity", "square", "spectra"):
            assert not found[name][full].any()
        assert not found["spectrum of the stream"].any()
        assert found["modes"] is FlatWindowError
    else:
        for name in ("trace", "spectra", "eigenvalues", "tracked", "trace of the stream"):
            size = np.nanmax(usual[name])
            np.testing.assert_allclose(
                found[name] / scale / scale, usual[name], rtol=1e-10, atol=1e-10 * size, err_msg=name
            )
        for name in ("purity", "vectors", "identity", "participation_ratio of the stream"):
            np.testing.assert_allclose(found[name], usual[name], rtol=1e-9, atol=1e-10, err_msg=name)


@pytest.mark.parametrize("detrend", DETRENDS)
@pytest.mark.parametrize("exponent", [*range(-1074, -490, 9), *range(494, 515)])
def test_no_size_gives_digits_that_are_none(exponent, detrend):
    """Around the sizes whose squares leave float64: ten digits, or flat, or NaN, and the stream agrees."""
    with np.errstate(under="ignore"):
        losses = np.ldexp(LOSSES, exponent)
    found = window_traces(banded_gram(losses, W), W, detrend, reader(losses))
    streamed = StreamingWindow.from_rows(losses, W, detrend).latest
    usual = window_traces(banded_gram(LOSSES, W), W, detrend)
    for trace, purity in ((found.trace[-1], found.purity[-1]), (streamed.trace, streamed.purity)):
        if np.isfinite(trace) and trace > 0:
            assert np.ldexp(np.ldexp(trace, -exponent), -exponent) == pytest.approx(
                usual.trace[-1], rel=1e-10
            )
            assert purity == pytest.approx(usual.purity[-1], rel=1e-10)
        else:
            assert purity == 0 if trace == 0 else np.isnan(purity)
            assert np.isnan(trace) if exponent > 0 else trace == 0
            assert not -508 < exponent < 506


@pytest.mark.parametrize("detrend", DETRENDS[1:])
def test_small_fluctuations_of_losses_whose_squares_hardly_fit(detrend):
    losses = np.ldexp(LOSSES + 2.0**20, 485)
    found = window_traces(banded_gram(losses, W), W, detrend, reader(losses)).trace / 2.0**485 / 2.0**485
    np.testing.assert_allclose(found, traces(LOSSES + 2.0**20, W, detrend)[0], rtol=1e-10)


@pytest.mark.parametrize("window", [W, N // 2])
@pytest.mark.parametrize("seed", range(30))
def test_datapoints_of_every_order_of_magnitude(seed, window):
    """Solvers may fail over entries that differ by more than float64 reaches."""
    rng = np.random.default_rng(seed)
    losses = rng.normal(size=(T, N)) * 10.0 ** rng.permutation(np.linspace(-300, 148, N))
    found, largest = numbers(losses, window, "constant"), np.abs(losses).max(axis=0).argmax()
    leading = [found["trace"][-1], found["spectra"][-1, 0], found["tracked"][-1, 0], found["eigenvalues"][0]]
    leading += [found["trace of the stream"], found["spectrum of the stream"][0]]
    np.testing.assert_allclose(leading, losses[-window:, largest].var(ddof=1), rtol=1e-10)
    np.testing.assert_allclose(np.abs(found["vectors"]), np.eye(N)[[largest]], atol=1e-9)


@pytest.mark.parametrize("detrend", DETRENDS)
def test_losses_whose_squares_just_fit(detrend):
    losses = RNG.normal(size=(T, N)) * np.sqrt(np.finfo(np.float64).max / 6 / N / W)
    found = numbers(losses, W, detrend)
    assert np.isfinite(found["trace"][W - 1 :]).all()
    np.testing.assert_allclose(found["tracked"][-1, 0], found["eigenvalues"][0], rtol=1e-10)


def test_extended_precision_beyond_float64_is_infinite():
    losses = LOSSES.astype(np.longdouble)
    losses[30] *= np.longdouble("1e4000")
    losses[0] *= np.longdouble("1e-4000")  # which is 0
    gram = banded_gram(losses, W)
    assert np.flatnonzero(~gram.finite).tolist() == [30]
    found = window_traces(gram, W, "linear", reader(losses))
    assert np.isnan(found.trace[30 : 30 + W]).all()
    np.testing.assert_allclose(found.trace[30 + W :], numbers(LOSSES)["trace"][30 + W :], rtol=1e-12)
    with pytest.raises(NonFiniteLossError, match="ends at row 40"):
        window_modes(reader(losses), 40, W, "linear", 3, T)


@pytest.mark.parametrize("detrend", DETRENDS)
def test_all_zero_windows(detrend):
    found = numbers(np.zeros((T, N)), W, detrend)
    for name in ("trace", "purity", "square", "spectra", "tracked"):
        assert not found[name][W - 1 :].any()
    assert (found["identity"] == -1).all()
    assert found["modes"] is FlatWindowError
    edge = marchenko_pastur_edge(found["spectra"], N, W - DETRENDS.index(detrend))
    assert not np.any([edge.edge[W - 1 :], edge.noise[W - 1 :], edge.n_above[W - 1 :]])


@pytest.mark.parametrize("window", [W, N // 2])
@pytest.mark.parametrize("rank", [1, 2])
def test_rank_deficient_windows(rank, window):
    losses = RNG.normal(size=(T, rank)) @ RNG.normal(size=(rank, N)) + 7
    found = numbers(losses, window, "constant")
    for row in (window - 1, 30, T - 1):
        expected = np.linalg.eigvalsh(np.cov(losses[row - window + 1 : row + 1].T))[::-1]
        for name in ("spectra", "tracked"):
            np.testing.assert_allclose(found[name][row, :rank], expected[:rank], rtol=1e-10)
            assert (found[name][row, rank:] <= 1e-14 * expected[0]).all()
        assert 1 - 1e-12 <= 1 / found["purity"][row] <= rank * (1 + 1e-12)
    assert len(found["vectors"]) == rank
    assert set(found["identity"][-1, rank:].tolist()) <= {-1}
    if rank == 1:
        for of_spectrum, value in ((observables.entropy, 0), (observables.heat_capacity_capacity, 0)):
            np.testing.assert_allclose(of_spectrum(found["spectra"][window - 1 :]), value, atol=1e-10)


@pytest.mark.parametrize("count", [2, 8, 15])
def test_modes_that_are_all_alike(count):
    """Columns of a Hadamard matrix, again and again: C of every window is 16/15 times the identity."""
    losses = np.tile(hadamard(W)[:, 1 : count + 1].astype(float), (4, 1)) + 5
    found, level = numbers(losses, W, "constant"), W / (W - 1)
    full = slice(W - 1, None)
    np.testing.assert_allclose(found["trace"][full], count * level, rtol=1e-12)
    np.testing.assert_allclose(found["purity"][full], 1 / count, rtol=1e-12)
    for name in ("spectra", "tracked"):
        np.testing.assert_allclose(found[name][full, :count], level, rtol=1e-12)
        np.testing.assert_allclose(found[name][full, count:], 0, atol=1e-12)
    np.testing.assert_allclose(found["eigenvalues"][:count], level, rtol=1e-12)
    vectors = found["vectors"]
    np.testing.assert_allclose(vectors @ vectors.T, np.eye(len(vectors)), atol=1e-12)
    trace, square, spectra = found["trace"][full], found["square"][full], found["spectra"][full]
    np.testing.assert_allclose(observables.heat_capacity_variance(trace, square, count), 0, atol=1e-12)
    np.testing.assert_allclose(observables.entropy(spectra), np.log(count), rtol=1e-12)
    if count == 2:
        np.testing.assert_array_equal(found["identity"][full], np.tile([0, 1, -1], (64 - W + 1, 1)))


@pytest.mark.parametrize("bad", [1, 0, -3, 2.5, 3.0, True, None, "8", np.nan])
def test_windows_that_are_none(bad):
    gram, rows = banded_gram(LOSSES, T), reader(LOSSES)
    with pytest.raises(WindowError, match="window="):
        window_traces(gram, bad, "constant", rows)
    with pytest.raises(WindowError, match="window="):
        window_modes(rows, T - 1, bad, "constant", 3, T)
    with pytest.raises(WindowError, match="window="):
        StreamingWindow(N, bad, "constant")
    with pytest.raises(WindowError, match="max_window="):
        banded_gram(LOSSES, bad)


def test_windows_longer_than_the_run():
    rows, longest = reader(LOSSES), banded_gram(LOSSES, T + 1)
    assert longest.max_window == T
    with pytest.raises(WindowError, match="longer than the 60 recorded rows"):
        window_traces(longest, T + 1, "constant", rows)
    with pytest.raises(WindowError, match="longer than the 60 recorded rows"):
        window_modes(rows, T - 1, T + 1, "constant", 3, T)
    stream = StreamingWindow.from_rows(LOSSES, T + 1)  # it may still grow
    assert np.isnan(stream.latest.trace)
    with pytest.raises(WindowError, match="60 rows were appended; the first full window needs 61"):
        stream.modes()


def test_two_rows_of_two_datapoints():
    found = numbers(np.array([[1.0, 2.0], [3.0, 5.0]]), 2, "constant")
    assert found["trace"][1] == pytest.approx(6.5)
    np.testing.assert_allclose(found["spectra"][1], [6.5, 0], atol=1e-15)
    np.testing.assert_allclose(found["vectors"], [np.array([2.0, 3.0]) / np.sqrt(13)], rtol=1e-12)
    with pytest.raises(LossShapeError, match="two datapoints"):
        banded_gram(np.ones((2, 1)), 2)


@pytest.mark.parametrize("detrend", DETRENDS)
def test_two_datapoints(detrend):
    found, (trace, square, top) = numbers(LOSSES[:, :2], W, detrend), traces(LOSSES[:, :2], W, detrend)
    np.testing.assert_allclose(found["trace"], trace, rtol=1e-10)
    np.testing.assert_allclose(found["square"], square, rtol=1e-10)
    np.testing.assert_allclose(found["spectra"][:, 0], top, rtol=1e-10)
    assert len(found["vectors"]) == 2
