"""What any selection of datapoints has in common, tested against the rest, and in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from rdmviz.analysis.describing import SURE, shortened
from rdmviz.analysis.of_a_run import require_run, require_samples
from rdmviz.compute.rdm.enrichment import enrichment

if TYPE_CHECKING:
    from rdmviz.run import TrainingRun

_MOST_TOLD = 3


def enriched(run: TrainingRun, samples: ArrayLike) -> xr.Dataset:
    """Test every column of the probe for what a selection of datapoints has more of than the rest.

    Parameters
    ----------
    run
        The run.
    samples
        Datapoints, each counted once.

    Returns
    -------
    Dataset on ``finding``, the surest first (see :func:`rdmviz.compute.rdm.enrichment.enrichment`):
        ``column``, ``value``, ``kind`` (``"share"`` or ``"median"``), ``inside`` and ``outside`` (share of
        the selection and of the rest that have the value, or medians), ``count`` and ``known`` (members that
        have the value, and members of whom the column says anything; -1 for medians), ``prevalence`` (share
        among all, or median of all), ``effect``, ``p_value``, ``q_value``.
    Its attributes hold ``size``, ``n``, and ``skipped_columns`` with the reasons. No finding where all
    datapoints, or fewer than two, are selected: there is nothing to compare.

    Raises
    ------
    OptionError
        If `run` is not a run.
    ProbeError
        If a datapoint is not in the probe.
    """
    require_run(run, "enriched")
    chosen = np.unique(require_samples(run, samples))
    inside = np.zeros(run.n_samples, bool)
    inside[chosen] = True
    columns = {str(name): column.values for name, column in run.probe.data_vars.items()}
    comparable = 2 <= len(chosen) < run.n_samples
    skipped = _skipped.setdefault(run, {})
    tested = {name: values for name, values in columns.items() if comparable and name not in skipped}
    found = enrichment(np.where(inside, 0, -1), tested)
    skipped.update(found.skipped)
    counts = [
        _counts(columns[str(name)], str(value), inside)
        for name, value in zip(found.column, found.value, strict=True)
    ]
    count, known, prevalence = np.array(counts, float).reshape(-1, 3).T
    count[found.ranked] = -1
    known[found.ranked] = -1
    values: dict[str, NDArray[Any]] = {
        "column": found.column,
        "value": found.value,
        "kind": np.where(found.ranked, "median", "share"),
        "inside": found.inside,
        "outside": found.outside,
        "count": count.astype(np.int64),
        "known": known.astype(np.int64),
        "prevalence": prevalence,
        "effect": found.effect,
        "p_value": found.p_value,
        "q_value": found.q_value,
    }
    return xr.Dataset(
        {name: ("finding", array) for name, array in values.items()},
        attrs={
            "run": run.name,
            "size": len(chosen),
            "n": run.n_samples,
            "skipped_columns": "; ".join(f"{name}: {why}" for name, why in skipped.items()),
        },
    )


# Columns that cannot be tested, with the reason: true of a run whatever is selected, and dear to find out.
_skipped: WeakKeyDictionary[TrainingRun, dict[str, str]] = WeakKeyDictionary()


def _counts(values: NDArray[Any], value: str, inside: NDArray[np.bool_]) -> tuple[float, float, float]:
    """Members that have a value, members of whom any is known, its share among all (or the median)."""
    known = ~np.isnan(values) if values.dtype.kind == "f" else np.ones(len(values), bool)
    if values.dtype.kind in "fiu":
        try:
            has = known & (values == int(value))
        except ValueError:  # "higher" or "lower": the column was ranked
            return -1.0, -1.0, float(np.median(values[known]))
    else:
        has = values.astype(str) == value
    return float((has & inside).sum()), float((known & inside).sum()), float(has.sum() / known.sum())


def tell(findings: xr.Dataset) -> str:
    """Say in words what :func:`enriched` found: up to three columns, each by its surest finding.

    Only what the selection has *more* of than the rest is told, at q of at most .05; otherwise that nothing
    tells it apart, or why that cannot be known. Metadata stand as they are, cut to 60 characters: whoever
    shows them as HTML escapes them.
    """
    size, n, skipped = (findings.attrs[name] for name in ("size", "n", "skipped_columns"))
    if size == 0:
        return ""
    if size < 2:
        return "One datapoint: what it has in common with others shows from two on."
    if size == n:
        return f"All {n:,} datapoints: there is no rest to compare them with."
    if not findings.sizes["finding"]:
        why = f" ({shortened(skipped, 200)})" if skipped else " (the probe has none)"
        return f"No column of the metadata can tell these {size:,} datapoints from the rest{why}."
    told: dict[str, str] = {}
    sure = (findings["q_value"].values <= SURE) & (
        (findings["kind"].values == "median") | (findings["effect"].values > 0)
    )
    for place in np.flatnonzero(sure):
        finding = findings.isel(finding=place)
        told.setdefault(str(finding["column"].values), _sentence(finding))
    if told:
        return "; ".join(list(told.values())[:_MOST_TOLD]) + "."
    best = findings.isel(finding=0)
    column, q = shortened(str(best["column"].values)), float(best["q_value"])
    return (
        f"No column of the metadata tells these {size:,} datapoints from the rest "
        f"(nearest: {column}, q = {q:.2g})."
    )


def _sentence(finding: xr.Dataset) -> str:
    column, value = (shortened(str(finding[name].values)) for name in ("column", "value"))
    q = _in_short(float(finding["q_value"]))
    if str(finding["kind"].values) == "share":
        count, known = int(finding["count"]), int(finding["known"])
        verb = "is" if count == 1 else "are"
        share = 100 * float(finding["prevalence"])
        prevalence = f"{share:.2g}%" if share < 10 else f"{share:.0f}%"
        return f"{count:,} of {known:,} {verb} {column} = {value} (prevalence {prevalence}, q {q})"
    inside, outside = float(finding["inside"]), float(finding["outside"])
    return f"{column} is {value}: median {inside:.3g}, of the rest {outside:.3g} (q {q})"


def _in_short(q: float) -> str:
    """One digit: ``= 3e−9``, ``= 0.04``; ``< 1e−300`` where float64 has no smaller number."""
    if q < 1e-300:
        return "< 1e−300"
    mantissa, letter, exponent = f"{q:.1g}".partition("e")
    return f"= {mantissa}e{int(exponent)}".replace("-", "−") if letter else f"= {mantissa}"
