import itertools

import numpy as np
import pytest
from oracles import DETRENDS, reader, traces

from rdmviz.compute.errors import LossShapeError, WindowError
from rdmviz.compute.rdm import gram as gram_module
from rdmviz.compute.rdm import rows as rows_module
from rdmviz.compute.rdm.gram import banded_gram
from rdmviz.compute.rdm.windows import window_spectra, window_traces

RNG = np.random.default_rng(3)
LOSSES = RNG.gamma(2.0, size=(150, 23))


@pytest.mark.parametrize("max_window", [2, 7, 64, 150, 1000])
def test_block_holds_the_inner_products_of_the_losses(max_window):
    gram = banded_gram(LOSSES, max_window)
    window = min(max_window, 150)
    assert gram.max_window == window
    for end in {window - 1, (window + 149) // 2, 149}:
        rows = LOSSES[end - window + 1 : end + 1]
        np.testing.assert_allclose(gram.block(end, window, anchored=False), rows @ rows.T, rtol=1e-12)
    np.testing.assert_allclose(gram.row_sums, LOSSES.sum(axis=1), rtol=1e-13)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int32, np.uint8, ">f4"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_any_real_dtype_order_and_read_only_arrays(dtype, order):
    losses = np.array(LOSSES * 20, dtype=dtype, order=order)
    losses.flags.writeable = False
    gram = banded_gram(losses, 30)
    same = banded_gram(losses.astype(np.float64), 30)
    np.testing.assert_allclose(gram.segments, same.segments, rtol=1e-12, atol=1e-9)


def test_unsigned_losses_do_not_wrap_around():
    losses = np.array([[0, 255], [255, 0], [1, 2]], dtype=np.uint8)
    wide = losses.astype(float)
    np.testing.assert_allclose(banded_gram(losses, 3).block(2, 3, anchored=False), wide @ wide.T)


def test_rows_are_read_in_order_and_only_once(monkeypatch):
    monkeypatch.setattr(gram_module, "_READ_BYTES", 8 * 23 * 40)
    asked = []

    def rows(start, stop):
        asked.append((start, stop))
        return LOSSES[start:stop]

    gram = banded_gram(rows, 20, shape=LOSSES.shape)
    assert len(asked) > 2
    assert asked[0][0] == 0
    assert asked[-1][1] == len(LOSSES)
    assert all(one[1] == two[0] for one, two in itertools.pairwise(asked))
    np.testing.assert_allclose(gram.segments, banded_gram(LOSSES, 20).segments, rtol=1e-13)


def test_slabs_of_datapoints_add_up(monkeypatch):
    whole = banded_gram(LOSSES, 20)
    monkeypatch.setattr(rows_module, "SLAB_BYTES", 8 * 39 * 5)
    slabs = banded_gram(LOSSES, 20)
    np.testing.assert_allclose(slabs.segments, whole.segments, rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(slabs.row_sums, whole.row_sums, rtol=1e-13)


@pytest.mark.parametrize("detrend", DETRENDS)
def test_grams_of_disjoint_datapoints_add_up(detrend):
    losses = LOSSES.copy()
    losses[70, 3] = np.nan  # in one part only
    both = banded_gram(losses[:, :9], 25) + banded_gram(losses[:, 9:], 25)
    added, whole = window_traces(both, 17, detrend), window_traces(banded_gram(losses, 25), 17, detrend)
    assert np.isnan(whole.trace[70:87]).all()
    np.testing.assert_allclose(added.trace, whole.trace, rtol=1e-11)
    np.testing.assert_allclose(added.square, whole.square, rtol=1e-11)
    np.testing.assert_allclose(both.row_sums, losses.sum(axis=1), rtol=1e-12)
    np.testing.assert_allclose(both.anchored_sums[0, 24:], (losses[:25] - losses[12]).sum(axis=1), atol=1e-12)
    assert both.n_samples == 23


def test_grams_over_different_rows_do_not_add_up():
    with pytest.raises(WindowError, match=r"\(25, 150, 'double'\) and \(20, 150, 'double'\)"):
        _ = banded_gram(LOSSES, 25) + banded_gram(LOSSES, 20)


def test_constant_losses_give_exactly_zero():
    losses = np.tile(RNG.normal(size=40) * 1e6 + 0.1, (90, 1))
    assert not banded_gram(losses, 20).segments.any()


def test_non_finite_and_overflowing_rows_are_left_out_and_remembered():
    losses = LOSSES.copy()
    losses[10, 2], losses[80, 0], losses[81, 4] = np.nan, np.inf, 1e200
    gram = banded_gram(losses, 20)
    assert np.flatnonzero(~gram.finite).tolist() == [10, 80, 81]
    assert np.isfinite(gram.segments).all()
    assert np.isnan(gram.row_sums[[10, 80, 81]]).all()


def test_a_run_without_a_finite_row_says_nothing_but_does_not_fail():
    gram = banded_gram(np.full((30, 4), np.nan), 10)
    assert not gram.finite.any()
    assert np.isnan(window_traces(gram, 10, "linear").trace).all()


@pytest.mark.parametrize("detrend", DETRENDS)
@pytest.mark.parametrize("mean", [0.0, 1e4, 1e6])
def test_single_precision_products(detrend, mean):
    losses = RNG.normal(size=(300, 80)) + mean
    gram = banded_gram(losses, 50, precision="single")
    found = window_traces(gram, 50, detrend, reader(losses))
    trace, square, top = traces(losses, 50, detrend)
    np.testing.assert_allclose(found.trace, trace, rtol=5e-6)
    np.testing.assert_allclose(found.square, square, rtol=5e-6)
    spectra = window_spectra(gram, found, np.arange(300), reader(losses))
    np.testing.assert_allclose(spectra[:, 0], top, rtol=5e-6)


@pytest.mark.parametrize(
    ("losses", "shape", "message"),
    [
        (np.zeros(5), None, "expected \\(rows, datapoints\\)"),
        (np.zeros((5, 1)), None, "two datapoints or more"),
        (np.zeros((5, 3, 2)), None, "expected \\(rows, datapoints\\)"),
        (np.zeros((5, 3), dtype=complex), None, "complex128"),
        (np.array([["a", "b"], ["c", "d"]]), None, "real numbers"),
        (np.zeros((5, 3), dtype=bool), None, "bool"),
        (reader(LOSSES), None, "need shape"),
        (reader(LOSSES), (150, 22), "gave shape"),
        (reader(LOSSES), (151, 23), "gave shape"),
    ],
)
def test_losses_that_are_not_rows_of_datapoints(losses, shape, message):
    with pytest.raises(LossShapeError, match=message):
        banded_gram(losses, 4, shape=shape)


@pytest.mark.parametrize(("rows", "max_window"), [(5, 1), (5, 0), (1, 5), (0, 5)])
def test_windows_need_two_rows(rows, max_window):
    with pytest.raises(WindowError, match="at least two rows"):
        banded_gram(np.zeros((rows, 3)), max_window)
