"""The Gaussian 2RDM along a run, and how far its modes are those of the training itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from rdmviz.analysis.of_a_run import require_run
from rdmviz.analysis.window_of import modes_of
from rdmviz.compute.rdm import observables, subspaces
from rdmviz.compute.rdm.detrending import Detrend, check_window, degrees_of_freedom
from rdmviz.compute.rdm.draws import steady_signs
from rdmviz.compute.rdm.modes import check_modes, window_modes
from rdmviz.errors import FlatWindowError, NonFiniteLossError, OptionError

if TYPE_CHECKING:
    from rdmviz.run import TrainingRun

Floats = NDArray[np.float64]


def gaussian_modes(run: TrainingRun) -> xr.Dataset:
    """Modes and observables of the Gaussian 2RDM at every snapshot of a run.

    Parameters
    ----------
    run
        Recorded with ``Snapshots(gaussian=GaussianSnapshots(...))``, S snapshots of n datapoints.

    Returns
    -------
    Dataset on ``step``, the steps of the snapshots:
        of the leading modes, on ``mode``, ``eigenvalue`` in loss² and ``explained``, its share of the trace;
        on ``mode`` and ``sample`` ``eigenvector``, of unit norm and with a sign that is steady along the run,
        NaN for datapoints that were left out. ``trace``, ``participation_ratio``,
        ``participation_ratio_unbiased`` (draws are independent, as it assumes),
        ``spectral_heat_capacity``, the variance of all eigenvalues, and ``entropy`` in nats, all from the
        whole spectrum; ``mean_loss`` over draws and datapoints, where it was kept; ``draws``, ``sigma`` and
        whether it is ``relative``.
        NaN where a displaced model had losses that are not finite, ratios also where no loss moved.

    Raises
    ------
    OptionError
        If `run` is not a run.
    SnapshotError
        If it has no Gaussian 2RDM; the message says how to record one.

    Notes
    -----
    C is the covariance of losses of Hennick & Corlouer (arXiv:2603.29805) under random displacements of the
    parameters, as :func:`rdmviz.gaussian_draws` makes them; definitions as in :func:`rdmviz.analyze`.
    """
    require_run(run, "gaussian_modes")
    found = run.gaussian
    spectra = found["eigenvalues"].to_numpy().astype(np.float64)
    vectors = found["eigenvectors"].to_numpy().astype(np.float64)
    draws = found["draws"].to_numpy()
    vectors *= steady_signs(vectors)[:, :, None]
    trace = spectra.sum(axis=1)
    moves = np.where(np.isnan(trace), np.nan, trace > 0)  # Tr C in units of itself
    shares = observables.explained(spectra)
    purity = np.square(shares).sum(axis=1)
    unbiased = [
        observables.participation_ratio_unbiased(moved, square, int(drawn) - 1)
        for moved, square, drawn in zip(moves, purity, draws, strict=True)
    ]
    capacity = observables.heat_capacity_of_purity(trace, purity, int(evaluated(run).sum()))
    curves: dict[str, tuple[Floats, str, str]] = {
        "trace": (trace, "Total variance Tr C", "loss^2"),
        "participation_ratio": (observables.participation_ratio(moves, purity), "Participation ratio", "1"),
        "participation_ratio_unbiased": (np.array(unbiased), "Participation ratio, unbiased", "1"),
        "spectral_heat_capacity": (capacity, "Spectral heat capacity Var(lambda)", "loss^4"),
        "entropy": (observables.entropy(spectra), "Von Neumann entropy of C / Tr C", "nat"),
    }
    if "mean_loss" in found:
        mean = found["mean_loss"].to_numpy()[:, evaluated(run)].mean(axis=1)
        curves["mean_loss"] = mean, "Mean loss over draws and datapoints", "loss"
    for fact, text, unit in (
        ("draws", "Number of displacements", "1"),
        ("sigma", "Scale of the noise", "1"),
        ("relative", "Whether it is relative to the size of each tensor", "1"),
    ):
        if fact in found:
            curves[fact] = found[fact].to_numpy(), text, unit
    kept = vectors.shape[1]
    return xr.Dataset(
        {
            "eigenvalue": (
                ("step", "mode"),
                spectra[:, :kept],
                {"long_name": "Eigenvalue of the Gaussian 2RDM", "units": "loss^2"},
            ),
            "explained": (
                ("step", "mode"),
                shares[:, :kept],
                {"long_name": "Share of the total variance", "units": "1"},
            ),
            "eigenvector": (
                ("step", "mode", "sample"),
                vectors,
                {"long_name": "Unit eigenvector over datapoints", "units": "1"},
            ),
            **{
                name: ("step", values, {"long_name": text, "units": unit})
                for name, (values, text, unit) in curves.items()
            },
        },
        coords={"step": run.snapshot_steps, "mode": np.arange(kept)},
        attrs={"run": run.name},
    )


def gaussian_overlap(
    run: TrainingRun, modes: int = 4, *, window: int = 64, detrend: Detrend = "constant"
) -> xr.Dataset:
    """How far the leading modes around each checkpoint are those of the training up to it.

    Parameters
    ----------
    run
        Recorded with ``Snapshots(gaussian=GaussianSnapshots(...))``.
    modes
        Dimension k of the subspaces, at most the number of eigenvectors that were kept.
    window, detrend
        Rows of the trailing window of training steps that ends at the snapshot, and what is removed in it.

    Returns
    -------
    Dataset on ``step``, the steps of the snapshots:
        ``overlap``, ``|V_g' V_d|_F² / k``: the mean squared cosine of the angles between the subspace of the
        Gaussian and of the dynamical modes, 1 for the same, 0 for orthogonal ones. ``relabelled``, its mean
        if the datapoints of one were exchanged at random: what is above it belongs to *which* datapoints
        move. On ``mode`` (Gaussian) and ``dynamical`` the ``cosine`` of each pair, in size. Scalars
        ``chance`` and ``chance_deviation``: mean and standard deviation for random subspaces. NaN where no
        full window ends at the snapshot, or one of the two has fewer than k modes. The dynamical modes are
        those of the datapoints that the Gaussian 2RDM has.

    Raises
    ------
    SnapshotError
        If the run has no Gaussian 2RDM.
    OptionError, WindowError, DetrendError
        If an option does not fit.
    """
    require_run(run, "gaussian_overlap")
    window, modes = check_window(window, detrend, run.n_steps), check_modes(modes)
    vectors = run.gaussian["eigenvectors"].to_numpy().astype(np.float64)
    there = evaluated(run)
    count = int(there.sum())
    most = min(count, vectors.shape[1], degrees_of_freedom(window, detrend))
    if modes > most:
        raise OptionError(
            f"modes={modes}: the snapshots keep {vectors.shape[1]} eigenvectors of {count} datapoints, and "
            f"windows of {window} rows have at most {degrees_of_freedom(window, detrend)}; ask for {most}"
        )
    values = np.full((2, len(vectors)), np.nan)
    cosines = np.full((len(vectors), modes, modes), np.nan)
    for place, step in enumerate(run.snapshot_steps.tolist()):
        drawn, moved = vectors[place, :modes, there].T, _dynamical(run, step, window, detrend, modes, there)
        if moved is None or not np.isfinite(drawn).all():
            continue
        values[:, place] = (
            subspaces.subspace_overlap(drawn, moved),
            subspaces.relabelled_overlap(drawn, moved),
        )
        cosines[place] = np.minimum(np.abs(drawn @ moved.T), 1.0)
    chance, deviation = subspaces.chance_overlap(modes, count)
    return xr.Dataset(
        {
            "overlap": ("step", values[0], {"long_name": f"Overlap of the leading {modes} modes"}),
            "relabelled": ("step", values[1], {"long_name": "Mean overlap under relabelled datapoints"}),
            "cosine": (("step", "mode", "dynamical"), cosines, {"long_name": "Cosine of modes, in size"}),
            "chance": ((), chance, {"long_name": "Mean overlap of random subspaces, k/n"}),
            "chance_deviation": ((), deviation, {"long_name": "Its standard deviation"}),
        },
        coords={"step": run.snapshot_steps, "mode": np.arange(modes), "dynamical": np.arange(modes)},
        attrs={"run": run.name, "window": window, "detrend": detrend, "modes": modes},
    )


def evaluated(run: TrainingRun) -> NDArray[np.bool_]:
    """Which datapoints the Gaussian 2RDM of a run has, ``(n,)``; all where no snapshot can tell."""
    there: NDArray[np.bool_] = np.isfinite(run.gaussian["eigenvectors"][:, 0].to_numpy()).any(axis=0)
    return there if there.any() else np.ones_like(there)


def _dynamical(
    run: TrainingRun, step: int, window: int, detrend: str, modes: int, there: NDArray[np.bool_]
) -> Floats | None:
    """Modes of the window that ends at a step, of some datapoints; None where there are too few of them."""
    row = int(np.searchsorted(run.steps, step))
    if row == run.n_steps or run.steps[row] != step or row < window - 1:
        return None
    try:
        if there.all():
            vectors = modes_of(run, row, window, detrend, modes).vectors
        else:
            rows = run.rows(row - window + 1, row + 1)[:, there]
            vectors = window_modes(
                lambda start, stop: rows[start:stop], window - 1, window, detrend, modes, window
            ).vectors
    except (FlatWindowError, NonFiniteLossError):
        return None
    return vectors if len(vectors) == modes else None
