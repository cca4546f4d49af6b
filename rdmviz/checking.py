"""Whether a run is whole: everything that is committed is read, and what is odd about it is said in words."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import xarray as xr
import zarr

from rdmviz.contents import contents
from rdmviz.errors import (
    LossShapeError,
    MetricError,
    ProbeError,
    SnapshotError,
    StepsError,
    TruncatedStoreError,
    UnsafeDataError,
)
from rdmviz.sources import open_run
from rdmviz.store.layout import is_store_file
from rdmviz.store.places import at, reading
from rdmviz.words import count, have, is_are

if TYPE_CHECKING:
    from rdmviz.run import TrainingRun

__all__ = ["Report", "check_run"]

_BLOCK_BYTES: Final = 32 << 20
_WINDOW: Final = 64  # the default of every analysis
_MOST_NAMED: Final = 5
_BROKEN: Final = (
    TruncatedStoreError,
    UnsafeDataError,
    LossShapeError,
    MetricError,
    ProbeError,
    SnapshotError,
    StepsError,
)


@dataclass
class Report:
    """What :func:`check_run` found.

    Attributes
    ----------
    path
        Path or URL.
    contents
        What is in the run, see :func:`rdmviz.contents.contents`; None if it cannot be opened.
    wrong
        What is broken, one sentence each.
    notes
        What is whole and good to know, one sentence each.
    """

    path: str
    contents: dict[str, Any] | None = None
    wrong: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def whole(self) -> bool:
        """Whether nothing is wrong."""
        return not self.wrong


def check_run(
    path: str | PathLike[str], *, watch: Callable[[int, int], None] | None = None, **columns: Any
) -> Report:
    """Read everything of a run, and say what is wrong and what is odd.

    Every chunk of losses is read and its checksum compared, every column of the probe decoded, every picture
    and every snapshot read; steps must increase, and every count fit the arrays it counts.

    Parameters
    ----------
    path
        Anything that :func:`rdmviz.open_run` opens.
    watch
        Called with the rows read so far and the rows there are.
    **columns
        ``step``, ``sample``, ``loss``, ``drop`` and ``incomplete`` of :func:`rdmviz.open_run`.

    Raises
    ------
    RunNotFoundError, OptionError, SchemaVersionError, MissingExtraError
        It cannot be checked. That a run is broken is no exception here: the report says so.
    """
    place = at(path)
    report = Report(str(place))
    try:
        run = open_run(path, **columns)
    except _BROKEN as error:
        report.wrong.append(str(error))
        return report
    losses, lost = _Losses(run), _Lost()
    block = _height(run)
    for start in range(0, run.n_steps, block):
        stop = min(start + block, run.n_steps)
        try:
            losses.take(start, run.rows(start, stop))
        except TruncatedStoreError as error:
            lost.take(start, stop, error)
        if watch is not None:
            watch(stop, run.n_steps)
    report.wrong += lost.told(run.steps)
    for name, pictures in run.images.data_vars.items():
        _read_all(f"pictures {str(name)!r:.60}", pictures, report, missing=True)
    _read_snapshots(run, report)
    if losses.seen.any():
        losses.tell(report)
    report.notes += [*_of_steps(run), *_of_columns(run)]
    if run.store is not None:
        report.notes += [*_of_gaps(run.store.lost), *_of_files(run, place)]
    report.contents = contents(run, place)
    return report


def _height(run: TrainingRun) -> int:
    """Rows that are read at once: one chunk of a store, so that a lost one costs no other."""
    if run.store is not None:
        return run.store.chunk_rows
    return max(1, _BLOCK_BYTES // (run.n_samples * run.loss.dtype.itemsize))


class _Losses:
    """What is odd about losses, from one pass over them."""

    def __init__(self, run: TrainingRun) -> None:
        self._run = run
        self.seen = np.zeros(run.n_steps, dtype=bool)
        self._unfinite = np.zeros(run.n_steps, dtype=np.int64)  # datapoints, by row
        self._repeats = np.zeros(run.n_steps, dtype=bool)
        self._finite = np.zeros(run.n_samples, dtype=np.int64)  # rows, by datapoint
        self._least = np.full(run.n_samples, np.inf)
        self._most = np.full(run.n_samples, -np.inf)
        self._before: np.ndarray | None = None

    def take(self, start: int, block: np.ndarray) -> None:
        """Take over rows ``(b, n)`` from row `start` on."""
        here = slice(start, start + len(block))
        finite = np.isfinite(block)
        self.seen[here] = True
        self._unfinite[here] = (~finite).sum(axis=1)
        self._finite += finite.sum(axis=0)
        self._least = np.minimum(self._least, np.where(finite, block, np.inf).min(axis=0))
        self._most = np.maximum(self._most, np.where(finite, block, -np.inf).max(axis=0))
        follows = self._before is not None and start > 0 and bool(self.seen[start - 1])
        before = self._before if follows and self._before is not None else block[:1]
        same = (block == np.concatenate([before, block[:-1]])).all(axis=1)
        same[0] &= follows
        self._repeats[here] = same
        self._before = block[-1:]

    def tell(self, report: Report) -> None:
        """Add what was found to a report."""
        steps, samples = self._run.steps, self._run.n_samples
        bad = np.flatnonzero(self._unfinite)
        if len(bad) == self.seen.sum():
            report.wrong.append(
                f"no row is finite: {count(self._unfinite[bad[0]], 'datapoint')} of {samples:,} already at "
                f"step {steps[bad[0]]} are NaN or infinite, so no window has a spectrum"
            )
        elif len(bad):
            report.notes.append(
                f"{count(len(bad), 'row')} of {self._run.n_steps:,} {have(len(bad))} NaN or infinite "
                f"losses, first at step {steps[bad[0]]} ({count(self._unfinite[bad[0]], 'datapoint')} of "
                f"{samples:,}); windows over such rows have no curves"
            )
        never = np.flatnonzero(self._finite == 0)
        if 0 < len(never) < samples:
            report.notes.append(
                f"{count(len(never), 'datapoint')} of {samples:,} {have(len(never))} no finite loss at any "
                f"step: {_numbers(never)}; leave such out to have curves"
            )
        same = np.flatnonzero(self._repeats)
        if len(same):
            report.notes.append(
                f"{count(len(same), 'row')} {'repeats' if len(same) == 1 else 'repeat'} the row before, "
                f"first at step {steps[same[0]]}: the model did not change, or the losses are not those of "
                "the step"
            )
        constant = np.flatnonzero((self._finite > 1) & (self._least == self._most))
        if len(constant):
            report.notes.append(
                f"{count(len(constant), 'datapoint')} of {samples:,} {have(len(constant))} the same loss "
                f"at every step: {_numbers(constant)}"
            )


class _Lost:
    """Rows that cannot be read."""

    def __init__(self) -> None:
        self._ranges: list[tuple[int, int, str]] = []

    def take(self, start: int, stop: int, error: Exception) -> None:
        """Take over a chunk; one that follows another lost one adds to it."""
        if self._ranges and self._ranges[-1][1] == start:
            first, _, why = self._ranges.pop()
            self._ranges.append((first, stop, why))
        else:
            self._ranges.append((start, stop, str(error)))

    def told(self, steps: np.ndarray) -> list[str]:
        """One sentence per range, of the first few."""
        sentences = [
            f"{count(stop - start, 'row')} (steps {steps[start]} to {steps[stop - 1]}) cannot be read: {why}"
            for start, stop, why in self._ranges[:_MOST_NAMED]
        ]
        if more := self._ranges[_MOST_NAMED:]:
            rows = sum(stop - start for start, stop, _ in more)
            sentences.append(
                f"{count(rows, 'row')} in {count(len(more), 'more place')} cannot be read either"
            )
        return sentences


def _read_snapshots(run: TrainingRun, report: Report) -> None:
    try:
        kinds = {kind: getattr(run, kind) for kind in run.snapshots}
    except (TruncatedStoreError, SnapshotError) as error:
        report.wrong.append(f"snapshots cannot be read: {error}")
        return
    for kind, layers in kinds.items():
        for name, layer in layers.data_vars.items():
            what = f"{kind.replace('_', ' ')} of layer {str(name)!r:.60}"
            if kind == "gaussian":
                what = f"{name} of the Gaussian 2RDM"
            # elsewhere in it NaN has a meaning: datapoints that were left out
            _read_all(what, layer, report, missing=kind == "gaussian" and name != "eigenvalues")


def _read_all(what: str, values: xr.DataArray, report: Report, *, missing: bool) -> None:
    """Read an array along its first dimension; pictures and weights may be more than memory holds.

    Values that are not finite are noted, unless they say that something is `missing`.
    """
    size = math.prod(values.shape[1:]) * values.dtype.itemsize
    height = max(1, _BLOCK_BYTES // max(1, size))
    unfinite = 0
    for start in range(0, len(values), height):
        try:
            block = values[start : start + height].to_numpy()
        except TruncatedStoreError as error:
            report.wrong.append(f"{what} cannot be read: {error}")
            return
        unfinite += int((~np.isfinite(block)).reshape(len(block), -1).any(axis=1).sum())
    if unfinite and not missing:
        report.notes.append(f"{what} are not finite in {unfinite:,} of {count(len(values), 'snapshot')}")


def _of_steps(run: TrainingRun) -> list[str]:
    notes = []
    apart = np.diff(run.steps.astype(np.float64))
    if len(apart) and apart.min() != apart.max():
        notes.append(
            f"steps are not evenly spaced ({apart.min():,.0f} to {apart.max():,.0f} apart): a window counts "
            "rows, not steps"
        )
    if run.n_steps < _WINDOW:
        notes.append(
            f"{count(run.n_steps, 'row')} {'is' if run.n_steps == 1 else 'are'} fewer than the default "
            f"window of {_WINDOW}: ask for a shorter one, such as analyze(run, "
            f"window={max(2, run.n_steps // 2)})"
        )
    return notes


def _of_columns(run: TrainingRun) -> list[str]:
    notes = []
    if not run.probe and not run.images:
        notes.append(
            "nothing is known of the datapoints (no probe column), so groups cannot be told in words"
        )
    empty = [str(name) for name, curve in run.metrics.data_vars.items() if not np.isfinite(curve).any()]
    if empty:
        shown = ", ".join(f"{name!r:.40}" for name in empty[:_MOST_NAMED])
        notes.append(f"{count(len(empty), 'metric')} {have(len(empty))} no finite value at any step: {shown}")
    return notes


def _of_gaps(gaps: tuple[tuple[int, ...], ...]) -> Iterator[str]:
    """Tell of what a recording could not keep, as it noted itself."""
    for first, last, rows in gaps:
        yield (
            f"{count(rows, 'row')} from step {first:,} to {last:,} could not be kept: its place could not be "
            "written to while it was recorded, and more rows waited than there was memory for"
        )


def _of_files(run: TrainingRun, place: Path | str) -> list[str]:
    notes = []
    array = zarr.open_group(reading(place), mode="r", zarr_format=3, use_consolidated=False)["loss"]
    assert isinstance(array, zarr.Array)
    more = array.shape[0] - run.n_steps
    if more > 0:
        notes.append(
            f"{count(more, 'row')} beyond the last commit {have(more)} been written and {is_are(more)} not "
            "read: the run is being recorded, or its process was killed"
        )
    if isinstance(place, Path) and place.is_dir():
        names = (path.relative_to(place).as_posix() for path in place.rglob("*") if path.is_file())
        foreign = sorted(name for name in names if not is_store_file(name))
        if foreign:
            shown = ", ".join(f"{name!r:.40}" for name in foreign[:_MOST_NAMED])
            notes.append(
                f"{count(len(foreign), 'file')} in the folder {is_are(len(foreign))} not of the run: {shown}"
            )
    return notes


def _numbers(places: np.ndarray) -> str:
    more = f" and {len(places) - _MOST_NAMED:,} more" if len(places) > _MOST_NAMED else ""
    return f"{', '.join(str(place) for place in places[:_MOST_NAMED])}{more}"
