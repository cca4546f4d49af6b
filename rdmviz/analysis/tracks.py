"""Modes of a run as tracks: which mode is which along the run, when each is born, peaks and dies."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from rdmviz.analysis.gram_cache import gram_of
from rdmviz.analysis.of_a_run import require_run
from rdmviz.analysis.one_thread import cores, one_blas_thread
from rdmviz.compute.rdm import mode_tracks as tracking
from rdmviz.compute.rdm.continuation import DEGENERATE, KEPT, SPARE
from rdmviz.compute.rdm.detrending import Detrend, check_window
from rdmviz.compute.rdm.windows import window_traces

if TYPE_CHECKING:
    from rdmviz.run import TrainingRun


def mode_tracks(
    run: TrainingRun, window: int = 64, detrend: Detrend = "constant", modes: int = 8
) -> xr.Dataset:
    """Follow the leading modes of a run from window to window.

    Parameters
    ----------
    run
        The run.
    window, detrend
        Rows per trailing window, and what is removed in each. ``"constant"`` keeps the drift: there it *is*
        the reorganisation.
    modes
        Leading modes that are listed at each step, at most the window. Four more are followed, so that a mode
        that drops out for some steps keeps its identity.

    Returns
    -------
    Dataset with
        on ``step`` and ``mode`` (the rank, 0 the largest eigenvalue): ``eigenvalue`` in loss²; ``explained``,
        its share of the trace; ``identity``, the ``track`` that the mode belongs to, -1 where there is none;
        ``overlap``, the absolute scalar product of the mode's unit vector with the one that it continues in
        the window one row before, NaN where it continues none.
        On ``track``, in order of birth: ``birth`` and ``death``, the first and last step at which the mode
        was followed; ``length``, its number of recorded rows; ``peak_eigenvalue`` in loss², the step
        ``peak_step`` at which it is reached, and the rank there, ``peak_rank``. Modes that never were among
        the leading ones are not listed.
        NaN before the first full window and where a window holds a loss that is NaN, infinite or too large to
        be squared; such windows, and windows where nothing moves, end all tracks.

    Raises
    ------
    OptionError
        If `run` is not a run.
    WindowError, DetrendError
        If the window does not fit the run or the detrending, the detrending is unknown, or `modes` is not a
        whole number of 1 or more.

    Notes
    -----
    A mode continues one of the window before where more than half of its squared norm lies along it,
    ``(v . v')² > 1/2``, which makes partners unique. Eigenvalues that differ by less than 1e-9 of
    themselves form a block, whose basis is turned onto the one before (orthogonal Procrustes); blocks that
    share more than half are continued one-to-one. Overlaps come from the banded Gram alone. Identity means
    continuity: a vector that turns a little at each row may turn by much over many.

    Solves one ``window x window`` eigenproblem per row: below a second for 2000 rows and 64 rows per window,
    six to eight times that for every doubling of the window.
    """
    require_run(run, "mode_tracks")
    window = check_window(window, detrend, run.n_steps)
    gram = gram_of(run, window)
    with one_blas_thread(), ThreadPoolExecutor(cores()) as pool:
        traces = window_traces(gram, window, detrend, run.rows, workers=cores())
        found = tracking.mode_tracks(gram, traces, run.rows, modes, pool.map)
    steps = np.asarray(run.steps)
    leading = found.eigenvalues[:, : found.identity.shape[1]]
    with np.errstate(invalid="ignore"):  # nothing moves: no shares
        explained = leading / traces.trace[:, None]
    at: dict[str, tuple[NDArray[Any], str, str]] = {
        "eigenvalue": (leading, "Eigenvalue of the loss covariance", "loss^2"),
        "explained": (explained, "Share of the total variance", "1"),
        "identity": (found.identity, "Track of the mode, -1 for none", "1"),
        "overlap": (found.overlap, "Overlap with the mode that it continues", "1"),
    }
    of: dict[str, tuple[NDArray[Any], str, str]] = {
        "birth": (steps[found.birth], "First step", "step"),
        "death": (steps[found.death], "Last step", "step"),
        "length": (found.length, "Recorded rows lived", "row"),
        "peak_eigenvalue": (found.peak_eigenvalue, "Largest eigenvalue", "loss^2"),
        "peak_step": (steps[found.peak_row], "Step of the largest eigenvalue", "step"),
        "peak_rank": (found.peak_rank, "Rank at the largest eigenvalue, 0 the first", "1"),
    }
    variables = {
        name: xr.Variable(dims, values, {"long_name": title, "units": units})
        for dims, table in ((("step", "mode"), at), (("track",), of))
        for name, (values, title, units) in table.items()
    }
    return xr.Dataset(
        variables,
        coords={"step": steps, "mode": np.arange(leading.shape[1]), "track": np.arange(len(found.birth))},
        attrs={
            "run": run.name,
            "window": window,
            "detrend": detrend,
            "degrees_of_freedom": traces.nu,
            "spare_modes": SPARE,
            "smallest_squared_overlap": KEPT,
            "degenerate_within": DEGENERATE,
        },
    )
