"""Groups of datapoints in words."""

from __future__ import annotations

import numpy as np
import xarray as xr

SURE = 0.05  # largest q of a finding that is told
_MOST_TOLD = 3
_LONGEST = 60  # characters of a text from the metadata


def describe(groups: xr.Dataset) -> list[str]:
    """One sentence per group of a Dataset from :func:`rdmviz.groups`.

    Size, share of the mass, which way the losses went, and the up to three surest findings (q of at most .05)
    in which the group exceeds the rest, one per column. Metadata stand as they are, cut to 60 characters:
    whoever shows them as HTML escapes them.
    """
    return [_sentence(groups.isel(group=place)) for place in range(groups.sizes["group"])]


def _sentence(group: xr.Dataset) -> str:
    label, size = int(group["label"]), int(group["size"])
    who = f"{'unassigned: ' if label < 0 else ''}{size} datapoint{'s' if size != 1 else ''}"
    parts = [f"{who}, {_percent(group['mass'])} of the mass", _drift(group)]
    mine = (group["finding_group"].values == label) & (group["q_value"].values <= SURE)
    mine &= group["effect"].values > np.where(group["finding_kind"].values == "share", 0.0, -np.inf)
    columns = group["finding_column"].values
    told: dict[str, int] = {}
    for place in np.flatnonzero(mine):
        told.setdefault(str(columns[place]), int(place))
    parts += [_finding(group.isel(finding=place)) for place in list(told.values())[:_MOST_TOLD]]
    if not told and label >= 0 and group.sizes["finding"]:
        parts.append("no column of the metadata tells it from the rest")
    return "; ".join(parts)


def _drift(group: xr.Dataset) -> str:
    direction, drift = str(group["drift_direction"].values), float(group["drift"])
    if direction == "still":
        return "losses stand still"
    words = f"losses {'fell' if drift < 0 else 'rose'} by {abs(drift):.2g}"
    return f"{words} on average, {_percent(group['falling'])} of them fell" if direction == "mixed" else words


def _finding(finding: xr.Dataset) -> str:
    column, value = (shortened(str(finding[f"finding_{part}"].values)) for part in ("column", "value"))
    inside, outside, q = (float(finding[name]) for name in ("inside", "outside", "q_value"))
    if str(finding["finding_kind"].values) == "share":
        plural = "is" if inside * int(finding["size"]) < 1.5 else "are"
        return f"{_percent(inside)} {plural} {column}={value} ({_percent(outside)} of the rest, q={q:.1g})"
    return f"{column} is {value} (median {inside:.3g}, of the rest {outside:.3g}, q={q:.1g})"


def _percent(share: float | xr.DataArray) -> str:
    """Round a share, but to 0% or 100% only where it is none or all."""
    percent = 100 * float(share)
    if 0 < percent < 1:
        return "<1%"
    return ">99%" if 99 < percent < 100 - 1e-9 else f"{percent:.0f}%"


def shortened(text: str, longest: int = _LONGEST) -> str:
    """Cut a text from the metadata to so many characters."""
    return text if len(text) <= longest else text[: longest - 1] + "…"
