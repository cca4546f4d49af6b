"""Training dynamics as Dataset Cartography logs them: logits and gold label of each datapoint, by epoch.

``training_dynamics/dynamics_epoch_<k>.jsonl`` has lines such as
``{"guid": 50325, "logits_epoch_0": [2.94, -2.28], "gold": 0}``, in whatever order the datapoints were drawn
(Swayamdipta et al., Dataset Cartography, EMNLP 2020, arXiv:2009.10795).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import IO, Any, Final, NamedTuple

import numpy as np

from rdmviz.errors import (
    DuplicateRowsError,
    LossShapeError,
    MissingRowsError,
    ProbeError,
    StepsError,
    TruncatedStoreError,
)
from rdmviz.run import TrainingRun
from rdmviz.sources.folders import listed
from rdmviz.sources.incomplete import Incomplete
from rdmviz.sources.table_files import parsed_line
from rdmviz.sources.texts import named
from rdmviz.store.places import fetch

__all__ = ["dynamics_files", "from_dynamics"]

_FOLDER: Final = "training_dynamics"
_FILE = re.compile(r"dynamics_epoch_([0-9]{1,18})\.jsonl?")  # some of its readers expect .json
_LOGITS: Final = "logits_epoch_"
_NUMBERS: Final = {int, float, type(None)}  # pandas writes NaN as null
_ONE_PER_CLASS: Final = "expected one per class, of the same classes throughout. Write the file again"

Guid = int | str


def dynamics_files(place: Path | str) -> dict[int, Path | str]:
    """Return the file of each epoch, in a folder or in its ``training_dynamics``; empty if there are none.

    Raises
    ------
    DuplicateRowsError
        Two files are of one epoch.
    """
    for folder, names in listed(place, _FOLDER):
        files: dict[int, Path | str] = {}
        for name in names:
            found = _FILE.fullmatch(name)
            if found is None:
                continue
            epoch = int(found[1])
            if epoch in files:
                raise DuplicateRowsError(
                    f"{name} and {str(files[epoch]).rpartition('/')[2]} of {folder} are both of epoch "
                    f"{epoch}; move one of them elsewhere"
                )
            files[epoch] = folder / name if isinstance(folder, Path) else f"{folder}/{name}"
        if files:
            return files
    return {}


class _Epoch(NamedTuple):
    """One file, in the order of its lines."""

    called: str
    place: dict[Guid, int]
    lines: list[int]
    classes: int
    gold: np.ndarray
    loss: np.ndarray
    right: np.ndarray

    def where(self, guid: Guid) -> str:
        return f"line {self.lines[self.place[guid]]} of {self.called}"


def from_dynamics(
    files: Mapping[int, Path | str], *, name: str = "", incomplete: Incomplete = "refuse"
) -> TrainingRun:
    """Make a run: a step is an epoch, a loss the cross-entropy of logits and gold label in nats.

    Probe columns are ``guid`` and ``gold``; the metric ``accuracy`` is the share of datapoints whose largest
    logit is that of their gold label.

    Raises
    ------
    TruncatedStoreError
        A line is no JSON, or a file holds none.
    MissingRowsError, DuplicateRowsError
        An epoch, or a datapoint in one of them, is missing or there twice.
    LossShapeError, ProbeError, StepsError
        Logits, gold labels or guids are none, or change between epochs.
    """
    _check_epochs(sorted(files), files, incomplete)
    read = {epoch: _read(files[epoch], epoch) for epoch in sorted(files)}
    _check_alike(list(read.values()))
    whole, guids, dropped = _whole(read, incomplete)
    order = [np.array([epoch.place[guid] for guid in guids]) for epoch in whole.values()]
    each = list(zip(whole.values(), order, strict=True))
    first = next(iter(whole.values()))
    return TrainingRun.from_arrays(
        np.stack([epoch.loss[index] for epoch, index in each]),
        list(whole),
        probe={"guid": _column(guids), "gold": first.gold[order[0]]},
        metrics={"accuracy": [epoch.right[index].mean() for epoch, index in each]},
        name=name,
        attrs={"step": "epoch", "loss": "cross-entropy of logits and gold label, nats", **dropped},
    )


def _check_epochs(epochs: list[int], files: Mapping[int, Path | str], incomplete: Incomplete) -> None:
    if incomplete == "drop_steps":
        return
    gap = next(((one, other) for one, other in pairwise(epochs) if other != one + 1), None)
    if epochs[0] > 1:  # some count from 1
        gap = (-1, epochs[0])
    if gap is not None:
        lost = f"epoch {gap[0] + 1}" + (f" to {gap[1] - 1}" if gap[1] - gap[0] > 2 else "")
        raise MissingRowsError(
            f"{lost} is missing before {Path(str(files[gap[1]])).name}: there are epochs "
            f"{', '.join(map(str, epochs[:8]))}{' ...' if len(epochs) > 8 else ''}. Copy the missing file, "
            "or take the epochs that are there with open_run(path, incomplete='drop_steps')"
        )


def _read(place: Path | str, epoch: int) -> _Epoch:
    called = Path(str(place)).name
    with place.open("rb") if isinstance(place, Path) else fetch(place) as file:
        return _parsed(file, called, f"{_LOGITS}{epoch}")


def _parsed(file: IO[bytes], called: str, key: str) -> _Epoch:
    place: dict[Guid, int] = {}
    lines: list[int] = []
    gold: list[int] = []
    logits: list[list[float]] = []
    for number, line in enumerate(file, start=1):
        if not line.strip():
            continue
        where = f"line {number} of {called}"
        guid, label, values = _checked(parsed_line(line, where), where, key)
        if logits and len(values) != len(logits[0]):
            raise LossShapeError(
                f"{where} has {len(values)} logits, and line {lines[0]} has {len(logits[0])}; "
                f"{_ONE_PER_CLASS}"
            )
        if guid in place:
            raise DuplicateRowsError(
                f"lines {lines[place[guid]]} and {number} of {called} are both of guid {guid!r:.60}; "
                "expected one per datapoint. Delete one of them: samplers of distributed trainings repeat "
                "datapoints to fill their last batch"
            )
        place[guid] = len(lines)
        lines.append(number)
        gold.append(label)
        logits.append(values)
    if not lines:
        raise TruncatedStoreError(f"{called} is empty; expected a line for each datapoint. Copy it again")
    labels = np.array(gold)
    return _Epoch(called, place, lines, len(logits[0]), labels, *_losses(np.array(logits), labels))


def _checked(record: Any, where: str, key: str) -> tuple[Guid, int, list[float]]:
    if not isinstance(record, dict) or not {"guid", "gold"} <= record.keys():
        held = f"keys {named(record)}" if isinstance(record, dict) else f"a {type(record).__name__}"
        raise LossShapeError(f"{where} has {held}; expected 'guid', '{key}' and 'gold'")
    if key not in record:
        other = next((name for name in record if name.startswith(_LOGITS)), None)
        raise StepsError(
            f"{where} has {'no logits' if other is None else f'{other!r:.60}'}; expected {key!r}: the file's "
            "name and its lines tell the same epoch. Rename the file if it is of another"
        )
    guid, gold, values = record["guid"], record["gold"], record[key]
    if isinstance(guid, bool) or not isinstance(guid, int | str):
        raise ProbeError(f"{where} has guid {guid!r:.60}; expected a whole number or text")
    if not isinstance(values, list) or len(values) < 2:
        raise LossShapeError(
            f"{where} has logits {values!r:.60}; expected a list of two or more, one per class"
        )
    if isinstance(gold, bool) or not isinstance(gold, int) or not 0 <= gold < len(values):
        raise ProbeError(
            f"{where} has gold label {gold!r:.60}; expected the place of its logit, a whole number from 0 to "
            f"{len(values) - 1}"
        )
    try:
        if not {*map(type, values)} <= _NUMBERS:
            raise TypeError("not all are numbers")
        return guid, gold, [np.nan if value is None else float(value) for value in values]
    except (TypeError, OverflowError) as error:
        raise LossShapeError(f"{where} has logits {values!r:.60} ({error}); expected real numbers") from error


def _losses(logits: np.ndarray, gold: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cross-entropy in nats ``(n,)``, and whether the gold label has the largest logit, bool ``(n,)``.

    The largest logit is taken out of the sum, whose rest then loses no digits: a datapoint that is learned
    well has a loss of 1e-12, not 0.
    """
    every, top = np.arange(len(logits)), logits.argmax(axis=1)
    with np.errstate(
        invalid="ignore", over="ignore"
    ):  # logits that are infinite give losses that are, or NaN
        below = logits - logits[every, top][:, None]
        rest = np.exp(below)
        rest[every, top] = 0.0
        loss = np.log1p(rest.sum(axis=1)) - below[every, gold]
    return loss, (top == gold) & np.isfinite(loss)


