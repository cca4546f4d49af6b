"""The panels of a picture of the curves: those on screen, and beside each the plain one it has to beat."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from rdmviz.analysis import analyze
from rdmviz.figures.contents import Line, Panel
from rdmviz.widgets.curve_scale import is_log
from rdmviz.widgets.curves import FAMILY_COLORS
from rdmviz.widgets.gaussian_lens import gaussian_curve
from rdmviz.widgets.loss_curves import MeanLosses
from rdmviz.widgets.signals import DEFAULT, LOSSES, Signal, offered
from rdmviz.widgets.solving import rows_to_solve
from rdmviz.widgets.state import ExplorerState

_SOLVED_ENTRIES: Final = 280_000_000  # of the matrices solved for one dear curve: ten seconds on one core

Floats = NDArray[np.float64]


def panels_of(state: ExplorerState) -> tuple[list[Panel], list[str]]:
    """Return the panels, row by row, and what has to be said about them.

    The state has a link: groups are those of its frames.
    """
    known = offered(state.run)
    words: list[str] = []
    panels = [
        _panel(state, signal, column, words)
        for signal, column in _placed([known[name] for name in state.signals or DEFAULT], known)
    ]
    return panels, words


def _placed(signals: list[Signal], known: dict[str, Signal]) -> Iterator[tuple[Signal, int | None]]:
    """Signals with their columns: 0 of the 2RDM, 1 a baseline beside the one before; None for both."""
    told: set[str] = set()
    for signal in sorted(signals, key=lambda signal: signal.family != "spectral"):
        if signal.name in told:
            continue
        yield signal, 0 if signal.family == "spectral" else None
        told.add(signal.name)
        if signal.family == "spectral" and signal.baseline is not None and signal.baseline not in told:
            told.add(signal.baseline)
            yield known[signal.baseline], 1


def _panel(state: ExplorerState, signal: Signal, column: int | None, words: list[str]) -> Panel:
    lines, of = _lines(state, signal, words)
    title = f"{signal.title} {of}".strip()
    low, high = (state.run.index_of(step) for step in state.span)
    shown = np.concatenate([line.values[low : high + 1] for line in lines])
    log = is_log(signal, shown, state.curve_scale)
    return Panel(title, lines, log, "" if signal.name == LOSSES else signal.units, column)


def _lines(state: ExplorerState, signal: Signal, words: list[str]) -> tuple[tuple[Line, ...], str]:
    """Return the curves of a signal at every recorded row, and of what they are."""
    run, color = state.run, FAMILY_COLORS[signal.family]
    if signal.family == "recorded":
        return (Line("", np.asarray(run.metrics[signal.source].values, float), color),), ""
    if signal.family == "gaussian":
        return (Line("", gaussian_curve(run, signal.source), color),), ""
    dataset = analyze(run, window=state.window, detrend=state.detrend, shc=signal.shc)
    if signal.dear:
        return (Line("", _solved(state, dataset[signal.source], signal, words), color),), ""
    values = np.asarray(dataset[signal.source].values, float)
    if signal.name != LOSSES:
        return (Line("", values, color),), ""
    assert state.link is not None  # whoever draws holds a view
    losses = MeanLosses(state)(values, state.link.frames.arrangement.decided_at(state.index))
    if losses.words:
        words.append(losses.words)
    means = tuple(Line(curve.label, curve.values, curve.color) for curve in losses.curves)
    thin = tuple(Line("", each, means[0].color, thin=True) for each in losses.singles if means)
    return (*means, *thin) or (Line("", values, color),), losses.of


def _solved(state: ExplorerState, curve: xr.DataArray, signal: Signal, words: list[str]) -> Floats:
    """Return a curve that takes an eigenproblem per window, solved in the span at as many rows as can be."""
    rows, every = rows_to_solve(state, _SOLVED_ENTRIES)
    if every > 1:
        words.append(f"{signal.title}: one of {every} rows is solved")
    values = np.full(state.run.n_steps, np.nan)
    span = np.arange(rows[0], rows[-1] + 1)
    values[span] = np.interp(span, rows, np.asarray(curve[rows].values, float))
    return values
