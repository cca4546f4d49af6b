"""Groups of datapoints that move together in one window."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from rdmviz.analysis.of_a_run import require_run, row_of_full_window
from rdmviz.analysis.path import ModeFrame
from rdmviz.compute.rdm.clusters import Scale, cluster, embedding, seriation
from rdmviz.compute.rdm.detrending import Detrend
from rdmviz.compute.rdm.modes import fitted_displacement, window_modes
from rdmviz.compute.rdm.rows import read_window

if TYPE_CHECKING:
    from rdmviz.run import TrainingRun

_STRONGEST = 10


def groups(
    run: TrainingRun,
    step: int,
    window: int = 64,
    detrend: Detrend = "constant",
    modes: int = 4,
    count: int | None = None,
    scale: Scale = "linear",
) -> xr.Dataset:
    """Find groups of datapoints whose losses fluctuate together in the window that ends at a step.

    Ward clusters of the datapoints at coordinates ``sqrt(lambda_k) v_k[i]``, so that distances are those of
    loss fluctuations.

    Parameters
    ----------
    run, step, window, detrend
        As for :func:`rdmviz.eigenmodes`.
    modes
        Number of leading modes that count.
    count
        Number of groups; by default the one of 2 to 6 with the largest mean silhouette.
    scale
        ``"log"`` for heavy-tailed modes, where a few datapoints would otherwise be groups of their own.

    Returns
    -------
    Dataset with
        ``group(sample)`` from 0, by falling mass; ``size(group)``; ``mass(group)``, the share of the variance
        in the leading modes (sums to 1); ``mean_loss(group)`` at the step; ``drift(group)``, the mean
        displacement of its losses across the window (fitted line, last minus first);
        ``strongest(group, rank)``, the datapoints with the largest share, -1 where the group has fewer.

    Raises
    ------
    OptionError
        If `run` is not a run.
    StepNotFoundError, WindowError, DetrendError, FlatWindowError, NonFiniteLossError
        As :func:`rdmviz.eigenmodes` does.
    ComputeError
        If `count` or `scale` is out of range.
    """
    require_run(run, "groups")
    index = row_of_full_window(run, step, window, detrend)
    found = window_modes(run.rows, index, window, detrend, modes, run.n_steps)
    labels = cluster(embedding(found.eigenvalues, found.vectors, scale), count)
    share = found.eigenvalues[: len(found.vectors)] @ found.vectors**2
    share /= share.sum()
    losses = read_window(run.rows, index, window)
    size = np.bincount(labels)
    ranked = [np.flatnonzero(labels == group) for group in range(len(size))]
    ranked = [members[np.argsort(-share[members], kind="stable")] for members in ranked]
    strongest = np.full((len(size), min(_STRONGEST, int(size.max()))), -1)
    for group, members in enumerate(ranked):
        strongest[group, : len(members)] = members[: strongest.shape[1]]
    curves = {
        "size": (size, "Datapoints in the group", "1"),
        "mass": (np.bincount(labels, share), "Share of the variance in the leading modes", "1"),
        "mean_loss": (np.bincount(labels, losses[-1]) / size, "Mean loss at the step", "loss"),
        "drift": (
            np.bincount(labels, fitted_displacement(losses)) / size,
            "Mean displacement across the window",
            "loss",
        ),
    }
    return xr.Dataset(
        {
            "group": ("sample", labels, {"long_name": "Group of the datapoint"}),
            **{
                name: ("group", v, {"long_name": text, "units": unit})
                for name, (v, text, unit) in curves.items()
            },
            "strongest": (("group", "rank"), strongest, {"long_name": "Datapoints with the largest share"}),
        },
        attrs={
            "run": run.name,
            "step": int(run.steps[index]),
            "window": int(window),
            "detrend": detrend,
            "modes": len(found.vectors),
            "scale": scale,
        },
    )


def ordering(frame: ModeFrame, samples: ArrayLike, labels: ArrayLike) -> NDArray[np.int64]:
    """Datapoints in the order in which their covariance shows its blocks.

    Parameters
    ----------
    frame
        From :meth:`ModePath.at`.
    samples
        Datapoints to be ordered, ``(m,)``.
    labels
        Group of *every* datapoint, ``(n,)``, as :meth:`ModePath.groups_at` gives; lower labels come first.

    Returns
    -------
    The same datapoints, reordered, ``(m,)``: by group, and within one by similarity of their fluctuations.
    """
    chosen = np.asarray(samples, dtype=np.int64)
    return chosen[seriation(frame.fluctuations[:, chosen], np.asarray(labels)[chosen])]
