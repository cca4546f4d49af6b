"""A folder of tables that Weights & Biases logged: one per step, or each with the rows since the last.

Names are ``<key>_<step>_<digest>.table.json`` in ``media/table`` of a run's files, and
``<number>-<time>.<key>.table.json`` in the artifact of a table that is logged by increments.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import pandas as pd

from rdmviz.errors import DuplicateRowsError, LossShapeError, OptionError
from rdmviz.run import TrainingRun
from rdmviz.sources.folders import content, listed
from rdmviz.sources.roles import column_for
from rdmviz.sources.table_files import read_json
from rdmviz.sources.tables import from_frame
from rdmviz.sources.texts import named

__all__ = ["LoggedTable", "from_logged_tables", "logged_tables"]

_BELOW: Final = "media/table"
_AT_A_STEP = re.compile(r"(?P<key>.+)_(?P<number>[0-9]{1,18})_[0-9a-f]+\.table\.json")
_INCREMENT = re.compile(r"(?P<number>[0-9]{1,18})-[0-9]+\.(?P<key>.+)\.table\.json")


class LoggedTable(NamedTuple):
    """One file."""

    key: str
    number: int
    at_a_step: bool
    folder: Path | str
    name: str


def logged_tables(place: Path | str) -> list[LoggedTable]:
    """Return the tables in a folder, or in its ``media/table``, in the order they were logged."""
    for folder, names in listed(place, _BELOW):
        tables = []
        for name in names:
            found = _INCREMENT.fullmatch(name) or _AT_A_STEP.fullmatch(name)
            if found is not None:
                at_a_step = found.re is _AT_A_STEP
                tables.append(LoggedTable(found["key"], int(found["number"]), at_a_step, folder, name))
        if tables:
            return sorted(tables, key=lambda table: (table.number, table.name))
    return []


def from_logged_tables(tables: list[LoggedTable], *, columns: Mapping[str, Any]) -> TrainingRun:
    """Make a run of the rows of all of them; the step is that of the file where no column has it.

    Raises
    ------
    OptionError
        They are of several keys.
    LossShapeError
        They have different columns.
    DuplicateRowsError
        A row is in two of them, as where a table was logged again and again while it grew.
    """
    keys = sorted({table.key for table in tables})
    if len(keys) > 1:
        raise OptionError(
            f"{tables[0].folder} holds tables of {named(keys)}; expected those of one key. Open one file by "
            "its name, or copy the files of one key to a folder of their own"
        )
    frames: list[pd.DataFrame] = []
    for table in tables:
        frame = read_json(io.BytesIO(content(table.folder, table.name)), table.name)
        if frames and list(frame.columns) != list(frames[0].columns):
            raise LossShapeError(
                f"{table.name} has columns {named(frame.columns)}, and {tables[0].name} has "
                f"{named(frames[0].columns)}; expected the same for each step"
            )
        frames.append(frame)
    numbers = [table.number for table, frame in zip(tables, frames, strict=True) for _ in range(len(frame))]
    rows = pd.concat(frames, ignore_index=True)
    if tables[0].at_a_step and column_for("step", rows.columns, columns.get("step")) is None:
        rows.insert(0, "step", numbers)
    try:
        return from_frame(rows, name=keys[0], **columns)
    except DuplicateRowsError as error:
        raise DuplicateRowsError(
            f"in the {len(tables)} tables of {tables[0].folder}: {error}. If each file holds the whole table "
            f"as it was then, open the last by its name: {tables[-1].name}"
        ) from error
