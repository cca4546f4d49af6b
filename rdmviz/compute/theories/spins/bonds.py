"""From a network to its bond matrix: neurons are spins, weights couplings, biases fields."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rdmviz.compute.errors import SpinModelError

Floats = NDArray[np.float64]

MOST_SPINS = 10_000  # a dense matrix of 0.8 GB


@dataclass(frozen=True)
class SpinModel:
    """A network as an Ising model, ``H = -1/2 sum_ij J_ij s_i s_j - sum_i h_i s_i``.

    Attributes
    ----------
    couplings
        J, ``(n, n)``: symmetric, and different from zero between neighbouring layers only.
    fields
        h, ``(n,)``: biases, 0 for the inputs.
    sizes
        Spins in each layer, inputs first.
    """

    couplings: Floats
    fields: Floats
    sizes: tuple[int, ...]


def spin_model(weights: Sequence[ArrayLike], biases: Sequence[ArrayLike | None] | None = None) -> SpinModel:
    """Map a network of layers in a row to its spin model.

    Parameters
    ----------
    weights
        One matrix ``(out, in)`` per layer, from the inputs on. Convolutions as
        :func:`.convolutions.unrolled_convolution` makes them.
    biases
        One vector ``(out,)`` per layer, or None for a layer without; without biases there are no fields. That
        of a convolution is ``numpy.repeat(bias, positions)``.

    Raises
    ------
    SpinModelError
        If a layer is no finite matrix, does not fit the one before it, or there are more than 10,000 spins.
        What has no couplings between layers in a row (attention, skips, recurrence) has no such model.
    """
    layers = [_matrix(index, layer) for index, layer in enumerate(weights)]
    if not layers:
        raise SpinModelError("no weights: expected one matrix (out, in) per layer")
    sizes = [layers[0].shape[1]]
    for index, layer in enumerate(layers):
        if layer.shape[1] != sizes[-1]:
            raise SpinModelError(
                f"weights[{index}] of shape {layer.shape} takes {layer.shape[1]} inputs, and "
                f"{sizes[-1]} spins come before it; expected matrices (out, in) from the inputs on"
            )
        sizes.append(len(layer))
    n = sum(sizes)
    if n > MOST_SPINS:
        raise SpinModelError(
            f"{n} spins in layers of {sizes}: expected {MOST_SPINS} at most; take fewer layers"
        )
    starts = np.cumsum([0, *sizes])
    couplings = np.zeros((n, n))
    for (low, middle, high), layer in zip(
        zip(starts, starts[1:], starts[2:], strict=False), layers, strict=True
    ):
        couplings[middle:high, low:middle] = layer
        couplings[low:middle, middle:high] = layer.T
    return SpinModel(couplings, _fields(biases, sizes), tuple(sizes))


def checked_couplings(couplings: ArrayLike) -> Floats:
    """Return couplings as they are if they are finite, symmetric and without a diagonal.

    Raises
    ------
    SpinModelError
        If they are not: a spin does not act on itself.
    """
    j = np.asarray(couplings, dtype=np.float64)
    if j.ndim != 2 or not j.size or j.shape[0] != j.shape[1]:
        raise SpinModelError(f"couplings of shape {j.shape}: expected a square matrix; see spin_model")
    if not np.isfinite(j).all():
        raise SpinModelError(
            "couplings hold NaN or infinities: expected those of a training that has not diverged"
        )
    if not np.array_equal(j, j.T) or np.diagonal(j).any():
        raise SpinModelError(
            "couplings are not symmetric with zeros on the diagonal: expected J_ij = J_ji, J_ii = 0"
        )
    return j


def shuffled_weights(weights: Sequence[ArrayLike], seed: int = 0) -> list[NDArray[Any]]:
    """Every layer with its entries in random order: what is left of the network is a glass."""
    generator = np.random.default_rng(seed)
    arrays = [np.asarray(layer) for layer in weights]
    return [generator.permutation(layer.ravel()).reshape(layer.shape) for layer in arrays]


def _matrix(index: int, layer: ArrayLike) -> Floats:
    array = np.asarray(layer)
    if array.dtype.kind not in "fiub":
        raise SpinModelError(f"weights[{index}] have dtype {array.dtype}: expected real numbers")
    if array.ndim in (3, 4, 5):
        raise SpinModelError(
            f"weights[{index}] of shape {array.shape} are a convolution's: unroll them for the size of its "
            "input, unrolled_convolution(kernel, input_size)"
        )
    if array.ndim != 2 or not array.size:
        raise SpinModelError(f"weights[{index}] of shape {array.shape}: expected a matrix (out, in)")
    if not np.isfinite(array).all():
        raise SpinModelError(f"weights[{index}] hold NaN or infinities: choose a snapshot before they do")
    return array.astype(np.float64)


def _fields(biases: Sequence[ArrayLike | None] | None, sizes: list[int]) -> Floats:
    given = [None] * (len(sizes) - 1) if biases is None else list(biases)
    if len(given) != len(sizes) - 1:
        raise SpinModelError(
            f"{len(given)} biases for {len(sizes) - 1} layers: expected one each, None where there is none"
        )
    fields = [np.zeros(sizes[0])]
    for index, (bias, size) in enumerate(zip(given, sizes[1:], strict=True)):
        field = np.zeros(size) if bias is None else np.asarray(bias, dtype=np.float64)
        if field.shape != (size,) or not np.isfinite(field).all():
            raise SpinModelError(
                f"biases[{index}] of shape {field.shape}: expected {size} finite numbers, one per output"
            )
        fields.append(field)
    return np.concatenate(fields)
