"""Deep linear networks trained for real, in plain NumPy: population gradient, plain SGD's weight decay."""

from __future__ import annotations

from functools import reduce
from itertools import pairwise

import numpy as np


def random_network(rng, depth, scale, width=4, inputs=3):
    """Weight matrices, first applied first, entries of deviation ``scale``."""
    sizes = [inputs, *[width] * depth, 1]
    return [scale * rng.standard_normal((o, i)) for i, o in pairwise(sizes)]


def balanced_network(strength, depth, direction, width=4):
    """Rank-one layers of equal length with the end-to-end map ``strength * direction``."""
    w = strength ** (1 / (depth + 1))
    first = np.eye(width)[0]
    return [
        w * np.outer(first, direction),
        *[w * np.outer(first, first) for _ in range(depth - 1)],
        w * first[None],
    ]


def chained(weights, inputs):
    """Product of matrices, last applied leftmost; the identity for none."""
    return reduce(lambda passed, layer: layer @ passed, weights, np.eye(inputs))


def loss(weights, direction, gamma, a=1.0, c=1.0):
    """``E(f - y)² + γ sum|W|²`` over the population, for a target without noise."""
    m = chained(weights, len(direction))[0]
    fit = a * m @ m - 2 * c * m @ direction + c**2 / a
    return fit + gamma * sum(np.square(w).sum() for w in weights)


def train(weights, direction, weight_decay, steps, lr=0.1, a=1.0, c=1.0, halved=False):
    """Gradient descent as SGD does it: ``W -= lr (gradient of the fit + weight_decay W)``."""
    weights = [w.copy() for w in weights]
    inputs = len(direction)
    for _ in range(steps):
        before = [np.eye(inputs)]
        for layer in weights:
            before.append(layer @ before[-1])
        residual = (1 if halved else 2) * (a * before[-1] - c * direction)
        after = np.eye(1)
        gradients = []
        for layer, passed in zip(reversed(weights), reversed(before[:-1]), strict=True):
            gradients.append(after.T @ residual @ passed.T)
            after = after @ layer
        for layer, gradient in zip(weights, reversed(gradients), strict=True):
            layer -= lr * (gradient + weight_decay * layer)
    return weights
