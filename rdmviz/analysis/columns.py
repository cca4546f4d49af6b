"""What the columns of a probe are: tokens of sequences, texts, categories, numbers, pictures.

A probe whose datapoints are the tokens of sequences has the columns ``sequence`` (numbers or texts: which
sequence), ``token`` (texts) and, where rows are not in reading order, ``position`` (numbers).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

from numpy.typing import NDArray

from rdmviz.compute.rdm.enrichment import MOST_VALUES

if TYPE_CHECKING:
    from rdmviz.run import TrainingRun

ColumnKind = Literal["token", "text", "category", "number", "image"]

SEQUENCE: Final = "sequence"
POSITION: Final = "position"
TOKEN: Final = "token"  # noqa: S105  # a piece of text, no secret
LONGEST_CATEGORY: Final = 48
"""Characters of the longest category; what is longer is a text to be read."""
_PIECE: Final = 4096


def kind_of_columns(run: TrainingRun) -> dict[str, ColumnKind]:
    """Say what each column of the probe, and each of its pictures, is.

    Returns
    -------
    Column to kind, in the order of the probe, pictures last: ``"token"`` for the column ``token`` of a probe
    of sequences; ``"category"`` for booleans and for text of at most 32 short values; ``"text"`` for other
    text; ``"number"``; ``"image"``.
    """
    kinds: dict[str, ColumnKind] = {}
    for name, column in run.probe.data_vars.items():
        kinds[str(name)] = "token" if name == TOKEN and has_sequences(run) else _kind(column.values)
    return kinds | dict.fromkeys(map(str, run.images.data_vars), "image")


def has_sequences(run: TrainingRun) -> bool:
    """Whether the datapoints are tokens of sequences."""
    probe = run.probe
    return TOKEN in probe and SEQUENCE in probe and probe[TOKEN].dtype.kind == "U"


def _kind(values: NDArray[Any]) -> ColumnKind:
    if values.dtype.kind == "b":
        return "category"
    if values.dtype.kind != "U":
        return "number"
    seen: set[str] = set()
    for start in range(0, len(values), _PIECE):  # a column of many texts is known to be one soon
        seen.update(values[start : start + _PIECE].tolist())
        if len(seen) > MOST_VALUES:
            return "text"
    return "text" if max(map(len, seen)) > LONGEST_CATEGORY else "category"
