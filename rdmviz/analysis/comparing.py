"""Runs beside each other: whether they share a probe, and how far their leading modes agree."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from rdmviz.analysis.aligning import Transitions, align
from rdmviz.analysis.of_a_run import require_run
from rdmviz.analysis.one_thread import cores, one_blas_thread
from rdmviz.analysis.window_of import modes_of
from rdmviz.compute.rdm import subspaces
from rdmviz.compute.rdm.detrending import Detrend, check_window, degrees_of_freedom
from rdmviz.compute.rdm.modes import check_modes
from rdmviz.errors import FlatWindowError, NonFiniteLossError, OptionError, ProbeError, WindowError

if TYPE_CHECKING:
    from rdmviz.run import TrainingRun

PLACES = 200


def subspace_overlap(
    run_a: TrainingRun,
    run_b: TrainingRun,
    modes: int = 4,
    *,
    window: int = 64,
    detrend: Detrend = "constant",
    by: str = "step",
    transitions: Transitions | None = None,
    places: int = PLACES,
) -> xr.Dataset:
    """How far the leading modes of two runs with the same probe span the same subspace, along both.

    Parameters
    ----------
    run_a, run_b
        Runs on the same datapoints in the same order.
    modes
        Dimension k of the subspaces.
    window, detrend
        Rows per trailing window, and what is removed in each.
    by, transitions
        How the runs are aligned, see :func:`align`.
    places
        Windows of both runs are solved at this many places at most, evenly spread over those that both have.

    Returns
    -------
    Dataset on ``at``, the common coordinate:
        ``overlap``, ``|V_a' V_b|_F² / k``: the mean squared cosine of the angles between the subspaces, 1 for
        the same, 0 for orthogonal ones, and blind to sign, order and rotation of the modes. ``relabelled``,
        its mean if the datapoints of one run were exchanged at random: what a direction common to all
        datapoints brings about; what is above it belongs to *which* datapoints move. On ``run`` and ``at``
        the ``row`` and ``step`` of each run. Scalars ``chance`` and ``chance_deviation``: mean ``k / n`` and
        standard deviation for uniformly random subspaces. NaN where a window has fewer than k modes, or none;
        the attribute ``silent`` then says at how many places.

    Raises
    ------
    ProbeError
        If the runs do not share a probe; the message names what differs.
    OptionError, WindowError, DetrendError
        If an option does not fit, or the runs have no place in common at which both have a full window.

    Notes
    -----
    Where the k-th and the next eigenvalue are equal the subspace is any of many. Runs without metadata share
    a probe as far as their numbers of datapoints can tell; the attribute ``probe`` says which it was.
    """
    for run in (run_a, run_b):
        require_run(run, "subspace_overlap")
    difference = probe_difference(run_a, run_b)
    if difference is not None:
        raise ProbeError(
            f"the runs do not share a probe: {difference}. Overlap is defined for the same datapoints in the "
            "same order"
        )
    n = run_a.n_samples
    window, modes = check_window(window, detrend, min(run_a.n_steps, run_b.n_steps)), check_modes(modes)
    most = min(n, degrees_of_freedom(window, detrend))
    if modes > most:
        raise OptionError(
            f"modes={modes}: windows of {window} rows of {n} datapoints have at most {most} modes"
        )
    if isinstance(places, bool) or places < 1:
        raise OptionError(f"places={places!r}: expected a whole number of places, 1 or more")
    aligned = align([run_a, run_b], by, transitions=transitions, window=window)
    rows = aligned["row"].values
    usable = np.flatnonzero((rows >= window - 1).all(axis=0))
    if not len(usable):
        raise WindowError(
            f"there is no place at which both runs have a full window of {window} rows, aligned by {by}: "
            "choose a shorter window or another alignment"
        )
    kept = usable[np.unique(np.linspace(0, len(usable) - 1, min(places, len(usable))).round().astype(int))]

    def spans(run: TrainingRun, ends: NDArray[np.intp]) -> dict[int, NDArray[np.float64] | None]:
        rows = np.unique(ends).tolist()
        return dict(zip(rows, pool.map(_leading(run, window, detrend, modes), rows), strict=True))

    with one_blas_thread(), ThreadPoolExecutor(cores()) as pool:
        a, b = spans(run_a, rows[0, kept]), spans(run_b, rows[1, kept])
    values = np.full((2, len(kept)), np.nan)
    for place, (row_a, row_b) in enumerate(rows[:, kept].T.tolist()):
        v, w = a[row_a], b[row_b]
        if v is not None and w is not None:
            values[:, place] = subspaces.subspace_overlap(v, w), subspaces.relabelled_overlap(v, w)
    chance, deviation = subspaces.chance_overlap(modes, n)
    found = aligned.isel(at=kept)[["row", "step", "reference"]].assign(
        overlap=("at", values[0], {"long_name": f"Overlap of the leading {modes} modes", "units": "1"}),
        relabelled=("at", values[1], {"long_name": "Mean overlap under relabelled datapoints", "units": "1"}),
        chance=((), chance, {"long_name": "Mean overlap of random subspaces, k/n", "units": "1"}),
        chance_deviation=((), deviation, {"long_name": "Its standard deviation", "units": "1"}),
    )
    told = (
        "same metadata" if len(run_a.probe.data_vars) else "same number of datapoints, which have no metadata"
    )
    found.attrs |= {"window": window, "detrend": detrend, "modes": modes, "probe": told}
    lost = int(np.isnan(values[0]).sum())
    if lost:
        found.attrs["silent"] = (
            f"{lost} of {len(kept)} places: a window there has fewer than {modes} modes, or losses that are "
            "not finite"
        )
    return found


def _leading(
    run: TrainingRun, window: int, detrend: str, modes: int
) -> Callable[[int], NDArray[np.float64] | None]:
    """Make the function from a row to the ``(k, n)`` basis of its window, None where there is none."""

    def of(row: int) -> NDArray[np.float64] | None:
        try:
            vectors = modes_of(run, row, window, detrend, modes).vectors
        except (FlatWindowError, NonFiniteLossError):
            return None
        return vectors if len(vectors) == modes else None

    return of


def probe_difference(run_a: TrainingRun, run_b: TrainingRun) -> str | None:
    """Say what tells the probes of two runs apart, None where they are the same datapoints in the same order.

    Compared are the number of datapoints and every column of the metadata; NaN equals NaN.
    """
    if run_a.n_samples != run_b.n_samples:
        return f"{run_a.n_samples} against {run_b.n_samples} datapoints"
    first, second = (
        {str(name): np.asarray(column.values) for name, column in run.probe.data_vars.items()}
        for run in (run_a, run_b)
    )
    alone = sorted(set(first) ^ set(second))
    if alone:
        return f"only one of them has the metadata {', '.join(map(repr, alone))}"
    for name, values in first.items():
        other = second[name]
        same = values == other
        if values.dtype.kind == "f" and other.dtype.kind == "f":
            same |= np.isnan(values) & np.isnan(other)
        if not same.all():
            at = int(np.flatnonzero(~same)[0])
            return f"{name!r} of datapoint {at} is {values[at]!s:.40} against {other[at]!s:.40}"
    return None
