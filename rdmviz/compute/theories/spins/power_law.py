"""A power law through positive values along the training, with an interval for its exponent."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rdmviz.compute.errors import SpinModelError

Floats = NDArray[np.float64]

_FEWEST = 4


@dataclass(frozen=True)
class PowerLaw:
    """``values = prefactor * times ** exponent``, by least squares of the logarithms.

    Attributes
    ----------
    exponent, prefactor
        Of the law.
    interval
        Of the exponent, at the level asked for.
    r_squared
        Share of the variance of the logarithms that the line explains; NaN for values that are all the same.
    decades
        Of time that it spans.
    """

    exponent: float
    prefactor: float
    interval: tuple[float, float]
    r_squared: float
    decades: float


def power_law(
    times: ArrayLike, values: ArrayLike, *, draws: int = 2000, level: float = 0.95, seed: int = 0
) -> PowerLaw:
    """Fit a power law, say of T_TAP against training time.

    Parameters
    ----------
    times, values
        Positive, ``(S,)`` each, times increasing. Leave out what comes before the growth.
    draws
        Of the bootstrap.
    level
        Probability that the interval holds the exponent, were the law true.
    seed
        Of the bootstrap.

    Raises
    ------
    SpinModelError
        If there are fewer than 4 points, some are not positive, or an option has no meaning.

    Notes
    -----
    The bootstrap puts the residuals, in blocks of about the cube root of S in a circle and enlarged by
    ``sqrt(S / (S - 2))``, back on the line: residuals of neighbouring snapshots go together. The interval
    is for noise around a law that is true; it does not tell of a curve that is none. Look at the residuals.
    """
    t, y = (np.asarray(x, dtype=np.float64) for x in (times, values))
    if t.ndim != 1 or t.shape != y.shape or len(t) < _FEWEST:
        raise SpinModelError(
            f"times of shape {t.shape}, values of shape {y.shape}: expected {_FEWEST} points or more"
        )
    if not ((t > 0) & (y > 0) & np.isfinite(t) & np.isfinite(y)).all() or not (np.diff(t) > 0).all():
        raise SpinModelError("a power law needs positive finite values at positive, increasing times")
    if draws < 1 or not 0 < level < 1:
        raise SpinModelError(f"draws={draws!r}, level={level!r}: expected 1 or more, and a probability")
    x, z = np.log(t), np.log(y)
    x_centred, n = x - x.mean(), len(t)
    along = x_centred / (x_centred @ x_centred)
    exponent = float(along @ z)
    residuals = z - z.mean() - exponent * x_centred
    spread = float(((z - z.mean()) ** 2).sum())
    block = max(1, round(n ** (1 / 3)))
    starts = np.random.default_rng(seed).integers(0, n, (draws, -(-n // block)))
    chosen = ((starts[:, :, None] + np.arange(block)) % n).reshape(draws, -1)[:, :n]
    drawn = exponent + np.sqrt(n / (n - 2)) * residuals[chosen] @ along
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    same = spread <= n * (np.finfo(np.float64).eps * np.abs(z).max()) ** 2
    return PowerLaw(
        exponent,
        float(np.exp(z.mean() - exponent * x.mean())),
        (float(low), float(high)),
        float("nan") if same else 1 - float(residuals @ residuals) / spread,
        float(np.log10(t[-1] / t[0])),
    )
