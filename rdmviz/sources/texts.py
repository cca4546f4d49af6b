"""Text cells as numbers: only where nothing of the text is lost."""

from __future__ import annotations

import math
from collections.abc import Iterable
from numbers import Number
from typing import Any

import numpy as np

__all__ = ["column_of", "integers", "is_text", "named", "number", "whole_floats", "whole_numbers"]

_EXACT, _MOST_NAMES = 2**53, 8


def named(columns: Iterable[Any]) -> str:
    """Return the first few names of columns as a message shows them, however many and long they are."""
    names = list(columns)
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return f"[{', '.join(f'{str(name)!r:.40}' for name in names[:_MOST_NAMES])}]{more}"


def is_text(values: np.ndarray) -> bool:
    """Return whether every cell is a text."""
    return values.dtype.kind in "OUT" and all(isinstance(value, str) for value in values.tolist())


def number(text: Any) -> float:
    """Return a cell as a float; Python's digit grouping (``1_5``) is no number in a table.

    Raises
    ------
    ValueError, TypeError
        The cell is no number.
    """
    if isinstance(text, str) and ("_" in text or not text.isascii()):
        raise ValueError(f"{text!r:.40} is no number")
    if not isinstance(text, str | Number):  # a list of one number would pass for it
        raise TypeError(f"a {type(text).__name__} is no number")
    return float(text)  # type: ignore[arg-type]  # of a Number that is complex: TypeError


def integers(texts: list[str]) -> np.ndarray:
    """Return texts as int64; ``12.0``, as tables of floats are written, is 12.

    Raises
    ------
    ValueError, OverflowError
        One of them is no integer of 64 bits.
    """
    odd = next((text for text in texts if "_" in text or not text.isascii()), None)
    if odd is not None:
        raise ValueError(f"{odd!r:.40} is no integer")
    return np.array([int(text[:-2] if text.endswith(".0") else text) for text in texts], dtype=np.int64)


def whole_floats(values: np.ndarray) -> np.ndarray:
    """Return floats that are integers as int64.

    Raises
    ------
    ValueError
        One of them has a fraction, is not finite, or is too large to be one integer and not its neighbour.
    """
    odd = np.flatnonzero(~((values == np.floor(values)) & (np.abs(values) < _EXACT)))
    if len(odd):
        raise ValueError(f"row {odd[0]} is {values[odd[0]]}")
    return values.astype(np.int64)


def whole_numbers(values: np.ndarray) -> np.ndarray:
    """Return texts as int64 if each is what Python writes for its integer, else unchanged."""
    texts = values.tolist()
    try:
        parsed = integers(texts)
    except (ValueError, OverflowError):
        return values
    return parsed if [str(entry) for entry in parsed.tolist()] == texts else values


def column_of(values: np.ndarray) -> np.ndarray:
    """Return a column of texts as numbers if every text can be had back from its number, else as text.

    So ``007``, ``1.10``, ``3_17`` and ``12e3`` stay text, and so does a column in which two texts would
    become one number.
    """
    if not is_text(values):
        return values
    whole = whole_numbers(values)
    if whole is not values:
        return whole
    texts = values.tolist()
    parsed = []
    for text in texts:
        try:
            value = number(text)
        except ValueError:
            return values
        short = value.is_integer() and abs(value) < _EXACT and str(int(value)) == text
        if not short and repr(value) != text:
            return values
        parsed.append(value)
    names = len(set(texts))
    distinct = len({value for value in parsed if not math.isnan(value)}) + ("nan" in texts)
    if distinct < names or not any(math.isfinite(value) for value in parsed):
        return values
    return np.array(parsed)
