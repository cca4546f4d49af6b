"""A deep linear network learns the branches of a tree one after the other, at times known in advance.

Saxe, McClelland and Ganguli, "Exact solutions to the nonlinear dynamics of learning in deep linear neural
networks" (2014). Eight items hang on a binary tree; the network learns their features by modes, the
strongest first: what all share, then the halves, the quarters, the pairs. Balanced modes of a two-layer
network grow as ``da/dt = 2 a (s - a) / tau``. Two controls have less to learn: a teacher with one mode only,
and a start at which every mode is learned already.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from numbers import Integral, Real
from os import PathLike
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from tqdm.auto import trange

from rdmviz.errors import OptionError
from rdmviz.record import Recorder, Snapshots
from rdmviz.run import TrainingRun
from rdmviz.studies.threads import alone
from rdmviz.studies.transition import Transition, crossing

__all__ = ["CONTROLS", "ITEMS", "SINGULAR_VALUES", "half_times", "item_modes", "train", "transition"]

ITEMS = ("canary", "robin", "salmon", "perch", "oak", "pine", "rose", "daisy")
"""Leaves of the tree, neighbours next to each other."""

SINGULAR_VALUES = tuple(2 * share for share in (1.0, 0.65, 0.42, 0.27, 0.18, 0.12, 0.08, 0.055))
"""Strength of each mode, strongest first."""

CONTROLS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {"one_mode": {"singular_values": SINGULAR_VALUES[:1]}, "nothing_left": {"start": "learned"}}
)
"""Options of the runs that have one mode to learn, or none: what moves after that is noise."""

_ITEMS = len(ITEMS)


def item_modes() -> np.ndarray:
    """Return the modes of a binary tree of eight items, orthonormal columns, shape (8 items, 8 modes).

    Mode 0 is constant, mode 1 tells the halves apart, 2 and 3 the quarters, 4 to 7 the pairs.
    """
    columns = [np.ones(_ITEMS)]
    width = _ITEMS
    while width > 1:
        for start in range(0, _ITEMS, width):
            column = np.zeros(_ITEMS)
            column[start : start + width // 2] = 1
            column[start + width // 2 : start + width] = -1
            columns.append(column)
        width //= 2
    modes = np.stack(columns, axis=1)
    return np.asarray(modes / np.linalg.norm(modes, axis=0))


def half_times(strengths: np.ndarray, start: np.ndarray, learning_rate: float) -> np.ndarray:
    """Return the step at which each mode has grown to half its strength.

    Parameters
    ----------
    strengths, start : ndarray, shape (modes,)
        Singular value ``s`` of each mode, and its strength ``a_0 < s/2`` at step 0.
    learning_rate : float
        Of gradient descent.

    Returns
    -------
    ndarray, shape (modes,)
        ``ln(s/a_0 - 1) / (2 ln(1 + lr s))``: the half-time ``tau/(2s) ln(s/a_0 - 1)`` of the flow, with
        the growth per step ``1 + lr s`` of either layer in place of ``exp(lr s)``.
    """
    growth = 2 * np.log1p(learning_rate * strengths)
    return np.asarray(np.log(strengths / start - 1) / growth)


def train(
    seed: int = 0,
    *,
    steps: int = 9_000,
    every: int = 4,
    singular_values: Sequence[float] = SINGULAR_VALUES,
    start: str = "random",
    start_strength: float = 1e-3,
    noise: float = 0.1,
    batch_size: int | None = 16,
    learning_rate: float = 0.01,
    hidden: int = 16,
    repeats: int = 10,
    snapshots: Snapshots | None = None,
    out: str | PathLike[str] | None = None,
    overwrite: bool = False,
    progress: bool = True,
) -> TrainingRun:
    """Train a two-layer linear network on eight items of a tree and record it.

    Parameters
    ----------
    seed : int
        Decides the features, the start, the noise and the batches: same seed, same run.
    steps, every : int
        Steps of gradient descent, and how many of them lie between two recorded rows.
    singular_values : sequence of float
        Strengths of the teacher's modes, falling, one to eight: the first modes of the tree. One alone is
        the first control; after its rise nothing is left to learn.
    start : {"random", "aligned", "learned"}
        Small random weights; small balanced weights along the modes, for which the closed form is exact; or
        balanced weights at which every mode has its full strength, the second control.
    start_strength : float
        Strength of the modes at step 0, less than half of the weakest; for a random start, the expected one.
        A learned start has no use for it.
    noise : float
        Standard deviation of the noise on each target, fresh in every batch, fixed in the probe.
    batch_size : int or None
        Items per step, drawn with replacement; None takes every item once, without noise.
    learning_rate : float
        Of plain gradient descent, below ``1 / s`` of the strongest mode: from there on it diverges.
    hidden : int
        Hidden width, at least the number of modes.
    repeats : int
        How many probe datapoints each item has, each with its own noise.
    snapshots : Snapshots, optional
        What is kept of the network beside its losses, such as
        ``Snapshots(every=100, weights=None, gaussian=GaussianSnapshots())``.
    out : path, optional
        Where to keep the run; in memory by default.
    overwrite : bool
        Replace a run at ``out``.
    progress : bool
        Show a progress bar.

    Returns
    -------
    TrainingRun
        Half the squared error of ``8 * repeats`` datapoints. Probe: ``item``, ``name``, ``half``, ``quarter``
        and ``loading_k``, the value of mode ``k`` at the item. Metrics: ``mode_k``, the strength of each of
        the eight modes, whether or not the teacher has it. Attrs: ``singular_values``, and per mode of the
        teacher ``start_strengths`` and ``half_times``, the closed form; none of a learned start.

    Raises
    ------
    OptionError
        An option has no meaning, such as more modes than items or hidden units.
    """
    strengths = _checked(
        start=start,
        singular_values=singular_values,
        steps=steps,
        every=every,
        repeats=repeats,
        hidden=hidden,
        batch_size=batch_size,
        start_strength=start_strength,
        noise=noise,
        learning_rate=learning_rate,
    )
    with alone(seed):
        teacher = _Teacher.draw(strengths)
        first, second = nn.Linear(_ITEMS, hidden, bias=False), nn.Linear(hidden, _ITEMS, bias=False)
        model = nn.Sequential(first, second)
        started = teacher.start(first.weight, second.weight, start, start_strength)
        items = torch.arange(_ITEMS).repeat_interleave(repeats)
        probe_targets = teacher.answers[items] + noise * torch.randn(len(items), _ITEMS)
        optimiser = torch.optim.SGD(model.parameters(), lr=learning_rate)

        def strengths_now() -> dict[str, float]:
            held = teacher.held(first.weight, second.weight).tolist()
            return {f"mode_{k}": strength for k, strength in enumerate(held)}

        with Recorder(
            out,
            (teacher.inputs[items], probe_targets),
            loss_fn=_half_squared_error,
            metadata=_describe(items.numpy()),
            every=every,
            snapshots=snapshots,
            name=_name(len(strengths), start),
            attrs={
                "study": "linear_network",
                "seed": seed,
                "steps": steps,
                "every": every,
                "start": start,
                "noise": noise,
                "batch_size": batch_size,
                "learning_rate": learning_rate,
                "hidden": hidden,
                "singular_values": strengths,
                "start_strengths": started,
                "half_times": []
                if start == "learned"
                else half_times(np.array(strengths), started, learning_rate),
            },
            overwrite=overwrite,
        ) as recorder:
            for step in trange(steps, desc="linear network", disable=not progress):
                recorder.record(step, model, metrics=strengths_now)
                if batch_size is None:
                    x, y = teacher.inputs, teacher.answers
                else:
                    drawn = torch.randint(_ITEMS, (batch_size,))
                    x = teacher.inputs[drawn]
                    y = teacher.answers[drawn] + noise * torch.randn(batch_size, _ITEMS)
                loss = _half_squared_error(model(x), y).mean()
                optimiser.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call, unused-ignore]
                optimiser.step()
            recorder.record(steps, model, metrics=strengths_now)
    return recorder.run


def transition(run: TrainingRun, mode: int = 1) -> Transition:
    """Return when a mode was learned: 10, 50 and 90 percent of its strength in the teacher.

    A mode that the teacher lacks, or that is learned at the first row, has no transition.

    Parameters
    ----------
    run : TrainingRun
        From :func:`train`.
    mode : int
        0, what all items share, to 7; by default the one that tells the halves apart.

    Raises
    ------
    OptionError
        The tree has no such mode, or the run is none of this study.
    """
    if mode not in range(_ITEMS):
        raise OptionError(f"mode={mode!r:.60}; expected 0 to {_ITEMS - 1}")
    if "singular_values" not in run.attrs:
        raise OptionError(f"the run {run.name!r} has no singular_values in its attrs; expected one of train")
    strengths, what = run.attrs["singular_values"], f"Mode {mode}"
    if mode >= len(strengths):
        return Transition(f"{what}, not in the teacher", None, None, None)
    if float(run.metrics[f"mode_{mode}"][0]) >= strengths[mode] / 2:
        return Transition(f"{what}, learned at the first row", None, None, None)
    low, half, high = (share * strengths[mode] for share in (0.1, 0.5, 0.9))
    return crossing(run, f"mode_{mode}", (low, half, high), what)


def _checked(*, start: str, singular_values: Sequence[float], **numbers: Any) -> list[float]:
    """Return the strengths of the modes, once every option of ``train`` has a meaning."""
    if start not in ("random", "aligned", "learned"):
        raise OptionError(f"start={start!r:.60}; expected 'random', 'aligned' or 'learned'")
    strengths = _strengths(singular_values)
    for name, least in {
        "steps": 1,
        "every": 1,
        "repeats": 1,
        "batch_size": 1,
        "hidden": len(strengths),
    }.items():
        value = numbers[name]
        every_item = name == "batch_size" and value is None
        if not every_item and (not _is_a(Integral, value) or value < least):
            modes = ", as many as the teacher has modes" if name == "hidden" else ""
            raise OptionError(f"{name}={value!r:.60}; expected an integer, at least {least}{modes}")
    below = {
        "noise": (math.inf, "a finite number, 0 or more"),
        "learning_rate": (
            1 / strengths[0],
            "a positive number below {:g}: there the strongest mode diverges",
        ),
        "start_strength": (strengths[-1] / 2, "a positive number below {:g}, half of the weakest mode"),
    }
    for name, (bound, expected) in below.items():
        value = numbers[name]
        unused = name == "start_strength" and start == "learned"
        if not unused and not (_is_a(Real, value) and 0 <= value < bound and (value > 0 or name == "noise")):
            raise OptionError(f"{name}={value!r:.60}; expected {expected.format(bound)}")
    return strengths


def _is_a(kind: type, value: Any) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)


def _strengths(given: Any) -> list[float]:
    try:
        strengths = [float(strength) for strength in given]
    except (TypeError, ValueError):
        strengths = []
    falling = all(one > other for one, other in pairwise([math.inf, *strengths, 0.0]))
    if not 1 <= len(strengths) <= _ITEMS or not falling:
        raise OptionError(
            f"singular_values={given!r:.120}; expected positive numbers, the strongest first, "
            f"1 to {_ITEMS} of them: there are no more modes than items"
        )
    return strengths


@dataclass(frozen=True)
class _Teacher:
    """What is to be learned: each mode of the items leads to a feature of its own.

    Attributes
    ----------
    strengths
        Singular values of the modes that there are.
    modes, features
        Orthonormal columns, ``(items, 8)`` and ``(outputs, 8)``.
    inputs, answers
        Of the items, without noise.
    """

    strengths: Tensor
    modes: Tensor
    features: Tensor
    inputs: Tensor
    answers: Tensor

    @classmethod
    def draw(cls, strengths: Sequence[float]) -> _Teacher:
        features = torch.linalg.qr(torch.randn(_ITEMS, _ITEMS))[0]
        modes = torch.tensor(item_modes(), dtype=torch.float32)
        # one-hot items, scaled so that their second moment is the identity and the modes decouple
        inputs = torch.eye(_ITEMS) * _ITEMS**0.5
        there = torch.tensor(strengths, dtype=torch.float32)
        answers = inputs @ modes[:, : len(there)] @ torch.diag(there) @ features[:, : len(there)].T
        return cls(there, modes, features, inputs, answers)

    def held(self, first: Tensor, second: Tensor) -> Tensor:
        """Return the strength of each mode in two layers of weights."""
        return (self.features.T @ second @ first @ self.modes).diagonal()

    def start(self, first: Tensor, second: Tensor, start: str, strength: float) -> np.ndarray:
        """Set the weights of step 0 and return the strength from which each mode goes on, shape (modes,)."""
        count = len(self.strengths)
        modes, features = self.modes[:, :count], self.features[:, :count]
        with torch.no_grad():
            if start == "random":
                # the growing part of each mode then has the expected square asked for
                spread = (2 * strength / len(first)) ** 0.5
                first.normal_(std=spread)
                second.normal_(std=spread)
            else:
                root = self.strengths.sqrt() if start == "learned" else torch.full((count,), strength**0.5)
                basis = torch.linalg.qr(torch.randn(len(first), count))[0]
                first.copy_(basis * root @ modes.T)
                second.copy_(features * root @ basis.T)
            # Of what the two layers hold of a mode only the half-sum grows; the half-difference dies out.
            growing = (first @ modes + second.T @ features) / 2
            # Once a stronger mode has taken a hidden direction, a weaker one cannot grow along it: what
            # is left to mode k is orthogonal to modes 0 .. k-1: the diagonal of R in a QR decomposition.
            left = np.diagonal(np.linalg.qr(growing.double().numpy(), mode="r"))
        return np.asarray(left**2)


def _half_squared_error(outputs: Tensor, targets: Tensor) -> Tensor:
    return (outputs - targets).square().sum(dim=1) / 2


def _describe(items: np.ndarray) -> dict[str, Any]:
    modes = item_modes()
    return {
        "item": items,
        "name": [ITEMS[item] for item in items],
        "half": items // 4,
        "quarter": items // 2,
        **{f"loading_{k}": modes[items, k] for k in range(_ITEMS)},
    }


def _name(modes: int, start: str) -> str:
    if start == "learned":
        return "deep linear network control: nothing left to learn"
    return "deep linear network control: one mode" if modes == 1 else "deep linear network"
