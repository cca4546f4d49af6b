"""The one pass over the losses may be cut in any way: threads, ranges of rows, sets of datapoints."""

import dataclasses
from functools import reduce
from itertools import pairwise
from operator import add

import numpy as np
import pytest
from oracles import DETRENDS, reader, traces

from rdmviz.compute.errors import WindowError
from rdmviz.compute.rdm import gram as gram_module
from rdmviz.compute.rdm.gram import assembled, banded_gram
from rdmviz.compute.rdm.tiles import gram_tile, tile_rows
from rdmviz.compute.rdm.windows import window_traces

RNG = np.random.default_rng(11)
T, N, W = 173, 60, 20
FALL = np.exp(-np.arange(T) / 15)[:, None] * RNG.uniform(1, 2, N) * 1e4 + RNG.gamma(2.0, size=(T, N))


def _same(one, two):
    for field in dataclasses.fields(one):
        np.testing.assert_array_equal(getattr(two, field.name), getattr(one, field.name), err_msg=field.name)


@pytest.mark.parametrize("precision", ["double", "single"])
@pytest.mark.parametrize("workers", [2, 3, 16])
def test_any_number_of_threads_gives_the_same_bits(monkeypatch, workers, precision):
    monkeypatch.setattr(gram_module, "_COLUMNS", 16)
    one = banded_gram(FALL, W, precision=precision)
    _same(one, banded_gram(FALL, W, precision=precision, workers=workers))
    _same(one, banded_gram(reader(FALL), W, shape=FALL.shape, precision=precision, workers=workers))


@pytest.mark.parametrize("detrend", DETRENDS)
@pytest.mark.parametrize("gap", [None, np.nan, np.inf, 1e200])
def test_tiles_of_rows_and_datapoints_make_the_whole(detrend, gap):
    losses = FALL.copy()
    if gap is not None:
        losses[[59, 60, 140], [3, 50, 7]] = gap  # each in one tile only; 59 and 60 at a seam
    cuts, columns = (0, 1, 3, 6, 9), (0, 7, 40, N)
    tiles = []
    for first, last in pairwise(cuts):
        start, stop = tile_rows(first, last, W, T)
        parts = [losses[start:stop, a:b] for a, b in pairwise(columns)]
        tiles.append(reduce(add, (gram_tile(part, first, last, W, T) for part in parts)))
    gram, whole = assembled(tiles, W), banded_gram(losses, W)
    np.testing.assert_array_equal(gram.finite, whole.finite)
    np.testing.assert_allclose(gram.row_sums, whole.row_sums, rtol=1e-13)
    for window in (W, 7):
        one = window_traces(gram, window, detrend, reader(losses))
        two = window_traces(whole, window, detrend, reader(losses))
        np.testing.assert_allclose(one.trace, two.trace, rtol=1e-10)
        np.testing.assert_allclose(one.purity, two.purity, rtol=1e-10)


@pytest.mark.parametrize("rows", [20, 21, 40, 111, T])
def test_a_gram_is_extended_to_the_bits_of_a_new_one(rows):
    losses = FALL.copy()
    losses[30, 2] = np.nan
    known = banded_gram(losses[:rows], W)
    before = dataclasses.asdict(known)
    read = []

    def rows_of(start, stop):
        read.append(start)
        return losses[start:stop]

    _same(banded_gram(losses, W), banded_gram(rows_of, W, shape=losses.shape, known=known))
    assert not read or min(read) >= (rows // W - 1) * W
    for name, value in before.items():
        np.testing.assert_array_equal(getattr(known, name), value)


def test_only_the_beginning_of_the_same_run_is_extended():
    known = banded_gram(FALL[:100], W)
    for losses, window in ((FALL, W + 1), (FALL[:, :9], W), (FALL[:90], W)):
        with pytest.raises(WindowError, match="is not the beginning"):
            banded_gram(losses, window, known=known)


def test_tiles_of_other_segments_do_not_add_up():
    with pytest.raises(WindowError, match="expected the same segments"):
        _ = gram_tile(FALL[:40], 0, 2, W, T) + gram_tile(FALL[:60], 0, 3, W, T)


@pytest.mark.parametrize("detrend", DETRENDS)
def test_a_cliff_at_a_seam_costs_no_digits(detrend):
    losses = RNG.normal(size=(80, 12)) + 3
    losses[:40] *= 1e9  # what the first windows of the third segment share with the second is huge
    found = window_traces(banded_gram(losses, 20), 20, detrend, reader(losses))
    trace, square, _ = traces(losses, 20, detrend)
    np.testing.assert_allclose(found.trace, trace, rtol=1e-10)
    np.testing.assert_allclose(found.square, square, rtol=1e-10)


def test_losses_that_jump_between_plateaus_are_flat_on_each():
    losses = np.repeat(RNG.uniform(1, 1e6, size=(4, 9)), 25, axis=0)
    found = window_traces(banded_gram(losses, 20), 15, "linear", reader(losses))
    flat = np.arange(100) % 25 >= 14
    assert (found.trace[flat] == 0).all()
    assert (found.trace[~flat & (np.arange(100) >= 25)] > 0).all()
