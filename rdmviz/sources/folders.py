"""What lies in a folder, on this machine or at a URL."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from rdmviz.store.places import fetch

__all__ = ["content", "listed"]


def listed(place: Path | str, below: str) -> Iterator[tuple[Path | str, list[str]]]:
    """Yield a folder and the names in it, then a folder below it and its names, where they can be listed."""
    if isinstance(place, Path):
        for folder in (place, place / below):
            if folder.is_dir():
                yield folder, sorted(entry.name for entry in folder.iterdir())
        return
    import fsspec

    for url in (place.rstrip("/"), f"{place.rstrip('/')}/{below}"):
        with contextlib.suppress(OSError, ValueError, NotImplementedError):  # of a system that cannot list
            system, root = fsspec.core.url_to_fs(url)
            names = [str(name).rstrip("/").rpartition("/")[2] for name in system.ls(root, detail=False)]
            yield url, sorted(names)


def content(folder: Path | str, name: str) -> bytes:
    """Return what is in a file of a folder."""
    with (folder / name).open("rb") if isinstance(folder, Path) else fetch(f"{folder}/{name}") as file:
        return bytes(file.read())
