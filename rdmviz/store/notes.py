"""Notes that a person wrote on steps of a run, kept beside it: ``<run>/notes/<digest>.json``.

One file per note, named after what it says: to add one is to write a file, to remove one is to delete it, so
any number of explorers may do both at once. Only folders on this machine's file system keep notes.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from rdmviz.store.reader import RunStore

__all__ = ["Note", "drop_note", "keep_note", "kept_notes"]

Note = tuple[int, str]  # step and text

_LOG = logging.getLogger("rdmviz")
_FORMAT: Final = 1
_MOST_BYTES: Final = 1 << 20  # of a file: more is no note


def kept_notes(store: RunStore) -> list[Note]:
    """Return the notes kept beside a run, by step; files that hold none are passed over."""
    return sorted(set(_read(store)))


def keep_note(store: RunStore, note: Note) -> None:
    """Keep a note beside a run; one that is there already stays.

    Raises
    ------
    OSError
        If the run is no folder, or one that cannot be written to.
    """
    path = _path(store, note)
    if path is None:
        raise OSError("it is no folder on this machine")
    path.parent.mkdir(exist_ok=True)
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    try:
        part.write_text(json.dumps({"format": _FORMAT, "step": note[0], "note": note[1]}), encoding="utf-8")
        part.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            part.unlink()
        raise


def drop_note(store: RunStore, note: Note) -> None:
    """Remove a note kept beside a run, if it is there.

    Raises
    ------
    OSError
        If the folder cannot be written to.
    """
    path = _path(store, note)
    if path is not None:
        path.unlink(missing_ok=True)


def _read(store: RunStore) -> Iterator[Note]:
    if store.folder is None:
        return
    for path in (store.folder / "notes").glob("*.json"):
        try:
            if path.stat().st_size > _MOST_BYTES:
                raise ValueError("it is too long")
            entry = json.loads(path.read_text(encoding="utf-8"))
            if entry["format"] != _FORMAT or type(entry["step"]) is not int or type(entry["note"]) is not str:
                raise ValueError("it is of another format")
            yield entry["step"], entry["note"]
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            _LOG.info("%s is no note (%s)", path, error)


def _path(store: RunStore, note: Note) -> Path | None:
    digest = hashlib.sha256(json.dumps(note).encode()).hexdigest()[:24]
    return None if store.folder is None else store.folder / "notes" / f"{digest}.json"
