"""From data and weights to the landscape: its moments, the strength of a network, units of weight decay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from rdmviz.compute.errors import LandscapeError
from rdmviz.compute.theories.landscape.free_energy import Floats, decay


@dataclass(frozen=True)
class Moments:
    """Second moments of data.

    Attributes
    ----------
    a
        Mean variance of the inputs, ``tr E[x xᵀ] / d``.
    c
        ``|E[x y]|``.
    direction
        ``E[x y] / c``, ``(d,)``.
    target_power
        ``E[y²]``.
    anisotropy
        Largest relative deviation of an eigenvalue of ``E[x xᵀ]`` from a. The landscape is exact at 0.
    """

    a: float
    c: float
    direction: Floats
    target_power: float
    anisotropy: float


def moments(inputs: ArrayLike, targets: ArrayLike) -> Moments:
    """Moments of a data set, as they are: means are not taken off, for a network without biases.

    Parameters
    ----------
    inputs
        ``(n, d)``.
    targets
        One number per input, ``(n,)`` or ``(n, 1)``.

    Raises
    ------
    LandscapeError
        Shapes that do not fit, NaN, inputs that are all zero, or targets without correlation to them.
    """
    x, y = np.asarray(inputs, np.float64), np.asarray(targets, np.float64)
    y = y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y
    if x.ndim != 2 or 0 in x.shape or y.shape != (len(x),):
        raise LandscapeError(
            "Inputs are n × d and targets one number for each: the landscape is that of one output; "
            f"got {x.shape} and {y.shape}."
        )
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise LandscapeError("Inputs or targets hold NaN or infinite numbers; leave these points out.")
    square = x.T @ x / len(x)
    a = float(np.trace(square)) / x.shape[1]
    correlation = x.T @ y / len(x)
    c = float(np.linalg.norm(correlation))
    if a == 0 or c == 0:
        raise LandscapeError(
            f"There is nothing to learn: the inputs' variance is {a}, their correlation with the targets {c}."
        )
    anisotropy = float(np.abs(np.linalg.eigvalsh(square) / a - 1).max())
    return Moments(a, c, correlation / c, float(y @ y) / len(y), anisotropy)


def end_to_end_strength(weights: Sequence[ArrayLike], direction: ArrayLike) -> float:
    """Strength u of a linear network: its map from input to output along a direction of inputs.

    Parameters
    ----------
    weights
        Matrices in the order in which they are applied, each outputs × inputs; the last has one row.
    direction
        Unit vector of inputs, :attr:`Moments.direction`, ``(d,)``.

    Raises
    ------
    LandscapeError
        Matrices that do not fit one another or the direction.
    """
    passed = np.asarray(direction, np.float64)
    if passed.ndim != 1 or not weights:
        raise LandscapeError(
            f"A direction is one vector and a network has layers; got {passed.shape}, {len(weights)}."
        )
    for number, layer in enumerate(weights):
        matrix = np.asarray(layer, np.float64)
        if matrix.ndim != 2 or matrix.shape[1] != len(passed):
            raise LandscapeError(
                f"Layer {number} has shape {matrix.shape}; one that takes {len(passed)} inputs was expected, "
                "outputs × inputs."
            )
        passed = matrix @ passed
    if len(passed) != 1:
        raise LandscapeError(f"The last layer has {len(passed)} outputs; the landscape is that of one.")
    return float(passed[0])


def sgd_weight_decay(gamma: ArrayLike, *, halved_loss: bool = False) -> Floats:
    """Weight decay of plain SGD, as optimisers take it, that is ``γ sum|W|²`` added to the loss: ``2 γ``.

    Holds for SGD with or without momentum. AdamW's decay is decoupled from the loss and Adam's is scaled with
    the gradient: both have another landscape.

    Parameters
    ----------
    gamma
        γ, at least 0.
    halved_loss
        The loss minimised is ``E(f - y)²/2``, with all of F halved: then it is γ.
    """
    return np.asarray(decay(gamma) * (1 if halved_loss else 2))


def gamma_of_sgd(weight_decay: ArrayLike, *, halved_loss: bool = False) -> Floats:
    """γ of a weight decay of plain SGD; the inverse of :func:`sgd_weight_decay`."""
    return np.asarray(decay(weight_decay) / (1 if halved_loss else 2))
