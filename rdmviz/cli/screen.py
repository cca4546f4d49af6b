"""Text for a terminal: what comes from a run is shown and never obeyed, and lines fit eighty columns."""

from __future__ import annotations

import os
import sys
import unicodedata
from collections.abc import Iterator
from typing import Any, Final, TextIO

__all__ = ["WIDTH", "age", "columns", "cut", "field", "paint", "printable", "shown", "size", "wrapped"]

WIDTH: Final = 80
_COLORS: Final = {"bold": "1", "red": "31", "green": "32", "yellow": "33", "dim": "2"}
_MARGIN: Final = 2


def printable(text: str) -> str:
    """Return a text without anything that a terminal obeys: escapes, line breaks, turns of direction."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text
    )


def paint(text: str, color: str, stream: TextIO | None = None) -> str:
    """Return a text in a colour where the stream is a terminal and nobody asked for none (``NO_COLOR``)."""
    stream = sys.stdout if stream is None else stream
    plain = not stream.isatty() or "NO_COLOR" in os.environ or os.environ.get("TERM") == "dumb"
    return text if plain else f"\x1b[{_COLORS[color]}m{text}\x1b[0m"


def columns(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    return sum(_columns(letter) for letter in text)


def _columns(letter: str) -> int:
    if unicodedata.combining(letter):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1


def cut(text: str, width: int) -> str:
    """Return as much of a text as fits, with dots where something was cut."""
    if columns(text) <= width:
        return text
    taken, room = "", width - 3
    for letter in text:
        room -= _columns(letter)
        if room < 0:
            break
        taken += letter
    return f"{taken}..."


def wrapped(text: str, width: int) -> Iterator[str]:
    """Lines of a text, broken between words; words that are longer than a line are broken too."""
    line = ""
    for word in text.split():
        joined = f"{line} {word}" if line else word
        if columns(joined) <= width:
            line = joined
            continue
        if line:
            yield line
        while columns(word) > width:
            head = ""
            while columns(head + word[len(head)]) <= width:
                head += word[len(head)]
            yield head
            word = word[len(head) :]
        line = word
    if line:
        yield line


def field(name: str, text: str, *, indent: int = _MARGIN, label: int = 12) -> str:
    """Return a name and what there is to say of it, side by side; both are from a run, or may be."""
    shown = cut(printable(name), label - 2)
    first = " " * indent + shown + " " * (label - columns(shown))
    lines = list(wrapped(printable(text), WIDTH - indent - label)) or [""]
    return "\n".join([first + lines[0], *(" " * (indent + label) + line for line in lines[1:])]).rstrip()


def size(count: float) -> str:
    """Return a number of bytes as one reads it."""
    for unit in ("bytes", "kB", "MB", "GB", "TB"):
        if count < 1000 or unit == "TB":
            return f"{count:,.0f} {unit}" if unit == "bytes" or count >= 100 else f"{count:.2g} {unit}"
        count /= 1000
    raise AssertionError("unreachable")


def age(seconds: float) -> str:
    """Return a time that has passed as one reads it."""
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= length:
            number = int(seconds // length)
            return f"{number:,} {unit}{'' if number == 1 else 's'}"
    return f"{int(seconds)} second{'' if int(seconds) == 1 else 's'}"


def shown(value: Any) -> str:
    """Return a value as one reads it: numbers in four digits, nothing as unknown."""
    if value is None:
        return "unknown"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"
