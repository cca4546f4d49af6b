"""How datapoints are coloured: a code per datapoint, and a legend in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from rdmviz.analysis.datapoints import METADATA
from rdmviz.figures.palette import CATEGORIES as CATEGORIES
from rdmviz.figures.palette import NO_VALUE
from rdmviz.figures.palette import OTHER as OTHER
from rdmviz.run import TrainingRun
from rdmviz.widgets.categories import few_values, ranked
from rdmviz.widgets.state import COMPUTED_COLORINGS
from rdmviz.widgets.texts import beginning, visible

_LONGEST_LABEL: Final = 28


@dataclass(frozen=True)
class Coloring:
    """Codes and legend of one way to colour the datapoints.

    ``codes`` holds uint8 per datapoint of the whole probe (empty where every frame carries its own codes);
    ``labels`` one text per category, or the ends of the range, with zero between those of a diverging one. A
    gapped coloring is a sequential one in which datapoints without a value, told last, have code `NO_VALUE`.
    """

    source: Literal["fixed", "group", "loss", "loading", "drift"]
    kind: Literal["categorical", "sequential", "gapped", "diverging"]
    title: str
    labels: tuple[str, ...]
    codes: NDArray[np.uint8]


def color_by(
    run: TrainingRun,
    name: str,
    groups: int,
    loss_range: tuple[float, float, bool],
    drift_scale: float = 1.0,
) -> Coloring:
    """Return the coloring called ``name``: one of `COMPUTED_COLORINGS` or a probe column.

    Parameters
    ----------
    groups
        Number of groups the legend lists.
    loss_range
        Ends of the loss colours, in decades when the third entry says so.
    drift_scale
        Drift that has the strongest colour, loss.
    """
    nothing = np.empty(0, np.uint8)
    if name == "group":
        labels = tuple(f"{k + 1}" for k in range(groups))
        return Coloring("group", "categorical", "group", labels, nothing)
    if name == "loss":
        low, high, log = loss_range
        ends = tuple(format_number(10.0**end if log else end) for end in (low, high))
        return Coloring("loss", "sequential", "loss at this step" + (" (log)" if log else ""), ends, nothing)
    if name == "loading":
        ends = ("0", "largest on the map")
        return Coloring("loading", "sequential", "loading in the map's modes", ends, nothing)
    if name == "drift":
        ends = (f"falls by {format_number(drift_scale)}", f"rises by {format_number(drift_scale)}")
        title = "drift of the loss across the window (root scale)"
        return Coloring("drift", "diverging", title, (ends[0], "0", ends[1]), nothing)
    named = classes(run, name)
    if named is not None:
        rank, names = named
        shown = len(CATEGORIES)
        legend = [shorten(text) for text in names[:shown]]
        if len(names) > shown:
            legend.append(f"{len(names) - shown} more")
        codes = np.minimum(rank, shown).astype(np.uint8)
        return Coloring("fixed", "categorical", name, tuple(legend), codes)
    numbers = _column(run, name).astype(float)
    finite = numbers[np.isfinite(numbers)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    missing = np.isnan(numbers)
    kind: Literal["sequential", "gapped"] = "gapped" if missing.any() else "sequential"
    most = NO_VALUE - 1 if kind == "gapped" else NO_VALUE
    share = np.clip(np.nan_to_num((numbers - low) / ((high - low) or 1.0)), 0, 1)
    codes = np.where(missing, NO_VALUE, np.rint(most * share)).astype(np.uint8)
    ends = (format_number(low), format_number(high)) if finite.size else ("", "")
    return Coloring("fixed", kind, name, ends if kind == "sequential" else (*ends, "no value"), codes)


def is_categorical(values: NDArray[Any]) -> bool:
    """Text and booleans are categories, and so are whole numbers that take at most eight values."""
    if values.dtype.kind in "fc":
        return False
    return values.dtype.kind not in "iu" or few_values(values, len(CATEGORIES)) is not None


def classes(run: TrainingRun, name: str) -> tuple[NDArray[np.intp], tuple[str, ...]] | None:
    """Category of each datapoint and their names, most frequent first; None if ``name`` has no categories."""
    if name in COMPUTED_COLORINGS:
        return None
    values = _column(run, name)
    if not is_categorical(values):
        return None
    return ranked(values)


def _column(run: TrainingRun, coloring: str) -> NDArray[Any]:
    name = coloring if coloring in run.probe.data_vars else coloring.removesuffix(METADATA)
    return np.asarray(run.probe[name].values)


def shorten(text: str) -> str:
    """Cut a text from a run to what a legend or title has room for."""
    return visible(text if len(text) <= _LONGEST_LABEL else beginning(text, _LONGEST_LABEL - 1) + "…")


def format_number(value: float) -> str:
    """Three significant digits, written as the axes of the curves are: 2.5e−6."""
    mantissa, letter, exponent = f"{value:.3g}".partition("e")
    return minus_signed(f"{mantissa}e{int(exponent)}" if letter else mantissa)


def minus_signed(number: str) -> str:
    """Return a number in words, with the minus sign that is as wide as a plus."""
    return number.replace("-", "−")
