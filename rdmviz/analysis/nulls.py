"""How many modes of a window move more than noise would make them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import xarray as xr

from rdmviz.analysis.of_a_run import require_run, row_of_full_window
from rdmviz.analysis.one_thread import one_blas_thread
from rdmviz.analysis.window_of import modes_of
from rdmviz.compute.rdm.detrending import Detrend
from rdmviz.compute.rdm.nulls import marchenko_pastur_edge, surrogate_edge
from rdmviz.errors import NullError, OptionError

if TYPE_CHECKING:
    from rdmviz.run import TrainingRun

Null = Literal["ar1", "shift", "shuffle", "marchenko-pastur"]
NULLS: tuple[str, ...] = get_args(Null)

_ASSUMES = {
    "marchenko-pastur": "noise is independent between rows and datapoints, equally strong in all datapoints",
    "shuffle": "noise is independent between rows and datapoints",
    "shift": "noise is independent between datapoints, and stationary over the window",
    "ar1": "noise is independent between datapoints, a Gaussian first-order autoregression in each",
}


def null_edge(
    run: TrainingRun,
    step: int,
    window: int = 64,
    detrend: Detrend = "linear",
    method: Null = "ar1",
    *,
    level: float = 0.95,
    draws: int = 99,
    seed: int = 0,
    between: Callable[[], object] | None = None,
) -> xr.Dataset:
    """Tell the modes of the trailing window that ends at a step from noise.

    Parameters
    ----------
    run
        The run.
    step
        A recorded training step, with at least ``window - 1`` recorded before it.
    window, detrend
        Rows per window, and what is removed in each. Linear by default: a loss that falls is one mode that
        exceeds any noise, and the question is whether the fluctuations about it have modes.
    method
        What noise is like:

        - ``"ar1"``: of its own strength in each datapoint, a Gaussian first-order autoregression, for any
          detrending. Successive training steps are rarely independent: this is the one to believe.
        - ``"shift"``: with an autocorrelation of its own in each datapoint, short beside the window; for
          ``detrend="constant"`` only.
        - ``"shuffle"``: of its own strength in each datapoint, independent in time.
        - ``"marchenko-pastur"``: equally strong in all datapoints, independent in time. At no cost, but real
          losses are seldom like that.
    level
        Probability that noise alone stays below the edge with all of its modes.
    draws, seed
        Surrogate windows of all methods but the last, and the seed that they are drawn with.
    between
        Called before each of them is drawn; it may wait while others work, or raise to end this.

    Returns
    -------
    Dataset with
        ``eigenvalue(mode)`` in loss², all that can differ from zero; ``above(mode)``, whether it is above
        ``edge``; ``n_above``, how many are; ``noise``, the variance of the noise of one datapoint (with
        surrogates, the mean variance of a datapoint, which they keep); with surrogates ``p_value(mode)``,
        ``(1 + #{largest of a surrogate >= eigenvalue}) / (1 + draws)``. Attributes name the assumption.

    Raises
    ------
    OptionError
        If `run` is not a run, or `method` is unknown or does not fit the detrending.
    NullError
        If the window has too few modes, `level` or `draws` has no meaning, or half of the spectrum stands
        above the Marchenko-Pastur edge.
    StepNotFoundError, WindowError, DetrendError
        If no full window ends there, or it does not fit the detrending or the method.
    FlatWindowError, NonFiniteLossError
        If nothing moves in the window, or it holds a loss that is NaN, infinite or too large to be squared.
    """
    require_run(run, "null_edge")
    if method not in NULLS:
        raise OptionError(f"method={method!r} is unknown; choose one of {', '.join(map(repr, NULLS))}")
    if method == "shift" and detrend != "constant":
        raise OptionError(
            f"method='shift' with detrend={detrend!r}: shifting a series that was detrended joins its ends, "
            "which looks like modes; use detrend='constant', or method='ar1'"
        )
    index = row_of_full_window(run, step, window, detrend)
    attrs = {
        "run": run.name,
        "step": int(run.steps[index]),
        "window": int(window),
        "detrend": detrend,
        "method": method,
        "level": level,
        "assumes": _ASSUMES[method],
    }
    with one_blas_thread():
        found = modes_of(run, index, window, detrend, 1)
        values = found.eigenvalues[: min(found.nu, run.n_samples)]
        if method == "marchenko-pastur":
            fitted = marchenko_pastur_edge(values, run.n_samples, found.nu, level=level)
            if not fitted.fits:
                raise NullError(
                    f"half of the {len(values)} eigenvalues stand above the Marchenko-Pastur edge: these "
                    "losses are no equally strong, independent noise with a few modes; use method='ar1'"
                )
            edge, noise, n_above = float(fitted.edge), float(fitted.noise), int(fitted.n_above)
            p_values = None
        else:
            drawn = surrogate_edge(
                found.fluctuations(),
                detrend,
                how=method,
                draws=draws,
                level=level,
                seed=seed,
                between=between,
            )
            edge, noise, n_above = drawn.edge, found.trace / run.n_samples, drawn.n_above
            p_values = drawn.p_values
            attrs |= {"draws": int(draws), "seed": seed}
    above = np.arange(len(values)) < n_above
    variables = {
        "eigenvalue": ("mode", values, {"long_name": "Eigenvalue of the loss covariance", "units": "loss^2"}),
        "above": ("mode", above, {"long_name": "Above the edge of the noise"}),
        "edge": ((), edge, {"long_name": "Largest eigenvalue of noise", "units": "loss^2"}),
        "noise": ((), noise, {"long_name": "Variance of the noise of a datapoint", "units": "loss^2"}),
        "n_above": ((), n_above, {"long_name": "Modes above the edge of the noise", "units": "1"}),
    }
    if p_values is not None:
        variables["p_value"] = (
            "mode",
            p_values,
            {"long_name": "Share of surrogates whose largest eigenvalue is no smaller", "units": "1"},
        )
    return xr.Dataset(variables, coords={"mode": np.arange(len(values))}, attrs=attrs)
