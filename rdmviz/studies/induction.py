"""Induction heads: a small transformer learns, all at once, to continue what it has read before.

Olsson et al., "In-context learning and induction heads" (arXiv:2209.11895). Sequences of random words hold a
passage twice. Once one head attends to the previous token, a head of the next layer can find the token after
the earlier occurrence of the present one, and copy it. Two controls never do: one layer, and no repeats.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from os import PathLike
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from tqdm.auto import trange

from rdmviz.errors import OptionError
from rdmviz.record import Recorder
from rdmviz.run import TrainingRun
from rdmviz.studies.interrupting import interruptible
from rdmviz.studies.repeats import WORDS, Read, draw
from rdmviz.studies.threads import alone
from rdmviz.studies.transition import Transition, crossing

__all__ = ["CONTROLS", "AttentionOnly", "train", "transition"]

CONTROLS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {"one_layer": {"layers": 1}, "no_repeats": {"repeats": False}}
)
"""Options of the runs in which no induction head can form."""

_HELD_OUT = 32  # sequences on which metrics are measured
_SHORTEST = 8  # of sequences: two passages of two tokens, and something around them


class AttentionOnly(nn.Module):
    """A causal transformer of attention layers alone, with a learned bias for each distance.

    Parameters
    ----------
    vocabulary, length : int
        Kinds of tokens, and the longest sequence.
    layers, width, heads : int
        Attention layers, size of the residual stream, and heads per layer.
    """

    def __init__(self, vocabulary: int, length: int, layers: int, width: int, heads: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        self.layers = nn.ModuleList(_Attention(width, heads, length) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.out = nn.Linear(width, vocabulary, bias=False)

    def forward(self, input_ids: Tensor) -> Tensor:
        """Return logits ``(batch, length, vocabulary)`` of the next token."""
        return self.read(input_ids)[0]

    def read(self, input_ids: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return logits, and of each layer who attends to whom, ``(batch, heads, length, length)``."""
        stream = self.embedding(input_ids)
        patterns = []
        for layer in self.layers:
            update, pattern = layer(stream)
            stream = stream + update
            patterns.append(pattern)
        return self.out(self.norm(stream)), patterns


