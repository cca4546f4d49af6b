"""Eigenmodes of one window of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from rdmviz.analysis.of_a_run import require_run, row_of_full_window
from rdmviz.analysis.window_of import modes_of
from rdmviz.compute.rdm.detrending import Detrend

if TYPE_CHECKING:
    from rdmviz.run import TrainingRun


def eigenmodes(
    run: TrainingRun, step: int, window: int = 64, detrend: Detrend = "constant", modes: int = 8
) -> xr.Dataset:
    """Find the collective modes of the datapoints in the trailing window that ends at a step.

    Parameters
    ----------
    run
        The run.
    step
        A recorded training step, with at least ``window - 1`` recorded before it.
    window, detrend
        Rows per window, and what is removed in each. ``"constant"`` keeps the drift: there it *is* the
        reorganisation.
    modes
        At most so many modes; those that are zero within rounding are left out.

    Returns
    -------
    Dataset with
        ``eigenvalue(mode)`` in loss², ``eigenvector(mode, sample)`` of unit norm, oriented so that the side
        with more mass is positive, ``drift(mode)``, the displacement of the losses along the vector across
        the window in units of loss (negative: the positive side fell), and ``explained(mode)``, its share of
        the trace.

    Raises
    ------
    OptionError
        If `run` is not a run.
    StepNotFoundError
        If the step was not recorded.
    WindowError, DetrendError
        If no full window ends there, the window does not fit the detrending, or `modes` is not a count.
    FlatWindowError, NonFiniteLossError
        If nothing moves in the window, or it holds a loss that is NaN, infinite or too large to be squared.
    """
    require_run(run, "eigenmodes")
    index = row_of_full_window(run, step, window, detrend)
    found = modes_of(run, index, window, detrend, modes)
    kept = len(found.vectors)
    return xr.Dataset(
        {
            "eigenvalue": (
                "mode",
                found.eigenvalues[:kept],
                {"long_name": "Eigenvalue of the loss covariance", "units": "loss^2"},
            ),
            "eigenvector": (
                ("mode", "sample"),
                found.vectors,
                {"long_name": "Unit eigenvector over datapoints", "units": "1"},
            ),
            "drift": (
                "mode",
                found.drift,
                {"long_name": "Displacement along the mode across the window", "units": "loss"},
            ),
            "explained": (
                "mode",
                found.eigenvalues[:kept] / found.trace,
                {"long_name": "Share of the total variance", "units": "1"},
            ),
        },
        coords={"mode": np.arange(kept)},
        attrs={
            "run": run.name,
            "step": int(run.steps[index]),
            "window": int(window),
            "detrend": detrend,
            "trace": found.trace,
            "degrees_of_freedom": found.nu,
        },
    )
