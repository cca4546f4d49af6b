"""Making room for a store without ever destroying what is not a run, and packing one into a zip."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import zarr

from rdmviz.errors import OptionError, RunNotFoundError, StoreExistsError
from rdmviz.store.layout import KEY
from rdmviz.store.places import openable, reading

__all__ = ["clear", "upload", "write_zip"]

_ZIP_DATE = (1980, 1, 1, 0, 0, 0)  # the same run gives the same bytes


def write_zip(entries: dict[str, bytes], place: Path) -> None:
    """Write the files of a store into a zip, uncompressed: chunks are compressed already."""
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


def clear(place: Path | str, *, overwrite: bool, dry: bool = False) -> None:
    """Make room for a new store; with ``dry``, only check that there is room or would be.

    Raises
    ------
    StoreExistsError
        Something is there and ``overwrite`` is false, or it is not a run.
    """
    if isinstance(place, str) and place.lower().endswith(".zip"):
        raise OptionError(f"a zip cannot be written to {place}; save it to a local .zip and copy that")
    if isinstance(place, Path) and not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        return
    if isinstance(place, Path) and place.is_dir() and not any(place.iterdir()):
        if not dry:
            place.rmdir()
        return
    if isinstance(place, str) and not _holds_something(place):
        return
    if not overwrite:
        raise StoreExistsError(
            f"{place} exists already; choose another path, or pass overwrite=True to replace it"
        )
    if not _is_run(place):
        raise StoreExistsError(f"{place} exists and is not a run, so it is not replaced; choose another path")
    if dry:
        return
    if isinstance(place, str):
        zarr.create_group(openable(place, read_only=False), overwrite=True)
    elif place.is_dir():
        shutil.rmtree(place)
    else:
        place.unlink()


def _holds_something(url: str) -> bool:
    try:
        zarr.open_group(openable(url, read_only=True), mode="r")
    except FileNotFoundError:
        return False
    return True


def _is_run(place: Path | str) -> bool:
    try:
        group = zarr.open_group(reading(place), mode="r", zarr_format=3, use_consolidated=False)
    except (OSError, ValueError, KeyError, RunNotFoundError, zipfile.BadZipFile):
        return False
    return KEY in group.attrs
