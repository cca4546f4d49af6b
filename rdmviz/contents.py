"""What is in a run, as plain values that JSON can hold: for a person who has not seen it before."""

from __future__ import annotations

import contextlib
import math
import os
import stat
import time
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from rdmviz.analysis.columns import kind_of_columns
from rdmviz.analysis.gram_cache import gram_bytes
from rdmviz.errors import SnapshotError, TruncatedStoreError

if TYPE_CHECKING:
    from rdmviz.run import TrainingRun

__all__ = ["contents"]

_EXAMPLES: Final = 5
_LONGEST: Final = 200  # characters of an example


def contents(run: TrainingRun, place: Path | str) -> dict[str, Any]:
    """Return shape, spacing, columns, metrics, size and age of a run; of its losses the first and last row.

    Parameters
    ----------
    run
        Opened at `place`.
    place
        Path or URL.

    Returns
    -------
    Mapping of numbers, texts, lists and mappings; a number that is not finite, or not known, is None.
    """
    kinds, files = kind_of_columns(run), _files(place)
    return {
        "path": str(place),
        "name": run.name,
        "kind": _kind(run, place),
        "rows": run.n_steps,
        "datapoints": run.n_samples,
        "steps": {
            "first": int(run.steps[0]),
            "last": int(run.steps[-1]),
            **dict(zip(("least_apart", "most_apart"), _apart(run.steps), strict=True)),
        },
        "loss": {
            "dtype": str(run.loss.dtype),
            "first_mean": _mean(run, 0),
            "last_mean": _mean(run, run.n_steps - 1),
        },
        "probe": [
            {"name": str(name), **_column(column.to_numpy(), kinds[str(name)])}
            for name, column in run.probe.data_vars.items()
        ],
        "images": [
            {"name": str(name), "shape": list(column.shape[1:]), "dtype": str(column.dtype)}
            for name, column in run.images.data_vars.items()
        ],
        "metrics": [
            {"name": str(name), **_curve(curve.to_numpy())} for name, curve in run.metrics.data_vars.items()
        ],
        "snapshots": _snapshots(run),
        "attrs": _finite(run.attrs),
        "bytes_on_disk": _size(files),
        "bytes_of_losses": run.n_steps * run.n_samples * run.loss.dtype.itemsize,
        "bytes_of_gram": gram_bytes(run.n_steps),
        "seconds_since_written": _age(files),
    }


def _kind(run: TrainingRun, place: Path | str) -> str:
    if run.store is not None:
        return "store" if run.store.grows else "store in a zip"
    suffix = Path(str(place)).suffix.lower()
    tables = {".csv": "CSV", ".parquet": "Parquet", ".json": "JSON", ".jsonl": "JSON lines"}
    if suffix in tables:
        return f"table ({tables[suffix]})"
    return "NumPy archive" if suffix == ".npz" else "log"


def _apart(steps: np.ndarray) -> tuple[int | None, int | None]:
    if len(steps) < 2:
        return None, None
    # of Python's integers: steps may be further apart than 64 bits tell
    apart = [int(later) - int(one) for one, later in pairwise(steps)]
    return min(apart), max(apart)


def _mean(run: TrainingRun, row: int) -> float | None:
    try:
        losses = run.rows(row, row + 1)
    except TruncatedStoreError:  # what is wrong with a run is said by a check
        return None
    with np.errstate(over="ignore", invalid="ignore"):
        return _number(np.mean(losses, dtype=np.float64))


def _snapshots(run: TrainingRun) -> dict[str, Any] | None:
    try:
        taken = {"steps": [int(step) for step in run.snapshot_steps], "layers": run.snapshots}
        return taken | ({"gaussian": _gaussian(run)} if "gaussian" in run.snapshots else {})
    except (TruncatedStoreError, SnapshotError):
        return None


def _gaussian(run: TrainingRun) -> dict[str, Any]:
    """Say how the Gaussian 2RDM was taken, by the last of its snapshots."""
    found = run.gaussian.isel(snapshot=-1)
    told = {name: float(found[name]) for name in ("draws", "sigma", "relative") if name in found}
    return {**{name: _number(value) for name, value in told.items()}, "modes": found.sizes["leading"]}


def _number(value: Any) -> float | None:
    return float(value) if math.isfinite(value) else None


def _finite(value: Any) -> Any:
    """Return facts with None for the NaN and infinities in them, which are no JSON."""
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_finite(entry) for entry in value]
    return _number(value) if isinstance(value, float) else value


def _column(values: np.ndarray, kind: str) -> dict[str, Any]:
    distinct, first = np.unique(values, return_index=True)
    examples = [_plain(value) for value in values[np.sort(first)[:_EXAMPLES]]]
    found: dict[str, Any] = {"kind": kind, "distinct": len(distinct), "examples": examples}
    if kind == "number":
        held = values[np.isfinite(values)] if values.dtype.kind == "f" else values
        found["least"], found["most"] = (
            (_plain(held.min()), _plain(held.max())) if len(held) else (None, None)
        )
        found["missing"] = int(len(values) - len(held))
    return found


def _plain(value: Any) -> Any:
    plain = value.item() if isinstance(value, np.generic) else value
    if isinstance(plain, float):
        return _number(plain)
    return plain[:_LONGEST] if isinstance(plain, str) else plain


def _curve(values: np.ndarray) -> dict[str, Any]:
    held = values[np.isfinite(values)]
    if not len(held):
        return {"least": None, "most": None, "last": None, "measured": 0}
    return {
        "least": float(held.min()),
        "most": float(held.max()),
        "last": float(held[-1]),
        "measured": len(held),
    }


def _files(place: Path | str) -> list[os.stat_result]:
    """Return facts of the files of a run on this machine; of a recording, some go while one looks."""
    if not isinstance(place, Path):
        return []
    found = []
    for path in [place] if place.is_file() else place.rglob("*"):
        with contextlib.suppress(OSError):
            if stat.S_ISREG((facts := path.stat()).st_mode):
                found.append(facts)
    return found


def _size(files: list[os.stat_result]) -> int | None:
    return sum(facts.st_size for facts in files) if files else None


def _age(files: list[os.stat_result]) -> float | None:
    """Seconds since something was written, by this machine's clock."""
    return max(0.0, time.time() - max(facts.st_mtime for facts in files)) if files else None
