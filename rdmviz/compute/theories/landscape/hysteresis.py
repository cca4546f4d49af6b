"""What a network does as weight decay is turned up and down: it stays in a minimum until that is gone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from rdmviz.compute.errors import LandscapeError
from rdmviz.compute.theories.landscape.free_energy import Floats, Landscape, decay
from rdmviz.compute.theories.landscape.phases import minima


@dataclass(frozen=True)
class Hysteresis:
    """A sweep up and back.

    Attributes
    ----------
    gamma
        Weight decays, increasing, ``(G,)``.
    up, down
        u on the way up, begun in the trained minimum, and on the way down, from where that ended; ``(G,)``
        each, in the order of `gamma`.
    """

    gamma: Floats
    up: Floats
    down: Floats


def followed(landscape: Landscape, gammas: ArrayLike, start: float, kick: float = 0.0) -> Floats:
    """Follow u along a path of weight decays, each time down to the minimum that gradient descent finds.

    Parameters
    ----------
    landscape
        Depth and data.
    gammas
        Weight decays in the order in which they are applied, each until the network is at rest, ``(G,)``.
    start
        u before the first.
    kick
        Amplitude, in u, by which noise can carry the network across a barrier, either way. Without it a deep
        network at the origin stays there for every positive weight decay.

    Returns
    -------
    u
        ``(G,)``.

    Raises
    ------
    LandscapeError
        A weight decay, the start or the kick is negative or not finite, or the path has not one dimension.
    """
    gammas = decay(gammas)
    if gammas.ndim != 1:
        raise LandscapeError(f"A path of weight decays has one dimension; got shape {gammas.shape}.")
    for name, value in (("start", start), ("kick", kick)):
        if not 0 <= value < np.inf:
            raise LandscapeError(f"{name} is a strength u, finite and at least 0; got {value!r}.")
    at = minima(landscape, gammas)
    strengths = np.empty(len(gammas))
    u = float(start)
    for i, (trained, barrier, origin) in enumerate(zip(at.trained, at.barrier, at.origin, strict=True)):
        if np.isnan(trained):
            u = 0.0
        elif not origin:
            u = float(trained)
        elif u > barrier:
            # Noise takes it over the barrier where it reaches that from the bottom of the basin.
            u = 0.0 if trained - kick < barrier and kick < barrier else float(trained)
        else:
            u = float(trained) if kick > barrier else 0.0
        strengths[i] = u
    return strengths


def hysteresis(landscape: Landscape, gammas: ArrayLike, kick: float = 0.0) -> Hysteresis:
    """Turn weight decay up and down again.

    Parameters
    ----------
    landscape, kick
        As in :func:`followed`.
    gammas
        Weight decays, in any order, ``(G,)``.

    Raises
    ------
    LandscapeError
        As in :func:`followed`.
    """
    gamma = np.sort(decay(gammas).ravel())
    up = followed(landscape, gamma, start=landscape.c / landscape.a, kick=kick)
    down = followed(landscape, gamma[::-1], start=float(up[-1]) if len(up) else 0.0, kick=kick)
    return Hysteresis(gamma, up, down[::-1])
