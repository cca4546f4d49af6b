"""One recorder at a time: the file ``.<name>.lock`` beside a run says who records it.

It holds process, host and time, and is touched every few seconds. A lock whose process has ended is taken
over: at once where this host can tell, else when it was not touched for three minutes. Stores at URLs have no
lock, because file systems behind them cannot make a file only where there is none; there a recorder looks
before each commit whether the store is as it left it (rdmviz.store.growing).
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from rdmviz.errors import StoreLockedError

__all__ = ["RENEW_SECONDS", "RecordingLock", "check_unlocked"]

RENEW_SECONDS: Final = 15.0
_STALE_SECONDS: Final = 180.0
_SETTLE_SECONDS: Final = 0.2
_WRITTEN_SECONDS: Final = 1.0


class RecordingLock:
    """The lock of the run at a local path, held from when it is made until :meth:`release`.

    Raises
    ------
    StoreLockedError
        Another recorder holds it.
    OSError
        It cannot be written.
    """

    def __init__(self, place: Path) -> None:
        self._path = _path(place)
        self._token = uuid.uuid4().hex
        self._renewed = time.monotonic()
        entry = {
            "pid": os.getpid(),
            "host": _host(),
            "started": _started(os.getpid()),
            "time": datetime.now(UTC).isoformat(timespec="seconds"),
            "token": self._token,
        }
        while True:
            left = check_unlocked(place)
            with contextlib.suppress(FileExistsError):
                if left is None:
                    with self._path.open("x", encoding="utf-8") as out:
                        json.dump(entry, out)
                    return
                if self._replaced(left, entry):
                    return

    def renew(self) -> None:
        """Touch the lock if that is due, so that other hosts see that its holder lives."""
        if time.monotonic() - self._renewed >= RENEW_SECONDS:
            self._renewed = time.monotonic()
            with contextlib.suppress(OSError):  # a place that vanished is told where rows are written
                os.utime(self._path)

    def check(self) -> None:
        """Check that the lock was not taken over, as it is while its holder is suspended.

        Raises
        ------
        StoreLockedError
            It was.
        """
        holder = _read(self._path)
        if holder is not None and holder.get("token") != self._token:
            raise StoreLockedError(f"{_named(holder)} took over its lock {self._path}")

    def _replaced(self, left: dict[str, Any], entry: dict[str, Any]) -> bool:
        """Put the lock in the place of one that was left, and return whether nobody else did so too."""
        part = self._path.with_name(f"{self._path.name}.{self._token}")
        try:
            part.write_text(json.dumps(entry), encoding="utf-8")
            if _read(self._path) != left:
                return False
            part.replace(self._path)
        finally:
            part.unlink(missing_ok=True)
        time.sleep(_SETTLE_SECONDS)  # of those that come at once, the last stays
        holder = _read(self._path)
        return holder is not None and holder.get("token") == self._token

    def release(self) -> None:
        """Let others record."""
        holder = _read(self._path)
        if holder is not None and holder.get("token") == self._token:
            with contextlib.suppress(OSError):
                self._path.unlink()


def check_unlocked(place: Path | str) -> dict[str, Any] | None:
    """Check that nobody records at a place; return what a lock says whose recorder has ended.

    Raises
    ------
    StoreLockedError
        Somebody does; the message says who, and what to do if they do not.
    """
    if isinstance(place, str):
        return None
    path = _path(place)
    patience = time.monotonic() + _WRITTEN_SECONDS
    while (holder := _read(path)) == {} and time.monotonic() < patience:
        time.sleep(0.02)
    if not holder:  # of a process that was killed before it had written who it is
        return holder
    silent = _silent_seconds(path)
    known = os.name == "posix" and holder.get("host") == _host() and isinstance(holder.get("pid"), int)
    if _runs(holder) if known else silent < _STALE_SECONDS:
        here = known and holder["pid"] == os.getpid()
        way_out = (
            "close that recorder first: recorder.close()"
            if here
            else "wait for it, or record to another path"
            if known
            else f"record to another path. If that process has ended, delete {path}, or wait: its lock "
            f"counts for {_STALE_SECONDS:.0f} seconds after its last sign of life, {silent:.0f} seconds ago"
        )
        raise StoreLockedError(f"{place} is being recorded by {_named(holder)}; {way_out}")
    return holder


def _path(place: Path) -> Path:
    real = Path(os.path.realpath(place))
    return real.with_name(f".{real.name}.lock")


def _read(path: Path) -> dict[str, Any] | None:
    """Return what a lock says; nothing at all of one that is just being written; None if there is none."""
    try:
        entry = json.loads(path.read_bytes()[:10_000])
    except OSError:
        return None
    except (ValueError, RecursionError):
        return {}
    return entry if isinstance(entry, dict) else {}


def _silent_seconds(path: Path) -> float:
    """Return how long a lock was not touched, by the clock of its own file system where that can be asked."""
    asked = path.with_name(f"{path.name}.{uuid.uuid4().hex}")
    with contextlib.suppress(OSError):
        touched = path.stat().st_mtime
        try:
            asked.touch()
            return asked.stat().st_mtime - touched
        except OSError:
            return time.time() - touched
        finally:
            asked.unlink(missing_ok=True)
    return 0.0


def _named(holder: dict[str, Any]) -> str:
    host = str(holder.get("host", "")).partition(" ")[0]
    return f"process {holder.get('pid')!r:.20} on {host!r:.80} since {holder.get('time')!r:.40}"


def _host() -> str:
    """Return what tells apart the process numbers of this machine, or of this container, from others'."""
    with contextlib.suppress(OSError):
        return f"{socket.gethostname()} {Path('/proc/self/ns/pid').readlink()}"
    return socket.gethostname()


def _started(pid: int) -> str:
    """Return when a process started, where the system says so: process numbers come again."""
    with contextlib.suppress(OSError, IndexError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return "" if fields[0] in "ZX" else fields[19]
    return ""


def _runs(holder: dict[str, Any]) -> bool:
    try:
        os.kill(holder["pid"], 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # of another person, and there
        pass
    return _started(holder["pid"]) == holder.get("started")
