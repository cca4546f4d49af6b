"""Any datapoints at a step: their losses, their part in the leading modes, what is known about them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from rdmviz.analysis.group_path import MODES
from rdmviz.analysis.of_a_run import require_run, require_samples, row_of_full_window
from rdmviz.analysis.path import ModeFrame, ModePath
from rdmviz.compute.errors import WindowError
from rdmviz.compute.rdm.detrending import Detrend
from rdmviz.compute.rdm.modes import check_modes
from rdmviz.compute.rdm.one_window import fitted_displacement

if TYPE_CHECKING:
    from rdmviz.run import TrainingRun

METADATA: Final = " (metadata)"  # told behind a column that is called like a computed one
COMPUTED: Final = ("loss", "drift", "loading", "share", "group", "mode")
_OUTLINE_BYTES = 32_000_000


def datapoints(
    run: TrainingRun,
    samples: ArrayLike,
    step: int,
    window: int = 64,
    detrend: Detrend = "constant",
    modes: int = 2,
) -> xr.Dataset:
    """Tabulate datapoints at a step, in the order in which they are given.

    Parameters
    ----------
    run
        The run.
    samples
        Datapoints, ``(m,)``.
    step, window, detrend, modes
        As for :func:`rdmviz.eigenmodes`.

    Returns
    -------
    Dataset on ``sample``, whose coordinate holds the numbers of the datapoints:
        ``loss`` at the step; ``drift``, the displacement of the loss across the window (fitted line, last
        minus first); ``group``, as :func:`rdmviz.groups` has it; ``loading(sample, mode)``, the entry of the
        unit eigenvector, with signs that stay along the run; ``share(sample, mode)``, its square; and every
        column of the probe, with " (metadata)" behind a name that would clash with these.
    ``mode`` counts from 1.

    Raises
    ------
    OptionError
        If `run` is not a run.
    ProbeError
        If a datapoint is not in the probe.
    StepNotFoundError, WindowError, DetrendError, FlatWindowError, NonFiniteLossError
        As :func:`rdmviz.eigenmodes` does.
    """
    require_run(run, "datapoints")
    chosen = require_samples(run, samples)
    index = row_of_full_window(run, step, window, detrend)
    path = ModePath(run, window=window, detrend=detrend, modes=max(check_modes(modes), MODES))
    return datapoints_of(path, index, chosen, modes)


def datapoints_of(path: ModePath, index: int, samples: NDArray[np.int64], modes: int) -> xr.Dataset:
    """Tabulate datapoints at a row of a path of modes; see :func:`datapoints`."""
    run = path.run
    frame = path.at(index)
    window = run.rows(index - path.window + 1, index + 1)[:, samples]
    vectors = frame.vectors[:modes, samples].T
    values: dict[str, tuple[Any, NDArray[Any], str, str]] = {
        "loss": ("sample", window[-1].astype(np.float64), "Loss at the step", "loss"),
        "drift": ("sample", fitted_displacement(window), "Displacement across the window", "loss"),
        "group": ("sample", path.groups_at(index)[samples], "Group", ""),
        "loading": (("sample", "mode"), vectors, "Entry of the unit eigenvector", "1"),
        "share": (("sample", "mode"), vectors**2, "Share of the eigenvector", "1"),
    }
    for name, column in run.probe.data_vars.items():
        called = f"{name}{METADATA}" if name in COMPUTED else str(name)
        values[called] = ("sample", column.values[samples], str(name), "")
    return xr.Dataset(
        {
            name: (dims, array, {"long_name": text} | ({"units": unit} if unit else {}))
            for name, (dims, array, text, unit) in values.items()
        },
        coords={"sample": samples, "mode": np.arange(1, vectors.shape[1] + 1)},
        attrs={
            "run": run.name,
            "step": frame.step,
            "window": path.window,
            "detrend": path.detrend,
        },
    )


def strongest(
    frame: ModeFrame, mode: int, count: int, least: float = 0.0
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Datapoints with the largest entries of a mode, by sign.

    Parameters
    ----------
    frame
        From :meth:`ModePath.at`.
    mode
        Counts from 1.
    count
        At most so many on each side.
    least
        Smallest entry that counts, as a share of the largest: a side may be of little weight as a whole.

    Returns
    -------
    Positive and negative side, strongest first; datapoints whose entry is zero are on neither.

    Raises
    ------
    WindowError
        If the window has no such mode beyond rounding.
    """
    if not 1 <= mode <= len(frame.vectors):
        raise WindowError(f"mode {mode!r} is not in this window; there are modes 1 to {len(frame.vectors)}")
    vector = frame.vectors[mode - 1]
    order = np.argsort(-vector, kind="stable")
    order = order[np.abs(vector[order]) >= least * np.abs(vector).max()]
    positive, negative = order[vector[order] > 0], order[vector[order] < 0][::-1]
    return positive[:count], negative[:count]


def loss_outlines(run: TrainingRun, points: int = 100) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Losses of all datapoints at rows that are spread evenly over the run, for small curves and colours.

    Fewer rows where the probe is large: at most 32 MB are held, at least 8 rows. Read once per run.

    Returns
    -------
    Rows ``(p,)`` and losses ``(p, n)``, in their stored precision, read-only.
    """
    most = max(8, min(points, _OUTLINE_BYTES // (run.loss.dtype.itemsize * run.n_samples)))
    if run not in _outlines or len(_outlines[run][0]) != min(most, run.n_steps):
        rows = np.unique(np.linspace(0, run.n_steps - 1, most).astype(np.int64))
        losses = np.stack([run.rows(int(i), int(i) + 1)[0] for i in rows])
        losses.flags.writeable = False
        _outlines[run] = rows, losses
    return _outlines[run]


_outlines: WeakKeyDictionary[TrainingRun, tuple[NDArray[np.int64], NDArray[Any]]] = WeakKeyDictionary()
