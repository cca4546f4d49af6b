"""Magnetisations of a network's spins: solutions of the equations of Thouless, Anderson and Palmer.

``m_i = tanh[b (sum_j J_ij m_j + h_i) - b² m_i sum_j J_ij² (1 - m_j²)]`` at temperature ``T = 1 / b``.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import entr

from rdmviz.compute.errors import SpinModelError
from rdmviz.compute.theories.spins.bonds import SpinModel, checked_couplings
from rdmviz.compute.theories.spins.extremes import top_eigenpair

Floats = NDArray[np.float64]

_LEAST_DAMPING = 0.04  # of the share that is asked for
_RAMP = 50  # steps over which the reaction is turned on
_SAME = 1e-3  # root mean square difference of magnetisations that count as one solution


@dataclass(frozen=True)
class TapSolutions:
    """What the damped iteration came to from each of its K starts.

    Attributes
    ----------
    temperature
        T.
    magnetisations
        Where each start ended, ``(K, n)``, converged or not.
    converged
        Whether the equations hold there to the tolerance, ``(K,)``.
    residual
        Largest change that another undamped step would make to a spin, ``(K,)``.
    iterations
        Steps taken, ``(K,)``.
    label
        Number of the distinct solution that each start came to; -1 without convergence, ``(K,)``.
    distinct
        The distinct solutions, ``(D, n)``: up to the sign of all spins where there are no fields. First those
        that are stable, and in order of free energy.
    free_energy
        TAP free energy per spin of each, ``(D,)``.
    glass_stability
        ``1 - b² rho`` of each, rho the spectral radius of ``(1 - m_i²) J_ij² (1 - m_j²)``, ``(D,)``. Not
        positive where the state is itself a glass: the equations do not hold there, and no magnetisation at
        low temperatures, a solution of theirs, is not one of the spins. Without magnetisation it is positive
        above the glass temperature.
    """

    temperature: float
    magnetisations: Floats
    converged: NDArray[np.bool_]
    residual: Floats
    iterations: NDArray[np.int64]
    label: NDArray[np.int64]
    distinct: Floats
    free_energy: Floats
    glass_stability: Floats


def tap_solutions(
    model: SpinModel,
    temperature: float,
    *,
    starts: ArrayLike | int = 20,
    damping: float = 0.8,
    iterations: int = 1000,
    tolerance: float = 1e-8,
    seed: int = 0,
) -> TapSolutions:
    """Solve the TAP equations by damped iteration from many starts at once.

    Parameters
    ----------
    model
        The network: :func:`.bonds.spin_model`.
    temperature
        T above 0, in the units of the weights.
    starts
        How many, or magnetisations to start from, ``(K, n)`` in [-1, 1]: those of the snapshot before, say.
        Of a number of starts the first is the leading eigenvector of J, the others have random signs, every
        other weak; the second term of the equations, the reaction, is turned on over their first 50 steps:
        at low temperatures it would push all starts to no magnetisation.
    damping
        Share of a step that is taken. It is halved for a start whose steps turn back, down to a twenty-fifth,
        and grows again.
    iterations
        Steps at most.
    tolerance
        Residual at which a start has converged.
    seed
        Of the random starts.

    Raises
    ------
    SpinModelError
        If an option has no meaning, or the couplings are not symmetric and finite.

    Notes
    -----
    A start that does not converge within the iterations is told by `converged`, and is in none of the
    solutions: in the glass that is common. Solutions that no start leads to are not found: their number is a
    lower bound.
    """
    j = checked_couplings(model.couplings)
    _check(temperature, damping, iterations, tolerance)
    beta = 1 / temperature
    m = _starts(starts, j, np.random.default_rng(seed))
    k, n = m.shape
    ramp = min(_RAMP, iterations // 2) if np.ndim(starts) == 0 else 0
    fields = np.asarray(model.fields, dtype=np.float64)
    if fields.shape != (n,):
        raise SpinModelError(f"fields of shape {fields.shape} for {n} spins: expected one each")
    act, act_squared = _products(j, model.sizes), _products(j**2, model.sizes)
    residual, steps = np.full(k, np.inf), np.zeros(k, dtype=np.int64)
    share, last = np.full(k, damping), np.zeros_like(m)
    todo = np.arange(k)
    for step in range(iterations + 1):
        here = m[todo]
        reaction = min(1.0, step / ramp) if ramp else 1.0
        there = np.tanh(beta * (act(here) + fields) - reaction * beta**2 * here * act_squared(1 - here**2))
        move = there - here
        turns = (move * last[todo]).sum(axis=1) < 0
        share[todo] = np.clip(share[todo] * np.where(turns, 0.5, 1.1), _LEAST_DAMPING * damping, damping)
        residual[todo], last[todo] = np.abs(move).max(axis=1), move
        going = ((residual[todo] > tolerance) | (reaction < 1)) & (step < iterations)
        todo = todo[going]
        if not len(todo):
            break
        m[todo] = here[going] + share[todo, None] * move[going]
        steps[todo] += 1
    converged = residual <= tolerance
    found = _distinct(m, np.flatnonzero(converged), symmetric=not fields.any())
    energy = np.array([_free_energy(m[i], act, act_squared, fields, temperature) for i in found])
    stability = np.array([1 - beta**2 * top_eigenpair(_dressed(j, m[i]))[0] for i in found])
    order = np.lexsort((energy, stability <= 0)) if found else np.zeros(0, dtype=np.intp)
    distinct = m[np.array(found, dtype=np.intp)[order]].reshape(-1, n)
    return TapSolutions(
        float(temperature),
        m,
        converged,
        residual,
        steps,
        _labels(m, converged, distinct, symmetric=not fields.any()),
        distinct,
        energy[order],
        stability[order],
    )


def layer_magnetisations(magnetisations: ArrayLike, sizes: tuple[int, ...]) -> tuple[Floats, Floats]:
    """Mean of m and Edwards-Anderson order ``q``, the mean of m², in each layer.

    Parameters
    ----------
    magnetisations
        ``(..., n)``.
    sizes
        Spins in each layer.

    Returns
    -------
    tuple of ndarray
        Two arrays ``(..., layers)``.

    Raises
    ------
    SpinModelError
        If the layers do not hold n spins.
    """
    m = np.asarray(magnetisations, dtype=np.float64)
    if m.ndim < 1 or sum(sizes) != m.shape[-1] or min(sizes, default=0) < 1:
        raise SpinModelError(
            f"magnetisations of shape {m.shape} in layers of {sizes}: expected as many spins"
        )
    parts = np.split(m, np.cumsum(sizes)[:-1], axis=-1)
    return (
        np.stack([part.mean(axis=-1) for part in parts], axis=-1),
        np.stack([(part**2).mean(axis=-1) for part in parts], axis=-1),
    )


def _check(temperature: float, damping: float, iterations: int, tolerance: float) -> None:
    for name, value, fine, expected in (
        ("temperature", temperature, 0 < temperature < np.inf, "a number above 0"),
        ("damping", damping, 0 < damping <= 1, "a share in (0, 1]"),
        ("iterations", iterations, iterations >= 1, "1 or more"),
        ("tolerance", tolerance, 0 < tolerance < 1, "a residual in (0, 1)"),
    ):
        if not fine:
            raise SpinModelError(f"{name}={value!r}: expected {expected}")


def _starts(starts: ArrayLike | int, j: Floats, generator: np.random.Generator) -> Floats:
    n = len(j)
    given: Any = np.asarray(starts)
    if given.ndim == 0:
        if given.dtype.kind not in "iu" or given < 1:
            raise SpinModelError(f"starts={starts!r}: expected 1 or more, or magnetisations (K, {n})")
        m = generator.choice([-1.0, 1.0], (int(given), n)) * generator.uniform(0.1, 1, (int(given), n))
        m[1::2] *= 0.1
        _, vector = top_eigenpair(j)
        m[0] = np.sign(vector) * np.minimum(1, np.abs(vector) * np.sqrt(n)) * 0.9
        return np.asarray(m)
    m = given.astype(np.float64)
    if m.ndim != 2 or m.shape[1] != n or not len(m) or not (np.abs(m) <= 1).all():
        raise SpinModelError(f"starts of shape {given.shape}: expected magnetisations (K, {n}) in [-1, 1]")
    return np.array(m)


def _products(j: Floats, sizes: tuple[int, ...]) -> Any:
    """Products with J of rows ``(K, n)``, of the blocks between layers alone where there are layers."""
    if len(sizes) < 2 or sum(sizes) != len(j):
        return lambda m: m @ j
    spans = [slice(a, b) for a, b in pairwise(np.cumsum([0, *sizes]))]
    blocks = [np.ascontiguousarray(j[a, b]) for a, b in pairwise(spans)]

    def act(m: Floats) -> Floats:
        out = np.zeros_like(m)
        for (a, b), block in zip(pairwise(spans), blocks, strict=True):
            out[:, b] += m[:, a] @ block
            out[:, a] += m[:, b] @ block.T
        return out

    return act


def _apart(m: Floats, others: Floats, symmetric: bool) -> Floats:
    """Root mean square differences of one state from others, of the nearer sign where signs do not matter."""
    apart = np.sqrt(((others - m) ** 2).mean(axis=-1))
    return np.minimum(apart, np.sqrt(((others + m) ** 2).mean(axis=-1))) if symmetric else np.asarray(apart)


def _distinct(m: Floats, converged: NDArray[np.intp], symmetric: bool) -> list[int]:
    found: list[int] = []
    for i in converged:
        if not found or (_apart(m[i], m[found], symmetric) > _SAME).all():
            found.append(int(i))
    return found


def _labels(m: Floats, converged: NDArray[np.bool_], distinct: Floats, symmetric: bool) -> NDArray[np.int64]:
    labels = np.full(len(m), -1, dtype=np.int64)
    for i in np.flatnonzero(converged):
        labels[i] = np.argmin(_apart(m[i], distinct, symmetric))
    return labels


def _dressed(j: Floats, m: Floats) -> Floats:
    alive = 1 - m**2
    return np.asarray(alive[:, None] * j**2 * alive)


def _free_energy(m: Floats, act: Any, act_squared: Any, fields: Floats, temperature: float) -> float:
    """TAP free energy per spin: energy, reaction, and entropy."""
    alive = 1 - m**2
    energy = -0.5 * m @ act(m[None])[0] - fields @ m
    reaction = -alive @ act_squared(alive[None])[0] / (4 * temperature)
    entropy = (entr((1 + m) / 2) + entr((1 - m) / 2)).sum()
    return float(energy + reaction - temperature * entropy) / len(m)
