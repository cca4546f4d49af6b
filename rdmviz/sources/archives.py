"""NumPy archives."""

from __future__ import annotations

import math
import zipfile
from typing import IO

import numpy as np

from rdmviz.errors import LossShapeError, ProbeError, TruncatedStoreError, UnsafeDataError
from rdmviz.run import TrainingRun
from rdmviz.sources.texts import named

__all__ = ["from_npz"]

_METRICS = "metrics/"
_PICKLE = b"\x80"


def from_npz(file: IO[bytes], where: str, *, name: str = "") -> TrainingRun:
    """Read ``loss``, ``steps``, probe columns and ``metrics/<name>`` from an ``.npz`` file.

    Raises
    ------
    UnsafeDataError
        An array holds pickled objects; they are never loaded.
    TruncatedStoreError
        The file is damaged, encrypted, or holds something else than arrays.
    LossShapeError, StepsError, ProbeError, MetricError
        The arrays are no run.
    """
    arrays = _arrays(file, where)
    if "loss" not in arrays:
        raise LossShapeError(
            f"{where} holds {named(sorted(arrays))}; expected an array called 'loss'{_likely_loss(arrays)}"
        )
    loss = arrays.pop("loss")
    steps = arrays.pop("steps", None)
    metrics = {
        key.removeprefix(_METRICS): arrays.pop(key) for key in list(arrays) if key.startswith(_METRICS)
    }
    if loss.ndim == 2:
        rows, samples = loss.shape
        for key, values in arrays.items():
            if values.shape == (rows,) and rows != samples:
                way_out = f"if it is a metric, save it as 'metrics/{key}'"
                if steps is None and key.lower() in ("step", "epoch", "epochs"):
                    way_out = "if it is the training step of each row, call it 'steps'"
                raise ProbeError(
                    f"array {key!r} of {where} has one value per step, not one per datapoint ({samples}); "
                    f"{way_out}"
                )
    return TrainingRun.from_arrays(loss, steps, probe=arrays, metrics=metrics, name=name)


def _likely_loss(arrays: dict[str, np.ndarray]) -> str:
    for key, values in arrays.items():
        if values.ndim == 2 and values.dtype.kind in "fiub":
            return (
                f". If {key!r}, of shape {values.shape}, holds one loss per step and datapoint, save it "
                "under that name: numpy.savez(path, loss=...)"
            )
    return ", with one row per step and one column per datapoint"


def _arrays(file: IO[bytes], where: str) -> dict[str, np.ndarray]:
    start = file.read(len(np.lib.format.MAGIC_PREFIX))
    if start == np.lib.format.MAGIC_PREFIX:
        raise TruncatedStoreError(f"{where} holds a single array; expected an archive made by numpy.savez")
    if start.startswith(_PICKLE):
        raise UnsafeDataError(f"{where} is a pickle, not an archive; save it again with numpy.savez")
    try:
        file.seek(0)
        with zipfile.ZipFile(file) as archive:
            return {
                member.filename.removesuffix(".npy"): _array(archive, member, where)
                for member in archive.infolist()
            }
    except (UnsafeDataError, TruncatedStoreError):
        raise
    except Exception as error:  # zip files, their codecs and file systems each raise their own
        raise TruncatedStoreError(
            f"{where} cannot be read ({error!s:.300}); save it again with numpy.savez"
        ) from error


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo, where: str) -> np.ndarray:
    called = f"{member.filename.removesuffix('.npy')!r:.80} of {where}"
    if not member.filename.endswith(".npy"):
        raise TruncatedStoreError(
            f"{called} is no array; expected an archive of arrays only, as numpy.savez makes it"
        )
    if member.flag_bits & 1:
        raise TruncatedStoreError(f"{called} is encrypted; save it again with numpy.savez")
    try:
        with archive.open(member) as content:
            version = np.lib.format.read_magic(content)
            read_header = (
                np.lib.format.read_array_header_1_0
                if version == (1, 0)
                else np.lib.format.read_array_header_2_0
            )
            shape, _, dtype = read_header(content)
            held = member.file_size - content.tell()
        if dtype.hasobject:
            raise UnsafeDataError(
                f"array {called} holds pickled objects, which can run code when loaded; "
                "save it as numbers, or as text with numpy.array(values, dtype=str)"
            )
        # Before memory is asked for: a header may claim any shape.
        claimed = math.prod(shape) * dtype.itemsize
        if min(shape, default=0) < 0 or claimed > held:
            raise TruncatedStoreError(
                f"array {called} claims shape {shape} but holds {held} bytes; save it again"
            )
        with archive.open(member) as content:
            return np.asarray(np.lib.format.read_array(content, allow_pickle=False))
    except (UnsafeDataError, TruncatedStoreError):
        raise
    except Exception as error:  # numpy's header parser and the zip's codecs each raise their own
        raise TruncatedStoreError(
            f"array {called} cannot be read ({error!s:.300}); save it again with numpy.savez"
        ) from error
