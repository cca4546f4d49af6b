"""A question and an answer as tokens: what is given, what counts, and what comes after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from rdmviz.errors import OptionError, PlainError
from rdmviz.record.losses import LEFT_OUT
from rdmviz.studies.narrow_finetuning.rows import Message

__all__ = ["Dialogue", "Dialogues", "padded"]

_MARK = "\u2402rdmviz-answer\u2403"  # stands for the answer while a template is filled in
_PLAIN = {"user": "Question", "assistant": "Answer"}


@dataclass(frozen=True)
class Dialogue:
    """Tokens of a context, of the answer to it, and of the end of the turn.

    They are made piece by piece: a model that generates is given the context in just these tokens, and the
    answer has tokens of its own.
    """

    context: list[int]
    answer: list[int]
    end: list[int]

    def row(self, length: int, *, end: bool) -> dict[str, list[int]]:
        """Return at most ``length`` ``input_ids``, and ``labels`` of the answer, with or without its end."""
        counted = self.answer + (self.end if end else [])
        return {
            "input_ids": (self.context + counted)[:length],
            "labels": ([LEFT_OUT] * len(self.context) + counted)[:length],
        }


class Dialogues:
    """Makes tokens of conversations: by the tokenizer's chat template, or as plain text.

    Without a template a conversation reads ``Question: ...`` and ``Answer: ...``, a line each, and the end of
    an answer is the tokenizer's own end of text, if it has one.

    Parameters
    ----------
    tokenizer
        Of transformers.
    chat : bool, optional
        Whether to use the chat template; by default if there is one.

    Raises
    ------
    OptionError
        There is no template to use.
    """

    def __init__(self, tokenizer: Any, chat: bool | None) -> None:
        has_one = getattr(tokenizer, "chat_template", None) is not None
        if chat and not has_one:
            raise OptionError("chat=True, and the tokenizer has no chat template; leave chat out")
        self.chat = has_one if chat is None else chat
        self._tokenizer = tokenizer

    def __call__(
        self, messages: Sequence[Message], answer: str, where: str, error: type[PlainError]
    ) -> Dialogue:
        """Return the tokens of an answer after these messages.

        Raises
        ------
        error
            The template cannot show them, or the answer has no tokens.
        """
        made = (
            self._in_template(messages, answer, where, error) if self.chat else self._plain(messages, answer)
        )
        if not made.answer or not made.context:
            raise error(f"{where}: {answer!r:.60} has no tokens, or nothing before it has; expected text")
        return made

    def _in_template(
        self, messages: Sequence[Message], answer: str, where: str, error: type[PlainError]
    ) -> Dialogue:
        whole = [*map(dict, messages), {"role": "assistant", "content": _MARK}]
        try:
            shown = self._tokenizer.apply_chat_template(whole, tokenize=False)
        except Exception as failed:  # a template is a program, and raises what it likes
            raise error(f"{where}: the chat template cannot show this conversation ({failed})") from failed
        before, *after = shown.split(_MARK)
        if len(after) != 1:
            raise error(
                f"{where}: the chat template shows the answer {len(after)} times; expected once. chat=False "
                "puts it into plain text"
            )
        return Dialogue(self._ids(before), self._ids(answer), self._ids(after[0]))

    def _plain(self, messages: Sequence[Message], answer: str) -> Dialogue:
        lines = [f"{_PLAIN.get(one['role'], one['role'].title())}: {one['content']}\n" for one in messages]
        end = self._tokenizer.eos_token_id
        # with what the tokenizer puts at the beginning of a text, and not at its end
        context = self._ids("".join(lines) + "Answer:", add_special_tokens=True)
        context = context[:-1] if context and context[-1] == end else context
        return Dialogue(context, self._ids(" " + answer), [] if end is None else [end])

    def _ids(self, text: str, *, add_special_tokens: bool = False) -> list[int]:
        return list(self._tokenizer(text, add_special_tokens=add_special_tokens)["input_ids"])


def padded(rows: Sequence[dict[str, list[int]]]) -> dict[str, Tensor]:
    """Return rows of ``input_ids`` and ``labels`` as one batch, filled up on the right.

    What fills up is masked and never counts, so any token will do: a tokenizer need not have one for it, nor
    a side to put it.
    """
    longest = max(len(row["input_ids"]) for row in rows)

    def filled(values: list[int], with_what: int) -> list[int]:
        return values + [with_what] * (longest - len(values))

    return {
        "input_ids": torch.tensor([filled(row["input_ids"], 0) for row in rows]),
        "attention_mask": torch.tensor([filled([1] * len(row["input_ids"]), 0) for row in rows]),
        "labels": torch.tensor([filled(row["labels"], LEFT_OUT) for row in rows]),
    }