def _check_alike(read: list[_Epoch]) -> None:
    """Check that classes and gold labels are the same in every epoch."""
    first: dict[Guid, _Epoch] = {}
    for epoch in read:
        if epoch.classes != read[0].classes:
            raise LossShapeError(
                f"{epoch.called} has {epoch.classes} logits per line, and {read[0].called} has "
                f"{read[0].classes}; {_ONE_PER_CLASS}"
            )
        for guid, index in epoch.place.items():
            earlier = first.setdefault(guid, epoch)
            before = earlier.gold[earlier.place[guid]]
            if before != epoch.gold[index]:
                raise ProbeError(
                    f"guid {guid!r:.60} has gold label {epoch.gold[index]} in {epoch.where(guid)}, and "
                    f"{before} in {earlier.where(guid)}; expected one label throughout, else its losses are "
                    "not those of one datapoint. Correct the line that is wrong"
                )


def _whole(
    read: dict[int, _Epoch], incomplete: Incomplete
) -> tuple[dict[int, _Epoch], list[Guid], dict[str, int]]:
    """Return the epochs and datapoints of a table without gaps, and how many were left out to have it so."""
    guids: list[Guid] = list(dict.fromkeys(guid for epoch in read.values() for guid in epoch.place))
    short = {number: epoch for number, epoch in read.items() if len(epoch.place) < len(guids)}
    if not short:
        return read, guids, {}
    if incomplete == "drop_steps" and len(short) < len(read):
        whole = {number: epoch for number, epoch in read.items() if number not in short}
        return whole, guids, {"dropped_steps": len(short)}
    common = [guid for guid in guids if all(guid in epoch.place for epoch in short.values())]
    if incomplete == "drop_samples" and len(common) > 1:
        return read, common, {"dropped_samples": len(guids) - len(common)}
    epoch = next(iter(short.values()))
    lost = [guid for guid in guids if guid not in epoch.place]
    holds = next(other for other in read.values() if lost[0] in other.place)
    more = f" (nor for {len(lost) - 1:,} more)" if len(lost) > 1 else ""
    raise MissingRowsError(
        f"{epoch.called} has no line for guid {lost[0]!r:.60}{more}, which is in {holds.where(lost[0])}; "
        f"expected every datapoint in every epoch. Of {len(guids):,} datapoints {len(common):,} are in every "
        f"epoch: keep those with open_run(path, incomplete='drop_samples'). Of {len(read)} epochs "
        f"{len(read) - len(short)} hold every datapoint: keep those with 'drop_steps'"
    )


def _column(guids: list[Guid]) -> np.ndarray:
    """Return guids as int64 if all of them are, else as text."""
    small = np.iinfo(np.int64)
    if all(isinstance(guid, int) and small.min <= guid <= small.max for guid in guids):
        return np.array(guids, dtype=np.int64)
    return np.array([str(guid) for guid in guids], dtype=np.str_)