class _Attention(nn.Module):
    def __init__(self, width: int, heads: int, length: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.queries_keys_values = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.distance_bias = nn.Parameter(torch.zeros(heads, length))

    def forward(self, stream: Tensor) -> tuple[Tensor, Tensor]:
        batch, length, width = stream.shape
        joint = self.queries_keys_values(self.norm(stream))
        queries, keys, values = joint.reshape(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        places = torch.arange(length)
        distance = places[:, None] - places
        scores = queries @ keys.mT / (width // self.heads) ** 0.5
        scores = scores + self.distance_bias[:, distance.clamp(min=0)]
        pattern = scores.masked_fill(distance < 0, -torch.inf).softmax(dim=-1)
        return self.out((pattern @ values).transpose(1, 2).reshape(batch, length, width)), pattern


def train(
    seed: int = 0,
    *,
    steps: int = 1_000,
    every: int = 1,
    layers: int = 2,
    repeats: bool = True,
    vocabulary: int = 32,
    length: int = 48,
    width: int = 64,
    heads: int = 4,
    learning_rate: float = 2e-3,
    batch_size: int = 32,
    probe_size: int = 10,
    out: str | PathLike[str] | None = None,
    overwrite: bool = False,
    progress: bool = True,
) -> TrainingRun:
    """Train an attention-only transformer on sequences with a repeated passage and record it.

    Parameters
    ----------
    seed : int
        Decides the probe, the start and every sequence: same seed, same run. Controls of a seed have its
        probe.
    steps, every : int
        Optimiser steps, and how many of them lie between two recorded rows.
    layers : int
        Attention layers. Control: one cannot form an induction head, which takes two in a row.
    repeats : bool
        Whether the training sequences hold a passage twice. Control: without, there is nothing to copy. The
        probe has repeats in any case.
    vocabulary, length : int
        Kinds of tokens, and tokens in a sequence.
    width, heads : int
        Size of the residual stream, and heads per layer.
    learning_rate, batch_size : float, int
        Of Adam; the distance biases learn ten times as fast.
    probe_size : int
        Sequences in the probe; each of their tokens but the first is a datapoint.
    out : path, optional
        Where to keep the run; in memory by default.
    overwrite : bool
        Replace a run at ``out``.
    progress : bool
        Show a progress bar.

    Returns
    -------
    TrainingRun
        Loss in nats of ``probe_size * (length - 1)`` tokens. Probe: ``sequence``, ``position``, ``token``,
        ``type``, ``text``, ``candidates`` and ``lag`` as :meth:`rdmviz.studies.repeats.Read.describe`
        says. Metrics on further sequences with repeats: ``prefix_matching``, attention from the place before
        repeated tokens to what followed earlier occurrences of the token there, of the head that has most;
        ``previous_token``, attention to the token before, of the head that has most; ``loss_repeated`` and
        ``loss_other``; ``in_context_loss``, loss in the last quarter of a sequence minus that in the first.

    Raises
    ------
    OptionError
        An option has no meaning, such as a width that does not divide into heads.
    """
    counts = {
        "steps": steps,
        "every": every,
        "layers": layers,
        "heads": heads,
        "batch_size": batch_size,
    }
    if min(counts.values()) < 1 or learning_rate <= 0 or probe_size < 2:
        raise OptionError(
            f"{', '.join(f'{name}={value}' for name, value in counts.items())}, "
            f"learning_rate={learning_rate}, probe_size={probe_size}; expected at least 1, a positive "
            "learning rate, and two probe sequences"
        )
    if not 2 <= vocabulary <= len(WORDS) or length < _SHORTEST:
        raise OptionError(
            f"vocabulary={vocabulary}, length={length}; expected 2 to {len(WORDS)} kinds of tokens and "
            f"sequences of at least {_SHORTEST}"
        )
    if width < heads or width % heads:
        raise OptionError(f"width={width}, heads={heads}; expected a multiple of the heads")
    options = {
        "study": "induction",
        "seed": seed,
        **counts,
        "repeats": repeats,
        "vocabulary": vocabulary,
        "length": length,
        "width": width,
        "learning_rate": learning_rate,
    }
    with alone(seed):
        watched = draw(probe_size, length, vocabulary)
        held_out = Read.of(draw(_HELD_OUT, length, vocabulary))
        model = AttentionOnly(vocabulary, length, layers, width, heads)
        optimiser = _optimiser(model, learning_rate)
        with (
            Recorder(
                out,
                {"input_ids": watched},
                per="token",
                metadata=Read.of(watched).describe(),
                every=every,
                name=_name(layers, repeats),
                attrs=options,
                overwrite=overwrite,
            ) as recorder,
            interruptible(out),
        ):
            for step in trange(steps, desc="induction", disable=not progress):
                recorder.record(step, model, metrics=partial(_metrics, model, held_out))
                batch = draw(batch_size, length, vocabulary, repeats=repeats)
                loss = _losses(model(batch), batch).mean()
                optimiser.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call, unused-ignore]
                optimiser.step()
            if recorder.due(steps):
                recorder.record(steps, model, metrics=partial(_metrics, model, held_out))
    return recorder.run


def transition(run: TrainingRun) -> Transition:
    """Return when the induction head formed: prefix matching of 0.2, 0.5 and 0.8."""
    return crossing(run, "prefix_matching", (0.2, 0.5, 0.8), "Prefix matching")


def _losses(logits: Tensor, tokens: Tensor) -> Tensor:
    """Cross-entropy of every token but the first, ``(batch, length - 1)``."""
    return cross_entropy(logits[:, :-1].transpose(1, 2), tokens[:, 1:], reduction="none")


def _optimiser(model: AttentionOnly, learning_rate: float) -> torch.optim.Optimizer:
    """Adam; a bias is one number per distance and head, and would be the last to move."""
    rest: list[Tensor] = []
    biases: list[Tensor] = []
    for name, weights in model.named_parameters():
        (biases if name.endswith("distance_bias") else rest).append(weights)
    groups: list[dict[str, Any]] = [{"params": rest}, {"params": biases, "lr": 10 * learning_rate}]
    return torch.optim.Adam(groups, lr=learning_rate)


def _metrics(model: AttentionOnly, read: Read) -> dict[str, float]:
    logits, patterns = model.read(read.tokens)
    losses = _losses(logits, read.tokens)
    quarter = losses.shape[1] // 4
    repeated = read.repeated
    attention = torch.cat(patterns, dim=1)[:, :, :-1]  # from the token before each that is predicted
    matching = (attention.transpose(1, 2)[repeated] * read.followers[repeated][:, None]).sum(dim=-1)
    before = attention.diagonal(offset=-1, dim1=-2, dim2=-1)
    return {
        "prefix_matching": matching.mean(dim=0).max().item(),
        "previous_token": before.mean(dim=(0, 2)).max().item(),
        "loss_repeated": losses[repeated].mean().item(),
        "loss_other": losses[~repeated].mean().item(),
        "in_context_loss": (losses[:, -quarter:].mean() - losses[:, :quarter].mean()).item(),
    }


def _name(layers: int, repeats: bool) -> str:
    if not repeats:
        return "induction control: no repeats"
    return "induction heads" if layers > 1 else "induction control: one layer"
