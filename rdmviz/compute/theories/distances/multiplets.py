"""The top non-Perron multiplet of a distance spectrum, and the dimension of the sphere that it implies.

On a d-dimensional sphere the coordinates are the most negative eigenvectors: d + 1 of them, degenerate. On K
equidistant clusters K - 1 are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rdmviz.compute.errors import DistanceError
from rdmviz.compute.theories.distances.spectra import magnitudes

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

LEAST_GAP = 1.5  # isotropic noise of 30 points and more in as many dimensions stays below it


@dataclass(frozen=True)
class Multiplet:
    """Where the spectrum breaks off first, and how sure that is. All arrays have the spectra's leading shape.

    Attributes
    ----------
    multiplicity
        m: eigenvalues above the widest gap. 0 where all points coincide.
    gap
        ``|λ_m| / |λ_{m+1}|``; infinite where the latter is zero.
    spread
        ``|λ_1| / |λ_m|``: 1 for a degenerate multiplet.
    doubt
        Logarithm of the second widest gap over that of the widest: 0 where there is no other place to cut, 1
        where two are as good, or where no multiplet is resolved.
    resolved
        Whether there is a multiplet at all: the gap below it is at least :data:`LEAST_GAP`, and wider than
        the multiplet itself, ``gap > spread``.
    """

    multiplicity: Ints
    gap: Floats
    spread: Floats
    doubt: Floats
    resolved: Bools

    @property
    def dimension(self) -> Floats:
        """``m - 1``, of the sphere on which the points would lie; NaN where no multiplet is resolved."""
        return np.where(self.resolved, self.multiplicity - 1.0, np.nan)


def gap_ratios(eigenvalues: ArrayLike, at_most: int = 16) -> Floats:
    """Ratios of neighbours ``|λ_k| / |λ_{k+1}|``, k from 1, ``(..., K)``, K = min(at_most, N // 2).

    The lower half is left alone: a bulk has gaps of its own at its lower end. Infinite where an
    eigenvalue is followed by zero, 1 where both are zero.

    Parameters
    ----------
    eigenvalues
        ``(..., N)``, Perron first, N at least 3.
    at_most
        Largest multiplicity looked for.
    """
    found = magnitudes(eigenvalues)
    n = found.shape[-1] + 1
    count = min(at_most, n // 2)
    if count < 1 or n < 3:
        raise DistanceError(f"Gaps need at least 3 points and at_most of at least 1; got {n} and {at_most}.")
    above, below = found[..., :count], found[..., 1 : count + 1]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(above > 0, above / below, 1.0)


def top_multiplet(eigenvalues: ArrayLike, at_most: int = 16) -> Multiplet:
    """Cut the spectrum at its widest gap ratio among the first :func:`gap_ratios`, the first of equals.

    A gap above eigenvalues that are zero counts only where no other is resolved: zeros say how many distinct
    points there are, and nothing of how they lie.

    Parameters
    ----------
    eigenvalues, at_most
        As in :func:`gap_ratios`.
    """
    ratios = gap_ratios(eigenvalues, at_most)
    found = magnitudes(eigenvalues)
    finite = np.where(np.isinf(ratios), 1.0, ratios)
    among_finite, among_all = _cut(found, finite), _cut(found, ratios)
    multiplicity, gap, spread, doubt, resolved = (
        np.where(among_finite[-1], one, other) for one, other in zip(among_finite, among_all, strict=True)
    )
    return Multiplet(
        multiplicity=np.where(found[..., 0] > 0, multiplicity, 0),
        gap=gap,
        spread=spread,
        doubt=doubt,
        resolved=resolved,
    )


def _cut(found: Floats, ratios: Floats) -> tuple[Ints, Floats, Floats, Floats, Bools]:
    """Multiplicity, gap, spread, doubt, and whether it is resolved."""
    cut = ratios.argmax(axis=-1)[..., None]
    gap = np.take_along_axis(ratios, cut, -1)[..., 0]
    last = np.take_along_axis(found, cut, -1)[..., 0]
    spread = np.divide(found[..., 0], last, out=np.ones_like(last), where=last > 0)
    resolved = (gap >= LEAST_GAP) & (gap > spread)
    others = ratios.copy()
    np.put_along_axis(others, cut, 1.0, -1)
    doubt = np.log(others.max(axis=-1)) / np.log(np.maximum(gap, LEAST_GAP))
    return cut[..., 0] + 1, gap, spread, np.where(resolved, doubt, 1.0), resolved
