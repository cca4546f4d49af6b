"""Minima of the free energy and where they change: transition, spinodal, jump, order."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rdmviz.compute.theories.landscape.free_energy import Floats, Landscape, decay

Bools = NDArray[np.bool_]

_NEWTON = 200  # steps; quadratic but at the spinodal, where every step halves the error


@dataclass(frozen=True)
class Transition:
    """Where the network lets go of what it has learnt as weight decay grows.

    Attributes
    ----------
    order
        ``"second"`` for one hidden layer: u goes to 0 smoothly. ``"first"`` for more: it jumps.
    gamma_c
        Weight decay at which the origin becomes the lowest minimum.
    jump
        u just below `gamma_c`; 0 at second order.
    gamma_spinodal
        Weight decay up to which the trained minimum exists at all; `gamma_c` at second order.
    u_spinodal
        u at which it vanishes, half of the jump.
    gamma_origin
        Weight decay down to which the origin is a minimum: `gamma_c` at second order, 0 at first.
    """

    order: Literal["first", "second"]
    gamma_c: float
    jump: float
    gamma_spinodal: float
    u_spinodal: float
    gamma_origin: float


@dataclass(frozen=True)
class Minima:
    """Stationary points of F at u >= 0, one entry per weight decay.

    Attributes
    ----------
    trained
        The minimum at positive u; NaN where there is none.
    barrier
        The maximum between it and the origin; NaN where there is none, 0 where the origin is no minimum.
    origin
        Whether the origin is a minimum.
    lowest
        u of the lowest minimum; 0 at the transition itself.
    """

    trained: Floats
    barrier: Floats
    origin: Bools
    lowest: Floats


def transition(landscape: Landscape) -> Transition:
    """Transition of a network under weight decay, in closed form.

    With M weight matrices: ``γ_c = c/(M-1) [jump]^{1-2/M}``, ``jump = c (M-2) / (a (M-1))``,
    ``u_spinodal = jump/2``, ``γ_spinodal = c M/(2 (M-1)) [u_spinodal]^{1-2/M}``; with M = 2 the powers are 1.
    """
    m, a, c = landscape.layers, landscape.a, landscape.c
    jump, power = c * (m - 2) / (a * (m - 1)), 1 - 2 / m
    gamma_c = c / (m - 1) * math.pow(jump, power)
    return Transition(
        order="second" if m == 2 else "first",
        gamma_c=gamma_c,
        jump=jump,
        gamma_spinodal=c * m / (2 * (m - 1)) * math.pow(jump / 2, power),
        u_spinodal=jump / 2,
        gamma_origin=gamma_c if m == 2 else 0.0,
    )


def minima(landscape: Landscape, gamma: ArrayLike) -> Minima:
    """Stationary points at each weight decay, to rounding; within about 1e-8 of the spinodal, to its root.

    Parameters
    ----------
    landscape
        Depth and data.
    gamma
        Weight decays, any shape.

    Raises
    ------
    LandscapeError
        A weight decay is negative or not finite.
    """
    gamma = decay(gamma)
    at = transition(landscape)
    exists = gamma < at.gamma_spinodal
    origin = gamma > at.gamma_origin if at.order == "first" else gamma >= at.gamma_origin
    if at.order == "second":
        trained = np.where(exists, (landscape.c - gamma) / landscape.a, np.nan)
        barrier = np.where(exists, 0.0, np.nan)
    else:
        inside = np.where(exists, gamma, 0.0)
        power = 1 - 2 / landscape.layers
        # u^p (c - a u) is concave: from outside of its roots Newton's steps never pass them.
        full = np.full_like(inside, landscape.c / landscape.a)
        trained = np.where(exists, _root(landscape, inside, full), np.nan)
        barrier = np.where(exists, _root(landscape, inside, (inside / landscape.c) ** (1 / power)), np.nan)
    lowest = np.where(gamma < at.gamma_c, trained, 0.0)
    return Minima(np.asarray(trained), np.asarray(barrier), np.asarray(origin), np.asarray(lowest))


def _root(landscape: Landscape, gamma: Floats, start: Floats) -> Floats:
    """Solve ``u^p (c - a u) = γ`` from a point on the far side of that root from the maximum."""
    a, c, power = landscape.a, landscape.c, 1 - 2 / landscape.layers
    middle = transition(landscape).u_spinodal
    u = np.array(start)
    for _ in range(_NEWTON):
        with np.errstate(divide="ignore", invalid="ignore"):
            lacking = u**power * (c - a * u) - gamma
            steps = lacking / (u ** (power - 1) * (power * (c - a * u) - a * u))
        # Zero over zero at the spinodal, and at the origin without weight decay: it is there already.
        steps = np.where(np.isfinite(steps) & (lacking < 0), steps, 0.0)
        ahead = u - steps
        # Rounding alone can carry it across the maximum.
        ahead = np.where(start > middle, np.maximum(ahead, middle), np.minimum(ahead, middle))
        if (ahead == u).all():
            break
        u = ahead
    return u
