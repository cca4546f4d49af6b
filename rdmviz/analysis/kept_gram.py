"""The banded Gram of a stored run, kept beside it from session to session."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rdmviz.compute.rdm.gram import BandedGram
from rdmviz.store.beside import keep_beside, kept_beside

if TYPE_CHECKING:
    from rdmviz.run import TrainingRun

_NAME, _FORMAT = "gram", 1
_DEAR_BYTES = 32 << 20  # losses that are read faster than one could notice are read again
_SHARE = 0.25  # of the losses' size that a Gram may take to be kept


def kept_gram(run: TrainingRun) -> BandedGram | None:
    """Return the Gram kept beside a run, as far as its losses are those that it was computed from."""
    found = None if run.store is None else kept_beside(run.store, _NAME)
    if found is None:
        return None
    arrays, rows = found
    try:
        gram = _unpacked(arrays)
    except (KeyError, TypeError, ValueError, IndexError):
        return None
    if gram is None or gram.n_samples != run.n_samples:
        return None
    return gram if rows >= gram.n_rows == run.n_steps else gram.beginning(min(rows, gram.n_rows))


def keep_gram(run: TrainingRun, gram: BandedGram, marks: NDArray[np.int64] | None) -> bool:
    """Keep a Gram beside its run if it was dear to compute, is small beside the losses, and can be kept.

    `marks` are those of the run's chunks from before it was computed.
    """
    size = run.n_steps * run.n_samples * run.loss.dtype.itemsize
    if run.store is None or marks is None or size < _DEAR_BYTES or gram.segments.nbytes / 2 > _SHARE * size:
        return False
    return keep_beside(run.store, _NAME, _packed(gram), marks)


def _packed(gram: BandedGram) -> dict[str, np.ndarray]:
    """All fields as arrays; of the symmetric segments one triangle."""
    arrays = {field.name: np.asarray(getattr(gram, field.name)) for field in dataclasses.fields(gram)}
    upper = np.triu_indices(gram.segments.shape[1])
    return {**arrays, "format": np.asarray(_FORMAT), "segments": gram.segments[:, upper[0], upper[1]]}


def _unpacked(arrays: dict[str, np.ndarray]) -> BandedGram | None:
    """Return the Gram; None if the arrays are of another version or do not fit together."""
    w, rows, packed = int(arrays["max_window"]), len(arrays["finite"]), arrays["segments"]
    count, size = -(-rows // w), 2 * w - 1
    shapes = {
        "segments": (count, size * (size + 1) // 2),
        **dict.fromkeys(("scales", "anchor_products", "anchored_sums"), (count, size)),
        "anchor_norms": (count,),
        "row_sums": (rows,),
    }
    if int(arrays["format"]) != _FORMAT or any(arrays[name].shape != shape for name, shape in shapes.items()):
        return None
    segments, upper = np.zeros((count, size, size)), np.triu_indices(size)
    segments[:, upper[0], upper[1]] = segments[:, upper[1], upper[0]] = packed
    return BandedGram(
        max_window=w,
        segments=segments,
        scales=arrays["scales"],
        anchor_products=arrays["anchor_products"],
        anchor_norms=arrays["anchor_norms"],
        anchored_sums=arrays["anchored_sums"],
        row_sums=arrays["row_sums"],
        finite=arrays["finite"],
        n_samples=int(arrays["n_samples"]),
        precision="single" if arrays["precision"] == "single" else "double",
    )
