"""The effective free energy of a deep linear network under weight decay.

A network of D hidden layers (``M = D + 1`` weight matrices, any widths, one output) learns y from inputs with
``E[x xᵀ] = a 1``; ``c = |E[x y]|``. At given end-to-end strength u, the part of its linear map that lies
along ``E[x y]``, the weights that cost least are balanced and of rank one, ``sum|W|² = M u^{2/M}``. What is
left of the loss ``E(f - y)² + γ sum|W|²`` is a function of u alone:

    ``F(u) = E[y²] + a u² - 2 c u + γ M u^{2/M}``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rdmviz.compute.errors import LandscapeError

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Landscape:
    """Data and depth; the weight decay is an argument of what is asked.

    Parameters
    ----------
    depth
        Hidden layers D, a whole number of at least 1.
    a
        Variance of every input, ``E[x xᵀ] = a 1``, positive.
    c
        ``|E[x y]|``, positive: with no correlation there is nothing to learn.
    target_power
        ``E[y²]``, at least ``c²/a``, which is also the default: a target without noise.

    Raises
    ------
    LandscapeError
        A value outside of these bounds.
    """

    depth: int
    a: float = 1.0
    c: float = 1.0
    target_power: float | None = None

    def __post_init__(self) -> None:
        whole = isinstance(self.depth, int | np.integer) and not isinstance(self.depth, bool)
        if not whole or self.depth < 1:
            raise LandscapeError(
                f"The depth counts hidden layers, a whole number of at least 1; got {self.depth!r}. "
                "Without a hidden layer weight decay is ridge regression, and has no transition."
            )
        for name in ("a", "c"):
            value = getattr(self, name)
            if not 0 < value < np.inf:
                raise LandscapeError(
                    f"{'The variance of the inputs' if name == 'a' else 'The correlation |E[x y]|'} {name} "
                    f"must be positive and finite; got {value!r}."
                )
        if self.target_power is None:
            object.__setattr__(self, "target_power", self.c**2 / self.a)
        elif not (1 - 1e-9) * self.c**2 / self.a <= self.target_power < np.inf:
            raise LandscapeError(
                f"E[y²] is at least c²/a = {self.c**2 / self.a:.6g} (Cauchy and Schwarz); "
                f"got {self.target_power!r}."
            )

    @property
    def layers(self) -> int:
        """Weight matrices, M = D + 1."""
        return int(self.depth) + 1

    def free_energy(self, u: ArrayLike, gamma: ArrayLike) -> Floats:
        """``F(u)``, broadcast; ``|u|`` takes the place of u in the weights' share."""
        u, gamma = np.asarray(u, np.float64), decay(gamma)
        fit = float(self.target_power or 0) + self.a * u**2 - 2 * self.c * u
        return np.asarray(fit + gamma * self.layers * np.abs(u) ** (2 / self.layers))

    def slope(self, u: ArrayLike, gamma: ArrayLike) -> Floats:
        """``F'(u) = 2 a u - 2 c + 2 γ u^{2/M - 1}`` for positive u.

        Raises
        ------
        LandscapeError
            u is not positive: F has a kink there (one hidden layer) or an infinite slope.
        """
        u, gamma = _positive(u), decay(gamma)
        return np.asarray(2 * self.a * u - 2 * self.c + 2 * gamma * u ** (2 / self.layers - 1))

    def curvature(self, u: ArrayLike, gamma: ArrayLike) -> Floats:
        """``F''(u) = 2 a + 2 γ (2/M - 1) u^{2/M - 2}`` for positive u; raises as :meth:`slope`."""
        u, gamma = _positive(u), decay(gamma)
        power = 2 / self.layers
        return np.asarray(2 * self.a + 2 * gamma * (power - 1) * u ** (power - 2))

    def stiffness(self, u: ArrayLike, gamma: ArrayLike) -> Floats:
        """Curvature of the loss in the space of weights, along the direction in which all layers grow alike.

        With ``u = w^M`` and the weights' length ``sqrt(M) w``: ``(1/M) d²F/dw²``. This is what gradient
        descent and its noise feel: relaxation at the rate ``stiffness`` per unit of time, variance
        ``T/stiffness``. At the origin ``2 (γ - c)`` for one hidden layer, which softens towards the
        transition, and ``2 γ`` for more, which does not.

        Parameters
        ----------
        u
            At least 0; a minimum of F, for the value to be a rate.
        gamma
            Weight decay, at least 0.
        """
        u, gamma = np.asarray(u, np.float64), decay(gamma)
        if not (u >= 0).all():
            raise LandscapeError(
                f"The strength u of balanced layers is at least 0; got {u[~(u >= 0)].flat[0]}."
            )
        m = self.layers
        w = u ** (1 / m)
        return np.asarray(
            2 * self.a * (2 * m - 1) * w ** (2 * m - 2) - 2 * self.c * (m - 1) * w ** (m - 2) + 2 * gamma
        )


def decay(gamma: ArrayLike) -> Floats:
    """Weight decays as an array of float64, checked: finite and at least 0."""
    values = np.asarray(gamma, np.float64)
    bad = values[~((values >= 0) & (values < np.inf))]
    if bad.size:
        raise LandscapeError(
            f"Weight decay γ is finite and at least 0; got {bad.flat[0]}: a negative one has no minimum."
        )
    return values


def _positive(u: ArrayLike) -> Floats:
    values = np.asarray(u, np.float64)
    if not (values > 0).all():
        raise LandscapeError(
            f"Slope and curvature in u are those at positive u; got {values[~(values > 0)].flat[0]}. "
            "At the origin, stiffness tells the curvature in the space of weights."
        )
    return values
