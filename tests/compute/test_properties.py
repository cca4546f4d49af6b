"""What must hold for any losses."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from oracles import DETRENDS, reader

from rdmviz.compute.rdm.gram import banded_gram
from rdmviz.compute.rdm.observables import heat_capacity_variance, participation_ratio
from rdmviz.compute.rdm.windows import window_spectra, window_traces

# Multiples of 1/64: sums and shifts are exact, so an invariance that fails is ours.
values = st.integers(-2000, 2000).map(lambda i: i / 64)
runs = st.tuples(st.integers(8, 30), st.integers(2, 12)).flatmap(
    lambda shape: arrays(np.float64, shape, elements=values)
)
detrends = st.sampled_from(DETRENDS)
centred = st.sampled_from(DETRENDS[1:])
settings.register_profile("steady", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("steady")


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
