"""What to do with a log that does not hold every datapoint at every step."""

from __future__ import annotations

from typing import Any, Final, Literal, cast, get_args

from rdmviz.errors import OptionError

__all__ = ["Incomplete", "checked_incomplete"]

Incomplete = Literal["refuse", "drop_samples", "drop_steps"]
_CHOICES: Final[tuple[str, ...]] = get_args(Incomplete)


def checked_incomplete(incomplete: Any) -> Incomplete:
    """Return the choice.

    Raises
    ------
    OptionError
        There is none of that name.
    """
    if incomplete not in _CHOICES:
        raise OptionError(f"incomplete={incomplete!r:.60}; expected one of {', '.join(map(repr, _CHOICES))}")
    return cast(Incomplete, incomplete)
