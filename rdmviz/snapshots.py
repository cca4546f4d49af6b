"""Snapshots of a network along a run: which kinds there are, how they are labelled, what they may hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import numpy as np
import xarray as xr

from rdmviz.errors import SnapshotError
from rdmviz.validation import checked_steps

__all__ = [
    "GAUSSIAN",
    "KINDS",
    "SHAPES",
    "HeldSnapshots",
    "SnapshotSource",
    "check_names",
    "checked_snapshots",
    "fits",
    "labelled",
    "snapshot_dims",
]

SHAPES: Final = {
    "weights": "(...)",
    "singular_values": "(singular values,)",
    "representations": "({n} datapoints, features), or with the positions of a sequence before the features",
    "gaussian": "eigenvalues (modes,), eigenvectors (leading modes, {n} datapoints), mean_loss ({n} "
    "datapoints,) and draws, sigma, relative, displacement, one number each",
}
KINDS: Final = tuple(SHAPES)
_NDIMS: Final = {"weights": range(2, 33), "singular_values": (2,), "representations": (3, 4)}

GAUSSIAN: Final[Mapping[str, tuple[str, ...]]] = {
    "eigenvalues": ("mode",),
    "eigenvectors": ("leading", "sample"),
    "mean_loss": ("sample",),
    "draws": (),
    "sigma": (),
    "relative": (),
    "displacement": (),
}
"""What a Gaussian 2RDM along a run is made of, and the dimensions of each after ``snapshot``."""

_NEEDED: Final = ("eigenvalues", "eigenvectors", "draws")


class SnapshotSource(Protocol):
    """Where a run has its snapshots: in memory, or in its store."""

    @property
    def steps(self) -> np.ndarray:
        """Training step of each snapshot, int64 (S,)."""

    @property
    def names(self) -> Mapping[str, list[str]]:
        """Layers of each kind there is, in the order of the network."""

    def arrays(self, kind: str) -> Mapping[str, Any]:
        """Return what xarray takes as an array ``(S, ...)``, by layer."""


@dataclass(frozen=True)
class HeldSnapshots:
    """Snapshots in memory."""

    steps: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))
    held: Mapping[str, Mapping[str, np.ndarray]] = field(default_factory=dict)

    @property
    def names(self) -> dict[str, list[str]]:
        """Layers of each kind there is."""
        return {kind: list(arrays) for kind, arrays in self.held.items()}

    def arrays(self, kind: str) -> Mapping[str, np.ndarray]:
        """Return the arrays ``(S, ...)`` of a kind, by layer."""
        return self.held[kind]


def snapshot_dims(kind: str, name: str, ndim: int) -> tuple[str, ...]:
    """Dimensions of an array ``(S, ...)`` of `ndim` dimensions: of each layer's own but the first.

    ``<name>_axis0, <name>_axis1, ...`` of a weight, ``<name>_mode`` of singular values; ``sample,
    [<name>_position,] <name>_feature`` of a representation; of a Gaussian 2RDM those of :data:`GAUSSIAN`.
    """
    if kind == "gaussian":
        return ("snapshot", *GAUSSIAN[name])
    if kind == "representations":
        own = ["sample", *([f"{name}_position"] if ndim == 4 else []), f"{name}_feature"]
    elif kind == "singular_values":
        own = [f"{name}_mode"]
    else:
        own = [f"{name}_axis{axis}" for axis in range(ndim - 1)]
    return ("snapshot", *own)


def fits(kind: str, name: str, shape: tuple[int, ...], samples: int) -> bool:
    """Return whether snapshots of a layer of a kind can be an array of this shape ``(S, ...)``."""
    if 0 in shape:
        return False
    if kind == "gaussian":
        dims = GAUSSIAN.get(name)
        return (
            dims is not None
            and len(shape) == 1 + len(dims)
            and ("sample" not in dims or shape[-1] == samples)
        )
    fine = len(shape) in _NDIMS[kind]
    return fine and (kind != "representations" or shape[1] == samples)


def labelled(kind: str, steps: np.ndarray, arrays: Mapping[str, Any]) -> xr.Dataset:
    """Return arrays ``(S, ...)`` of one kind as a Dataset, one variable per layer."""
    variables = {
        name: xr.Variable(snapshot_dims(kind, name, len(array.shape)), array)
        for name, array in arrays.items()
    }
    return xr.Dataset(variables, coords={"step": ("snapshot", steps)})


def check_names(kind: str, sizes: Mapping[str, int]) -> None:
    """Check that layers can stand in one Dataset.

    Parameters
    ----------
    sizes
        Number of dimensions of each layer's array ``(S, ...)``.

    Raises
    ------
    SnapshotError
        A layer is called what a dimension or a coordinate is called, or is no part of a Gaussian 2RDM.
    """
    if kind == "gaussian":
        if not set(_NEEDED) <= set(sizes) <= set(GAUSSIAN):
            known = ", ".join(name for name in GAUSSIAN if name not in _NEEDED)
            raise SnapshotError(
                f"gaussian has {', '.join(f'{name!r:.40}' for name in sizes) or 'nothing'}; expected "
                f"{', '.join(_NEEDED)}, and what is known of {known}"
            )
        return
    taken = {"step", "sample"}.union(*(snapshot_dims(kind, name, ndim) for name, ndim in sizes.items()))
    if clashing := sorted(taken & set(sizes)):
        raise SnapshotError(
            f"a layer in {kind} is called {clashing[0]!r}, which names a dimension or the steps of the "
            "snapshots; rename it, or leave it out"
        )


def checked_snapshots(
    steps: Any, kinds: Mapping[str, Mapping[str, Any] | None], samples: int
) -> HeldSnapshots:
    """Return snapshots given as arrays, read-only; floats keep their precision, integers become float64.

    Parameters
    ----------
    steps
        Training step of each of S snapshots; None without any.
    kinds
        Layer to array ``(S, ...)``, of each kind.
    samples
        Number of datapoints, which representations have too.

    Raises
    ------
    SnapshotError
        Arrays without steps or steps without arrays, another shape, or not real numbers.
    StepsError
        Steps are not increasing integers.
    """
    given = {kind: arrays for kind, arrays in kinds.items() if arrays}
    if (steps is None) != (not given):
        raise SnapshotError(
            f"snapshots of {', '.join(given) or 'nothing'} with snapshot_steps={steps!r:.60}; expected both: "
            "layers as name to array (S, ...), and the training step of each of the S snapshots"
        )
    if steps is None:
        return HeldSnapshots()
    count = int(np.shape(steps)[0]) if np.ndim(steps) == 1 else 0
    if not count:
        raise SnapshotError(f"snapshot_steps={steps!r:.60}; expected one training step per snapshot")
    held = {}
    for kind, arrays in given.items():
        if not isinstance(arrays, Mapping):
            raise SnapshotError(f"{kind} are a {type(arrays).__name__}; expected layer to array")
        held[kind] = {
            _checked_layer(kind, name): _checked_array(kind, name, arrays[name], count, samples)
            for name in arrays
        }
        check_names(kind, {name: array.ndim for name, array in held[kind].items()})
    return HeldSnapshots(checked_steps(steps, count), held)


def _checked_layer(kind: str, name: Any) -> str:
    if not isinstance(name, str) or not name or "\x00" in name:
        raise SnapshotError(f"a layer in {kind} is called {name!r:.60}; expected a text that is not empty")
    return name


def _checked_array(kind: str, name: str, values: Any, count: int, samples: int) -> np.ndarray:
    try:
        array = np.asanyarray(values)
    except (TypeError, ValueError, RuntimeError) as error:
        raise SnapshotError(f"{kind} of {name!r} could not be read as an array ({error})") from error
    shape = array.shape
    if array.dtype.kind not in "fiub" or shape[:1] != (count,) or not fits(kind, name, shape, samples):
        raise SnapshotError(
            f"{kind} of {name!r} have shape {array.shape} and dtype {array.dtype}; expected real numbers, "
            f"{count} snapshots of shape {SHAPES[kind].format(n=samples)}"
        )
    if array.dtype.kind != "f" or array.dtype.itemsize > 8:
        array = array.astype(np.float64)
    view: np.ndarray = array.astype(array.dtype.newbyteorder("="), copy=False).view()
    view.flags.writeable = False
    return view
