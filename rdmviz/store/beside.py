"""What is dear to compute, kept beside the losses it was computed from: ``<run>/cache/<name>.npz``.

A file names the chunks of losses that it was computed from by their sizes and checksums, so it serves as long
as these are what they were, whoever recorded, copied or replaced the run. Only folders on this machine's file
system keep one; zip files and URLs do not. The folder ``cache`` may be deleted at any time.
"""

from __future__ import annotations

import contextlib
import logging
import time
import uuid
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from rdmviz.store.reader import RunStore

__all__ = ["keep_beside", "kept_beside"]

_LOG = logging.getLogger("rdmviz")
_CHUNKS = "chunks"
_STALE_SECONDS = 3600


def kept_beside(store: RunStore, name: str) -> tuple[dict[str, np.ndarray], int] | None:
    """Return arrays kept under a name, and how many leading rows of the losses are as they were then.

    None where there are none, or where they cannot be read.
    """
    path = _path(store, name)
    if path is None or not path.is_file():
        return None
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in archive.files}
        then = arrays.pop(_CHUNKS)
    except Exception as error:  # whatever it is that a zip file of any bytes makes of itself
        _LOG.info("%s is damaged and is made anew (%s)", path, error)
        return None
    now = store.chunk_marks()
    if then.shape[1:] != now.shape[1:]:
        return None
    common = min(len(then), len(now))
    differ = np.flatnonzero((then[:common] != now[:common]).any(axis=1))
    alike = int(differ[0]) if len(differ) else common
    return arrays, min(alike * store.chunk_rows, store.shape[0])


def keep_beside(store: RunStore, name: str, arrays: Mapping[str, np.ndarray], marks: np.ndarray) -> bool:
    """Keep arrays under a name; False where the run is no folder, or one that cannot be written to.

    Parameters
    ----------
    marks
        ``store.chunk_marks()`` from before the losses were read. Nothing is kept where they have changed
        since, but for the last chunk of a recording that goes on.
    """
    path, now = _path(store, name), store.chunk_marks()
    changed = marks[:-1] if len(marks) > 1 else marks
    if path is None or (changed != now[: len(changed)]).any():
        return False
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    try:
        path.parent.mkdir(exist_ok=True)
        for left in path.parent.glob(f".{path.name}.*.part"):  # by a process that was killed
            if time.time() - left.stat().st_mtime > _STALE_SECONDS:
                left.unlink()
        with part.open("wb") as file:
            np.savez(file, allow_pickle=False, **{**arrays, _CHUNKS: marks})
        part.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink()
        _LOG.info("%s is not kept (%s)", path, error)
        return False
    return True


def _path(store: RunStore, name: str) -> Path | None:
    return None if store.folder is None else store.folder / "cache" / f"{name}.npz"
