"""The modes of one window of a run, wherever its losses are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rdmviz.analysis.on_dask import modes_on_dask
from rdmviz.compute.rdm.detrending import check_window
from rdmviz.compute.rdm.modes import WindowModes, check_modes, window_modes

if TYPE_CHECKING:
    from rdmviz.run import TrainingRun


def modes_of(run: TrainingRun, index: int, window: int, detrend: str, modes: int) -> WindowModes:
    """Modes of the window that ends at row `index`; see :func:`rdmviz.compute.rdm.modes.window_modes`."""
    if run.chunked is not None and run.n_samples >= window:
        window, modes = check_window(window, detrend, run.n_steps), check_modes(modes)
        return modes_on_dask(run.chunked, index, window, detrend, modes)
    return window_modes(run.rows, index, window, detrend, modes, run.n_steps)
