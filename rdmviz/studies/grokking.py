"""Grokking: addition modulo a prime is memorised first and understood thousands of steps later.

Power, Burda, Edwards, Babuschkin and Misra, "Grokking: generalization beyond overfitting on small
algorithmic datasets" (arXiv:2201.02177). Half of all pairs are trained on; a probe set of training and
held-out pairs is watched. Two controls never generalise: shuffled labels, and no weight decay.

A network that understands the task has embedded the numbers on circles, a few frequencies of them (Nanda,
Chan, Lieberum, Smith and Steinhardt, "Progress measures for grokking via mechanistic interpretability",
arXiv:2301.05217): how much of the embeddings lies in their strongest frequencies is measured, too.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from numbers import Integral, Real
from os import PathLike
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from tqdm.auto import trange

from rdmviz.compute.rdm.residues import frequency_power
from rdmviz.errors import OptionError
from rdmviz.record import Recorder, Snapshots
from rdmviz.run import TrainingRun
from rdmviz.studies.interrupting import interruptible
from rdmviz.studies.threads import alone
from rdmviz.studies.transition import Transition, crossing

__all__ = ["CONTROLS", "KEY_FREQUENCIES", "ModularAddition", "embedding_power", "train", "transition"]

CONTROLS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {"shuffled_labels": {"shuffle_labels": True}, "no_weight_decay": {"weight_decay": 0.0}}
)
"""Options of the runs that never generalise."""

KEY_FREQUENCIES = 5
"""How many frequencies the metric ``fourier_concentration`` counts: of 26 of modulus 53."""


_TINY, _ANY = math.nextafter(0.0, 1.0), 2**63
_WHOLE = {
    "seed": (0, _ANY, "an integer, at least 0, below 2**63"),
    "modulus": (2, 1001, "an integer from 2 to 1000: all pairs are looked at in every recorded step"),
    **dict.fromkeys(("steps", "every", "batch_size", "probe_size"), (1, _ANY, "an integer, at least 1")),
}
_REAL = {
    "train_fraction": (_TINY, 1, "a number between 0 and 1, neither included"),
    "weight_decay": (0, math.inf, "a finite number, at least 0"),
    "learning_rate": (_TINY, math.inf, "a finite number above 0"),
}


class ModularAddition(nn.Module):
    """A multilayer perceptron on two embedded operands.

    Each operand has its own embedding: a shared one would give commutativity away, and with it half of
    the held-out pairs.
    """

    def __init__(self, modulus: int, embedding: int = 64, hidden: int = 128) -> None:
        super().__init__()
        self.first = nn.Embedding(modulus, embedding)
        self.second = nn.Embedding(modulus, embedding)
        self.hidden = nn.Linear(2 * embedding, hidden)
        self.out = nn.Linear(hidden, modulus)

    def forward(self, pairs: Tensor) -> Tensor:
        """Return logits ``(batch, modulus)`` for operand pairs ``(batch, 2)``."""
        embedded = torch.cat([self.first(pairs[:, 0]), self.second(pairs[:, 1])], dim=1)
        logits: Tensor = self.out(torch.relu(self.hidden(embedded)))
        return logits


@dataclass(frozen=True)
class _Task:
    """All pairs with their targets, and which of them are trained on."""

    pairs: Tensor
    targets: Tensor
    train: Tensor
    test: Tensor

    @classmethod
    def draw(cls, modulus: int, train_fraction: float, shuffle_labels: bool) -> _Task:
        numbers = torch.arange(modulus)
        pairs = torch.cartesian_prod(numbers, numbers)
        targets = pairs.sum(dim=1) % modulus
        order = torch.randperm(len(pairs))
        cut = round(train_fraction * len(pairs))
        if shuffle_labels:
            targets = targets[torch.randperm(len(targets))]
        return cls(pairs, targets, order[:cut], order[cut:])

    def watched(self, size: int) -> Tensor:
        """Return the probe: the first ``size`` pairs of either half, training pairs first."""
        if size > min(len(self.train), len(self.test)):
            raise OptionError(
                f"probe_size={size}; there are {len(self.train)} training and {len(self.test)} held-out pairs"
            )
        return torch.cat([self.train[:size], self.test[:size]])

    def describe(self, watched: Tensor) -> dict[str, Any]:
        """Return the facts about probe pairs, one array or list per column."""
        half = len(watched) // 2
        return {
            "a": self.pairs[watched, 0].numpy(),
            "b": self.pairs[watched, 1].numpy(),
            "target": self.targets[watched].numpy(),
            "split": ["train"] * half + ["held-out"] * half,
        }


def train(
    seed: int = 0,
    *,
    steps: int = 10_000,
    every: int = 4,
    modulus: int = 53,
    train_fraction: float = 0.5,
    shuffle_labels: bool = False,
    weight_decay: float = 1.0,
    learning_rate: float = 1e-3,
    batch_size: int = 512,
    probe_size: int = 300,
    snapshots: Snapshots | None = None,
    out: str | PathLike[str] | None = None,
    overwrite: bool = False,
    progress: bool = True,
) -> TrainingRun:
    """Train a small network on addition modulo ``modulus`` and record it.

    Parameters
    ----------
    seed : int
        Decides the split, the start and the order of batches: same seed, same run.
    steps, every : int
        Optimiser steps, and how many of them lie between two recorded rows.
    modulus : int
        There are ``modulus ** 2`` pairs of operands.
    train_fraction : float
        Share of the pairs that is trained on.
    shuffle_labels : bool
        Control: sums are dealt to pairs at random, so there is nothing to understand.
    weight_decay : float
        Decoupled weight decay of AdamW; 0 is the second control.
    learning_rate, batch_size : float, int
        Of AdamW with ``betas=(0.9, 0.98)``.
    probe_size : int
        How many training pairs, and as many held-out pairs, are watched; the training pairs are the first
        datapoints.
    snapshots : Snapshots, optional
        What else is recorded: weights, or the Gaussian 2RDM. Let ``every`` there be a multiple of ``every``.
    out : path, optional
        Where to keep the run; in memory by default.
    overwrite : bool
        Replace a run at ``out``.
    progress : bool
        Show a progress bar.

    Returns
    -------
    TrainingRun
        Loss in nats of ``2 * probe_size`` pairs. Probe: ``a``, ``b``, ``target``, ``split``. Metrics:
        ``train_accuracy``, ``test_accuracy``, ``train_loss``, ``test_loss`` over all pairs, and
        ``fourier_concentration``, the share of the five strongest frequencies in the power of the embeddings.

    Raises
    ------
    OptionError
        An option has no meaning, such as a probe larger than either half of the pairs.
    """
    numbers = {
        "steps": steps,
        "every": every,
        "modulus": modulus,
        "train_fraction": train_fraction,
        "weight_decay": weight_decay,
        "learning_rate": learning_rate,
        "batch_size": batch_size,
    }
    _check(seed=seed, shuffle_labels=shuffle_labels, probe_size=probe_size, **numbers)
    options = {"study": "grokking", "seed": seed, **numbers, "shuffle_labels": shuffle_labels}
    with alone(seed):
        task = _Task.draw(modulus, train_fraction, shuffle_labels)
        watched = task.watched(probe_size)
        model = ModularAddition(modulus)
        optimiser = torch.optim.AdamW(
            model.parameters(), lr=learning_rate, weight_decay=weight_decay, betas=(0.9, 0.98)
        )
        batches = _batches(task.train, batch_size)
        with (
            Recorder(
                out,
                (task.pairs[watched], task.targets[watched]),
                metadata=task.describe(watched),
                every=every,
                name=_name(shuffle_labels, weight_decay),
                snapshots=snapshots,
                attrs=options,
                overwrite=overwrite,
            ) as recorder,
            interruptible(out),
        ):
            for step in trange(steps, desc="grokking", disable=not progress):
                recorder.record(step, model, metrics=partial(_metrics, model, task))
                batch = next(batches)
                loss = cross_entropy(model(task.pairs[batch]), task.targets[batch])
                optimiser.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call, unused-ignore]
                optimiser.step()
            if recorder.due(steps):
                recorder.record(steps, model, metrics=partial(_metrics, model, task))
    return recorder.run


def transition(run: TrainingRun) -> Transition:
    """Return when held-out pairs were understood: test accuracy of 10, 50 and 90 percent."""
    return crossing(run, "test_accuracy", (0.1, 0.5, 0.9), "Test accuracy")


def embedding_power(embedding: np.ndarray) -> np.ndarray:
    """Return how the embedding of the numbers modulo ``p`` is spread over the frequencies 1, 2, ...

    Parameters
    ----------
    embedding : ndarray, shape (p, features)
        Such as a snapshot of the parameter ``first.weight``.

    Returns
    -------
    ndarray, shape (p // 2,)
        Share of each frequency in the power, the mean aside.
    """
    return frequency_power(embedding.T.astype(np.float64), np.arange(len(embedding)), len(embedding))


def _check(*, shuffle_labels: Any, **numbers: Any) -> None:
    """Raise OptionError unless every option of ``train`` has a meaning."""
    if not isinstance(shuffle_labels, bool):
        raise OptionError(f"shuffle_labels={shuffle_labels!r:.60}; expected True or False")
    for name, value in numbers.items():
        whole = name in _WHOLE
        low, high, expected = _WHOLE[name] if whole else _REAL[name]
        number = isinstance(value, Integral if whole else Real) and not isinstance(value, bool)
        if not number or not low <= value < high:
            raise OptionError(f"{name}={value!r:.60}; expected {expected}")


def _batches(train: Tensor, size: int) -> Iterator[Tensor]:
    """Shuffled batches without end; a remainder smaller than a batch is left to the next shuffle."""
    size = min(size, len(train))
    while True:
        order = train[torch.randperm(len(train))]
        yield from order[: len(train) // size * size].reshape(-1, size).unbind()


def _metrics(model: ModularAddition, task: _Task) -> dict[str, float]:
    logits = model(task.pairs)
    losses = cross_entropy(logits, task.targets, reduction="none")
    right = (logits.argmax(dim=1) == task.targets).float()
    powers = [embedding_power(one.weight.numpy(force=True)) for one in (model.first, model.second)]
    strongest = np.sort(np.mean(powers, axis=0))[-KEY_FREQUENCIES:]
    return {
        "train_accuracy": right[task.train].mean().item(),
        "test_accuracy": right[task.test].mean().item(),
        "train_loss": losses[task.train].mean().item(),
        "test_loss": losses[task.test].mean().item(),
        "fourier_concentration": float(strongest.sum()),
    }


def _name(shuffle_labels: bool, weight_decay: float) -> str:
    if shuffle_labels:
        return "grokking control: shuffled labels"
    return "grokking" if weight_decay else "grokking control: no weight decay"
