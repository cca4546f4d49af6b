"""A deep linear network learns the branches of a tree one after the other, at times known in advance.

Saxe, McClelland and Ganguli, "Exact solutions to the nonlinear dynamics of learning in deep linear neural
networks" (2014). Eight items hang on a binary tree; the network learns their features by modes, the
strongest first: what all share, then the halves, the quarters, the pairs. Balanced modes of a two-layer
network grow as ``da/dt = 2 a (s - a) / tau``.
"""

from __future__ import annotations

from os import PathLike
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from tqdm.auto import trange

from rdmviz.errors import OptionError
from rdmviz.record import Recorder
from rdmviz.run import TrainingRun
from rdmviz.studies.threads import alone

__all__ = ["SINGULAR_VALUES", "half_times", "item_modes", "train"]

SINGULAR_VALUES = tuple(2 * share for share in (1.0, 0.65, 0.42, 0.27, 0.18, 0.12, 0.08, 0.055))
"""Strength of each mode, strongest first."""

_ITEMS = len(SINGULAR_VALUES)


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
    start: str = "random",
    start_strength: float = 1e-3,
    noise: float = 0.1,
    batch_size: int | None = 16,
    learning_rate: float = 0.01,
    hidden: int = 16,
    repeats: int = 10,
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
    start : {"random", "aligned"}
        Small random weights, or balanced weights along the modes, for which the closed form is exact.
    start_strength : float
        Strength of the modes at step 0; for a random start, the expected one.
    noise : float
        Standard deviation of the noise on each target, fresh in every batch, fixed in the probe.
    batch_size : int or None
        Items per step, drawn with replacement; None takes every item once, without noise.
    learning_rate : float
        Of plain gradient descent.
    hidden : int
        Hidden width, at least 8.
    repeats : int
        How many probe datapoints each item has, each with its own noise.
    out : path, optional
        Where to keep the run; in memory by default.
    overwrite : bool
        Replace a run at ``out``.
    progress : bool
        Show a progress bar.

    Returns
    -------
    TrainingRun
        Half the squared error of ``8 * repeats`` datapoints. Probe: ``item``, ``half``, ``quarter``
        and ``loading_k``, the value of mode ``k`` at the item. Metrics: ``mode_k``, the strength of
        mode ``k``. Attrs: ``singular_values``, ``start_strengths``, ``half_times``.

    Raises
    ------
    OptionError
        An option has no meaning.
    """
    if start not in ("random", "aligned"):
        raise OptionError(f"start={start!r}; expected 'random' or 'aligned'")
    if min(steps, every, repeats) < 1 or hidden < _ITEMS or (batch_size is not None and batch_size < 1):
        raise OptionError(
            f"steps={steps}, every={every}, repeats={repeats}, batch_size={batch_size}, hidden={hidden}; "
            f"expected at least 1, and a hidden width of at least {_ITEMS}"
        )
    if not 0 < start_strength < min(SINGULAR_VALUES) / 2 or noise < 0 or learning_rate <= 0:
        raise OptionError(
            f"start_strength={start_strength}, noise={noise}, learning_rate={learning_rate}; expected a "
            f"strength between 0 and {min(SINGULAR_VALUES) / 2}, noise >= 0 and a positive learning rate"
        )
    strengths = np.array(SINGULAR_VALUES)
    with alone(seed):
        features = torch.linalg.qr(torch.randn(_ITEMS, _ITEMS))[0]
        modes = torch.tensor(item_modes(), dtype=torch.float32)
        # one-hot items, scaled so that their second moment is the identity and the modes decouple
        inputs = torch.eye(_ITEMS) * _ITEMS**0.5
        answers = inputs @ modes @ torch.diag(torch.tensor(strengths, dtype=torch.float32)) @ features.T
        first, second = nn.Linear(_ITEMS, hidden, bias=False), nn.Linear(hidden, _ITEMS, bias=False)
        model = nn.Sequential(first, second)
        started = _start(
            first.weight, second.weight, modes, features, start_strength, aligned=start == "aligned"
        )
        items = torch.arange(_ITEMS).repeat_interleave(repeats)
        probe_targets = answers[items] + noise * torch.randn(len(items), _ITEMS)
        optimiser = torch.optim.SGD(model.parameters(), lr=learning_rate)

        def strengths_now() -> dict[str, float]:
            product = features.T @ second.weight @ first.weight @ modes
            return {f"mode_{k}": strength for k, strength in enumerate(product.diagonal().tolist())}

        with Recorder(
            out,
            (inputs[items], probe_targets),
            loss_fn=_half_squared_error,
            metadata=_describe(items.numpy()),
            every=every,
            name="deep linear network",
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
                "half_times": half_times(strengths, started, learning_rate),
            },
            overwrite=overwrite,
        ) as recorder:
            for step in trange(steps, desc="linear network", disable=not progress):
                recorder.record(step, model, metrics=strengths_now)
                if batch_size is None:
                    x, y = inputs, answers
                else:
                    drawn = torch.randint(_ITEMS, (batch_size,))
                    x, y = inputs[drawn], answers[drawn] + noise * torch.randn(batch_size, _ITEMS)
                loss = _half_squared_error(model(x), y).mean()
                optimiser.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call, unused-ignore]
                optimiser.step()
            recorder.record(steps, model, metrics=strengths_now)
    return recorder.run


def _half_squared_error(outputs: Tensor, targets: Tensor) -> Tensor:
    return (outputs - targets).square().sum(dim=1) / 2


def _start(
    first: Tensor, second: Tensor, modes: Tensor, features: Tensor, strength: float, *, aligned: bool
) -> np.ndarray:
    """Set small weights and return the strength from which each mode grows, shape (modes,)."""
    with torch.no_grad():
        if aligned:
            basis = torch.linalg.qr(torch.randn(len(first), _ITEMS))[0]
            first.copy_(strength**0.5 * basis @ modes.T)
            second.copy_(strength**0.5 * features @ basis.T)
        else:
            # the growing part of each mode then has the expected square asked for
            spread = (2 * strength / len(first)) ** 0.5
            first.normal_(std=spread)
            second.normal_(std=spread)
        # Of what the two layers hold of a mode only the half-sum grows; the half-difference dies out.
        growing = (first @ modes + second.T @ features) / 2
        # Once a stronger mode has taken a hidden direction, a weaker one cannot grow along it: what is left
        # to mode k is the part orthogonal to modes 0 .. k-1, the diagonal of R in a QR decomposition.
        left = np.diagonal(np.linalg.qr(growing.double().numpy(), mode="r"))
        return np.asarray(left**2)


def _describe(items: np.ndarray) -> dict[str, Any]:
    modes = item_modes()
    return {
        "item": items,
        "half": items // 4,
        "quarter": items // 2,
        **{f"loading_{k}": modes[items, k] for k in range(_ITEMS)},
    }
