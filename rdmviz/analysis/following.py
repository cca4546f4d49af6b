"""Warning curves of a run while it is recorded, often by another process."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from rdmviz.analysis.curves import labelled, require_heat_capacity
from rdmviz.compute.rdm.detrending import Detrend, check_window
from rdmviz.compute.rdm.observables import HeatCapacity, heat_capacity_capacity
from rdmviz.compute.rdm.streaming import StreamingWindow, WindowObservables
from rdmviz.errors import NoRowsYetError, OptionError, RunNotFoundError

if TYPE_CHECKING:
    from rdmviz.store import RunStore

_READ_BYTES = 64 << 20  # rows read at once of those that were there before
_APPEARS_SECONDS = 1.0  # a store is made in several steps; who comes in between them waits


def follow(
    path: str | PathLike[str],
    window: int = 64,
    detrend: Detrend = "linear",
    *,
    shc: HeatCapacity = "variance",
    poll: float = 0.5,
    timeout: float | None = None,
    until: Callable[[xr.Dataset], object] | None = None,
) -> Iterator[xr.Dataset]:
    """Warning curves of a run as its rows are committed: first the rows that are there, then each new one.

    ::

        for row in rdmviz.follow("run.rdmviz", timeout=60):
            print(row.step.item(), row.trace.item())

    Parameters
    ----------
    path
        A store that a Recorder writes: a folder or an fsspec URL.
    window, detrend, shc
        As in :func:`rdmviz.analyze`.
    poll
        Seconds between two looks at the store.
    timeout
        Stop after so many seconds without a new row; by default wait on. A training that ended cannot be told
        from one that takes long over a step.
    until
        Stop after the first row for which this is true.

    Yields
    ------
    Dataset with one ``step``
        The curves of :func:`rdmviz.analyze` but for those from the eigenvalues, equal to them to ten digits;
        ``xarray.concat(rows, "step")`` puts them together.

    Raises
    ------
    OptionError
        If `path` is a file that is written whole and cannot be followed, or an option has no meaning.
    RunNotFoundError
        If there is no run, and none appears within a second (or `timeout`, if that is longer).
    TruncatedStoreError, SchemaVersionError
        If the store is damaged, was replaced meanwhile, or is from a newer rdmviz.
    WindowError, DetrendError
        If the window does not fit the detrending.
    """
    from rdmviz.store.places import at, grows

    place = at(path)
    if not grows(place):
        raise OptionError(
            f"{place} is a file that is written whole and does not grow; open it with "
            "rdmviz.open_run(path) and analyze that, or record into a folder to follow it"
        )
    check_window(window, detrend, sys.maxsize)
    require_heat_capacity(shc)
    for name, seconds in (("poll", poll), ("timeout", 0.0 if timeout is None else timeout)):
        if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 <= seconds < np.inf:
            raise OptionError(f"{name}={seconds!r:.60}; expected seconds, 0 or more")
    return _follow(place, window, detrend, shc, poll, np.inf if timeout is None else float(timeout), until)


def _follow(
    place: Path | str,
    window: int,
    detrend: Detrend,
    shc: HeatCapacity,
    poll: float,
    timeout: float,
    until: Callable[[xr.Dataset], object] | None,
) -> Iterator[xr.Dataset]:
    store = _first_rows(place, poll, timeout)
    if store is None:
        return
    stream = StreamingWindow(store.shape[1], window, detrend)
    attrs = {"run": store.name, "window": window, "detrend": detrend, "shc": shc}
    block = max(1, _READ_BYTES // (8 * stream.n_samples))
    while True:
        for start in range(stream.n_rows, store.shape[0], block):
            stop = min(start + block, store.shape[0])
            for step, losses in zip(store.steps[start:stop], store.rows(start, stop), strict=True):
                found = stream.append(losses, step)
                row = xr.Dataset(_curves(stream, found, shc), coords={"step": ("step", [step])}, attrs=attrs)
                yield row
                if until is not None and until(row):
                    return
        since = time.monotonic()
        while store.committed() == stream.n_rows:
            if not _wait(since, poll, timeout):
                return
        store = store.grown()


def _first_rows(place: Path | str, poll: float, timeout: float) -> RunStore | None:
    """Return the store once it holds a row; None if `timeout` seconds pass before."""
    from rdmviz.store import RunStore
    from rdmviz.store.places import reading

    since = time.monotonic()
    while True:
        try:
            return RunStore(reading(place), str(place))
        except NoRowsYetError:
            if not _wait(since, poll, timeout):
                return None
        except RunNotFoundError:
            patience = _APPEARS_SECONDS if timeout == np.inf else max(timeout, _APPEARS_SECONDS)
            if not _wait(since, poll, patience):
                raise


def _wait(since: float, poll: float, timeout: float) -> bool:
    """Sleep until the next look; False, at once, where `timeout` seconds have passed."""
    left = since + timeout - time.monotonic()
    if left <= 0:
        return False
    time.sleep(min(poll, left))
    return True


def _curves(stream: StreamingWindow, found: WindowObservables, shc: str) -> dict[str, xr.Variable]:
    if shc == "capacity":
        capacity = float(heat_capacity_capacity(stream.spectrum()))
    else:
        capacity = found.heat_capacity_total if shc == "total" else found.heat_capacity_variance
    values = {
        "trace": found.trace,
        "participation_ratio": found.participation_ratio,
        "participation_ratio_unbiased": found.participation_ratio_unbiased,
        "spectral_heat_capacity": capacity,
        "mean_loss": found.mean_loss,
        "mean_loss_variance": found.mean_loss_variance,
        "mean_loss_autocorrelation": found.mean_loss_autocorrelation,
        "mean_loss_slope": found.mean_loss_slope,
    }
    return labelled({name: [value] for name, value in values.items()}, shc)
