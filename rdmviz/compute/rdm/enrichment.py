"""What groups of datapoints have in common: every column of facts about them, tested against the rest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import false_discovery_control, hypergeom, norm, rankdata

from rdmviz.compute.errors import ComputeError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MOST_VALUES = 32  # distinct values of a column whose values are tested one by one
HIGHER, LOWER = "higher", "lower"


@dataclass(frozen=True)
class Findings:
    """Tests of groups against the rest, the surest first.

    Attributes
    ----------
    group
        Which group was tested, ``(t,)``.
    column, value
        Of what, as text. For ranked columns the value is ``"higher"`` or ``"lower"``.
    ranked
        Whether the column was ranked; else the value was counted.
    inside, outside
        Counted: share of the group, and of the rest, that has the value. Ranked: medians of both.
    effect
        In [-1, 1]. Counted: ``inside - outside``. Ranked: the rank-biserial correlation, twice the area under
        the ROC curve minus 1: the probability that a member exceeds one of the rest, minus the reverse.
    p_value
        Counted: hypergeometric, of so many members or more having the value. Ranked: Mann-Whitney,
        two-sided.
    q_value
        Benjamini-Hochberg over all tests here.
    skipped
        Columns that were not tested, with the reason.
    """

    group: Ints
    column: NDArray[np.str_]
    value: NDArray[np.str_]
    ranked: NDArray[np.bool_]
    inside: Floats
    outside: Floats
    effect: Floats
    p_value: Floats
    q_value: Floats
    skipped: dict[str, str]


def enrichment(labels: Ints, columns: Mapping[str, NDArray[Any]]) -> Findings:
    """Test every group for every column against all other datapoints.

    Text, booleans and whole numbers (in floating point, too) are *counted*, value by value, if they take at
    most 32 values, and not more than half as many as there are datapoints. Other numbers are *ranked*. Other
    text, and columns in which all datapoints agree, are skipped by name. NaN are left out; infinite numbers
    are ranked.

    Parameters
    ----------
    labels
        Group of each datapoint, ``(n,)``; -1 for those in none, which are not tested and belong to the rest.
    columns
        Name to numbers, booleans or text, ``(n,)``.

    Raises
    ------
    ComputeError
        If a column is not one value per datapoint.
    """
    tests: list[tuple[NDArray[Any], ...]] = []
    skipped: dict[str, str] = {}
    for name, given in columns.items():
        values = np.asarray(given)
        if values.shape != labels.shape:
            raise ComputeError(
                f"column {name!r} has shape {values.shape}; expected {labels.shape}, one value per datapoint"
            )
        known = ~np.isnan(values) if values.dtype.kind == "f" else np.ones(len(values), bool)
        found = _tested(values[known], labels[known])
        if isinstance(found, str):
            skipped[name] = found
        elif found:
            tests.append((np.full(len(found[0]), name), *found))
    if not tests:
        none, text = np.zeros(0), np.zeros(0, np.str_)
        return Findings(none.astype(np.int64), text, text, none > 0, none, none, none, none, none, skipped)
    column, group, value, ranked, inside, outside, effect, p = map(np.concatenate, zip(*tests, strict=True))
    q = false_discovery_control(p)
    order = np.lexsort((-np.abs(effect), p, q))
    return Findings(
        group[order],
        column[order],
        value[order],
        ranked[order],
        inside[order],
        outside[order],
        effect[order],
        p[order],
        q[order],
        skipped,
    )


def _tested(values: NDArray[Any], labels: Ints) -> tuple[NDArray[Any], ...] | str:
    """Test one column without gaps; arrays ``(t,)``, or why there are none."""
    distinct, codes, counts = _coded(values)
    if len(distinct) < 2:
        return "all datapoints agree" if len(distinct) else "no value is known"
    groups, members = np.unique(labels, return_inverse=True)
    sizes = np.bincount(members)
    tested = (groups >= 0) & (sizes < len(values))  # without a rest there is nothing to compare
    if not tested.any():
        return ()
    most = min(MOST_VALUES, len(values) // 2)
    number = values.dtype.kind in "fiu"
    if len(distinct) <= most and (
        not number or (np.isfinite(distinct) & (distinct == np.trunc(distinct))).all()
    ):
        both = np.bincount(members * len(distinct) + codes, minlength=len(groups) * len(distinct))
        found = _counted(both.reshape(len(groups), -1)[tested], sizes[tested], counts, len(values))
        texts = np.array([str(int(value) if number else value) for value in distinct.tolist()])
        shape = found[0].shape
        return (
            np.repeat(groups[tested], shape[1]),
            np.tile(texts, shape[0]),
            np.zeros(found[0].size, bool),
            *(array.ravel() for array in found),
        )
    if not number:
        return f"text with {len(distinct)} different values, more than {most}"
    ranks = np.bincount(members, weights=rankdata(values)).astype(np.float64)
    effect, p = _ranked(ranks[tested], sizes[tested], counts, len(values))
    order = np.argsort(values, kind="stable")
    mine = members[order] == np.flatnonzero(tested)[:, None]
    inside, outside = (np.array([_median(values[order][row]) for row in rows]) for rows in (mine, ~mine))
    side = np.where(effect < 0, LOWER, HIGHER)
    return groups[tested], side, np.ones(len(p), bool), inside, outside, effect, p


def _coded(values: NDArray[Any]) -> tuple[NDArray[Any], Ints, Ints]:
    """Distinct values in order, the place of each datapoint's among them, and how many have each."""
    if values.dtype.kind != "U":
        return np.unique(values, return_inverse=True, return_counts=True)
    texts = values.tolist()  # a dictionary codes many texts in a fraction of the time that sorting them takes
    distinct = sorted(set(texts))
    place = {text: k for k, text in enumerate(distinct)}
    codes = np.fromiter(map(place.__getitem__, texts), np.int64, len(texts))
    return np.array(distinct, dtype=np.str_), codes, np.bincount(codes)


def _counted(both: Ints, sizes: Ints, counts: Ints, n: int) -> tuple[Floats, Floats, Floats, Floats]:
    """Shares inside and outside, their difference and p values, ``(groups, values)``, from counts of both."""
    size = sizes[:, None]
    inside, outside = both / size, (counts - both) / (n - size)
    p = np.clip(hypergeom.sf(both - 1, n, counts, size), 0.0, 1.0)
    return inside, outside, inside - outside, p


def _ranked(ranks: Floats, sizes: Ints, counts: Ints, n: int) -> tuple[Floats, Floats]:
    """Rank-biserial correlation and p value, ``(groups,)``, from sums of ranks; `counts` are of ties.

    Normal approximation with the corrections for ties and continuity; in small groups it errs on the safe
    side where the exact p value is .05 or less.
    """
    pairs = sizes * (n - sizes)
    excess = ranks - sizes * (sizes + 1) / 2 - pairs / 2  # Mann-Whitney U, less its mean
    ties = float(counts @ (counts.astype(float) ** 2 - 1)) / (n * (n - 1))
    deviation = np.sqrt(pairs / 12 * (n + 1 - ties))
    p = np.minimum(1.0, 2 * norm.sf((np.abs(excess) - 0.5) / deviation))
    return 2 * excess / pairs, p


def _median(ordered: NDArray[Any]) -> float:
    """Median of sorted numbers; of two in the middle the lower one where either is infinite."""
    low, high = (float(ordered[k]) for k in ((len(ordered) - 1) // 2, len(ordered) // 2))
    return low / 2 + high / 2 if np.isfinite(low) and np.isfinite(high) else low
