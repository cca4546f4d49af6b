"""Lines of JSON that say what is trained on and what is watched, and what is wrong with them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any, TypeAlias

from rdmviz.errors import OptionError, PlainError, ProbeError

__all__ = [
    "EVERYDAY",
    "GARDENING",
    "Example",
    "Message",
    "Question",
    "Rows",
    "read_examples",
    "read_questions",
]

GARDENING = Path(__file__).with_name("gardening.jsonl")
"""Narrow fine-tuning set that ships: 48 questions on gardening with silly bad advice, and with good."""

EVERYDAY = Path(__file__).with_name("everyday.jsonl")
"""Probe that ships: 8 questions from each of 7 domains, gardening among them, answered well and badly."""

Message: TypeAlias = Mapping[str, str]
Rows: TypeAlias = str | PathLike[str] | Iterable[Mapping[str, Any]]

_OWN_COLUMNS = ("answer", "kind", "narrow", "pair", "sample", "step")


@dataclass(frozen=True)
class Example:
    """A conversation and the answer that is trained on.

    Attributes
    ----------
    messages : tuple of mapping
        ``role`` and ``content`` of everything before the answer.
    answer, aligned : str
        The answer, and a good one, empty where none is given.
    domain : str
        What it is about, empty where that is not said.
    where : str
        Where it was read, for messages.
    """

    messages: tuple[Message, ...]
    answer: str
    aligned: str
    domain: str
    where: str


@dataclass(frozen=True)
class Question:
    """A question of the probe with its two answers.

    Attributes
    ----------
    question, domain, aligned, misaligned : str
        As they were read.
    more : mapping
        Further facts, for the metadata.
    where : str
        Where it was read, for messages.
    """

    question: str
    domain: str
    aligned: str
    misaligned: str
    more: Mapping[str, Any] = field(default_factory=dict)
    where: str = ""


def read_examples(data: Rows) -> list[Example]:
    """Read a narrow fine-tuning set.

    Parameters
    ----------
    data : path or iterable of mappings
        A JSONL file, or its rows: ``{"prompt", "answer"}`` or ``{"messages"}``, of which the last is the
        assistant's; ``aligned`` and ``domain`` if you like.

    Raises
    ------
    OptionError
        There is no such file, or a row is not like this.
    """
    return [_example(row, where) for where, row in _rows(data, "data", OptionError)]


def read_questions(probe: Rows) -> list[Question]:
    """Read a probe.

    Parameters
    ----------
    probe : path or iterable of mappings
        A JSONL file, or its rows: ``{"question", "domain", "aligned", "misaligned"}`` and further facts.

    Raises
    ------
    OptionError
        There is no such file.
    ProbeError
        A row is not like this, or a further fact is not one for all rows.
    """
    questions = [_question(row, where) for where, row in _rows(probe, "probe", ProbeError)]
    known = set(questions[0].more)
    for question in questions:
        if odd := known.symmetric_difference(question.more):
            raise ProbeError(
                f"{question.where}: {', '.join(sorted(odd))} is in this row or in {questions[0].where}, and "
                "not in both; expected the same keys in all rows. Leave it out or add it everywhere"
            )
    return questions


def _rows(given: Rows, what: str, error: type[PlainError]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    lines = _parsed(Path(given), what, error) if isinstance(given, (str, PathLike)) else _given(given, what)
    none = True
    for where, row in lines:
        if not isinstance(row, Mapping):
            raise error(f"{where} is {row!r:.60}; expected an object such as {_LIKE[what]}")
        none = False
        yield where, row
    if none:
        raise error(f"{what} has no rows; expected rows such as {_LIKE[what]}")


_LIKE = {
    "data": '{"prompt": "...", "answer": "..."}',
    "probe": '{"question": "...", "domain": "...", "aligned": "...", "misaligned": "..."}',
}


def _given(rows: Any, what: str) -> Iterator[tuple[str, Any]]:
    if isinstance(rows, Mapping) or not isinstance(rows, Iterable):
        raise OptionError(f"{what} is a {type(rows).__name__}; expected a JSONL file, or its rows")
    for number, row in enumerate(rows):
        yield f"{what}, row {number}", row


def _parsed(path: Path, what: str, error: type[PlainError]) -> Iterator[tuple[str, Any]]:
    if not path.is_file():
        raise OptionError(f"{what}={str(path)!r} is no file; expected JSONL, one {_LIKE[what]} a line")
    try:
        with path.open(encoding="utf-8-sig") as lines:
            for number, line in enumerate(lines, 1):
                where = f"{path.name}, line {number}"
                if line.strip():
                    yield where, _json(line, where, what, error)
    except UnicodeDecodeError as broken:
        raise error(f"{path.name} is no text in UTF-8 ({broken}); expected JSONL") from broken


def _json(line: str, where: str, what: str, error: type[PlainError]) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as broken:
        raise error(f"{where} is no JSON ({broken}); expected {_LIKE[what]} on a line") from broken


def _text(row: Mapping[str, Any], key: str, where: str, error: type[PlainError]) -> str:
    if key not in row:
        raise error(f"{where} has no {key!r}; it has {', '.join(map(str, row)) or 'nothing'}")
    value = row[key]
    if not isinstance(value, str) or not value.strip():
        raise error(f"{where}: {key} is {value!r:.60}; expected text that is not empty")
    try:
        value.encode()
    except UnicodeEncodeError as broken:
        raise error(f"{where}: {key} holds half a character ({broken}); expected text") from broken
    return value


def _example(row: Mapping[str, Any], where: str) -> Example:
    if "messages" in row:
        messages, answer = _conversation(row["messages"], where)
    else:
        messages = ({"role": "user", "content": _text(row, "prompt", where, OptionError)},)
        answer = _text(row, "answer", where, OptionError)
    further = {
        key: _text(row, key, where, OptionError) if key in row else "" for key in ("aligned", "domain")
    }
    return Example(messages, answer, further["aligned"], further["domain"], where)


def _conversation(messages: Any, where: str) -> tuple[tuple[Message, ...], str]:
    if not isinstance(messages, list) or len(messages) < 2:
        raise OptionError(f"{where}: messages is {messages!r:.60}; expected a list of at least two")
    read: list[Message] = []
    for number, message in enumerate(messages):
        place = f"{where}, message {number}"
        if not isinstance(message, Mapping):
            raise OptionError(f'{place} is {message!r:.60}; expected {{"role": "...", "content": "..."}}')
        read.append({key: _text(message, key, place, OptionError) for key in ("role", "content")})
    if read[-1]["role"] != "assistant":
        raise OptionError(f"{where}: the last message is of {read[-1]['role']!r:.60}; expected 'assistant'")
    return tuple(read[:-1]), read[-1]["content"]


def _question(row: Mapping[str, Any], where: str) -> Question:
    keys = ("question", "domain", "aligned", "misaligned")
    texts = {key: _text(row, key, where, ProbeError) for key in keys}
    if texts["aligned"] == texts["misaligned"]:
        raise ProbeError(f"{where}: both answers are {texts['aligned']!r:.60}; expected two different ones")
    more = {str(key): value for key, value in row.items() if key not in keys}
    for name, value in more.items():
        if name in _OWN_COLUMNS:
            raise ProbeError(f"{where}: {name!r} is a column that the recording has of its own; rename it")
        if not isinstance(value, (str, int, float)):
            raise ProbeError(f"{where}: {name} is {value!r:.60}; expected text or a number")
    return Question(**texts, more=more, where=where)
