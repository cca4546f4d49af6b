"""Making room for a store without ever destroying what is not a run, and packing one into a zip."""

from __future__ import annotations

import shutil
import uuid
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import zarr

from rdmviz.errors import OptionError, RunNotFoundError, StoreExistsError
from rdmviz.store.layout import KEY, is_store_file
from rdmviz.store.places import openable, reading

__all__ = ["check_room", "holds_something", "replacing", "upload", "write_zip"]

_ZIP_DATE = (1980, 1, 1, 0, 0, 0)  # the same run gives the same bytes


def write_zip(entries: dict[str, bytes], place: Path) -> None:
    """Write the files of a store into a zip, uncompressed: chunks are compressed already."""
    place.parent.mkdir(parents=True, exist_ok=True)
    part = place.with_name(f".{place.name}.part")
    with zipfile.ZipFile(part, "w", zipfile.ZIP_STORED) as archive:
        for key in sorted(entries):
            archive.writestr(zipfile.ZipInfo(key, _ZIP_DATE), entries[key])
    part.replace(place)


def upload(entries: dict[str, bytes], url: str) -> None:
    """Write the files of a store below an fsspec URL, the header that commits them last."""
    import fsspec

    system, root = fsspec.core.url_to_fs(url)
    for key in sorted(entries, key=lambda key: (key == "zarr.json", key)):
        path = f"{root.rstrip('/')}/{key}"
        system.makedirs(path.rpartition("/")[0], exist_ok=True)
        system.pipe_file(path, entries[key])


def check_room(place: Path | str, *, overwrite: bool) -> None:
    """Check that a new store may be written at a place; nothing is changed.

    Raises
    ------
    StoreExistsError
        Something is there and ``overwrite`` is false, it is not a run, or it holds files that are not of
        the run.
    """
    if isinstance(place, str) and place.lower().endswith(".zip"):
        raise OptionError(f"a zip cannot be written to {place}; save it to a local .zip and copy that")
    if not holds_something(place):
        return
    if not overwrite:
        raise StoreExistsError(
            f"{place} exists already; choose another path, or replace it with overwrite=True in Python"
        )
    if not _is_run(place):
        raise StoreExistsError(f"{place} exists and is not a run, so it is not replaced; choose another path")
    foreign = [name for name in _names(place) if not is_store_file(name)]
    if foreign:
        raise StoreExistsError(
            f"{place} is a run, but {foreign[0]!r:.120} in it is not of the run"
            f"{f' (nor are {len(foreign) - 1} more)' if len(foreign) > 1 else ''}, so it is not replaced; "
            "move that elsewhere, or choose another path"
        )


@contextmanager
def replacing(place: Path | str, *, overwrite: bool) -> Iterator[None]:
    """Write a new store within the block; a local run that was there comes back if the block fails.

    Raises
    ------
    StoreExistsError
        As :func:`check_room`.
    """
    check_room(place, overwrite=overwrite)
    if isinstance(place, str):
        if holds_something(place):
            _delete(place)
        yield
        return
    if not place.is_dir():  # nothing, or a zip: that is replaced in one go when it is written
        yield
        return
    if not any(place.iterdir()):
        place.rmdir()
        yield
        return
    aside = place.with_name(f".{place.name}.{uuid.uuid4().hex[:8]}.old")
    place.rename(aside)
    try:
        yield
    except BaseException:
        shutil.rmtree(place, ignore_errors=True)
        aside.rename(place)
        raise
    shutil.rmtree(aside)


def _names(place: Path | str) -> list[str]:
    """Return the files of a store by their names within it."""
    if isinstance(place, str):
        import fsspec

        system, root = fsspec.core.url_to_fs(place)
        return [name.removeprefix(root).lstrip("/") for name in sorted(system.find(root))]
    if not place.is_dir():
        with zipfile.ZipFile(place) as archive:
            return [name for name in archive.namelist() if not name.endswith("/")]
    if place.is_symlink():
        return ["."]
    # Links are names like any other here: what they point to is not of the run. Empty folders are nothing.
    return sorted(
        path.relative_to(place).as_posix()
        for path in place.rglob("*")
        if path.is_symlink() or not path.is_dir()
    )


def _delete(url: str) -> None:
    import fsspec

    system, root = fsspec.core.url_to_fs(url)
    for name in _names(url):
        if is_store_file(name):
            system.rm_file(f"{root.rstrip('/')}/{name}")


def holds_something(place: Path | str) -> bool:
    """Return whether there is anything but an empty folder at a place."""
    if isinstance(place, Path):
        return (place.exists() or place.is_symlink()) and not (place.is_dir() and not any(place.iterdir()))
    try:
        zarr.open_group(openable(place, read_only=True), mode="r")
    except FileNotFoundError:
        return False
    return True


def _is_run(place: Path | str) -> bool:
    try:
        group = zarr.open_group(reading(place), mode="r", zarr_format=3, use_consolidated=False)
    except (OSError, ValueError, KeyError, RunNotFoundError, zipfile.BadZipFile):
        return False
    return KEY in group.attrs
