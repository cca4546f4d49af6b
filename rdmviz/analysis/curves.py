"""Warning curves of a run, beside the plain baselines they have to beat."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from rdmviz.analysis.gram_cache import gram_of
from rdmviz.analysis.lazy import LazyCurve
from rdmviz.compute.rdm import observables
from rdmviz.compute.rdm.detrending import Detrend, check_window, detrended
from rdmviz.compute.rdm.gram import BandedGram
from rdmviz.compute.rdm.observables import HeatCapacity
from rdmviz.compute.rdm.windows import WindowTraces, full_windows, window_spectra, window_traces
from rdmviz.compute.warning.indicators import rolling_autocorrelation, rolling_slope, rolling_variance
from rdmviz.errors import OptionError

if TYPE_CHECKING:
    from rdmviz.run import TrainingRun

Floats = NDArray[np.float64]

_CURVES: dict[str, tuple[str, str]] = {
    "trace": ("Total variance Tr C", "loss^2"),
    "participation_ratio": ("Participation ratio (Tr C)^2 / Tr C^2", "1"),
    "participation_ratio_unbiased": ("Participation ratio, unbiased for independent rows", "1"),
    "spectral_heat_capacity": ("Spectral heat capacity", "loss^4"),
    "top_eigenvalue": ("Largest eigenvalue of C", "loss^2"),
    "mean_loss": ("Mean loss over the probe set", "loss"),
    "mean_loss_variance": ("Rolling variance of the mean loss", "loss^2"),
    "mean_loss_autocorrelation": ("Rolling lag-1 autocorrelation of the mean loss", "1"),
    "mean_loss_slope": ("Rolling |d mean loss / d step|", "loss/step"),
}
_HEAT_CAPACITY: dict[str, tuple[str, str]] = {
    "variance": ("Spectral heat capacity Var(lambda)", "loss^4"),
    "capacity": ("Capacity of entanglement", "1"),
    "total": ("Variance of the summed loss 1'C1", "loss^2"),
}


def analyze(
    run: TrainingRun,
    window: int = 64,
    detrend: Detrend = "linear",
    stride: int = 1,
    shc: HeatCapacity = "variance",
) -> xr.Dataset:
    """Warning curves of a run: its 2RDM in every trailing window, beside plain baselines.

    Parameters
    ----------
    run
        The run, T recorded rows of n losses.
    window
        Rows per window. The value at a step uses that row and the ``window - 1`` recorded before it.
    detrend
        Polynomial removed in each window: ``"none"`` (second moment, not centred), ``"constant"``,
        ``"linear"`` or ``"quadratic"``. Linear is for warnings: it keeps fluctuations and drops the drift.
    stride
        Every `stride`-th recorded step is kept.
    shc
        Spectral heat capacity: ``"variance"`` of all n eigenvalues (``Tr C²/n - (Tr C/n)²``), ``"capacity"``
        of entanglement (``sum p ln² p - (sum p ln p)²``), or ``"total"``, the variance of the summed loss
        (``1'C1``).

    Returns
    -------
    Dataset on ``step``:
        ``trace``, ``participation_ratio``, ``participation_ratio_unbiased`` (partial correction: training
        steps are not independent), ``spectral_heat_capacity``, ``top_eigenvalue``; baselines ``mean_loss``,
        ``mean_loss_variance`` (ddof 1), ``mean_loss_autocorrelation`` (lag 1 row), ``mean_loss_slope``.
        NaN before the first full window and where a window holds a NaN or infinite loss; the attribute
        ``silent_steps`` then lists the steps with such losses. Where nothing moves the trace is 0 and ratios
        are NaN. ``top_eigenvalue`` (and the ``"capacity"`` variant) need an eigenproblem per window and are
        computed for the steps that are read, when they are read.

    Raises
    ------
    WindowError
        If the window does not fit the run or the detrending.
    DetrendError, OptionError
        If `detrend`, `shc` or `stride` is not among the choices.

    Notes
    -----
    C is the covariance of losses of Hennick & Corlouer (arXiv:2603.29805). Relative error 1e-10 against
    ``numpy.cov`` with ``numpy.linalg.eigvalsh`` for means up to 1e6 standard deviations.
    """
    window = check_window(window, detrend, run.n_steps)
    if shc not in observables.HEAT_CAPACITIES:
        choices = ", ".join(map(repr, observables.HEAT_CAPACITIES))
        raise OptionError(f"shc={shc!r} is unknown; choose one of {choices}")
    if not _is_whole(stride) or stride < 1:
        raise OptionError(f"stride={stride!r}: expected a whole number of recorded rows, 1 or more")
    gram = gram_of(run, window)
    traces = window_traces(gram, window, detrend, run.rows)
    steps = np.asarray(run.steps)
    mean = gram.row_sums / gram.n_samples
    kept = np.arange(0, run.n_steps, int(stride))
    ratio = observables.participation_ratio(traces.trace, traces.square)

    def lazily(of_spectrum: Callable[[Floats], Floats]) -> Any:
        def at(rows: NDArray[np.intp]) -> Floats:
            return of_spectrum(window_spectra(gram, traces, rows, run.rows))

        return LazyCurve(at, kept).variable()

    curves: dict[str, Any] = {
        "trace": traces.trace,
        "participation_ratio": ratio,
        "participation_ratio_unbiased": observables.participation_ratio_unbiased(
            traces.trace, traces.square, traces.nu
        ),
        "spectral_heat_capacity": (
            lazily(observables.heat_capacity_capacity)
            if shc == "capacity"
            else _heat_capacity(gram, traces, shc)
        ),
        "top_eigenvalue": lazily(lambda spectra: spectra[:, 0]),
        "mean_loss": mean,
        "mean_loss_variance": rolling_variance(mean, window),
        "mean_loss_autocorrelation": _autocorrelation(mean, window),
        "mean_loss_slope": np.abs(rolling_slope(mean, window, steps)),
    }
    meaning = {**_CURVES, "spectral_heat_capacity": _HEAT_CAPACITY[shc]}
    variables = {
        name: xr.Variable(
            "step",
            values[kept] if isinstance(values, np.ndarray) else values,
            {"long_name": meaning[name][0], "units": meaning[name][1]},
        )
        for name, values in curves.items()
    }
    attrs: dict[str, Any] = {
        "run": run.name,
        "window": window,
        "detrend": detrend,
        "shc": shc,
        "stride": int(stride),
        "first_full_step": int(steps[window - 1]),
    }
    if not gram.finite.all():
        attrs |= _silence(gram.finite, steps, window)
    return xr.Dataset(variables, coords={"step": ("step", steps[kept])}, attrs=attrs)


def _is_whole(value: object) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def _heat_capacity(gram: BandedGram, traces: WindowTraces, shc: str) -> Floats:
    if shc == "variance":
        return observables.heat_capacity_variance(traces.trace, traces.square, gram.n_samples)
    # The summed loss is one series: its detrended variance in each window is 1'C1.
    total = np.full(gram.n_rows, np.nan)
    windows = sliding_window_view(gram.row_sums, traces.window)
    size = max(1, (4 << 20) // traces.window)
    for start in range(0, len(windows), size):
        part = windows[start : start + size].T
        if traces.detrend != "none":
            part = detrended(part - part[traces.window // 2], traces.detrend)
        end = start + traces.window - 1
        total[end : end + part.shape[1]] = np.einsum("ij,ij->j", part, part) / traces.nu
    total[traces.trace == 0] = 0.0
    return total


def _autocorrelation(mean: Floats, window: int) -> Floats:
    """Lag-1 autocorrelation; a window of two rows has one pair and says nothing."""
    return rolling_autocorrelation(mean, window) if window > 2 else np.full(len(mean), np.nan)


def _silence(finite: NDArray[np.bool_], steps: NDArray[np.int64], window: int) -> dict[str, Any]:
    """Attributes that say where and why the curves are silent."""
    bad = steps[~finite]
    speaks = full_windows(finite, window)
    last = int(np.flatnonzero(~finite)[-1])
    again = np.flatnonzero(speaks[last:])
    until = f"speak again from step {steps[last + again[0]]}" if len(again) else "do not speak again"
    return {
        "silent_steps": bad.tolist(),
        "silent": (
            f"{len(bad)} recorded rows hold NaN or infinite losses, first at step {bad[0]}, last at step "
            f"{bad[-1]}; windows that hold one are NaN, and the curves {until}"
        ),
    }
