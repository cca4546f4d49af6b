"""Networks as bond matrices, and convolutions as matrices."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rdmviz.compute.errors import SpinModelError
from rdmviz.compute.theories.spins.bonds import checked_couplings, shuffled_weights, spin_model
from rdmviz.compute.theories.spins.convolutions import unrolled_convolution


@given(st.lists(st.integers(1, 6), min_size=2, max_size=5), st.integers(0, 99))
def test_couplings_are_the_weights_between_neighbouring_layers(sizes, seed):
    rng = np.random.default_rng(seed)
    weights = [rng.standard_normal((after, before)) for before, after in pairwise(sizes)]
    biases = [rng.standard_normal(after) for after in sizes[1:]]
    model = spin_model(weights, biases)
    assert model.sizes == tuple(sizes)
    np.testing.assert_array_equal(model.couplings, checked_couplings(model.couplings))
    spins = [rng.choice([-1.0, 1.0], size) for size in sizes]
    # Each weight counts once in -1/2 s J s - h s.
    energy = -sum(after @ w @ before for w, before, after in zip(weights, spins, spins[1:], strict=False))
    energy -= sum(b @ s for b, s in zip(biases, spins[1:], strict=True))
    s = np.concatenate(spins)
    assert -0.5 * s @ model.couplings @ s - model.fields @ s == pytest.approx(energy, abs=1e-9)
    assert np.count_nonzero(model.couplings) == 2 * sum(w.size for w in weights)


def test_fields_are_zero_without_biases():
    weights = [np.ones((3, 2)), np.ones((1, 3))]
    assert not spin_model(weights).fields.any()
    assert spin_model(weights, [None, [5.0]]).fields.tolist() == [0, 0, 0, 0, 0, 5]


@pytest.mark.parametrize(
    ("kernel", "size", "options"),
    [
        ((3, 2, 3), 7, {"stride": 2, "padding": 1}),
        ((4, 3, 3, 3), 6, {}),
        ((2, 3, 3, 2), (5, 8), {"stride": (2, 1), "padding": (1, 0), "dilation": (1, 2)}),
        ((2, 1, 5, 5), 3, {"padding": 3}),
        ((2, 2, 2, 2, 2), 4, {"stride": 2}),
    ],
)
def test_an_unrolled_convolution_is_torchs(kernel, size, options):
    rng = np.random.default_rng(0)
    weights = rng.standard_normal(kernel)
    pixels = np.broadcast_to(size, len(kernel) - 2)
    inputs = rng.standard_normal((kernel[1], *pixels))
    convolve = {3: torch.conv1d, 4: torch.conv2d, 5: torch.conv3d}[len(kernel)]
    expected = convolve(torch.tensor(inputs)[None], torch.tensor(weights), **options)[0].numpy()
    found = unrolled_convolution(weights, size, **options) @ inputs.ravel()
    np.testing.assert_allclose(found, expected.ravel(), atol=1e-12)


def test_a_convolution_in_front_of_a_dense_layer_is_a_spin_model():
    rng = np.random.default_rng(0)
    first = unrolled_convolution(rng.standard_normal((4, 1, 3, 3)), 8, stride=2)
    bias = np.repeat(rng.standard_normal(4), 9)
    model = spin_model([first, rng.standard_normal((10, 36))], [bias, None])
    assert model.sizes == (64, 36, 10)
    np.testing.assert_array_equal(model.fields[64:100], bias)


@pytest.mark.parametrize(
    ("weights", "biases", "said"),
    [
        ([], None, "no weights"),
        ([np.ones((3, 2)), np.ones((3, 4))], None, r"weights\[1\].*takes 4 inputs, and 3 spins"),
        ([np.ones((4, 1, 3, 3))], None, "unroll"),
        ([np.ones(3)], None, "expected a matrix"),
        ([np.ones((0, 3))], None, "expected a matrix"),
        ([np.array([["a"]])], None, "real numbers"),
        ([np.full((2, 2), np.nan)], None, "NaN"),
        ([np.ones((2, 2))], [None, None], "2 biases for 1 layers"),
        ([np.ones((2, 2))], [[1.0]], "expected 2 finite"),
        ([np.ones((2, 2))], [[1.0, np.inf]], "expected 2 finite"),
        ([np.ones((6000, 6000))], None, "12000 spins"),
    ],
)
def test_networks_that_have_no_spin_model_are_refused_by_name(weights, biases, said):
    with pytest.raises(SpinModelError, match=said):
        spin_model(weights, biases)


@pytest.mark.parametrize(
    ("kernel", "size", "options", "said"),
    [
        (np.ones((2, 3)), 5, {}, "expected real numbers"),
        (np.ones((2, 1, 3, 3)), 2, {}, "does not fit"),
        (np.ones((2, 1, 3, 3)), (5, 5, 5), {}, "input_size"),
        (np.ones((2, 1, 3, 3)), 5, {"stride": 0}, "stride"),
        (np.ones((2, 1, 3, 3)), 5, {"padding": "same"}, "padding"),
        (np.ones((64, 3, 3, 3)), 32, {}, "smaller input"),
    ],
)
def test_convolutions_that_cannot_be_unrolled_are_refused(kernel, size, options, said):
    with pytest.raises(SpinModelError, match=said):
        unrolled_convolution(kernel, size, **options)


@pytest.mark.parametrize(
    ("couplings", "said"),
    [
        (np.ones((2, 3)), "square"),
        (np.zeros((0, 0)), "square"),
        (np.eye(3), "diagonal"),
        ([[0, 1], [2, 0]], "symmetric"),
        ([[0, np.inf], [np.inf, 0]], "infinities"),
    ],
)
def test_what_are_no_couplings_is_refused(couplings, said):
    with pytest.raises(SpinModelError, match=said):
        checked_couplings(couplings)


def test_shuffling_keeps_the_entries_of_each_layer():
    weights = [np.arange(12.0).reshape(3, 4), np.arange(6).reshape(2, 3)]
    one, two = shuffled_weights(weights, 3), shuffled_weights(weights, 3)
    for layer, found, again in zip(weights, one, two, strict=True):
        assert found.shape == layer.shape
        assert sorted(found.ravel()) == sorted(layer.ravel())
        np.testing.assert_array_equal(found, again)
    assert (one[0] != weights[0]).any()
