"""How fast a distance spectrum falls: ``|λ_k| ~ k^{-(d+1)/d}`` for points that fill d dimensions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rdmviz.compute.errors import DistanceError
from rdmviz.compute.theories.distances.noise import bulk_level
from rdmviz.compute.theories.distances.spectra import magnitudes

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_ABOVE_BULK = 2.0
_LEAST = 5  # eigenvalues in a fit


@dataclass(frozen=True)
class Decay:
    """Power laws fitted to spectra. All arrays have the spectra's leading shape.

    Attributes
    ----------
    slope
        s of ``|λ_k| ~ k^-s``. NaN where fewer than five eigenvalues stand clear of the bulk: there is no
        decay to fit a law to.
    residual
        Root mean square of ``log |λ_k|`` about the line, the steps of degenerate levels included.
    last
        Largest k in the fit.
    """

    slope: Floats
    residual: Floats
    last: Ints

    @property
    def dimension(self) -> Floats:
        """``1 / (slope - 1)``; infinite for a slope of 1 or less, NaN without one."""
        with np.errstate(divide="ignore"):
            return np.where(self.slope <= 1, np.inf, 1 / (self.slope - 1))


def decay_slope(eigenvalues: ArrayLike, first: int = 1, last: int | None = None) -> Decay:
    """Fit a straight line to ``log |λ_k|`` against ``log k``, every interval of ``log k`` weighing alike.

    The law is asymptotic and a finite spectrum falls in steps, so the implied dimension leans low (for 500
    points on spheres of 1, 2 and 3 dimensions: 0.9, 1.7 and 2.3); :func:`~.multiplets.top_multiplet` is exact
    where its multiplet is resolved. Across a run, it is the change of slope that tells.

    Parameters
    ----------
    eigenvalues
        ``(..., N)``, Perron first.
    first, last
        Range of k. By default up to the last eigenvalue that stands above twice the bulk's level, and no
        further than a quarter of the spectrum. Never beyond the last that is not zero.

    Raises
    ------
    DistanceError
        The range is not within the spectrum or holds fewer than five eigenvalues.
    """
    found = magnitudes(eigenvalues)
    count = found.shape[-1]
    if first < 1 or (last is not None and not first + _LEAST - 1 <= last <= count):
        raise DistanceError(
            f"A fit takes eigenvalues k = first..last of 1..{count}, {_LEAST} at least; "
            f"got first={first}, last={last}."
        )
    shape = found.shape[:-1]
    rows = found.reshape(-1, count)
    if last is None:
        level = bulk_level(np.reshape(np.asarray(eigenvalues, np.float64), (-1, count + 1)))
        ends = np.minimum((rows > _ABOVE_BULK * level[:, None]).sum(axis=1), count // 4)
    else:
        ends = np.minimum(last, (rows > 0).sum(axis=1))
    slope, residual = np.full(len(rows), np.nan), np.full(len(rows), np.nan)
    for i, (row, end) in enumerate(zip(rows, ends, strict=True)):
        if end - first + 1 >= _LEAST:
            k = np.arange(first, end + 1, dtype=np.float64)
            slope[i], residual[i] = _line(np.log(k), np.log(row[first - 1 : end]), 1 / k)
    return Decay(slope.reshape(shape), residual.reshape(shape), ends.astype(np.int64).reshape(shape))


def _line(x: Floats, y: Floats, weights: Floats) -> tuple[float, float]:
    weights = weights / weights.sum()
    x, y = x - weights @ x, y - weights @ y
    slope = (weights * x) @ y / ((weights * x) @ x)
    return -float(slope), float(np.sqrt(weights @ np.square(y - slope * x)))
