"""A linear student of a teacher of rank one: the spectrum of its weights at any time, and whether it learns.

Full-batch gradient descent with rate `eps` from ``W_0`` with entries of variance ``sigma² / M`` gives
``W_t = (1 - eps)^t W_0 + (1 - (1 - eps)^t) u v^T``: a bulk that shrinks and a signal that grows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rdmviz.compute.errors import WeightsError
from rdmviz.compute.theories.weights.marchenko_pastur import bulk_edges, checked_ratio
from rdmviz.compute.theories.weights.signal import overlaps, signal_line, signal_threshold

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class TeacherStudent:
    """Spectrum of the student's ``W W^T`` in the limit of large matrices; arrays of one shape.

    Attributes
    ----------
    scale
        ``a = sigma² (1 - eps)^(2t)``, of the bulk.
    strength
        ``b = (1 - (1 - eps)^t)²``, of the signal.
    relative
        ``c = b / a``; infinite without noise.
    lower, upper
        Edges of the bulk.
    largest
        Largest eigenvalue: the outlier, or the upper edge where there is none.
    overlap
        Squared cosine q² of the top singular vector with u, 0 before the outlier.
    detached
        Whether an outlier has left the bulk, ``c > sqrt r``.
    """

    scale: Floats
    strength: Floats
    relative: Floats
    lower: Floats
    upper: Floats
    largest: Floats
    overlap: Floats
    detached: NDArray[np.bool_]


@dataclass(frozen=True)
class Trainability:
    """Where in the plane of learning rate and initial spread the student has learned, at several times.

    Attributes
    ----------
    rates, sigmas, times
        The axes, ``(E,)``, ``(G,)`` and ``(T,)``.
    student
        Everything of the spectrum, arrays ``(T, G, E)``.
    critical_rate
        Learning rate from which an outlier stands at each time and spread, ``(T, G)``.
    critical_time
        Time from which it stands, ``(G, E)``.
    """

    rates: Floats
    sigmas: Floats
    times: Floats
    student: TeacherStudent
    critical_rate: Floats
    critical_time: Floats


def teacher_student(times: ArrayLike, rate: ArrayLike, sigma: ArrayLike, ratio: ArrayLike) -> TeacherStudent:
    """Theory curves at `times` (steps, 0 or more; fractions are fine up to a rate of 1).

    Parameters
    ----------
    times, rate, sigma, ratio
        Broadcast against each other: steps, learning rate in (0, 2), initial spread of 0 or more, N/M in
        (0, 1].

    Raises
    ------
    WeightsError
        If one of them is outside of its range: at a rate of 2 the student does not settle.
    """
    t, eps, spread, r = np.broadcast_arrays(*_checked(times, rate, sigma, checked_ratio(ratio)))
    if ((eps > 1) & (t != np.round(t))).any():
        raise WeightsError("a learning rate above 1 turns the weights over at each step: give whole times")
    left = np.power(1 - eps, t)
    a, b = (spread * left) ** 2, (1 - left) ** 2
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        relative = np.where(b > 0, b / a, 0.0)
    return TeacherStudent(
        a,
        b,
        relative,
        *bulk_edges(a, r),
        signal_line(b, a, r),
        overlaps(b, a, r)[0],
        b > signal_threshold(a, r),
    )


def critical_rate(times: ArrayLike, sigma: ArrayLike, ratio: ArrayLike) -> Floats:
    """Learning rate up to 1 from which an outlier stands at `times`: ``1 - (1 + sigma r^(1/4))^(-1/t)``.

    1 at time 0: no rate is fast enough.
    """
    t, _, spread, r = _checked(times, 0.5, sigma, checked_ratio(ratio))
    with np.errstate(divide="ignore", invalid="ignore"):
        found = -np.expm1(-np.log1p(spread * r**0.25) / t)
    return np.where(t > 0, found, 1.0)


def critical_time(rate: ArrayLike, sigma: ArrayLike, ratio: ArrayLike) -> Floats:
    """Time from which an outlier stands at a learning rate up to 1: ``-ln(1 + sigma r^(1/4)) / ln(1 - eps)``.

    0 at a rate of 1, which forgets its start in one step.
    """
    _, eps, spread, r = _checked(0.0, rate, sigma, checked_ratio(ratio))
    if (eps > 1).any():
        raise WeightsError(f"rate={rate!r:.60}: expected learning rates in (0, 1]")
    with np.errstate(divide="ignore"):
        return np.asarray(np.log1p(spread * r**0.25) / -np.log1p(-eps))


def trainability(rates: ArrayLike, sigmas: ArrayLike, times: ArrayLike, ratio: float) -> Trainability:
    """Trainability diagram over learning rate, initial spread and time.

    Parameters
    ----------
    rates, sigmas, times
        Axes: learning rates in (0, 1], initial spreads, steps.
    ratio
        N/M in (0, 1].

    Raises
    ------
    WeightsError
        If an axis is not one-dimensional or outside of its range.
    """
    axes = [np.asarray(axis, dtype=np.float64) for axis in (rates, sigmas, times)]
    if any(axis.ndim != 1 or not len(axis) for axis in axes):
        raise WeightsError(f"axes of shapes {[axis.shape for axis in axes]}: expected one-dimensional ones")
    eps, spread, t = axes
    return Trainability(
        eps,
        spread,
        t,
        teacher_student(t[:, None, None], eps, spread[:, None], ratio),
        critical_rate(t[:, None], spread, ratio),
        critical_time(eps, spread[:, None], ratio),
    )


def _checked(times: ArrayLike, rate: ArrayLike, sigma: ArrayLike, ratio: Floats) -> tuple[Floats, ...]:
    t, eps, spread = (np.asarray(x, dtype=np.float64) for x in (times, rate, sigma))
    for name, values, fine, expected in (
        ("times", t, (t >= 0) & np.isfinite(t), "steps of 0 or more"),
        ("rate", eps, (eps > 0) & (eps < 2), "learning rates in (0, 2)"),
        ("sigma", spread, (spread >= 0) & np.isfinite(spread), "initial spreads of 0 or more"),
    ):
        if not fine.all():
            raise WeightsError(
                f"{name}={values[~fine].flat[0] if values.ndim else values[()]}: expected {expected}"
            )
    return t, eps, spread, ratio
