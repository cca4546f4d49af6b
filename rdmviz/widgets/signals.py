"""What can be drawn over training time: spectral curves, plain baselines beside them, recorded metrics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from rdmviz.compute.rdm.observables import HeatCapacity
from rdmviz.run import TrainingRun
from rdmviz.widgets.gaussian_lens import has_gaussian

MOST_SIGNALS: Final = 6  # panels that a screen holds above each other
METRICS: Final = "metrics/"  # before the name of a recorded metric, as in TrainingRun.tree
LOSSES: Final = "mean_loss"  # the panel of loss curves: of all datapoints, of classes, of a selection

Family = Literal["spectral", "gaussian", "plain", "recorded"]


@dataclass(frozen=True)
class Signal:
    """One curve.

    Attributes
    ----------
    name
        What `ExplorerState.signals` calls it.
    title, units
        For the head of its panel; units are empty for plain numbers.
    log
        Whether it is best read on a logarithmic axis.
    family
        ``"spectral"``, ``"gaussian"`` (of the Gaussian 2RDM, that of the newest snapshot at each row),
        ``"plain"`` (statistics of the mean loss) or ``"recorded"``.
    baseline
        The plain curve that a spectral one has to beat.
    variable
        Its variable of :func:`rdmviz.analyze` or :func:`rdmviz.gaussian_modes`, or the metric.
    shc
        The heat capacity to ask for.
    dear
        Whether it takes an eigenproblem per window.
    """

    name: str
    title: str
    units: str
    log: bool
    family: Family
    baseline: str | None = None
    variable: str = ""
    shc: HeatCapacity = "variance"
    dear: bool = False

    @property
    def source(self) -> str:
        """The variable it is read from."""
        return self.variable or self.name


_VARIANCE: Final = "mean_loss_variance"
_AUTOCORRELATION: Final = "mean_loss_autocorrelation"
_SHC: Final = "spectral_heat_capacity"


def _spectral(name: str, title: str, units: str = "", *, log: bool = False, beside: str) -> Signal:
    return Signal(name, title, units, log, "spectral", beside)


def _solved(name: str, title: str, units: str = "", *, log: bool = False, beside: str) -> Signal:
    # The dataset with the capacity of entanglement has all curves that share its eigenproblems.
    return Signal(name, title, units, log, "spectral", beside, shc="capacity", dear=True)


_COMPUTED: Final = (
    _spectral(_SHC, "Spectral heat capacity", "loss⁴", log=True, beside=_VARIANCE),
    _spectral("participation_ratio", "Participation ratio", beside=_AUTOCORRELATION),
    _spectral(
        "participation_ratio_unbiased",
        "Participation ratio, unbiased (independent rows)",
        beside=_AUTOCORRELATION,
    ),
    _spectral("trace", "Trace of the 2RDM", "loss²", log=True, beside=_VARIANCE),
    Signal(
        "heat_capacity_total",
        "Variance of the summed loss",
        "loss²",
        True,
        "spectral",
        _VARIANCE,
        _SHC,
        "total",
    ),
    _solved("top_eigenvalue", "Largest eigenvalue", "loss²", log=True, beside=_VARIANCE),
    _solved("top_eigenvalue_share", "Largest eigenvalue's share of the trace", beside=_AUTOCORRELATION),
    _solved("spectral_gap", "Gap between the two largest eigenvalues", "loss²", log=True, beside=_VARIANCE),
    _solved("entropy", "Von Neumann entropy", "nat", beside=_AUTOCORRELATION),
    _solved("effective_rank", "Effective rank, exp(entropy)", beside=_AUTOCORRELATION),
    Signal(
        "heat_capacity_capacity",
        "Capacity of entanglement",
        "",
        False,
        "spectral",
        _VARIANCE,
        _SHC,
        "capacity",
        dear=True,
    ),
    Signal(_VARIANCE, "Variance of the mean loss", "loss²", True, "plain"),
    Signal(_AUTOCORRELATION, "Lag-1 autocorrelation of the mean loss", "", False, "plain"),
    Signal("mean_loss_slope", "Slope of the mean loss, |dL/dt|", "loss/step", True, "plain"),
    Signal(LOSSES, "Mean loss", "loss", True, "plain"),
)
GAUSSIAN: Final = tuple(
    Signal(f"gaussian/{name}", f"Gaussian {title}", units, log, "gaussian", variable=name)
    for name, title, units, log in (
        ("participation_ratio_unbiased", "participation ratio, unbiased", "", False),
        ("participation_ratio", "participation ratio", "", False),
        (_SHC, "spectral heat capacity", "loss⁴", True),
        ("trace", "trace", "loss²", True),
    )
)
DEFAULT: Final = (_SHC, "participation_ratio", LOSSES)
BASELINES: Final = (_VARIANCE, _AUTOCORRELATION, LOSSES)


def offered(run: TrainingRun) -> dict[str, Signal]:
    """Return every curve that can be drawn for a run, by name."""
    recorded = (
        Signal(f"{METRICS}{name}", str(name).replace("_", " "), "", False, "recorded", variable=str(name))
        for name in run.metrics.data_vars
    )
    drawn = GAUSSIAN if has_gaussian(run) else ()
    return {signal.name: signal for signal in (*_COMPUTED, *drawn, *recorded)}


def presets(run: TrainingRun) -> dict[str, tuple[str, ...]]:
    """Return choices of curves that answer one question each, by what a button calls them."""
    chosen: dict[str, tuple[str, ...]] = {"Spectral": DEFAULT, "Plain baselines": BASELINES}
    if has_gaussian(run):
        chosen["Gaussian"] = (GAUSSIAN[0].name, GAUSSIAN[2].name, LOSSES)
    recorded = [f"{METRICS}{name}" for name in run.metrics.data_vars]
    if recorded:
        chosen["Metrics"] = (*recorded[: MOST_SIGNALS - 1], LOSSES)
    return chosen
