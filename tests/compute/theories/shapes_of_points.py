"""Points on spheres, for the tests of distance spectra."""

from __future__ import annotations

import numpy as np


def on_sphere(rng, n, dimension, snapshots=None):
    """Random points of the unit sphere ``S^dimension``, ``(n, dimension + 1)``, or that many times."""
    shape = (n, dimension + 1) if snapshots is None else (snapshots, n, dimension + 1)
    points = rng.standard_normal(shape)
    return points / np.linalg.norm(points, axis=-1, keepdims=True)


def on_circle(n):
    """``n`` evenly spaced points of the unit circle, ``(n, 2)``."""
    turn = 2 * np.pi * np.arange(n) / n
    return np.c_[np.cos(turn), np.sin(turn)]


def cross_polytope(dimension):
    """The ``2 (dimension + 1)`` unit vectors along the axes, each followed by its opposite."""
    axes = np.eye(dimension + 1)
    return np.stack([axes, -axes], axis=1).reshape(-1, dimension + 1)


def icosahedron():
    """Its 12 vertices."""
    golden = (1 + 5**0.5) / 2
    one = np.array([[0, a, b * golden] for a in (-1, 1) for b in (-1, 1)])
    return np.concatenate([np.roll(one, k, axis=1) for k in range(3)])


def clusters(count, size):
    """``count`` equidistant places, ``size`` points at each, ``(count * size, count)``."""
    return np.repeat(np.eye(count), size, axis=0)
