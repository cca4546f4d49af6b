"""Datapoints in the plane of one step's modes, kept while time moves."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from rdmviz.analysis.of_a_run import require_run, row_of_full_window
from rdmviz.analysis.window_of import modes_of
from rdmviz.compute.rdm.detrending import Detrend, degrees_of_freedom
from rdmviz.compute.rdm.one_window import OneWindow
from rdmviz.compute.rdm.planes import loadings_along
from rdmviz.compute.rdm.rows import read_window
from rdmviz.errors import FlatWindowError, NonFiniteLossError

if TYPE_CHECKING:
    from rdmviz.analysis.path import ModeFrame, ModePath
    from rdmviz.run import TrainingRun

Floats = NDArray[np.float64]

_MOST_LOOKED_AT: Final = 48


def plane_loadings(
    run: TrainingRun,
    step: int,
    plane_step: int,
    window: int = 64,
    detrend: Detrend = "constant",
    modes: int = 2,
) -> xr.Dataset:
    """Place the datapoints at one step in the space of another step's modes.

    ``y_k(i) = (C v_k)_i / sqrt(v_k^T C v_k)`` with C the covariance of the losses in the window that ends at
    `step` and ``v_k`` the modes at `plane_step`: how datapoint i moves with the fluctuation of that mode,
    now. At ``step == plane_step`` that is ``sqrt(lambda_k) v_k``.

    Parameters
    ----------
    run
        The run.
    step, plane_step
        Recorded steps, each with at least ``window - 1`` rows before it.
    window, detrend
        Rows per window, and what is removed in each, at both steps.
    modes
        At most so many modes of `plane_step`; those that are zero within rounding are left out.

    Returns
    -------
    Dataset with
        ``loading(mode, sample)`` in units of loss, 0 in a mode along which nothing moves now;
        ``variance(mode)``, ``v_k^T C v_k`` in loss², and ``explained(mode)``, its share of the trace.

    Raises
    ------
    OptionError
        If `run` is not a run.
    StepNotFoundError
        If a step was not recorded.
    WindowError, DetrendError
        If no full window ends at a step, the window does not fit the detrending, or `modes` is not a count.
    FlatWindowError, NonFiniteLossError
        If nothing moves in a window, or it holds a loss that is NaN, infinite or too large to be squared.
    """
    require_run(run, "plane_loadings")
    index = row_of_full_window(run, step, window, detrend)
    plane_index = row_of_full_window(run, plane_step, window, detrend)
    plane = modes_of(run, plane_index, window, detrend, modes)
    now = modes_of(run, index, window, detrend, 1)
    loadings, variances = loadings_along(now.fluctuations, plane.vectors, now.nu)
    return xr.Dataset(
        {
            "loading": (
                ("mode", "sample"),
                loadings,
                {"long_name": "Covariance with the fluctuation of a mode", "units": "loss"},
            ),
            "variance": ("mode", variances, {"long_name": "Variance along a mode", "units": "loss^2"}),
            "explained": (
                "mode",
                variances / now.trace,
                {"long_name": "Share of the total variance", "units": "1"},
            ),
        },
        coords={"mode": np.arange(len(loadings))},
        attrs={
            "run": run.name,
            "step": int(run.steps[index]),
            "plane_step": int(run.steps[plane_index]),
            "window": int(window),
            "detrend": detrend,
        },
    )


class FixedPlane:
    """Two modes of one row of a path, for scrubbing: directions and limits that stay.

    Parameters
    ----------
    path
        The modes along the run.
    index
        Row whose modes span the plane.
    modes
        Which two, from 1; a mode that is zero there leaves its axis empty.

    Raises
    ------
    WindowError, FlatWindowError, NonFiniteLossError
        If there are no modes at the row.
    """

    def __init__(self, path: ModePath, index: int, modes: tuple[int, int]) -> None:
        self.path, self.modes = path, modes
        frame = path.at(index)
        self.step = frame.step
        self.directions = np.zeros((2, path.run.n_samples))
        for axis, mode in enumerate(modes):
            if mode <= len(frame.vectors):
                self.directions[axis] = frame.vectors[mode - 1]

    def at(self, frame: ModeFrame, samples: NDArray[np.intp] | None = None) -> tuple[Floats, Floats]:
        """Coordinates of some datapoints at a frame of the path, ``(2, m)``, loss, and variances, loss²."""
        return loadings_along(frame.fluctuations, self.directions, frame.nu, samples)

    def extent(self, samples: NDArray[np.intp] | None = None) -> tuple[Floats, Floats]:
        """Lowest and highest coordinate of the datapoints, each ``(2,)``, over up to 48 rows of the run."""
        first, last = self.path.first, self.path.run.n_steps - 1
        low, high = np.zeros(2), np.zeros(2)
        for row in np.unique(np.linspace(first, last, _MOST_LOOKED_AT).astype(int)):
            try:
                there, _ = loadings_along(*self._fluctuations(int(row)), samples=samples)
            except (FlatWindowError, NonFiniteLossError):
                continue
            low, high = np.minimum(low, there.min(axis=1)), np.maximum(high, there.max(axis=1))
        return low, high

    def _fluctuations(self, row: int) -> tuple[Callable[..., Floats], Floats, int]:
        """X of a row, the directions and nu; no eigenproblem where the losses are at hand."""
        path = self.path
        if path.run.chunked is not None:
            frame = path.at(row)
            return frame.fluctuations, self.directions, frame.nu
        held = OneWindow(read_window(path.run.rows, row, path.window), path.detrend)
        return held.fluctuations, self.directions, degrees_of_freedom(path.window, path.detrend)
