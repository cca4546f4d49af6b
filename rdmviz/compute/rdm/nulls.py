"""How many modes of a window move more than noise alone would make them: two kinds of null.

**Marchenko-Pastur.** Independent noise of one variance ``s²`` in all n datapoints and all rows gives the
covariance ``C = X^T X / nu`` of a window eigenvalues between ``s² (1 - sqrt(n/nu))²`` and
``s² (1 + sqrt(n/nu))²``; the largest exceeds that edge by a Tracy-Widom fluctuation of relative size
``min(n, nu)^(-2/3)``. Free of the rows: it needs the spectrum alone.

**Surrogates.** Each datapoint's fluctuations are put in another order in time, or drawn anew with the same
autocorrelation, independently of the others. That keeps the variance of each datapoint, which may differ, and
destroys what they have in common.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from numbers import Integral
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import matmul_toeplitz
from scipy.special import gammaincinv

from rdmviz.compute.errors import DetrendError, LossShapeError, NullError
from rdmviz.compute.rdm.detrending import basis, degrees_of_freedom, detrended
from rdmviz.compute.rdm.rows import SLAB_BYTES

Floats = NDArray[np.float64]
Surrogate = Literal["shuffle", "shift", "ar1"]
SURROGATES: tuple[str, ...] = get_args(Surrogate)

_FEWEST = 4  # eigenvalues of a bulk whose middle half says anything
_GRID = 2049
_AR1 = np.linspace(-0.9, 0.99, 64)  # coefficients that are told apart


@dataclass(frozen=True)
class NoiseEdge:
    """Where the noise of one spectrum ends, or of many: arrays without the last axis of the spectra.

    Attributes
    ----------
    edge
        Largest eigenvalue that noise alone reaches, at the level asked for, loss².
    noise
        Variance of one datapoint's noise, loss².
    n_above
        Modes above the edge, whole numbers.

    fits
        Whether less than half of the spectrum stands above the edge. Where it does not fit, the losses are no
        such noise with a few modes, and the other numbers mean nothing.

    The first three are NaN where the spectrum is, and 0 where nothing moves.
    """

    edge: Floats
    noise: Floats
    n_above: Floats
    fits: NDArray[np.bool_]


@dataclass(frozen=True)
class SurrogateEdge:
    """Where the noise of one window ends, by surrogates of it.

    Attributes
    ----------
    eigenvalues
        Of the window itself, descending, ``min(n, nu)`` of them, loss².
    edge
        Largest eigenvalue that the surrogates reach, at the level asked for, loss².
    n_above
        Modes above the edge.
    p_values
        ``(1 + #{largest of a surrogate >= eigenvalue}) / (1 + draws)`` of each mode. They are for the largest
        of all modes, so that several may be looked at.
    largest
        Largest eigenvalue of each surrogate, ascending.
    """

    eigenvalues: Floats
    edge: float
    n_above: int
    p_values: Floats
    largest: Floats


def marchenko_pastur_cdf(x: ArrayLike, ratio: float) -> Floats:
    """Share of eigenvalues below `x`, for entries of variance 1 and ``0 < ratio <= 1``.

    The law of ``Y Y^T / M``, with Y of ``N x M`` entries and ``ratio = N / M``: mean 1, variance `ratio`,
    between ``(1 - sqrt(ratio))²`` and ``(1 + sqrt(ratio))²``.
    """
    low, high = (1 - math.sqrt(ratio)) ** 2, (1 + math.sqrt(ratio)) ** 2
    x = np.clip(np.asarray(x, dtype=np.float64), low, high)
    below, above = x - low, high - x
    root = np.sqrt(below * above)
    share = root + (1 + ratio) * np.arctan2(below - above, 2 * root)
    if ratio < 1:
        share = share + (1 - ratio) * np.arctan2(low * above - high * below, 2 * (1 - ratio) * root)
    return np.asarray(0.5 + share / (2 * math.pi * ratio))


@lru_cache(maxsize=512)
def _bulk(n: int, m: int) -> Floats:
    """Where the n eigenvalues of ``Y Y^T``, ``n <= m``, are expected: quantiles in the middles, ascending."""
    low, high = (1 - math.sqrt(n / m)) ** 2, (1 + math.sqrt(n / m)) ** 2
    grid = low + (high - low) * np.sin(np.linspace(0, math.pi / 2, _GRID)) ** 2  # dense at the edges
    found = m * np.interp((np.arange(n) + 0.5) / n, marchenko_pastur_cdf(grid, n / m), grid)
    found.flags.writeable = False
    return np.asarray(found)


def tracy_widom_quantile(level: float) -> float:
    """Quantile of the Tracy-Widom law of real matrices (F1), by its approximation as a shifted gamma law.

    Off by less than 0.03 between the levels .5 and .999 (Chiani, arXiv:1209.3394).
    """
    return float(0.186054 * gammaincinv(46.446, level) - 9.84801)


def largest_of_noise(n: int, m: int, level: float) -> float:
    """Bound that the largest eigenvalue of ``Y Y^T`` keeps with probability `level`, Y ``n x m``, variance 1.

    Centre and scale of Johnstone (2001), as corrected to second order by Ma (2012).
    """
    a, b = math.sqrt(n - 0.5), math.sqrt(m - 0.5)
    return (a + b) ** 2 + (a + b) * math.cbrt(1 / a + 1 / b) * tracy_widom_quantile(level)


def marchenko_pastur_edge(
    eigenvalues: ArrayLike, n_samples: int, nu: int, *, level: float = 0.95
) -> NoiseEdge:
    """Edge of the noise in the spectra of window covariances, and the number of modes above it.

    Parameters
    ----------
    eigenvalues
        Of ``C = X^T X / nu``, ``(..., m)``, descending, at least the ``min(n, nu)`` that can differ from
        zero. Those beyond, which detrending leaves in the ``window x window`` form, are not looked at.
    n_samples, nu
        Datapoints, and effective rows of the window (`degrees_of_freedom`).
    level
        Probability that noise alone stays below the edge altogether, kept to within two points.

    Raises
    ------
    NullError
        If there are too few eigenvalues, or `level` is no probability.

    Notes
    -----
    The variance of the noise is that which brings the bulk of the spectrum to where it is expected, first
    its middle half, then all but its upper tenth, and is found anew without the modes above the edge until
    their number settles; with k of them left out the bulk is that of ``(nu - k) x (n - k)`` entries. So
    strong modes do not hide weak ones. No more than half of the eigenvalues are taken for modes. Assumes
    noise that is independent in time and equally strong in all datapoints: datapoints noisier than others
    stand out as modes (see :func:`surrogate_edge`). Eigenvalues that are rounding of the first count as 0:
    without any noise the edge is 0, and the modes are those that differ from zero.
    """
    spectra = np.asarray(eigenvalues, dtype=np.float64)
    n, m = sorted((int(n_samples), int(nu)))
    _check_level(level)
    if n < 2 * _FEWEST or spectra.ndim < 1 or spectra.shape[-1] < n:
        raise NullError(
            f"eigenvalues of shape {spectra.shape} of {n_samples} datapoints over {nu} effective rows: "
            f"expected min(n, nu) of them, and {2 * _FEWEST} at least; choose a longer window"
        )
    flat = spectra[..., :n].reshape(-1, n)
    # What rounding leaves of zeros is neither noise nor, where a window has few modes and no noise, a mode.
    flat = np.where(flat < n * np.finfo(np.float64).eps * flat[:, :1], 0.0, flat)
    edge, noise = np.full((2, len(flat)), np.nan)
    count = np.zeros(len(flat), dtype=np.intp)
    known = np.flatnonzero(np.isfinite(flat).all(axis=1))

    def fit(mine: NDArray[np.intp], k: int, share: tuple[float, float]) -> None:
        """Noise and edge of some spectra without k modes each, from a share of their bulk."""
        part = slice(int(share[0] * (n - k)), math.ceil(share[1] * (n - k)))
        bulk = flat[mine, k:][:, ::-1][:, part]
        noise[mine] = nu * bulk.mean(axis=1) / _bulk(n - k, m - k)[part].mean()
        edge[mine] = noise[mine] / nu * largest_of_noise(n - k, m - k, level)

    # From the middle half, which a few modes cannot move; then from nearly all of it, which says it better.
    for share in ((0.25, 0.75), (0.0, 0.9)):
        todo = known
        while len(todo):
            for k in np.unique(count[todo]):
                fit(todo[count[todo] == k], k, share)
            above = np.minimum((flat[todo] > edge[todo, None]).sum(axis=1), n // 2)
            more = above > count[todo]
            todo = todo[more]
            count[todo] = above[more]
    # A mode is one only if it is above the edge of what is left with it.
    todo = known[count[known] > 0]
    while len(todo):
        for k in np.unique(count[todo]):
            fit(todo[count[todo] == k], k - 1, share)
        todo = todo[flat[todo, count[todo] - 1] <= edge[todo]]
        count[todo] -= 1
        todo = todo[count[todo] > 0]
    for k in np.unique(count[known]):
        fit(known[count[known] == k], k, share)
    fits = (count < n // 2) & np.isfinite(edge)
    shape = spectra.shape[:-1]
    n_above = np.where(np.isnan(edge), np.nan, count)
    return NoiseEdge(*(found.reshape(shape) for found in (edge, noise, n_above, fits)))


def surrogate_edge(
    fluctuations: ArrayLike,
    detrend: str,
    *,
    how: Surrogate = "shuffle",
    draws: int = 99,
    level: float = 0.95,
    seed: int = 0,
    between: Callable[[], object] | None = None,
) -> SurrogateEdge:
    """Edge of the noise in one window, from surrogates in which no two datapoints have anything in common.

    Parameters
    ----------
    fluctuations
        Detrended rows X of the window, ``(window, n)``.
    detrend
        What was removed from them: ``constant``, ``linear`` or ``quadratic``.
    how
        What is kept of each datapoint, beside its variance:

        - ``"shuffle"``: its values, in any order. Right where successive rows are independent; where they
          are not, the edge is too low.
        - ``"shift"``: its series, moved around the window by a random number of rows. Keeps any
          autocorrelation that is short beside the window, and needs constant detrending for that: a linear
          trend that was removed leaves a seam where the ends meet.
        - ``"ar1"``: its lag-1 autocorrelation, as a Gaussian first-order autoregression drawn anew. For any
          detrending, windows from some fifteen correlation times.
    draws
        Number of surrogates.
    level
        Probability that noise alone stays below the edge altogether.
    seed
        Of what is drawn.
    between
        Called before each draw; it may wait while others work, or raise to end this.

    Raises
    ------
    NullError
        If an option has no meaning, or there are too few draws for the level.
    DetrendError
        If the window is not centred: no surrogate is without a mean that the datapoints share.
    LossShapeError
        If the fluctuations are not rows of at least two datapoints.

    Notes
    -----
    Residuals of a trend, in another order, have a trend again. It is removed, and with it a share
    ``d / (window - 1)`` of the variance for degree d, on average: each datapoint is scaled back to the
    variance it had. The variance of strong modes is still there, spread over all others, so that the edge for
    weak modes beside them is somewhat high. Takes ``2 window min(window, n) n`` flops per draw.
    """
    x = np.asarray(fluctuations, dtype=np.float64)
    if x.ndim != 2 or x.shape[1] < 2:
        raise LossShapeError(f"fluctuations of shape {x.shape}: expected (window, datapoints), two at least")
    window, n = x.shape
    nu = degrees_of_freedom(window, detrend)
    if detrend == "none":
        raise DetrendError("detrend='none' leaves the means in, which surrogates share; choose 'constant'")
    if how not in SURROGATES:
        raise NullError(f"how={how!r} is unknown; choose one of {', '.join(map(repr, SURROGATES))}")
    asked: object = draws
    if isinstance(asked, bool) or not isinstance(asked, Integral) or draws < 1:
        raise NullError(f"draws={draws!r}: expected a whole number, 1 or more")
    _check_level(level)
    place = math.ceil(round(level * (draws + 1), 9))
    if place > draws:
        raise NullError(
            f"draws={draws} cannot tell a level of {level}; "
            f"take {math.ceil(round(1 / (1 - level), 9)) - 1} or more"
        )
    values = np.maximum(np.linalg.eigvalsh(_smaller_gram(x))[::-1], 0.0)[: min(n, nu)] / nu
    generator = np.random.default_rng(seed)
    width = max(1, SLAB_BYTES // (8 * window)) if window <= n else n
    largest = np.empty(draws)
    for draw in range(draws):
        if between is not None:
            between()
        gram: Floats = np.zeros((min(window, n),) * 2)
        for left in range(0, n, width):
            part = x[:, left : left + width]
            gram += _smaller_gram(_surrogate(part, detrend, how, generator), rows=window <= n)
        largest[draw] = np.linalg.eigvalsh(gram)[-1] / nu
    largest.sort()
    exceeded = draws - np.searchsorted(largest, values, side="left")
    edge = float(largest[place - 1])
    return SurrogateEdge(values, edge, int((values > edge).sum()), (1 + exceeded) / (1 + draws), largest)


def _surrogate(x: Floats, detrend: str, how: str, generator: np.random.Generator) -> Floats:
    """Columns that have nothing in common, without trend, and with the norms they had."""
    squares = np.einsum("ij,ij->j", x, x)
    if how == "shuffle":
        y = np.ascontiguousarray(generator.permuted(x.T, axis=1).T)
    elif how == "shift":
        start = generator.integers(0, len(x), size=x.shape[1])
        y = np.take_along_axis(x, (np.arange(len(x))[:, None] - start) % len(x), axis=0)
    else:
        products = np.einsum("ij,ij->j", x[1:], x[:-1])
        lag1 = np.divide(products, squares, out=np.zeros_like(squares), where=squares > 0)
        phi = np.interp(lag1, _lag1_of_ar1(len(x), detrend), _AR1)
        y = np.ascontiguousarray(generator.standard_normal(x.T.shape).T)
        y[1:] *= np.sqrt(1 - phi**2)
        for before, row in pairwise(y):
            row += phi * before
    y = detrended(y, detrend)
    now = np.einsum("ij,ij->j", y, y)
    return np.asarray(y * np.divide(np.sqrt(squares), np.sqrt(now), out=np.zeros_like(now), where=now > 0))


@lru_cache(maxsize=64)
def _lag1_of_ar1(window: int, detrend: str) -> Floats:
    """Lag-1 over lag-0 products of detrended windows of autoregressions, on average, for each of ``_AR1``.

    Residuals look less correlated than what they are residuals of: ``R = A S A`` in place of
    ``S_ij = phi^|i-j|`` has ``sum_i R_i,i+1 / Tr R``, without forming any of them.
    """
    q = basis(window, detrend)
    later, sooner = np.zeros_like(q), np.zeros_like(q)
    later[:-1], sooner[1:] = q[1:], q[:-1]
    ratios = np.empty(len(_AR1))
    for i, phi in enumerate(_AR1):
        sq = matmul_toeplitz(phi ** np.arange(window), q)
        inner = q.T @ sq
        lag1 = (window - 1) * phi - np.vdot(sq, later) - np.vdot(sq, sooner) + np.vdot(inner.T, q.T @ later)
        ratios[i] = lag1 / (window - np.trace(inner))
    ratios.flags.writeable = False
    return ratios


def _smaller_gram(x: Floats, rows: bool | None = None) -> Floats:
    """Products of rows or of columns, whichever are fewer: both hold the spectrum."""
    rows = len(x) <= x.shape[1] if rows is None else rows
    return np.asarray(x @ x.T if rows else x.T @ x)


def _check_level(level: float) -> None:
    if isinstance(level, bool) or not isinstance(level, (int, float)) or not 0 < level < 1:
        raise NullError(f"level={level!r}: expected a probability between 0 and 1, such as 0.95")
