"""Whether a place can be written to, found out before a training starts."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from rdmviz.errors import StoreUnwritableError

__all__ = ["check_writable"]


def check_writable(place: Path | str, wanted: int = 0) -> None:
    """Check that a store can be made, or added to, at a place; nothing is changed.

    Of a URL nothing is known before something is written to it.

    Parameters
    ----------
    wanted
        Bytes that will be written at once: the probe, and the first chunk of losses.

    Raises
    ------
    StoreUnwritableError
        A folder that it needs cannot be made or written to, or there is not room for what is wanted.
    """
    if isinstance(place, str):
        return
    ground = place if place.is_dir() else place.parent
    while not ground.exists() and ground != ground.parent:
        ground = ground.parent
    if not ground.is_dir():
        raise StoreUnwritableError(f"{place} cannot be made: {ground} is a file; choose another path")
    if not os.access(ground, os.W_OK | os.X_OK):
        raise StoreUnwritableError(
            f"{place} cannot be written: {ground} is read-only for this process; choose another path, or "
            "change its permissions"
        )
    free = shutil.disk_usage(ground).free
    if free <= wanted:
        raise StoreUnwritableError(
            f"{place} has {free / 1e6:.1f} MB of room, and the probe and the first chunk of losses need up "
            f"to {wanted / 1e6:.1f} MB; make room, or choose another path"
        )
