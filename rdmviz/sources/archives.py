"""NumPy archives."""

from __future__ import annotations

import zipfile
import zlib
from typing import IO

import numpy as np

from rdmviz.errors import LossShapeError, ProbeError, TruncatedStoreError, UnsafeDataError
from rdmviz.run import TrainingRun

__all__ = ["from_npz"]

_METRICS = "metrics/"


def from_npz(file: IO[bytes], where: str, *, name: str = "") -> TrainingRun:
    """Read ``loss``, ``steps``, probe columns and ``metrics/<name>`` from an ``.npz`` file.

    Raises
    ------
    UnsafeDataError
        An array holds pickled objects; they are never loaded.
    TruncatedStoreError
        The file is damaged.
    LossShapeError, StepsError, ProbeError, MetricError
        The arrays are no run.
    """
    arrays: dict[str, np.ndarray] = {}
    try:
        archive = np.load(file, allow_pickle=False)
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise TruncatedStoreError(
                f"{where} holds a single array; expected an archive made by numpy.savez"
            )
        with archive:
            for key in archive.files:
                try:
                    arrays[key] = archive[key]
                except ValueError as error:
                    if "allow_pickle" not in str(error):
                        raise
                    raise UnsafeDataError(
                        f"array {key!r} of {where} holds pickled objects, which can run code when loaded; "
                        "save it as numbers, or as text with numpy.array(values, dtype=str)"
                    ) from error
    except (UnsafeDataError, TruncatedStoreError):
        raise
    except ValueError as error:
        if "allow_pickle" in str(error) or "pickle" in str(error):
            raise UnsafeDataError(
                f"{where} is a pickle, not an archive; save it again with numpy.savez"
            ) from error
        raise TruncatedStoreError(f"{where} cannot be read ({error}); save it again") from error
    except (OSError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise TruncatedStoreError(f"{where} cannot be read ({error}); save it again") from error
    if "loss" not in arrays:
        raise LossShapeError(f"{where} holds {sorted(arrays)}; expected an array called 'loss'")
    loss = arrays.pop("loss")
    steps = arrays.pop("steps", None)
    metrics = {
        key.removeprefix(_METRICS): arrays.pop(key) for key in list(arrays) if key.startswith(_METRICS)
    }
    if loss.ndim == 2:
        rows, samples = loss.shape
        for key, values in arrays.items():
            if values.shape == (rows,) and rows != samples:
                raise ProbeError(
                    f"array {key!r} of {where} has one value per step, not one per datapoint ({samples}); "
                    f"if it is a metric, save it as 'metrics/{key}'"
                )
    return TrainingRun.from_arrays(loss, steps, probe=arrays, metrics=metrics, name=name)
