"""Texts of a run on their way to the browser: whole characters that UTF-8 can carry."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

LONGEST_SHOWN: Final = 400
"""Characters of a text that travel with a table; the whole is sent when a person asks for it."""
_SURROGATES = re.compile("[\ud800-\udfff]")


def visible(text: str) -> str:
    """Return a text that can travel: a lone half of a surrogate pair, which no UTF-8 has, becomes U+FFFD."""
    return _SURROGATES.sub("\ufffd", text)


def beginning(text: str, longest: int = LONGEST_SHOWN) -> str:
    """Cut a text to so many characters, not between a letter and what belongs to it."""
    if len(text) <= longest:
        return text
    end = longest
    while end > longest - 16 and (_joins(text[end]) or text[end - 1] == "\u200d"):
        end -= 1
    return text[:end]


def _joins(char: str) -> bool:
    """Whether a character continues the one before: marks, joiners, variation and skin-tone selectors."""
    return bool(
        unicodedata.combining(char)
        or char in "\u200d\ufe0e\ufe0f"
        or "\U0001f3fb" <= char <= "\U0001f3ff"
        or unicodedata.category(char) in ("Mn", "Me")
    )
