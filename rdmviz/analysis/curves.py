"""Warning curves of a run, beside the plain baselines they have to beat."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from rdmviz.analysis.gram_cache import gram_of
from rdmviz.analysis.lazy import LazyCurves
from rdmviz.analysis.of_a_run import require_run
from rdmviz.analysis.one_thread import cores, one_blas_thread
from rdmviz.compute.rdm import observables
from rdmviz.compute.rdm.detrending import Detrend, check_window
from rdmviz.compute.rdm.gram import BandedGram
from rdmviz.compute.rdm.observables import HeatCapacity
from rdmviz.compute.rdm.summed import detrended_variance, of_row_sums
from rdmviz.compute.rdm.windows import SMALLEST, WindowTraces, full_windows, window_spectra, window_traces
from rdmviz.compute.warning.indicators import rolling_autocorrelation, rolling_slope, rolling_variance
from rdmviz.errors import OptionError

if TYPE_CHECKING:
    from rdmviz.run import TrainingRun

Floats = NDArray[np.float64]

_BATCH = 32  # windows per task: enough to keep a thread busy, few enough to share the work
_BATCH_ENTRIES = 1 << 20  # of the matrices of one task: long windows must not fill the memory

_CURVES: dict[str, tuple[str, str]] = {
    "trace": ("Total variance Tr C", "loss^2"),
    "participation_ratio": ("Participation ratio (Tr C)^2 / Tr C^2", "1"),
    "participation_ratio_unbiased": ("Participation ratio, unbiased for independent rows", "1"),
    "spectral_heat_capacity": ("Spectral heat capacity", "loss^4"),
    "top_eigenvalue": ("Largest eigenvalue of C", "loss^2"),
    "top_eigenvalue_share": ("Share of the largest eigenvalue in the trace", "1"),
    "spectral_gap": ("Difference of the two largest eigenvalues of C", "loss^2"),
    "entropy": ("Von Neumann entropy of C / Tr C", "nat"),
    "effective_rank": ("Effective rank, exp(entropy)", "1"),
    "mean_loss": ("Mean loss over the probe set", "loss"),
    "mean_loss_variance": ("Rolling variance of the mean loss", "loss^2"),
    "mean_loss_autocorrelation": ("Rolling lag-1 autocorrelation of the mean loss", "1"),
    "mean_loss_slope": ("Rolling |d mean loss / d step|", "loss/step"),
}
_OF_SPECTRA: dict[str, Callable[[Floats], Floats]] = {
    "top_eigenvalue": lambda spectra: spectra[:, 0],
    "top_eigenvalue_share": lambda spectra: observables.explained(spectra)[:, 0],
    "spectral_gap": observables.spectral_gap,
    "entropy": observables.entropy,
    "effective_rank": observables.effective_rank,
    "capacity": observables.heat_capacity_capacity,
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
        steps are not independent), ``spectral_heat_capacity``; from the eigenvalues ``top_eigenvalue``,
        ``top_eigenvalue_share``, ``spectral_gap``, ``entropy`` (nats) and ``effective_rank``; baselines
        ``mean_loss``, ``mean_loss_variance`` (ddof 1), ``mean_loss_autocorrelation`` (lag 1 row),
        ``mean_loss_slope``.
        NaN before the first full window and where a window holds a loss that is NaN, infinite or so large
        that the squares of its row overflow (beyond 1e150); the attribute ``silent_steps`` then lists such
        steps. Where a value itself leaves the range of float64 (loss⁴ does for losses beyond 1e77 or below
        1e-77) it is NaN, and the attribute ``out_of_range`` names the curve and its steps. Where nothing
        moves the trace is 0 and ratios are NaN; so they are where losses move by less than 1e-154, whose
        squares underflow, and ``out_of_range`` says so. Those from eigenvalues (and the ``"capacity"``
        variant) share an eigenproblem per window, which is solved for the steps that are read, when they are
        read.

    Raises
    ------
    WindowError
        If the window does not fit the run or the detrending.
    DetrendError, OptionError
        If `detrend`, `shc` or `stride` is not among the choices, or `run` is not a run.

    Notes
    -----
    C is the covariance of losses of Hennick & Corlouer (arXiv:2603.29805). Relative error 1e-10 against
    ``numpy.cov`` with ``numpy.linalg.eigvalsh`` for means up to 1e6 standard deviations.
    """
    require_run(run, "analyze")
    window = check_window(window, detrend, run.n_steps)
    require_heat_capacity(shc)
    if not _is_whole(stride) or stride < 1:
        raise OptionError(f"stride={stride!r}: expected a whole number of recorded rows, 1 or more")
    gram = gram_of(run, window)
    with one_blas_thread():
        traces = window_traces(gram, window, detrend, run.rows, workers=cores())
    steps = np.asarray(run.steps)
    n = gram.n_samples
    kept = np.arange(0, run.n_steps, int(stride))
    moves = np.where(np.isnan(traces.trace), np.nan, traces.trace > 0)  # Tr C in units of itself
    unbiased = observables.participation_ratio_unbiased(moves, traces.purity, traces.nu)

    side = min(window, n)
    batch = max(1, min(_BATCH, _BATCH_ENTRIES // side**2))

    def at(rows: NDArray[np.intp]) -> Floats:
        spectra = window_spectra(gram, traces, rows, run.rows)
        return np.stack([of(spectra) for of in _OF_SPECTRA.values()], axis=1)

    lazy = LazyCurves(at, kept, len(_OF_SPECTRA), batch)
    of_spectra = {name: lazy.curve(number) for number, name in enumerate(_OF_SPECTRA)}
    capacity = of_spectra.pop("capacity")
    variance, autocorrelation, slope = of_row_sums(
        gram,
        window,
        lambda sums, _: rolling_variance(sums / n, window),
        lambda sums, _: _autocorrelation(sums / n, window),
        lambda sums, rows: rolling_slope(sums / n, window, steps[rows]),
    )
    curves: dict[str, Any] = {
        "trace": traces.trace,
        "participation_ratio": observables.participation_ratio(moves, traces.purity),
        "participation_ratio_unbiased": unbiased,
        "spectral_heat_capacity": (
            capacity if shc == "capacity" else summary_heat_capacity(gram, traces, shc)
        ),
        **of_spectra,
        "mean_loss": gram.row_sums / n,
        "mean_loss_variance": variance,
        "mean_loss_autocorrelation": autocorrelation,
        "mean_loss_slope": np.abs(slope),
    }
    variables = labelled(
        {name: values[kept] if isinstance(values, np.ndarray) else values for name, values in curves.items()},
        shc,
    )
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
    attrs |= _out_of_range(curves, full_windows(gram.finite, window), steps)
    return xr.Dataset(variables, coords={"step": ("step", steps[kept])}, attrs=attrs)


def require_heat_capacity(shc: str) -> None:
    """Raise :class:`OptionError` unless `shc` is one of the heat capacities."""
    if shc not in observables.HEAT_CAPACITIES:
        choices = ", ".join(map(repr, observables.HEAT_CAPACITIES))
        raise OptionError(f"shc={shc!r} is unknown; choose one of {choices}")


def labelled(curves: Mapping[str, Any], shc: str) -> dict[str, xr.Variable]:
    """Curves on ``step`` with their meaning and units."""
    meaning = {**_CURVES, "spectral_heat_capacity": _HEAT_CAPACITY[shc]}
    return {
        name: xr.Variable("step", values, {"long_name": meaning[name][0], "units": meaning[name][1]})
        for name, values in curves.items()
    }


def _is_whole(value: object) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def summary_heat_capacity(gram: BandedGram, traces: WindowTraces, shc: str) -> Floats:
    """Heat capacity ``"variance"`` or ``"total"`` of all windows, which needs no eigenvalues, ``(T,)``."""
    trace, window = traces.trace, traces.window
    if shc == "total":  # the summed loss is one series: its detrended variance in each window is 1'C1
        if traces.detrend == "none":
            with np.errstate(over="ignore"):
                total = detrended_variance(gram.row_sums, window, "none")
            total = np.where(np.isfinite(total), total, np.nan)
        else:
            (total,) = of_row_sums(gram, window, lambda s, _: detrended_variance(s, window, traces.detrend))
        return np.where(trace == 0, 0.0, total)
    return observables.heat_capacity_of_purity(trace, traces.purity, gram.n_samples)


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
            f"{len(bad)} recorded rows hold losses that are NaN, infinite or too large to be squared, "
            f"first at step {bad[0]}, last at step {bad[-1]}; windows that hold one are NaN, "
            f"and the curves {until}"
        ),
    }


def _out_of_range(
    curves: dict[str, Any], speaks: NDArray[np.bool_], steps: NDArray[np.int64]
) -> dict[str, str]:
    """Attribute that names the curves with values too large or too small for float64."""
    said = []
    for name in ("trace", "spectral_heat_capacity", "mean_loss_variance"):
        if isinstance(curves[name], np.ndarray):
            rows = np.flatnonzero(speaks & ~np.isfinite(curves[name]))
            if len(rows):
                first, last = steps[rows[[0, -1]]]
                said.append(f"{name} in {len(rows)} windows, first at step {first}, last at step {last}")
    said = ["NaN, too large or too small for float64: " + "; ".join(said)] if said else []
    mean, still = np.abs(curves["mean_loss"]), speaks & (curves["trace"] == 0)
    rows = np.flatnonzero(still & (mean > 0) & (mean < SMALLEST))
    if len(rows):
        said.append(
            f"0, squares too small for float64: trace in {len(rows)} windows, "
            f"first at step {steps[rows[0]]}, last at step {steps[rows[-1]]}"
        )
    return {"out_of_range": "; ".join([*said, "record the losses in other units"])} if said else {}
