"""Columns as categories: which take a few values only, and which value each datapoint has."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

_PIECE: Final = 4096


def few_values(column: NDArray[Any], most: int) -> set[Any] | None:
    """Return the distinct values of a column; None, soon, if there are more than `most`."""
    seen: set[Any] = set()
    for start in range(0, len(column), _PIECE):
        seen.update(column[start : start + _PIECE].tolist())
        if len(seen) > most:
            return None
    return seen


def ranked(column: NDArray[Any]) -> tuple[NDArray[np.intp], tuple[str, ...]]:
    """Category of each datapoint as a rank, ``(n,)``, and the names by rank, most frequent first."""
    names = [str(value) for value in column.tolist()]
    counts = Counter(names)
    order = sorted(counts, key=lambda name: (-counts[name], name))
    rank = {name: k for k, name in enumerate(order)}
    return np.fromiter((rank[name] for name in names), np.intp, len(names)), tuple(order)
