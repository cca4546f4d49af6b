"""The columns of the table of datapoints: what each is called, how it is shown, what it is sorted by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from rdmviz.analysis.columns import POSITION, SEQUENCE, kind_of_columns
from rdmviz.run import TrainingRun
from rdmviz.widgets.colors import format_number
from rdmviz.widgets.texts import visible

Kind = Literal["sample", "tokens", "image", "text", "category", "number", "curve", "value", "share", "signed"]

MOST_FACTS: Final = 16
_FACTS_IN_FRONT: Final = 4  # what a datapoint is comes before how its loss went
FACT, IMAGE = "column:", "image:"
# Computed at the step; their order is that of the values sent. The modes are those on the map.
VALUES: Final = ("loss", "drift", "loading_x", "share_x", "loading_y", "share_y", "group")


@dataclass(frozen=True)
class Column:
    """One column: `key` for sorting, `title` and `help` for people, `kind` for how it is drawn."""

    key: str
    title: str
    kind: Kind
    help: str = ""
    sortable: bool = True

    def describe(self) -> dict[str, Any]:
        """Return it as JSON for the browser."""
        return {
            name: visible(value) if isinstance(value, str) else value for name, value in vars(self).items()
        }


def columns_of(run: TrainingRun, modes: tuple[int, int]) -> tuple[tuple[Column, ...], int]:
    """Columns of a run's table from left to right, and how many facts found no room."""
    kinds = kind_of_columns(run)
    tokens = "token" in kinds.values()
    facts = [name for name, kind in kinds.items() if kind not in ("token", "image")]
    shown = facts[:MOST_FACTS]

    def fact(name: str) -> Column:
        return Column(FACT + name, name, kinds[name], "Of the metadata")  # type: ignore[arg-type]

    read = [name for name in shown if kinds[name] == "text"]
    named = sorted((name for name in shown if name not in read), key=lambda name: kinds[name] == "number")
    room = max(0, _FACTS_IN_FRONT - len(read) - tokens)
    strip = Column("tokens", "tokens, shaded by loss", "tokens", "Loss at the step; the row's own is framed")
    images = [
        Column(IMAGE + name, name, "image", "A picture of the probe", sortable=False)
        for name, kind in kinds.items()
        if kind == "image"
    ]
    return (
        Column("sample", "#", "sample", "Number of the datapoint"),
        *([strip] if tokens else []),
        *images,
        *map(fact, [*read, *named[:room]]),
        Column("curve", "loss over the run", "curve", "", sortable=False),
        Column("loss", "loss here", "value", "Loss at the step"),
        Column("drift", "drift", "signed", "Change of the loss across the window, by a fitted line"),
        *(
            Column(f"{what}_{axis}", title.format(mode), kind, text.format(mode))
            for axis, mode in zip("xy", modes, strict=True)
            for what, title, kind, text in _OF_A_MODE
        ),
        Column("group", "group", "value", "Group of datapoints that fluctuate together"),
        *map(fact, named[room:]),
    ), len(facts) - len(shown)


_OF_A_MODE: Final[tuple[tuple[str, str, Kind, str], ...]] = (
    (
        "loading",
        "v in mode {}",
        "signed",
        "Entry of the unit eigenvector of mode {}: sign and size of its part",
    ),
    (
        "share",
        "share of {}",
        "share",
        "Share of mode {}: the square of the entry; all datapoints sum to 100%",
    ),
)


def order_by(run: TrainingRun, key: str, samples: NDArray[np.int64], descending: bool) -> NDArray[np.intp]:
    """Places of datapoints in the order of something that does not depend on the step; NaN come last."""
    if key == "tokens":
        place = run.probe[POSITION].values if POSITION in run.probe else np.arange(run.n_samples)
        order = np.lexsort((place[samples], run.probe[SEQUENCE].values[samples]))
        return order[::-1] if descending else order
    return sorted_places(
        samples if key == "sample" else run.probe[key.removeprefix(FACT)].values[samples], descending
    )


def sorted_places(values: NDArray[Any], descending: bool) -> NDArray[np.intp]:
    """Places in the order of values, equal ones as they stand; NaN come last either way."""
    if values.dtype.kind == "U":
        values = np.array([text.casefold() for text in values.tolist()])
    unknown = np.isnan(values) if values.dtype.kind == "f" else np.zeros(len(values), bool)
    rank = np.unique(values, return_inverse=True)[1]
    return np.lexsort((-rank if descending else rank, unknown))


def fact_in_words(value: Any) -> str:
    """Write a number, boolean or text of the metadata; whole numbers keep all of their digits."""
    return format_number(float(value)) if isinstance(value, np.floating) else visible(str(value))
