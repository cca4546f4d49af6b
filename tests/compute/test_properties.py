"""What must hold for any losses."""

from functools import reduce
from itertools import pairwise
from operator import add

import dask.array as da
import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from oracles import DETRENDS, reader

from rdmviz.analysis.on_dask import gram_on_dask
from rdmviz.compute.rdm.gram import assembled, banded_gram
from rdmviz.compute.rdm.modes import window_modes
from rdmviz.compute.rdm.observables import heat_capacity_variance, participation_ratio
from rdmviz.compute.rdm.streaming import StreamingWindow
from rdmviz.compute.rdm.tiles import gram_tile, tile_rows
from rdmviz.compute.rdm.windows import window_spectra, window_traces

# Multiples of 1/64: sums and shifts are exact, so an invariance that fails is ours.
values = st.integers(-2000, 2000).map(lambda i: i / 64)
runs = st.tuples(st.integers(8, 30), st.integers(2, 12)).flatmap(
    lambda shape: arrays(np.float64, shape, elements=values)
)
detrends = st.sampled_from(DETRENDS)
centred = st.sampled_from(DETRENDS[1:])


def _of(losses, window, detrend):
    gram = banded_gram(losses, window + 3)
    return gram, window_traces(gram, window, detrend, reader(losses))


def _close(found, expected, power=1, scale=1.0):
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-11 * scale**power)


@given(runs, st.integers(4, 8), centred, st.integers(-(2**20), 2**20))
def test_a_constant_per_datapoint_changes_nothing(losses, window, detrend, seed):
    shift = np.random.default_rng(abs(seed)).integers(-(2**20), 2**20, size=losses.shape[1])
    _, one = _of(losses, window, detrend)
    _, two = _of(losses + shift, window, detrend)
    _close(two.trace, one.trace)
    _close(two.square, one.square)


@given(runs, st.integers(4, 8), detrends, st.randoms(use_true_random=False))
def test_the_order_of_datapoints_does_not_matter(losses, window, detrend, random):
    order = list(range(losses.shape[1]))
    random.shuffle(order)
    _, one = _of(losses, window, detrend)
    _, two = _of(losses[:, order], window, detrend)
    _close(two.trace, one.trace)
    _close(two.square, one.square)


@given(runs, st.integers(4, 8), detrends, st.integers(-30, 30))
def test_rescaling_the_losses(losses, window, detrend, exponent):
    scale, n = 2.0**exponent, losses.shape[1]
    _, one = _of(losses, window, detrend)
    _, two = _of(losses * scale, window, detrend)
    np.testing.assert_allclose(two.trace, one.trace * scale**2, rtol=1e-12)
    np.testing.assert_allclose(two.square, one.square * scale**4, rtol=1e-12)
    np.testing.assert_allclose(
        heat_capacity_variance(two.trace, two.square, n),
        heat_capacity_variance(one.trace, one.square, n) * scale**4,
        rtol=1e-12,
    )
    np.testing.assert_allclose(
        participation_ratio(two.trace, two.square), participation_ratio(one.trace, one.square), rtol=1e-12
    )


@given(runs, st.integers(4, 8), detrends)
def test_spectra_are_positive_add_up_to_the_trace_and_respect_the_rank(losses, window, detrend):
    gram, found = _of(losses, window, detrend)
    spectra = window_spectra(gram, found, np.arange(len(losses)), reader(losses))
    full = slice(window - 1, None)
    assert (spectra[full] >= 0).all()
    _close(spectra[full].sum(axis=1), found.trace[full], scale=1e3)
    _close((spectra[full] ** 2).sum(axis=1), found.square[full], power=2, scale=1e3)
    rank = min(found.nu, losses.shape[1])
    top = spectra[full, :1]
    assert (spectra[full, rank:] <= 1e-9 * top + 1e-11).all()
    ratio = participation_ratio(found.trace, found.square)[full]
    moving = found.trace[full] > 0
    assert np.isnan(ratio[~moving]).all()
    assert (ratio[moving] >= 1 - 1e-9).all()
    assert (ratio[moving] <= rank * (1 + 1e-9)).all()


@given(runs, st.integers(4, 8), detrends, st.integers(0, 20))
def test_the_longest_window_of_the_gram_does_not_matter(losses, window, detrend, longer):
    one = window_traces(banded_gram(losses, window), window, detrend, reader(losses))
    two = window_traces(banded_gram(losses, window + longer), window, detrend, reader(losses))
    _close(two.trace, one.trace)
    _close(two.square, one.square)


def _modes(losses, window, detrend):
    """Modes of the last window, where something moves and eigenvalues are far enough apart to have them."""
    last = len(losses) - 1
    found = window_traces(banded_gram(losses, window), window, detrend, reader(losses))
    assume(found.trace[-1] > 0)
    modes = window_modes(reader(losses), last, window, detrend, 3, len(losses))
    values = modes.eigenvalues[: len(modes.vectors) + 1]
    assume((-np.diff(values) > 1e-3 * values[0]).all())
    return modes


