"""Where runs live: folders, zip files and fsspec URLs, and what lies near a path that is not there."""

from __future__ import annotations

import difflib
import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike, fspath
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from zarr.abc.store import Store
from zarr.storage import FsspecStore, LocalStore, ZipStore

from rdmviz.errors import MissingExtraError, OptionError, RunNotFoundError

__all__ = ["at", "fetch", "grows", "is_zip", "missing", "openable", "reading"]

_MOST_NAMES = 8


def at(path: str | PathLike[str]) -> Path | str:
    """Return a local path, or the URL as text; ``file://`` URLs are local paths.

    Raises
    ------
    OptionError
        Not a path or URL.
    RunNotFoundError
        A URL that cannot be taken apart, or the home folder of nobody.
    """
    text = path if isinstance(path, (str, PathLike)) else None
    text = None if text is None else fspath(text)
    if not isinstance(text, str):
        raise OptionError(
            f"path is a {type(path).__name__}; expected a path or URL as text. "
            "Losses that are in memory become a run with TrainingRun.from_arrays(loss)"
        )
    try:
        if "://" not in text:
            return Path(text).expanduser().absolute()  # a working directory may change
        parts = urlsplit(text)
    except (RuntimeError, ValueError) as error:
        raise RunNotFoundError(f"{text!r:.120} is no path or URL that exists ({error})") from error
    if parts.scheme == "file":
        return Path(url2pathname(parts.path)).absolute()
    return text


def is_zip(place: Path | str) -> bool:
    """Return whether a local path names a zip store."""
    return isinstance(place, Path) and place.suffix.lower() == ".zip"


def grows(place: Path | str) -> bool:
    """Return whether a place can be a store that rows are committed to, which no single file is."""
    if isinstance(place, Path) and place.is_dir():
        return True
    name = place.name if isinstance(place, Path) else place
    single = name.lower().endswith((".zip", ".npz", ".npy", ".csv", ".parquet", ".json", ".jsonl"))
    return not (single or (isinstance(place, Path) and place.is_file()))


def openable(place: Path | str, *, read_only: bool) -> Store:
    """Return the Zarr store of a folder or URL.

    Raises
    ------
    MissingExtraError
        A URL needs fsspec, or a package that fsspec names for its protocol.
    """
    if isinstance(place, Path):
        return LocalStore(place, read_only=read_only)
    with _of_protocol(place):
        url = f"zip::{place}" if read_only and place.lower().endswith(".zip") else place
        return FsspecStore.from_url(url, read_only=read_only)


def reading(place: Path | str) -> Store:
    """Return the Zarr store at a place that is read.

    Raises
    ------
    RunNotFoundError
        A local path that does not exist; the message lists what is near.
    """
    if isinstance(place, Path) and not place.exists():
        raise missing(place)
    if is_zip(place) and isinstance(place, Path) and place.is_file():
        return ZipStore(place, mode="r")
    return openable(place, read_only=True)


def missing(place: Path | str, why: str = "there is no run at {}") -> RunNotFoundError:
    """Return the error for a path that holds no run, with the names that are near."""
    message = why.format(place)
    if isinstance(place, Path):
        folder = place.absolute()
        while not folder.is_dir():
            folder = folder.parent
        names = sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith("."))
        close = difflib.get_close_matches(place.name, names, n=_MOST_NAMES, cutoff=0.5)
        listed = close or names[:_MOST_NAMES]
        near = ", ".join(listed) if listed else "nothing"
        message += f"; in {folder} there is {near}"
        if len(names) > len(listed):
            message += f" and {len(names) - len(listed)} more"
    return RunNotFoundError(message)


def fetch(place: str) -> Any:
    """Return a file object for a URL that is a single file.

    Raises
    ------
    MissingExtraError
        fsspec is not installed.
    RunNotFoundError
        There is nothing at the URL.
    """
    with _of_protocol(place):
        import fsspec

        return fsspec.open(place, "rb").open()


@contextmanager
def _of_protocol(place: str) -> Iterator[None]:
    if importlib.util.find_spec("fsspec") is None:
        raise MissingExtraError(f'opening {place} needs fsspec: pip install "rdmviz[remote]"')
    try:
        yield
    except ImportError as error:
        raise MissingExtraError(
            f'opening {place} needs more than fsspec itself ({error}): pip install "rdmviz[remote]" and that'
        ) from error
    except FileNotFoundError as error:
        raise missing(place) from error
    except ValueError as error:  # fsspec: "Protocol not known"
        raise RunNotFoundError(f"{place} cannot be reached ({error}); expected an fsspec URL") from error
