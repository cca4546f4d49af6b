"""Files of tables as DataFrames: CSV, Parquet, JSON and lines of JSON."""

from __future__ import annotations

import csv
import io
import json
import re
from typing import IO, Any

import pandas as pd

from rdmviz.errors import LossShapeError, MissingExtraError, TruncatedStoreError
from rdmviz.sources.texts import named

__all__ = ["read_csv", "read_json", "read_json_lines", "read_parquet"]

_UNNAMED = re.compile(r"__index_level_\d+__")  # an index that pandas wrote: row numbers, no datapoint


def read_csv(file: IO[bytes]) -> pd.DataFrame:
    """Read a CSV file as text: what a cell means depends on its column, and ``NA`` may be a label.

    Raises
    ------
    TruncatedStoreError
        No CSV, or not in UTF-8.
    LossShapeError
        Another separator, columns without a name or of the same name, rows longer or shorter than the header.
    """
    try:
        text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
        header = next((fields for fields in csv.reader(text) if fields), [])
        text.detach()
        _check_header(header)
        file.seek(0)
        frame = pd.read_csv(
            file, dtype=str, keep_default_na=False, na_filter=False, encoding="utf-8-sig", low_memory=False
        )
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError, csv.Error) as error:
        raise TruncatedStoreError(
            f"the table cannot be read ({error}); expected UTF-8 CSV with a header"
        ) from error
    # pandas takes what stands before the columns it has names for as the index, and shifts every column
    if not isinstance(frame.index, pd.RangeIndex):
        raise LossShapeError(
            f"rows of the table have more fields than its header has names ({len(header)}). "
            "Quote texts that hold commas, and write no index: to_csv(path, index=False)"
        )
    return frame


def _check_header(header: list[str]) -> None:
    if len(header) == 1:
        mark = next((mark for mark in ";\t|" if mark in header[0]), None)
        if mark is not None:
            raise LossShapeError(
                f"the table is separated by {mark!r}; expected commas. Convert it first, for example "
                f"pandas.read_csv(path, sep={mark!r}).to_csv(new_path, index=False), "
                "with decimal=',' if numbers are written 0,5"
            )
    repeated = sorted({name for name in header if header.count(name) > 1 and name})
    if repeated:
        raise LossShapeError(f"the table repeats columns {named(repeated)}; expected each name once")
    if "" in header:
        raise LossShapeError(
            f"column {header.index('') + 1} of the table has no name; expected one for each column. "
            "If it is an index, write the table without: to_csv(path, index=False)"
        )


def read_parquet(file: IO[bytes], where: str) -> pd.DataFrame:
    """Read a Parquet file.

    Raises
    ------
    MissingExtraError
        pyarrow is not installed.
    TruncatedStoreError
        The file is damaged.
    """
    try:
        from pyarrow import parquet
    except ImportError as error:
        raise MissingExtraError(f'opening {where} needs pyarrow: pip install "rdmviz[tables]"') from error
    try:
        frame: pd.DataFrame = parquet.read_table(file).to_pandas(ignore_metadata=True)
    except Exception as error:  # its codecs, its texts and the JSON among its metadata each raise their own
        raise TruncatedStoreError(f"{where} cannot be read ({error!s:.300}); write it again") from error
    return frame.drop(columns=[name for name in frame.columns if _UNNAMED.fullmatch(name)])


def read_json(file: IO[bytes], where: str) -> pd.DataFrame:
    """Read a table of ``columns`` and ``data``, or a list of records.

    The former is what Weights & Biases exports, and pandas with ``orient="split"``.

    Raises
    ------
    TruncatedStoreError
        No JSON, or cut short: rows differ in length, or are not as many as the file says.
    LossShapeError
        JSON that is no table.
    """
    try:
        found: Any = json.loads(file.read())
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError is a ValueError
        raise TruncatedStoreError(
            f"{where} is no JSON that can be read ({error}); export it again"
        ) from error
    if isinstance(found, list):
        return _records(found, [f"record {index}" for index in range(len(found))], where)
    columns, rows = (found.get("columns"), found.get("data")) if isinstance(found, dict) else (None, None)
    if not isinstance(columns, list) or not isinstance(rows, list):
        raise LossShapeError(f"{where} is no table: {_what(found)}")
    odd = next((name for name in columns if not isinstance(name, str | int)), None)
    if odd is not None:
        raise LossShapeError(f"{where} has a column called {odd!r:.60}; expected text")
    for index, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != len(columns):
            raise TruncatedStoreError(
                f"row {index} of {where} is {row!r:.60}; expected {len(columns)} values, one per column"
            )
    for key, held in (("nrows", len(rows)), ("ncols", len(columns))):
        if isinstance(found.get(key), int) and found[key] != held:
            raise TruncatedStoreError(
                f"{where} says {key}={found[key]!r:.30} and holds {held}: it was cut. Export it again"
            )
    return _frame(rows, columns, where)


def read_json_lines(file: IO[bytes], where: str) -> pd.DataFrame:
    """Read a table that has one JSON object per line.

    Raises
    ------
    TruncatedStoreError
        A line is no JSON.
    LossShapeError
        A line is no object, or has other keys than the first.
    """
    records, names = [], []
    for number, line in enumerate(file, start=1):
        if line.strip():
            records.append(parsed_line(line, f"line {number} of {where}"))
            names.append(f"line {number}")
    return _records(records, names, where)


def parsed_line(line: bytes, called: str) -> Any:
    """Return the JSON of a line.

    Raises
    ------
    TruncatedStoreError
        There is none.
    """
    try:
        return json.loads(line.strip())
    except (ValueError, RecursionError) as error:
        why = str(error).replace(" line 1 column", " column")  # of the one line that was read
        shown = repr(line.decode("utf-8", "replace").strip())
        raise TruncatedStoreError(
            f"{called} is no JSON ({why}): {shown if len(shown) < 60 else shown[:57] + '...'}. "
            "If writing it was cut short, delete the line; else write the file again"
        ) from error


def _records(records: list[Any], names: list[str], where: str) -> pd.DataFrame:
    columns = list(records[0]) if records and isinstance(records[0], dict) else []
    for name, record in zip(names, records, strict=True):
        if not isinstance(record, dict):
            raise LossShapeError(f"{name} of {where} is {record!r:.60}; expected an object of named values")
        if record.keys() != set(columns):
            lacking, more = sorted(set(columns) - record.keys()), sorted(record.keys() - set(columns))
            raise LossShapeError(
                f"{name} of {where} has other columns than {names[0]} (lacks {named(lacking)}, adds "
                f"{named(more)}); expected the same for each. Take out what is no row of the table, or make "
                "a DataFrame and open that: open_run(frame)"
            )
    return _frame([[record[key] for key in columns] for record in records], columns, where)


def _frame(rows: list[list[Any]], columns: list[Any], where: str) -> pd.DataFrame:
    try:
        return pd.DataFrame(rows, columns=columns)
    except (ValueError, TypeError, OverflowError) as error:
        raise LossShapeError(f"{where} cannot be taken as a table ({error})") from error


def _what(found: Any) -> str:
    if isinstance(found, dict) and isinstance(found.get("_type"), str) and "path" in found:
        return (
            f"it refers to one, {found['path']!r:.80}. Download that file from the run, and open it "
            "instead of what the run's history says of it"
        )
    keys = (
        f"an object with {named(found)}"
        if isinstance(found, dict)
        else f"JSON of type {type(found).__name__}"
    )
    return (
        f"{keys}; expected an object with 'columns' and 'data', as Weights & Biases exports a table and "
        "pandas writes one (to_json(path, orient='split')), or a list of records"
    )
