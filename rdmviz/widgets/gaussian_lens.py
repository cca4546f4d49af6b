"""The Gaussian 2RDM of a run as it is drawn: places of the datapoints at each snapshot, and curves."""

from __future__ import annotations

from typing import Final
from weakref import WeakKeyDictionary

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from rdmviz.analysis import gaussian_modes
from rdmviz.errors import SnapshotError, TruncatedStoreError
from rdmviz.run import TrainingRun
from rdmviz.widgets.positions import moving_loadings, placed

_MODES: Final = (1, 2)
_NUMBERS: Final = (
    12  # float32 before the places: state, trace, four ends, variances, largest, log, one to spare
)

_FOUND: WeakKeyDictionary[TrainingRun, xr.Dataset] = WeakKeyDictionary()


def has_gaussian(run: TrainingRun) -> bool:
    """Whether a run holds Gaussian snapshots that can be listed."""
    try:
        return "gaussian" in run.snapshots
    except (SnapshotError, TruncatedStoreError):
        return False


def gaussian_of(run: TrainingRun) -> xr.Dataset:
    """Return :func:`rdmviz.gaussian_modes` of a run, computed once."""
    if run not in _FOUND:
        _FOUND[run] = gaussian_modes(run)
    return _FOUND[run]


def gaussian_curve(run: TrainingRun, name: str) -> NDArray[np.float64]:
    """Return a curve of :func:`gaussian_of`: at every recorded row that of the newest snapshot, ``(T,)``."""
    found = gaussian_of(run)
    newest = np.searchsorted(found["step"].values, run.steps, "right") - 1
    values = np.asarray(found[name].values, float)
    return np.where(newest >= 0, values[newest], np.nan)


class GaussianPlaces:
    """Where datapoints are in the two leading modes of each snapshot.

    Parameters
    ----------
    run
        Has Gaussian snapshots.
    shown
        Datapoints on the map.
    """

    def __init__(self, run: TrainingRun, shown: NDArray[np.intp]) -> None:
        self._found, self._shown = gaussian_of(run), shown

    @property
    def steps(self) -> NDArray[np.int64]:
        """Training step of each snapshot."""
        return np.asarray(self._found["step"].values)

    @property
    def there(self) -> NDArray[np.bool_]:
        """Which of the shown datapoints the snapshots have, ``(m,)``."""
        known = np.isfinite(self._found["eigenvector"].values[:, 0, self._shown]).any(axis=0)
        return np.asarray(known if known.any() else np.ones_like(known))

    def facts(self, snapshot: int) -> str:
        """Say which snapshot it is, how it was drawn, and what share of it the two axes hold."""
        found = self._found.isel(step=snapshot)
        sigma = f" of σ {float(found['sigma']):g}" if "sigma" in found else ""
        relative = " × size" if sigma and "relative" in found and found["relative"] else ""
        share = float(found["explained"].values[: len(_MODES)].sum())
        held = f" · {100 * share:.2g}% of Tr C" if np.isfinite(share) else ""
        return f"step {int(found['step']):,} · {float(found['draws']):,.0f} draws{sigma}{relative}{held}"

    def note(self, snapshot: int) -> str:
        """Say why a snapshot has no picture; empty where it has one."""
        trace = float(self._found["trace"][snapshot])
        if np.isnan(trace):
            return "A displaced model had losses that are not finite: its covariance is not defined."
        return "" if trace > 0 else "No loss moved with the displacements: the covariance is zero."

    def pack(self, snapshot: int, map_scale: str) -> bytes:
        """Return numbers (float32) and places (uint16 pairs) of a snapshot."""
        found = self._found.isel(step=snapshot)
        numbers = np.zeros(_NUMBERS, "<f4")
        vectors = np.nan_to_num(found["eigenvector"].values)
        values = np.nan_to_num(found["eigenvalue"].values)
        moving = moving_loadings(vectors, values, _MODES, self._shown)
        places = placed(*moving, map_scale)
        shown = not self.note(snapshot)
        numbers[: _NUMBERS - 1] = (
            *(0 if shown else 1, found["trace"] if shown else 0, *places.ends),
            *(*places.variances, *places.largest, map_scale == "log"),
        )
        return numbers.tobytes() + places.packed.astype("<u2").tobytes()
