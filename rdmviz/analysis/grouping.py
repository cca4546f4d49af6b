"""Groups of datapoints that move together in one window, with what they have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from rdmviz.analysis.describing import describe
from rdmviz.analysis.group_path import MODES, Grouping, Method, groups_along
from rdmviz.analysis.of_a_run import require_run, row_of_full_window
from rdmviz.analysis.path import ModeFrame
from rdmviz.compute.rdm.clusters import separation, seriation
from rdmviz.compute.rdm.detrending import Detrend
from rdmviz.compute.rdm.enrichment import Findings, enrichment
from rdmviz.compute.rdm.scales import Scale

if TYPE_CHECKING:
    from rdmviz.run import TrainingRun

_STRONGEST = 10
_MOST = 0.8  # share of members that have to move one way for the group to be said to


def groups(
    run: TrainingRun,
    step: int,
    window: int = 64,
    detrend: Detrend = "constant",
    modes: int = MODES,
    count: int | None = None,
    scale: Scale = "auto",
    method: Method = "ward",
) -> xr.Dataset:
    """Find groups of datapoints whose losses fluctuate together in the window that ends at a step.

    Clusters of the datapoints at ``sqrt(lambda_k) v_k[i]``, so that distances are those of loss fluctuations,
    or of their logarithms, or of their directions, where these tell more (see `scale`). Labels stay along the
    run: the same label at two steps is the same group as far as its members say so. They do not depend on
    earlier calls, and are those of the explorer.

    Parameters
    ----------
    run, step, window, detrend
        As for :func:`rdmviz.eigenmodes`.
    modes
        Number of leading modes that count.
    count
        Number of groups; by default the one of 2 to 6 with the largest mean silhouette, where the number at
        the keyframe before is worth .05 more.
    scale
        * ``"linear"``: the coordinates as they are, for groups of like size.
        * ``"magnitude"``: the logarithm of the size of a datapoint's fluctuations, for groups that differ by
          decades. Blind to signs.
        * ``"direction"``: the direction without the size; for one mode, the sign. For heavy tails in groups
          that move apart, or one against the other.
        * ``"log"``: each coordinate with its sign, compressed to ``sign(x) ln(1 + |x| / median |x|)``.
        * ``"auto"``: one of the first three, as :func:`rdmviz.compute.rdm.scales.choose_scale` has it; held
          from keyframe to keyframe while the sizes are near the edge of its rule.
    method
        ``"ward"`` linkage, or ``"hdbscan"`` for dense regions of any number, with datapoints in none.

    Returns
    -------
    Dataset with one entry of ``group`` per group, found by ``.sel(label=...)``; the last, -1, holds the
    unassigned datapoints of HDBSCAN, if there are any.
        ``group(sample)``: label of each datapoint.
        ``description(group)``: the group in one sentence, plain text with metadata as they are.
        ``size(group)``; ``mass(group)``, the share of the variance in the leading modes (sums to 1);
        ``mode_mass(group, mode)``, the share of each eigenvector.
        ``mean_loss(group)`` at the step; ``drift(group)``, the mean displacement of its losses across the
        window (fitted line, last minus first); ``falling(group)``, the share of its members whose losses
        fell; ``drift_direction(group)``: ``"falls"`` or ``"rises"`` where at least four of five do,
        ``"still"`` where none moves, else ``"mixed"``.
        ``strongest(group, rank)``, the datapoints with the largest share, -1 where the group has fewer.
        ``finding_group``, ``finding_column``, ``finding_value``, ``finding_kind``, ``inside``, ``outside``,
        ``effect``, ``p_value``, ``q_value`` on ``finding``: every test of a group against all other
        datapoints, the surest first (see :func:`rdmviz.compute.rdm.enrichment.enrichment`).
    Its attributes hold the settings, ``scale_used``, the mean ``silhouette``, the figures behind the scale,
    and ``skipped_columns`` with the reasons.

    Raises
    ------
    OptionError
        If `run` is not a run, `method` is unknown, or `count` is asked of HDBSCAN.
    MissingExtraError
        If HDBSCAN is not installed.
    StepNotFoundError, WindowError, DetrendError, FlatWindowError, NonFiniteLossError
        As :func:`rdmviz.eigenmodes` does.
    ComputeError
        If `count` or `scale` is out of range.
    """
    require_run(run, "groups")
    index = row_of_full_window(run, step, window, detrend)
    grouping = groups_along(run, window, detrend, modes, count, scale, method).at(index)
    findings = enrichment(
        grouping.labels, {str(name): column.values for name, column in run.probe.data_vars.items()}
    )
    found = _facts(grouping, run.rows(index, index + 1)[0].astype(np.float64))
    found.update(_tests(findings))
    dataset = xr.Dataset(
        found,
        coords={
            "label": ("group", _labels_of(grouping), {"long_name": "Label of the group"}),
            "mode": np.arange(len(grouping.found.vectors)),
        },
        attrs={
            "run": run.name,
            "step": int(run.steps[index]),
            "window": int(window),
            "detrend": detrend,
            "modes": len(grouping.found.vectors),
            "method": method,
            "count": "by silhouette" if method == "ward" and count is None else count or "by density",
            "scale": scale,
            "scale_used": grouping.scale,
            "silhouette": separation(grouping.points, grouping.labels, grouping.mass),
            "bimodality": grouping.spread.bimodality,
            "participation": grouping.spread.participation,
            "participation_above": grouping.spread.participation_above,
            "skipped_columns": "; ".join(f"{name}: {why}" for name, why in findings.skipped.items()),
        },
    ).set_xindex("label")
    words = describe(dataset)
    dataset["description"] = ("group", words, {"long_name": "The group in words"})
    return dataset


def _labels_of(grouping: Grouping) -> NDArray[np.int64]:
    """Labels that occur, ascending, -1 last."""
    labels = np.unique(grouping.labels)
    return np.concatenate([labels[labels >= 0], labels[labels < 0]])


def _facts(grouping: Grouping, losses: NDArray[np.float64]) -> dict[str, Any]:
    """Variables on groups and datapoints; `losses` are those at the step."""
    labels, share = grouping.labels, grouping.mass
    belongs = labels == _labels_of(grouping)[:, None]
    size = belongs.sum(axis=1)
    members = [np.flatnonzero(mine) for mine in belongs]
    ranked = [mine[np.argsort(-share[mine], kind="stable")] for mine in members]
    strongest = np.full((len(size), min(_STRONGEST, int(size.max()))), -1)
    for place, mine in enumerate(ranked):
        strongest[place, : len(mine)] = mine[: strongest.shape[1]]
    moved = grouping.found.displacement
    falling, rising = (belongs @ way.astype(float) / size for way in (moved < 0, moved > 0))
    direction = np.select(
        [falling >= _MOST, rising >= _MOST, falling + rising == 0], ["falls", "rises", "still"], "mixed"
    )
    on_groups = {
        "size": (size, "Datapoints in the group", "1"),
        "mass": (belongs @ share, "Share of the variance in the leading modes", "1"),
        "mean_loss": (belongs @ losses / size, "Mean loss at the step", "loss"),
        "drift": (belongs @ moved / size, "Mean displacement across the window", "loss"),
        "falling": (falling, "Share of members whose losses fell across the window", "1"),
    }
    return {
        "group": ("sample", labels, {"long_name": "Group of the datapoint"}),
        **{
            name: ("group", values, {"long_name": text, "units": unit})
            for name, (values, text, unit) in on_groups.items()
        },
        "drift_direction": ("group", direction, {"long_name": "Which way its losses went"}),
        "mode_mass": (
            ("group", "mode"),
            belongs @ grouping.found.vectors.T**2,
            {"long_name": "Share of the eigenvector", "units": "1"},
        ),
        "strongest": (("group", "rank"), strongest, {"long_name": "Datapoints with the largest share"}),
    }


def _tests(findings: Findings) -> dict[str, Any]:
    kind = np.where(findings.ranked, "median", "share")
    columns = {
        "finding_group": (findings.group, "Group that was tested"),
        "finding_column": (findings.column, "Column of the metadata"),
        "finding_value": (findings.value, "Value that is counted, or where the ranks of the group lie"),
        "finding_kind": (kind, "What inside and outside are: shares that have the value, or medians"),
        "inside": (findings.inside, "In the group"),
        "outside": (findings.outside, "In all other datapoints"),
        "effect": (findings.effect, "Difference of shares, or rank-biserial correlation"),
        "p_value": (findings.p_value, "Hypergeometric, or Mann-Whitney"),
        "q_value": (findings.q_value, "Benjamini-Hochberg over all findings"),
    }
    return {name: ("finding", values, {"long_name": text}) for name, (values, text) in columns.items()}


def ordering(frame: ModeFrame, samples: ArrayLike, labels: ArrayLike) -> NDArray[np.int64]:
    """Datapoints in the order in which their covariance shows its blocks.

    Parameters
    ----------
    frame
        From :meth:`ModePath.at`.
    samples
        Datapoints to be ordered, ``(m,)``.
    labels
        Group of *every* datapoint, ``(n,)``, as :meth:`ModePath.groups_at` gives; lower labels come first.

    Returns
    -------
    The same datapoints, reordered, ``(m,)``: by group, and within one by similarity of their fluctuations.
    """
    chosen = np.asarray(samples, dtype=np.int64)
    return chosen[seriation(frame.fluctuations(chosen), np.asarray(labels)[chosen])]
