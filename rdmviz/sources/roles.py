"""Which column of a table is the step, which names the datapoint and which holds the loss."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final, Literal

from rdmviz.errors import LossShapeError, OptionError, ProbeError, StepsError
from rdmviz.sources.texts import named

__all__ = ["Role", "column_for"]

Role = Literal["step", "sample", "loss"]

# What loggers call them. The first group that has any of its names in the table decides, so that a column
# called step is the step whatever stands beside it.
_USUAL: Final[Mapping[Role, tuple[tuple[str, ...], ...]]] = MappingProxyType(
    {
        "step": (
            ("step",),
            (
                "_step",
                "global_step",
                "trainer/global_step",
                "train/global_step",
                "training_step",
                "iteration",
            ),
            ("epoch",),
        ),
        "sample": (
            ("sample",),
            ("sample_id", "sample_idx", "example_id", "example_idx", "datapoint_id", "guid", "id", "idx"),
            ("example", "datapoint"),
        ),
        "loss": (
            ("loss",),
            ("losses", "nll", "cross_entropy", "sample_loss", "example_loss", "per_sample_loss"),
        ),
    }
)
_WRONG: Final[Mapping[Role, type[ValueError]]] = MappingProxyType(
    {"step": StepsError, "sample": ProbeError, "loss": LossShapeError}
)


def column_for(role: Role, columns: Iterable[object], given: str | None) -> object | None:
    """Return the column of a role: the one given, or the one that has a usual name; None if there is none.

    Raises
    ------
    OptionError
        The column given is not in the table.
    StepsError, ProbeError, LossShapeError
        Two columns have usual names, and nothing says which of them it is.
    """
    titled = {str(column): column for column in columns}
    if given is not None:
        if given not in titled:
            raise OptionError(f"{role}={given!r:.60}; the table has columns {named(titled)}")
        return titled[given]
    for names in _USUAL[role]:
        found = [name for name in titled if name.lower() in names]
        if len(found) > 1:
            raise _WRONG[role](
                f"columns {named(found)} may each be the {role} of the table; say which: "
                f"open_run(path, {role}={found[0]!r})"
            )
        if found:
            return titled[found[0]]
    return None
