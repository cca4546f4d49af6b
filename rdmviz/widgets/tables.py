"""The explorer's tables as CSV: numbers in full, texts so that a spreadsheet takes them for texts."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rdmviz.analysis import ModePath, analyze, groups
from rdmviz.analysis.datapoints import datapoints_of
from rdmviz.errors import OptionError
from rdmviz.widgets.gaussian_lens import gaussian_curve
from rdmviz.widgets.signals import offered
from rdmviz.widgets.state import MODES, ExplorerState

Columns = dict[str, NDArray[Any]]

# A cell that begins so is run as a formula by spreadsheets, also behind a tab or a line break.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_OF_GROUPS: Final = (
    "label",
    "size",
    "mass",
    "mean_loss",
    "drift",
    "falling",
    "drift_direction",
    "description",
)


def table_csv(state: ExplorerState, table: str) -> str:
    """Return one of the tables of an explorer as CSV.

    Parameters
    ----------
    state
        What is on screen.
    table
        ``"curves"``: the warning curves and recorded metrics at every recorded step, without those curves
        that take an eigenproblem per window and are not on screen. ``"spectrum"``: eigenvalue, share of the
        trace and drift of each mode at the step. ``"modes"``: loss, drift, group, metadata and entries of
        the leading modes of every datapoint. ``"groups"``: one row per group. ``"selection"``: as
        ``"modes"``, of the selected datapoints in their order.

    Returns
    -------
    Comma-separated values with a header; floats in the fewest digits that give the same number again,
    nothing for NaN. A text that a spreadsheet would run as a formula has an apostrophe before it.

    Raises
    ------
    OptionError
        If there is no such table, or nothing is selected.
    WindowError, FlatWindowError, NonFiniteLossError
        If there are no modes at the step.
    """
    if table not in TABLES:
        raise OptionError(f"table={table!r}: choose one of {', '.join(map(repr, TABLES))}")
    columns = TABLES[table](state)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")  # as RFC 4180 has it
    writer.writerow(map(_cell, columns))
    writer.writerows(zip(*(map(_cell, values.tolist()) for values in columns.values()), strict=True))
    return text.getvalue()


def save_table(state: ExplorerState, path: str | PathLike[str], table: str) -> None:
    """Write one of the tables of an explorer, as :func:`table_csv` gives it, in UTF-8."""
    text = table_csv(state, table)
    Path(path).expanduser().write_bytes(encoded(text))


def encoded(text: str) -> bytes:
    """Return a table as UTF-8; the mark at its beginning is how spreadsheets know. Broken text is marked."""
    return text.encode("utf-8-sig", "replace")


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return "" if value != value else repr(value)
    text = str(value)
    return f"'{text}" if isinstance(value, str) and text.startswith(_FORMULA) else text


def _curves(state: ExplorerState) -> Columns:
    run = state.run
    columns: Columns = {"step": run.steps}
    for signal in offered(run).values():
        if signal.family == "recorded":
            columns[signal.name] = run.metrics[signal.source].to_numpy()
        elif signal.family == "gaussian":
            columns[signal.name] = gaussian_curve(run, signal.source)
        elif not signal.dear or signal.name in state.signals:
            dataset = analyze(run, window=state.window, detrend=state.detrend, shc=signal.shc)
            columns[signal.name] = dataset[signal.source].to_numpy()
    return columns


def _spectrum(state: ExplorerState) -> Columns:
    frame = _path(state).at(state.index)
    values = frame.eigenvalues
    drift = np.full(len(values), np.nan)
    drift[: len(frame.drift)] = frame.drift
    mode = np.arange(1, len(values) + 1)
    return {"mode": mode, "eigenvalue": values, "explained": values / frame.trace, "drift": drift}


def _modes(state: ExplorerState) -> Columns:
    return _datapoints(state, np.arange(state.run.n_samples))


def _selection(state: ExplorerState) -> Columns:
    if not state.selection:
        raise OptionError("nothing is selected: select datapoints on the map, or set state.selection")
    return _datapoints(state, state.selection)


def _datapoints(state: ExplorerState, samples: ArrayLike) -> Columns:
    found = datapoints_of(_path(state), state.index, np.asarray(samples, dtype=np.int64), MODES)
    columns = {"datapoint": found["sample"].to_numpy()}
    for name, values in found.data_vars.items():
        if values.dims == ("sample",):
            columns[str(name)] = values.to_numpy()
        elif name == "loading":
            columns |= {f"mode {int(k)}": values.sel(mode=k).to_numpy() for k in found["mode"].values}
    return columns


def _path(state: ExplorerState) -> ModePath:
    """Return the modes on screen, with their signs there."""
    if state.link is not None:
        return state.link.frames.path
    return ModePath(state.run, window=state.window, detrend=state.mode_detrend, modes=MODES)


def _groups(state: ExplorerState) -> Columns:
    found = groups(state.run, state.step, window=state.window, detrend=state.mode_detrend)
    return {name: found[name].to_numpy() for name in _OF_GROUPS}


TABLES: Final[dict[str, Callable[[ExplorerState], Columns]]] = {
    "curves": _curves,
    "spectrum": _spectrum,
    "modes": _modes,
    "groups": _groups,
    "selection": _selection,
}
