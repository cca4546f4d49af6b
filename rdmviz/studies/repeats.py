"""Sequences of random words with a passage that comes twice, and which of their tokens induction tells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import one_hot

__all__ = ["WORDS", "Read", "draw"]

_NOUNS = """
ant arm bay bee boat bone book bowl cake cave clay coat corn cup dawn deer door duck dust elm fern fig
fire fish flag foam fog fox frog gate goat gold hail hand hare hat hill horn ice ink iron ivy jar kite
lake lamp leaf lily lime loaf mint moon moss nest oak oat owl pear pond rain reed rice road rock rope
rose salt
"""
WORDS = tuple(_NOUNS.split())
"""What tokens are called, by number."""

_SHOWN = 10  # words before a token in its text


def draw(count: int, length: int, vocabulary: int, *, repeats: bool = True) -> Tensor:
    """Draw sequences of random tokens, with a passage in each that comes a second time.

    The passage is a fifth to two fifths of the sequence. Where it stands, and how far on it comes again, are
    random, so that a fixed distance does not tell what to copy.

    Parameters
    ----------
    count, length, vocabulary : int
        Sequences, tokens in each, and kinds of tokens.
    repeats : bool
        Whether the passage comes again.

    Returns
    -------
    Tensor of int, shape (count, length)
    """
    tokens = torch.randint(vocabulary, (count, length))
    passage = torch.randint(length // 5, 2 * length // 5 + 1, (count,))
    first = _below(length - 2 * passage + 1)
    lag = passage + _below(length - 2 * passage - first + 1)
    if not repeats:
        return tokens
    places = torch.arange(length).expand(count, length)
    again = (first + lag)[:, None]
    copied = (places >= again) & (places < again + passage[:, None])
    return tokens.gather(1, torch.where(copied, places - lag[:, None], places))


def _below(bound: Tensor) -> Tensor:
    """Return a random integer below each bound."""
    return (torch.rand(len(bound)) * bound).long()


@dataclass(frozen=True)
class Read:
    """Sequences, and where an induction head looks for each token but the first.

    Attributes
    ----------
    tokens : Tensor of int, shape (n, length)
    followers : Tensor of bool, shape (n, length - 1, length)
        What came after earlier occurrences of the token before.
    sources : Tensor of bool, shape (n, length - 1, length)
        Followers that are the token itself: where it can be copied from.
    """

    tokens: Tensor
    followers: Tensor
    sources: Tensor

    @classmethod
    def of(cls, tokens: Tensor) -> Read:
        """Look for earlier occurrences in sequences ``(n, length)``."""
        before, here = tokens[:, :-1], tokens[:, 1:]
        followers = torch.zeros(*here.shape, tokens.shape[1], dtype=torch.bool)
        followers[:, :, 1:] = before[:, :, None] == before[:, None, :]
        followers &= torch.ones(followers.shape[1:], dtype=torch.bool).tril()  # those read by then
        return cls(tokens, followers, followers & (here[:, :, None] == tokens[:, None, :]))

    @property
    def repeated(self) -> Tensor:
        """Which tokens can be copied, bool ``(n, length - 1)``."""
        return self.sources.any(dim=2)

    @property
    def misleading(self) -> Tensor:
        """Which tokens come where something else came before, bool ``(n, length - 1)``."""
        return self.followers.any(dim=2) & ~self.repeated

    @property
    def candidates(self) -> Tensor:
        """How many different tokens there are among the followers of each, int ``(n, length - 1)``."""
        kinds = one_hot(self.tokens).float()
        return (self.followers.float() @ kinds > 0).sum(dim=2)

    def describe(self) -> dict[str, Any]:
        """Return facts about every token, arrays ``(n, length)``.

        Returns
        -------
        dict
            ``token``, its word. ``type``: ``"repeated"`` if it followed the token before it earlier, too, and
            so can be copied; ``"misleading"`` if only something else did; ``"new"`` if the token before it is
            there for the first time. ``text``, what stands before it and the word in brackets.
            ``candidates``, how many different words followed the token before it earlier: induction alone
            cannot choose among them. ``lag``, how far back it can be copied from last; NaN where it cannot.
        """
        words = np.array(WORDS)[self.tokens.numpy()]
        kind = np.where(self.repeated, "repeated", np.where(self.misleading, "misleading", "new"))
        places = torch.arange(self.tokens.shape[1])
        source = torch.where(self.sources, places, -1).amax(dim=2)
        lag = torch.where(self.repeated, places[1:] - source, torch.nan)
        return {
            "token": words,
            "type": np.insert(kind, 0, "new", axis=1),
            "text": np.array([[_text(row, place) for place in range(len(row))] for row in words.tolist()]),
            "candidates": np.insert(self.candidates.numpy(), 0, 0, axis=1),
            "lag": np.insert(lag.numpy(), 0, np.nan, axis=1),
        }


def _text(words: list[str], place: int) -> str:
    """Return the words before a place, and the one that comes there in brackets."""
    before = words[max(0, place - _SHOWN) : place]
    return " ".join(["…"] * (place > _SHOWN) + before + [f"[{words[place]}]"])
