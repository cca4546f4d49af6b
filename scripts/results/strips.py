"""A strip per claim with a dot per seed, and the bound: what stands behind the medians of the page."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from textwrap import fill

import matplotlib as mpl
from matplotlib.figure import Figure

from results.measured import Measured
from results.page import kept
from results.setting import Claim, Setting

__all__ = ["draw"]

_MET, _MISSED, _PLAIN = "#1f77b4", "#d62728", "#555555"
_ROW, _ROOM = 0.42, 0.5  # inches
_LETTERS = 72  # of a line of words


def draw(setting: Setting, runs: Mapping[str, Mapping[int, Measured]], path: Path) -> None:
    """Write the strips of a setting as SVG; each claim has its own axis."""
    mpl.rcParams["svg.hashsalt"] = setting.name  # the same picture is the same file
    claims = list(setting.claims)
    height = _ROW * len(claims) + _ROOM
    figure = Figure(figsize=(8.5, height), facecolor="white")
    for place, claim in enumerate(claims):
        values = [one.figures[claim.figure] for one in runs[claim.variant].values()]
        bottom = (height - _ROW * (place + 1) - 0.1) / height
        axes = figure.add_axes((0.56, bottom + 0.45 * _ROW / height, 0.41, 0.5 * _ROW / height))
        _strip(axes, claim, values)
        words = claim.words + (f" ({claim.variant.replace('_', ' ')})" if claim.variant else "")
        figure.text(
            0.545, bottom + 0.7 * _ROW / height, fill(words, _LETTERS), ha="right", va="center", fontsize=8
        )
    legend = "a dot for each seed; line: the bound; blue: kept, red: missed, grey: reported"
    figure.text(0.97, 0.02 / height, legend, ha="right", va="bottom", fontsize=8, color=_PLAIN)
    figure.savefig(path, metadata={"Date": None})


def _strip(axes: mpl.axes.Axes, claim: Claim, values: list[float]) -> None:
    color = {True: _MET, False: _MISSED, None: _PLAIN}[kept(claim, values)]
    there = [value for value in values if not math.isnan(value)]
    axes.plot(there, [0] * len(there), "o", color=color, alpha=0.6, markersize=5, clip_on=False)
    for bound in (claim.at_least, claim.at_most):
        if bound is not None:
            axes.axvline(bound, color="black", linewidth=1)
    axes.set_yticks([])
    axes.set_ylim(-1, 1)
    axes.tick_params(labelsize=7, pad=1, length=2)
    axes.locator_params(axis="x", nbins=6)
    for side in ("left", "right", "top"):
        axes.spines[side].set_visible(False)
