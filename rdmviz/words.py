"""Counts in plain words."""

from __future__ import annotations

__all__ = ["count", "have", "is_are"]


def count(number: int, what: str) -> str:
    """Return a number and what it counts, which takes a plural s."""
    return f"{int(number):,} {what}{'' if number == 1 else 's'}"


def have(number: int) -> str:
    """Return the verb for so many."""
    return "has" if number == 1 else "have"


def is_are(number: int) -> str:
    """Return the verb for so many."""
    return "is" if number == 1 else "are"
