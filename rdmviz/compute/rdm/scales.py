"""Scales on which datapoints are told apart, and the rule that chooses one.

Distances of raw loadings see groups of like size. Where a few datapoints carry nearly all of a mode, those
few become groups of their own and the rest one lump: then either the size of a datapoint's fluctuations or
their direction still tells groups apart, and which of the two can be read off the distribution of sizes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from rdmviz.compute.errors import ComputeError

Floats = NDArray[np.float64]
Scale = Literal["auto", "linear", "log", "magnitude", "direction"]
SCALES: tuple[str, ...] = get_args(Scale)

SMALLEST = 1e-6  # of the largest size; smaller ones count as this
_BIMODAL = 0.8  # share of variance that two classes explain: .64 for a normal, .75 for a uniform distribution
_EMPTY = np.log(10.0)  # a gap that no tail leaves: a decade
# Bimodality from which there are two classes of size; participation of the larger one, and where there is but
# one class of all, below which raw loadings fail. It takes more to leave the scale in use than to enter it.
_RULES = {
    None: (_BIMODAL, 0.6, 0.2),
    "linear": (0.85, 0.55, 0.16),
    "magnitude": (0.75, 0.75, 0.2),
    "direction": (0.85, 0.55, 0.25),
}


@dataclass(frozen=True)
class Spread:
    """How the sizes of the fluctuations of datapoints are distributed.

    Attributes
    ----------
    bimodality
        Share of the variance of the logarithm of sizes that is between the two classes into which one cut
        splits it best, in [0, 1]; 1 where sizes leave a decade empty, however few lie beyond it.
    boundary
        Size at that cut, or in that gap.
    participation
        ``(sum a)² / (n sum a²)`` with ``a`` the squared sizes: the share of datapoints that carry the mass.
    participation_above
        The same among those above the boundary.
    """

    bimodality: float
    boundary: float
    participation: float
    participation_above: float

    @property
    def is_bimodal(self) -> bool:
        """Whether there are two classes of size: the cut explains 80% of the variance or more."""
        return self.bimodality >= _BIMODAL


def spread_of(points: Floats) -> Spread:
    """How the norms of the points ``(n, k)`` are distributed."""
    sizes = _sizes(points)
    order = np.sort(np.log(sizes))
    n = len(order)
    variance = float(order.var())
    if variance <= (64 * np.finfo(np.float64).eps) ** 2:  # all alike
        return Spread(0.0, float(sizes[0]), 1.0, 1.0)
    below = np.arange(1, n)
    sums = np.cumsum(order - order[0])
    apart = (sums[-1] - sums[:-1]) / (n - below) - sums[:-1] / below
    between = below * (n - below) / n**2 * apart**2 / variance
    cut = int(between.argmax())
    bimodality = min(1.0, float(between[cut]))
    gaps = np.diff(order)
    if bimodality < _BIMODAL and gaps.max() > _EMPTY:
        bimodality, cut = 1.0, int(gaps.argmax())
    return Spread(
        bimodality,
        float(np.exp((order[cut] + order[cut + 1]) / 2)),
        _participation(sizes),
        _participation(np.exp(order[cut + 1 :])),
    )


def choose_scale(spread: Spread, before: str | None = None) -> Scale:
    """Scale on which to tell groups apart.

    Where sizes fall into two classes (bimodality of .8 or more, see :class:`Spread`): ``"magnitude"`` if the
    larger are uneven among themselves (participation below .6), else ``"linear"``. Where there is but one
    class: ``"direction"`` if fewer than a fifth of the datapoints carry the mass, else ``"linear"``.

    Parameters
    ----------
    spread
        From :func:`spread_of`.
    before
        The scale in use before, which is kept near the edge of the rule: it takes .85 and .55, or .16, to
        leave ``"linear"``; .75, for both, to leave ``"magnitude"``; .25, or .85, to leave ``"direction"``.
    """
    bimodality, above, overall = _RULES[before]
    if spread.bimodality >= bimodality:
        return "magnitude" if spread.participation_above < above else "linear"
    return "direction" if spread.participation < overall else "linear"


def require_scale(scale: str) -> None:
    """Raise :class:`ComputeError` unless `scale` is one of `SCALES`."""
    if scale not in SCALES:
        raise ComputeError(f"scale={scale!r} is unknown; choose one of {', '.join(map(repr, SCALES))}")


def scaled(points: Floats, scale: str) -> Floats:
    """Points ``(n, k)`` on a scale.

    * ``"linear"``: as they are.
    * ``"log"``: each coordinate is ``sign(x) ln(1 + |x| / median |x|)``.
    * ``"magnitude"``: logarithm of the norm over a millionth of the largest, ``(n, 1)``, at least 0.
    * ``"direction"``: unit vectors; for one mode, signs. Where norms fall into two classes they are
      ``r / (r + boundary)`` long instead of 1: the direction of what hardly moves is noise, and goes to the
      middle.
    * ``"auto"``: as :func:`choose_scale` has it.

    All but ``"log"`` do not change under rotations of the coordinates.

    Raises
    ------
    ComputeError
        If `scale` is none of these.
    """
    require_scale(scale)
    if scale == "auto":
        scale = choose_scale(spread_of(points))
    if scale == "magnitude":
        sizes = _sizes(points)
        return np.asarray(np.log(sizes / (SMALLEST * sizes.max()))[:, None])
    if scale == "direction":
        spread = spread_of(points)
        sizes = np.linalg.norm(points, axis=1, keepdims=True)
        longer = sizes + (spread.boundary if spread.is_bimodal else 0.0)
        return np.asarray(np.divide(points, longer, out=np.zeros_like(points), where=sizes > 0))
    if scale == "log":
        size = np.abs(points)
        typical = np.median(size, axis=0)
        typical = np.where(typical > 0, typical, size.max(axis=0))
        return np.asarray(np.sign(points) * np.log1p(size / np.where(typical > 0, typical, 1.0)))
    return points


def _sizes(points: Floats) -> Floats:
    sizes = np.linalg.norm(points, axis=1)
    largest = sizes.max()
    return np.asarray(np.maximum(sizes, SMALLEST * largest)) if largest > 0 else np.ones_like(sizes)


def _participation(sizes: Floats) -> float:
    mass = (sizes / sizes.max()) ** 2
    return float(mass.sum() ** 2 / (len(mass) * (mass @ mass)))