def _same_modes(found, expected, order=slice(None), scale=1.0):
    np.testing.assert_allclose(
        found.eigenvalues, expected.eigenvalues * scale**2, rtol=1e-9, atol=1e-12 * expected.trace * scale**2
    )
    cosines = np.abs(np.einsum("kn,kn->k", found.vectors, expected.vectors[:, order]))
    np.testing.assert_allclose(cosines, 1, rtol=1e-9)


@given(runs, st.integers(4, 8), detrends, st.integers(-30, 30), st.integers(0, 2**32 - 1))
def test_modes_follow_their_datapoints_and_neither_units_nor_constants_turn_them(
    losses, window, detrend, exponent, seed
):
    random = np.random.default_rng(seed)
    order, scale = random.permutation(losses.shape[1]), 2.0**exponent
    shift = 0 if detrend == "none" else random.integers(-(2**20), 2**20, size=losses.shape[1])
    expected = _modes(losses, window, detrend)
    _same_modes(_modes(((losses + shift) * scale)[:, order], window, detrend), expected, order, scale)


@given(runs, st.integers(4, 8), detrends)
def test_eigenvalues_add_up_to_the_trace_and_are_no_more_than_the_rank(losses, window, detrend):
    found = window_traces(banded_gram(losses, window), window, detrend, reader(losses))
    assume(found.trace[-1] > 0)
    modes = window_modes(reader(losses), len(losses) - 1, window, detrend, window, len(losses))
    assert len(modes.vectors) <= min(found.nu, losses.shape[1])
    assert len(modes.eigenvalues) == min(window, losses.shape[1])
    np.testing.assert_allclose(modes.trace, found.trace[-1], rtol=1e-10)
    kept = modes.eigenvalues[: len(modes.vectors)]
    np.testing.assert_allclose(kept.sum(), modes.trace, rtol=1e-10)
    np.testing.assert_allclose(modes.vectors @ modes.vectors.T, np.eye(len(kept)), atol=1e-9)


@given(runs, st.integers(4, 8), detrends, st.data())
def test_parts_make_the_whole(losses, window, detrend, data):
    """Sums of Grams of datapoints, tiles of both rows and datapoints, and the chunks of a dask array."""
    rows, n = losses.shape
    cuts = [0, *sorted(data.draw(st.sets(st.integers(1, n - 1), max_size=3))), n]
    reach = min(window + 2, rows)
    segments = -(-rows // reach)
    seams = [0, *sorted(data.draw(st.sets(st.integers(1, max(1, segments - 1)), max_size=2))), segments]
    summed = (gram_tile(losses[:, a:b], 0, segments, reach, rows) for a, b in pairwise(cuts))
    tiled = [
        reduce(
            add,
            (
                gram_tile(losses[slice(*tile_rows(low, high, reach, rows)), a:b], low, high, reach, rows)
                for a, b in pairwise(cuts)
            ),
        )
        for low, high in pairwise(np.unique(seams).tolist())
    ]
    heights = data.draw(st.integers(1, rows))
    chunks = (heights, tuple(np.diff(cuts).tolist()))
    chunked = gram_on_dask(da.from_array(losses, chunks=chunks), reach)
    whole = window_traces(banded_gram(losses, reach), window, detrend, reader(losses))
    for gram in (assembled([reduce(add, summed)], reach), assembled(tiled, reach), chunked):
        assert gram.n_samples == n
        found = window_traces(gram, window, detrend, reader(losses))
        np.testing.assert_allclose(found.trace, whole.trace, rtol=1e-10, atol=1e-11)
        np.testing.assert_allclose(found.purity, whole.purity, rtol=1e-10, atol=1e-11)


@given(runs, st.integers(4, 8), detrends)
def test_a_stream_says_what_the_whole_says(losses, window, detrend):
    found = window_traces(banded_gram(losses, window), window, detrend, reader(losses))
    spectra = window_spectra(banded_gram(losses, window), found, np.arange(len(losses)), reader(losses))
    stream = StreamingWindow(losses.shape[1], window, detrend)
    for row, losses_of_row in enumerate(losses):
        latest = stream.append(losses_of_row)
        np.testing.assert_allclose(latest.trace, found.trace[row], rtol=1e-10)
        np.testing.assert_allclose(latest.purity, found.purity[row], rtol=1e-10)
        # Both sides keep eps times DIGITS, 1.1e-12, of the largest eigenvalue.
        np.testing.assert_allclose(stream.spectrum(), spectra[row], rtol=1e-9, atol=1e-11 * max(spectra[row]))
