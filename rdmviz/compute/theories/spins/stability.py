"""Down to which temperature a network's spins have no magnetisation: stability of the TAP paramagnet."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import LinAlgError, cho_factor
from scipy.optimize import minimize_scalar

from rdmviz.compute.errors import SpinModelError
from rdmviz.compute.theories.spins.bonds import checked_couplings
from rdmviz.compute.theories.spins.extremes import least_eigenvalue, top_eigenpair, top_relative

Floats = NDArray[np.float64]

_MOST_STEPS = 500
_ROUNDING = 1e-9
_PER_DECADE = 10  # points of the grid on which the closest approach is looked for


@dataclass(frozen=True)
class TapStability:
    """Where the paramagnet of the TAP equations stops being stable.

    Attributes
    ----------
    temperature
        T_TAP: the highest temperature at which the least eigenvalue of
        ``A(T) = 1 + R / T² - J / T`` is 0, with ``R_ii = sum_j J_ij²``. Where it never is, the temperature at
        which it comes closest: that of the glass, in large networks without order.
    least_eigenvalue
        Of A there, 0 to rounding where it is reached.
    reached
        Whether it reaches 0.
    """

    temperature: float
    least_eigenvalue: float
    reached: bool


def tap_stability(couplings: ArrayLike) -> TapStability:
    """Find the highest temperature at which the TAP paramagnet is unstable.

    Raises
    ------
    SpinModelError
        If the couplings are not symmetric and finite.

    Notes
    -----
    With ``b = 1 / T``, ``A(b + d) >= A(b) - d (J - 2 b R)`` in the order of matrices. So from ``b = 0`` on,
    where A is 1, no zero is passed by the step ``d = 1 / mu``, mu the largest eigenvalue of ``J - 2 b R``
    relative to ``A(b)``: Newton's step, from one side. The first such step leads to the naive temperature.
    From where ``J <= 2 b R`` on, A grows for ever, and there is no zero. The closest approach is looked for
    on a grid first, and may be missed where A comes close to 0 twice.
    """
    j = checked_couplings(couplings)
    scale = float(np.abs(j).max())
    if scale == 0:
        return TapStability(0.0, 1.0, False)
    j = j / scale  # temperatures scale with the couplings
    r = (j**2).sum(axis=1)

    def stability(b: float) -> Floats:
        a = -b * j
        a[np.diag_indices_from(a)] += 1 + b**2 * r
        return np.asarray(a)

    linked = np.flatnonzero(r)
    last = top_relative(j[np.ix_(linked, linked)], np.diag(np.sqrt(r[linked]))) / 2  # from here on A grows
    b = 0.0
    for _ in range(_MOST_STEPS):
        try:
            factor, _ = cho_factor(stability(b), lower=True)
        except LinAlgError:  # zero to rounding: steps come from where A is positive
            return TapStability(scale / b, 0.0, True)
        mu = top_relative(j - np.diag(2 * b * r), np.tril(factor))
        if b >= last or mu * last <= _ROUNDING:
            break
        b += 1 / mu
        if _ROUNDING * b * mu > 1:
            return TapStability(scale / b, 0.0, True)
    else:
        raise SpinModelError(f"the zero of the TAP stability was not found in {_MOST_STEPS} steps")
    # No zero: look for the closest approach.
    earliest = min(1 / top_eigenpair(j)[0], last) / 4
    points = np.geomspace(earliest, last, 2 + math.ceil(_PER_DECADE * math.log10(last / earliest)))
    least = [least_eigenvalue(stability(point)) for point in points]
    near = int(np.argmin(least))
    bounds = points[max(near - 1, 0)], points[min(near + 1, len(points) - 1)]
    found = minimize_scalar(
        lambda x: least_eigenvalue(stability(x)),
        bounds=bounds,
        method="bounded",
        options={"xatol": 1e-5 * last},
    )
    if found.fun > least[near]:  # at the end of the range, which a bounded search comes near to only
        return TapStability(scale / float(points[near]), least[near], False)
    return TapStability(scale / float(found.x), float(found.fun), False)
