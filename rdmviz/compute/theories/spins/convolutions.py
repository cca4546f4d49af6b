"""A convolution as the matrix that it is for inputs of one size."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rdmviz.compute.errors import SpinModelError
from rdmviz.compute.theories.spins.bonds import MOST_SPINS

Floats = NDArray[np.float64]


def unrolled_convolution(
    kernel: ArrayLike,
    input_size: int | Sequence[int],
    *,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
) -> Floats:
    """Unroll a convolution: every output at every position is a spin of its own.

    Parameters
    ----------
    kernel
        ``(out, in, k)``, ``(out, in, k, k)`` or one dimension more, as torch has them.
    input_size
        Pixels of the input along each dimension, or one number for all.
    stride, padding, dilation
        Along each dimension, or one number for all; padded with zeros.

    Returns
    -------
    ndarray
        ``(out * output positions, in * input positions)``, channels first and positions in C order, so that
        it acts on flattened inputs.

    Raises
    ------
    SpinModelError
        If the kernel is none or does not fit into the input, an option is no whole number, or more than
        10,000 spins come out. Groups are not unrolled: unroll each group's kernel and put them on a block
        diagonal.
    """
    weights = np.asarray(kernel)
    if weights.ndim not in (3, 4, 5) or weights.dtype.kind not in "fiub" or not weights.size:
        raise SpinModelError(
            f"kernel of shape {weights.shape} and dtype {weights.dtype}: expected real numbers (out, in, k, "
            "...)"
        )
    window = weights.shape[2:]
    size = _each("input_size", input_size, len(window), 1)
    step = _each("stride", stride, len(window), 1)
    pad = _each("padding", padding, len(window), 0)
    spread = _each("dilation", dilation, len(window), 1)
    positions = tuple(
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, p, d, k, s in zip(size, pad, spread, window, step, strict=True)
    )
    if min(positions) < 1:
        raise SpinModelError(f"kernel of shape {weights.shape} does not fit into an input of {size} pixels")
    spins = weights.shape[0] * math.prod(positions) + weights.shape[1] * math.prod(size)
    if spins > MOST_SPINS:
        raise SpinModelError(
            f"the convolution of {size} pixels has {spins} spins: expected {MOST_SPINS} at most; choose a "
            "smaller input"
        )
    matrix = np.zeros((weights.shape[0], *positions, weights.shape[1], *size))
    for tap in np.ndindex(*window):
        # Along each dimension, the outputs for which this entry of the kernel meets a pixel, and that pixel.
        meets = [
            [(o, o * s - p + d * k) for o in range(n_out) if 0 <= o * s - p + d * k < n]
            for n_out, s, p, d, k, n in zip(positions, step, pad, spread, tap, size, strict=True)
        ]
        if all(meets):
            grids = np.meshgrid(*[np.arange(len(m)) for m in meets], indexing="ij")
            out, pixel = (
                tuple(np.array(m)[g, side] for m, g in zip(meets, grids, strict=True)) for side in (0, 1)
            )
            # Advanced indices on both sides of a slice come first: (positions, out, in).
            matrix[(slice(None), *out, slice(None), *pixel)] = weights[(..., *tap)].astype(np.float64)
    return matrix.reshape(weights.shape[0] * math.prod(positions), -1)


def _each(name: str, value: int | Sequence[int], dimensions: int, least: int) -> tuple[int, ...]:
    values = np.asarray(value)
    if values.dtype.kind not in "iu" or values.shape not in ((), (dimensions,)) or (values < least).any():
        raise SpinModelError(
            f"{name}={value!r:.60}: expected a whole number of {least} or more, or {dimensions} of them"
        )
    return tuple(int(v) for v in np.broadcast_to(values, dimensions))
