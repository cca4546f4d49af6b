"""Whole spectra of a run's windows, with everything that is read off them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from rdmviz.analysis.curves import summary_heat_capacity
from rdmviz.analysis.gram_cache import gram_of
from rdmviz.analysis.of_a_run import require_run, row_of_full_window
from rdmviz.analysis.one_thread import cores, one_blas_thread
from rdmviz.compute.rdm import observables
from rdmviz.compute.rdm.detrending import Detrend, check_window
from rdmviz.compute.rdm.windows import window_spectra, window_traces

if TYPE_CHECKING:
    from rdmviz.run import TrainingRun

_BATCH = 32  # windows per task


def spectra(
    run: TrainingRun, steps: ArrayLike | None = None, window: int = 64, detrend: Detrend = "constant"
) -> xr.Dataset:
    """Eigenvalues of the loss covariance in trailing windows, and the observables of each spectrum.

    Parameters
    ----------
    run
        The run.
    steps
        Recorded steps, one or several, at which the windows end; all that end a full window by default.
    window, detrend
        Rows per window, and what is removed in each: ``"constant"`` keeps the drift, as the eigenmodes do,
        ``"linear"`` and ``"quadratic"`` leave fluctuations, as the warning curves do.

    Returns
    -------
    Dataset with
        on ``step`` and ``mode``: ``eigenvalue``, descending, loss², all that can differ from zero;
        ``explained``, its share of the trace.
        On ``step``: ``trace``, loss²; ``participation_ratio`` and ``participation_ratio_unbiased``;
        the spectral heat capacities ``heat_capacity_variance`` (loss⁴, over all n eigenvalues),
        ``heat_capacity_capacity`` (capacity of entanglement) and ``heat_capacity_total`` (``1'C1``, loss²);
        ``entropy`` in nats; ``effective_rank``; ``spectral_gap``, loss².
        NaN where a window holds a loss that is NaN, infinite or too large to be squared; where nothing moves
        eigenvalues are 0 and ratios NaN.

    Raises
    ------
    OptionError
        If `run` is not a run.
    StepNotFoundError, WindowError, DetrendError
        If a step was not recorded or ends no full window, or the window or detrending does not fit.

    Notes
    -----
    Solves an eigenproblem of side ``min(window, n)`` per window. Definitions: :func:`rdmviz.analyze`.
    """
    require_run(run, "spectra")
    window = check_window(window, detrend, run.n_steps)
    if steps is None:
        rows = np.arange(window - 1, run.n_steps)
    else:
        asked = np.atleast_1d(np.asarray(steps)).tolist()
        rows = np.array([row_of_full_window(run, step, window, detrend) for step in asked], dtype=np.intp)
    gram = gram_of(run, window)
    with one_blas_thread(), ThreadPoolExecutor(cores()) as pool:
        traces = window_traces(gram, window, detrend, run.rows, workers=cores())
        parts = [rows[i : i + _BATCH] for i in range(0, len(rows), _BATCH)]
        solved = list(pool.map(lambda part: window_spectra(gram, traces, part, run.rows), parts))
    side = min(traces.nu, gram.n_samples)
    values = np.concatenate(solved)[:, :side] if solved else np.empty((0, side))
    trace, purity = traces.trace[rows], traces.purity[rows]
    moves = np.where(np.isnan(trace), np.nan, trace > 0)
    of_step: dict[str, tuple[NDArray[np.float64], str, str]] = {
        "trace": (trace, "Total variance Tr C", "loss^2"),
        "participation_ratio": (observables.participation_ratio(moves, purity), "Participation ratio", "1"),
        "participation_ratio_unbiased": (
            observables.participation_ratio_unbiased(moves, purity, traces.nu),
            "Participation ratio, unbiased for independent rows",
            "1",
        ),
        "heat_capacity_variance": (
            summary_heat_capacity(gram, traces, "variance")[rows],
            "Variance of all eigenvalues",
            "loss^4",
        ),
        "heat_capacity_capacity": (
            observables.heat_capacity_capacity(values),
            "Capacity of entanglement",
            "1",
        ),
        "heat_capacity_total": (
            summary_heat_capacity(gram, traces, "total")[rows],
            "Variance of the summed loss",
            "loss^2",
        ),
        "entropy": (observables.entropy(values), "Von Neumann entropy", "nat"),
        "effective_rank": (observables.effective_rank(values), "Effective rank exp(entropy)", "1"),
        "spectral_gap": (observables.spectral_gap(values), "First minus second eigenvalue", "loss^2"),
    }
    both = ("step", "mode")
    return xr.Dataset(
        {
            "eigenvalue": (both, values, {"long_name": "Eigenvalue of C", "units": "loss^2"}),
            "explained": (
                both,
                observables.explained(values),
                {"long_name": "Share of the trace", "units": "1"},
            ),
            **{
                name: ("step", curve, {"long_name": text, "units": unit})
                for name, (curve, text, unit) in of_step.items()
            },
        },
        coords={"step": run.steps[rows], "mode": np.arange(side)},
        attrs={"run": run.name, "window": window, "detrend": detrend, "degrees_of_freedom": traces.nu},
    )
