"""How well one mode of a window tells the values of a probe column apart."""

from __future__ import annotations

from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from rdmviz.analysis.grouping import groups
from rdmviz.analysis.of_a_run import require_run, row_of_full_window
from rdmviz.analysis.window_of import modes_of
from rdmviz.compute.rdm.detrending import Detrend
from rdmviz.compute.rdm.enrichment import MOST_VALUES
from rdmviz.compute.rdm.separation import adjusted_rand_index, magnitude_split, roc_auc, sign_split
from rdmviz.errors import OptionError, ProbeError

if TYPE_CHECKING:
    from rdmviz.run import TrainingRun


def separation(
    run: TrainingRun,
    step: int,
    column: str,
    window: int = 64,
    detrend: Detrend = "constant",
    mode: int = 0,
) -> xr.Dataset:
    """Measure how well a mode of the window that ends at a step tells the values of a probe column apart.

    Parameters
    ----------
    run, step, window, detrend
        As for :func:`rdmviz.eigenmodes`.
    column
        A column of the probe with 2 to 32 values, such as ``"split"``.
    mode
        0 for the leading one.

    Returns
    -------
    Dataset on ``value``, the values of the column:
        ``size(value)``, datapoints that have it; ``mass(value)``, their share of the squared eigenvector;
        ``auc(value)``, the probability that ``|v|`` of one of them exceeds that of one without it
        (the area under the ROC curve, .5 by chance); ``drift(value)``, the mean displacement of their losses
        across the window (fitted line, last minus first, in units of loss), and ``falling(value)``, the share
        of them whose losses fell.
    and adjusted Rand indices against the column (1 for the same partition, 0 by chance):
        ``ari_sign`` of the two sides of the mode, ``ari_magnitude`` of the two classes into which one cut
        splits ``log |v|`` best, and ``ari_groups`` of as many groups (:func:`rdmviz.groups`) as there are
        values. ``explained`` is the share of the mode in the trace.

    Raises
    ------
    OptionError
        If `run` is not a run, or has no such mode.
    ProbeError
        If the probe has no such column, or one that no few values part.
    StepNotFoundError, WindowError, DetrendError, FlatWindowError, NonFiniteLossError
        As :func:`rdmviz.eigenmodes` does.
    """
    require_run(run, "separation")
    values, codes = _classes(run, column)
    index = row_of_full_window(run, step, window, detrend)
    asked: Any = mode
    if isinstance(asked, bool) or not isinstance(asked, Integral) or mode < 0:
        raise OptionError(f"mode={mode!r:.60}; expected 0 for the leading mode, 1 for the next, and so on")
    found = modes_of(run, index, window, detrend, int(mode) + 1)
    if mode >= len(found.vectors):
        raise OptionError(f"mode={mode}; the window has {len(found.vectors)} modes that move")
    vector, moved = found.vectors[mode], found.displacement
    member = codes == np.arange(len(values))[:, None]
    falls = (moved < 0).astype(float)
    size = member.sum(axis=1)
    grouped = groups(run, step, window, detrend, count=len(values))["group"].to_numpy()
    on_values = {
        "size": (size, "Datapoints that have the value", "1"),
        "mass": (member @ vector**2, "Share of the squared eigenvector", "1"),
        "auc": (
            np.array([roc_auc(np.abs(vector), mine) for mine in member]),
            "Probability of a larger |v| than that of a datapoint without the value",
            "1",
        ),
        "drift": (member @ moved / size, "Mean displacement across the window", "loss"),
        "falling": (member @ falls / size, "Share whose losses fell across the window", "1"),
    }
    scalars = {
        "ari_sign": (adjusted_rand_index(sign_split(vector), codes), "Adjusted Rand index of sign(v)"),
        "ari_magnitude": (
            adjusted_rand_index(magnitude_split(vector), codes),
            "Adjusted Rand index of two classes of |v|",
        ),
        "ari_groups": (adjusted_rand_index(grouped, codes), "Adjusted Rand index of the groups"),
        "explained": (found.eigenvalues[mode] / found.trace, "Share of the total variance"),
    }
    return xr.Dataset(
        {
            **{
                name: ("value", numbers, {"long_name": text, "units": unit})
                for name, (numbers, text, unit) in on_values.items()
            },
            **{name: ((), number, {"long_name": text}) for name, (number, text) in scalars.items()},
        },
        coords={"value": values},
        attrs={
            "run": run.name,
            "step": int(run.steps[index]),
            "column": column,
            "window": int(window),
            "detrend": detrend,
            "mode": int(mode),
        },
    )


def _classes(run: TrainingRun, column: str) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return the values of a column ``(values,)``, and which of them each datapoint has ``(n,)``."""
    if column not in run.probe:
        there = ", ".join(map(repr, run.probe)) or "none"
        raise ProbeError(f"the probe has no column {column!r:.60}; it has {there}")
    given = run.probe[column].to_numpy()
    if given.dtype.kind == "f" and np.isnan(given).any():
        raise ProbeError(f"probe column {column!r} has gaps; separation needs a value of every datapoint")
    values, codes = np.unique(given, return_inverse=True)
    if not 2 <= len(values) <= MOST_VALUES:
        raise ProbeError(
            f"probe column {column!r} has {len(values)} different values; expected 2 to {MOST_VALUES}: "
            "give TrainingRun a column of classes, such as a coarser one"
        )
    return values, codes
