"""Token sequences as datapoints: which tokens count, and losses per sequence or per token."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from rdmviz.errors import LossShapeError, OptionError, ProbeError
from rdmviz.record.losses import LEFT_OUT, logits_of, per_token_cross_entropy
from rdmviz.validation import checked_probe

__all__ = ["TokenLoss", "Tokens", "check_causal", "counted", "next_tokens"]

_COLUMNS = ("sequence", "position", "token")


@dataclass(frozen=True)
class Tokens:
    """The tokens that are datapoints, ordered by sequence and position.

    Attributes
    ----------
    ids : array of int, shape (sequences, length)
        Label at each place.
    kept : array of bool, shape (sequences, length)
        Whether it counts.
    shifted : bool
        Each is predicted at the place before it.
    """

    ids: np.ndarray
    kept: np.ndarray
    shifted: bool = False

    @cached_property
    def samples(self) -> int:
        """How many count."""
        return int(self.kept.sum())

    def part(self, part: slice | np.ndarray) -> Tokens:
        """Return those of some sequences."""
        return Tokens(self.ids[part], self.kept[part], self.shifted)

    @property
    def places(self) -> np.ndarray:
        """Where in the outputs they are predicted, bool (sequences, length), in the same order."""
        return np.roll(self.kept, -1, axis=1) if self.shifted else self.kept  # the first is never kept then

    def columns(self, metadata: Any) -> dict[str, np.ndarray]:
        """Return probe metadata per token from metadata per sequence, with ``sequence, position, token``.

        A column ``(sequences, length)`` has a value for each token. Texts of that shape that are called
        ``token`` take the place of the numbers.

        Raises
        ------
        ProbeError
            Metadata do not fit the sequences, or have one of these names.
        """
        sequence, position = np.nonzero(self.kept)
        own = dict(zip(_COLUMNS, (sequence, position, self.ids[self.kept]), strict=True))
        if metadata is None:
            return own
        named = isinstance(metadata, Mapping) or hasattr(metadata, "columns")
        names = list(metadata) if named else []
        grids = {name: grid for name in names if (grid := self._grid(metadata[name])) is not None}
        texts = {name for name in grids if name == _COLUMNS[-1] and grids[name].dtype.kind in "UO"}
        if taken := [name for name in names if name in own and name not in texts]:
            raise ProbeError(
                f"probe column {taken[0]!r} is one that a probe with per='token' has of its own; rename it"
            )
        rest = {name: metadata[name] for name in names if name not in grids} if named else metadata
        by_sequence = checked_probe(rest, len(self.ids))
        by_token = checked_probe({name: grid[self.kept] for name, grid in grids.items()}, self.samples)
        repeated = {name: values[sequence] for name, values in by_sequence.items()}
        return own | {name: (repeated | by_token)[name] for name in names}

    def _grid(self, values: Any) -> np.ndarray | None:
        try:
            array = np.asarray(values)
        except ValueError:
            return None
        return array if array.shape == self.ids.shape else None


class TokenLoss:
    """Cross-entropy of the tokens that count: their mean over each sequence, or one by one.

    Parameters
    ----------
    wanted : Tensor of int, shape (n, length)
        All there are: at each place of the output the token that is right there, or -100.
    per : str
        ``"sequence"`` or ``"token"``.
    """

    def __init__(self, wanted: Tensor, per: str) -> None:
        self._per, self._largest = per, int(wanted.max())

    def __call__(self, outputs: Any, wanted: Tensor) -> Tensor:
        """Return losses of shape (n,), or (tokens that count,)."""
        logits = logits_of(outputs)
        if not isinstance(logits, Tensor) or logits.ndim != 3 or logits.shape[:2] != wanted.shape:
            given = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
            raise OptionError(
                f"no default loss for outputs {given} and targets {tuple(wanted.shape)} of integers; "
                f"expected logits ({wanted.shape[0]}, {wanted.shape[1]}, vocabulary). Pass loss_fn(outputs, "
                "targets) that returns one number per datapoint"
            )
        if logits.shape[2] <= self._largest:
            raise LossShapeError(
                f"probe targets reach {self._largest} and the outputs are logits of {logits.shape[2]} "
                "tokens; expected smaller targets. Was the probe made with the tokenizer of this model?"
            )
        losses = per_token_cross_entropy(logits, wanted)
        kept = wanted != LEFT_OUT
        return losses[kept] if self._per == "token" else losses.sum(dim=1) / kept.sum(dim=1)


def counted(labels: Tensor, mask: Any, *, shifted: bool) -> Tensor:
    """Return labels (n, length) with -100 wherever a token does not count.

    Parameters
    ----------
    labels
        Tokens, or -100.
    mask
        Attention mask, 0 where there is no token; of another shape it says nothing of the labels.
    shifted
        A token is predicted at the place before it, which has to be a token too: the first never counts.

    Raises
    ------
    ProbeError
        A label is negative and not -100, or none counts.
    """
    labels = labels.long()
    there = labels != LEFT_OUT
    if isinstance(mask, Tensor) and mask.shape == labels.shape:
        attended = mask != 0
        there &= attended
        if shifted:
            there[:, 1:] &= attended[:, :-1]
    if shifted:
        there[:, 0] = False
    wrong = (there & (labels < 0)).nonzero()
    if len(wrong):
        sequence, position = wrong[0].tolist()
        raise ProbeError(
            f"label {int(labels[sequence, position])} at position {position} of sequence {sequence}; "
            f"expected a token, or {LEFT_OUT} for one that does not count"
        )
    return torch.where(there, labels, LEFT_OUT)


def next_tokens(labels: Tensor) -> Tensor:
    """Return at each place the label of the next one, -100 at the last."""
    return torch.cat([labels[:, 1:], torch.full_like(labels[:, :1], LEFT_OUT)], dim=1)


def check_causal(model: nn.Module) -> None:
    """Refuse a model whose library says that it does not predict the next token.

    Raises
    ------
    OptionError
        Its labels are not shifted.
    """
    kind = getattr(getattr(model, "module", model), "loss_type", None)
    if kind in ("ForMaskedLM", "ForTokenClassification"):
        raise OptionError(
            f"{type(model).__name__} has labels at their own places, and a dict batch is taken for "
            "next-token prediction. Pass the pair: labels = batch.pop('labels'); probe=(batch, labels)"
        )
