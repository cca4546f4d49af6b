"""Foreign data becomes a TrainingRun: stores, NumPy archives, tables, logs and URLs."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pandas as pd

from rdmviz.errors import OptionError, RunNotFoundError, TruncatedStoreError
from rdmviz.run import TrainingRun
from rdmviz.sources.archives import from_npz
from rdmviz.sources.cartography import dynamics_files, from_dynamics
from rdmviz.sources.incomplete import Incomplete, checked_incomplete
from rdmviz.sources.logged_tables import from_logged_tables, logged_tables
from rdmviz.sources.table_files import read_csv, read_json, read_json_lines, read_parquet
from rdmviz.sources.tables import from_frame
from rdmviz.store import RunStore
from rdmviz.store.chunked import chunked
from rdmviz.store.places import at, fetch, missing, reading

__all__ = ["from_frame", "open_run"]

_TABLES = (".csv", ".parquet", ".json", ".jsonl")


def open_run(
    path: str | PathLike[str] | pd.DataFrame,
    *,
    step: str | None = None,
    sample: str | None = None,
    loss: str | None = None,
    drop: Sequence[str] = (),
    incomplete: Incomplete = "refuse",
    chunks: Any = None,
) -> TrainingRun:
    """Open a run from wherever it is.

    Parameters
    ----------
    path : path, URL or DataFrame
        One of

        - a store written by ``run.save`` or a Recorder: a folder, or the same in a ``.zip``; its losses
          are read when they are asked for;
        - ``.npz``: ``loss`` (T, n), ``steps`` (T,) and one array (n,) per probe column, or pictures
          (n, height, width) with or without channels; arrays called ``metrics/<name>`` are metrics (T,);
        - a table in ``.csv``, ``.parquet``, ``.json`` (as Weights & Biases exports its tables, or a list of
          records) or ``.jsonl`` (one object per line), or a DataFrame, of pandas or of what has
          ``to_pandas()`` as polars and pyarrow do; *long*: columns ``step``, ``sample`` and ``loss``, one row
          for each pair; another column describes datapoints if it is the same in all rows of each sample,
          and is a metric if it is the same in all rows of each step;
        - *wide*: one row per recorded step, a column ``step``, one column per datapoint, and columns
          ``metrics/<name>``;
        - a folder of training dynamics as Dataset Cartography logs them (``dynamics_epoch_0.jsonl``, ...), or
          the folder above ``training_dynamics``: losses are the cross-entropy of logits and gold label, in
          nats, and steps the epochs;
        - a folder of the tables that Weights & Biases logged under one key, such as ``media/table`` of a
          run's files; the step is that of the file where no column has it;
        - an fsspec URL of any of these, such as ``memory://run`` or ``s3://bucket/run``.

    step, sample, loss : str, optional
        For tables: the columns that hold the step, name the datapoint and hold its loss. By default those
        called so, or as loggers call them (``_step``, ``global_step``, ``epoch``; ``sample_id``,
        ``example_id``, ``guid``, ``id``; ``nll``, ``cross_entropy``, ...); nothing is guessed where two fit.
    drop : sequence of str
        For tables: columns to leave out.
    incomplete : {"refuse", "drop_samples", "drop_steps"}
        For long tables and training dynamics: what to do where a datapoint has no loss at some step. The
        number of what was left out is in ``run.attrs``.
    chunks : optional
        For stores: make the losses a dask array of such chunks (``"auto"``, rows, or ``(rows, datapoints)``
        as dask understands them), so that they are reduced on the dask cluster in use. Its workers must
        reach ``path``. A store opened without is read in pieces by this process, in bounded memory, too.

    Raises
    ------
    RunNotFoundError
        Nothing is there; the message lists what is near.
    OptionError
        ``path`` is no path, or an option does not fit, or not what is there.
    SchemaVersionError, TruncatedStoreError
        The store is from a newer rdmviz, or damaged.
    UnsafeDataError
        The file holds pickled objects.
    MissingExtraError
        The format needs a package that is not installed.
    LossShapeError, StepsError, ProbeError, MetricError
        The data are no run.
    DuplicateRowsError, MissingRowsError
        There are two losses, or none, of a datapoint at a step.
    """
    roles = {"step": step, "sample": sample, "loss": loss}
    columns: dict[str, Any] = {role: name for role, name in roles.items() if name is not None}
    for role, name in columns.items():
        if not isinstance(name, str):
            raise OptionError(f"{role}={name!r:.60}; expected the name of a column")
    if isinstance(drop, str) or not all(isinstance(name, str) for name in drop):
        raise OptionError(f"drop={drop!r:.60}; expected names of columns, such as drop=['prediction']")
    if drop:
        columns["drop"] = list(drop)
    if checked_incomplete(incomplete) != "refuse":
        columns["incomplete"] = incomplete
    frame: Any = path.to_pandas() if hasattr(path, "to_pandas") else path
    if isinstance(frame, pd.DataFrame):
        if chunks is not None:
            raise OptionError(f"chunks={chunks!r:.60} for a DataFrame: only a store is read chunk by chunk")
        return from_frame(frame, **columns)
    place = at(frame)
    run = _open(place, columns, chunks)
    options = {**columns, **({} if chunks is None else {"chunks": chunks})}
    told = "".join(f", {name}={value!r}" for name, value in options.items())
    run.origin = f"rdmviz.open_run({str(place)!r}{told})"
    return run


def _open(place: Path | str, columns: dict[str, Any], chunks: Any) -> TrainingRun:
    if isinstance(place, Path):
        name = place.name
    else:
        parts = urlsplit(place)  # memory://run.csv has no path
        name = Path(parts.path).name or parts.netloc
    suffix = Path(name).suffix.lower()
    if suffix in (".npz", *_TABLES) and not (isinstance(place, Path) and place.is_dir()):
        if chunks is not None:
            raise OptionError(
                f"chunks={chunks!r:.60} for {place}: only a store is read chunk by chunk; "
                "make one with open_run(path).save('run.rdmviz')"
            )
        if isinstance(place, Path) and not place.is_file():
            raise missing(place)
        if suffix == ".npz":
            _no_table(columns, place)
        with place.open("rb") if isinstance(place, Path) else fetch(place) as file:
            if suffix == ".npz":
                return from_npz(file, str(place), name=Path(name).stem)
            titled = Path(name).stem.removesuffix(".table")
            return from_frame(_table(file, suffix, str(place)), name=titled, **columns)
    if suffix == ".npy" and not (isinstance(place, Path) and not place.is_file()):
        raise RunNotFoundError(
            f"{place} is a single array; make a run of it with TrainingRun.from_arrays(numpy.load(path))"
        )
    if isinstance(place, Path) and place.is_file() and suffix != ".zip":
        raise RunNotFoundError(
            f"{place} is a file of unknown kind; expected a store, .zip, .npz, {', '.join(_TABLES[:-1])} or "
            f"{_TABLES[-1]}"
        )
    try:
        store = RunStore(reading(place), str(place))
    except zipfile.BadZipFile as error:
        raise TruncatedStoreError(f"{place} is no readable zip ({error}); copy it again") from error
    except RunNotFoundError as error:
        if files := dynamics_files(place):
            return _dynamics(files, name, columns, chunks)
        if tables := logged_tables(place):
            if chunks is not None:
                raise OptionError(
                    f"chunks={chunks!r:.60} for tables: only a store is read by chunks"
                ) from error
            return from_logged_tables(tables, columns=columns)
        if isinstance(place, Path) and place.is_dir():
            raise missing(place / "zarr.json", f"{place} holds no run ({error}) and no {{}}") from error
        raise
    _no_table(columns, place)
    return TrainingRun.from_store(store, None if chunks is None else chunked(store, place, chunks))


def _table(file: Any, suffix: str, where: str) -> pd.DataFrame:
    if suffix == ".csv":
        return read_csv(file)
    if suffix == ".parquet":
        return read_parquet(file, where)
    return read_json(file, where) if suffix == ".json" else read_json_lines(file, where)


def _dynamics(files: dict[int, Path | str], name: str, columns: dict[str, Any], chunks: Any) -> TrainingRun:
    if chunks is not None:
        raise OptionError(f"chunks={chunks!r:.60} for training dynamics: only a store is read chunk by chunk")
    incomplete: Incomplete = columns.get("incomplete", "refuse")
    _no_table({key: value for key, value in columns.items() if key != "incomplete"}, "training dynamics")
    if name == "training_dynamics":  # every model's are called so
        name = Path(str(next(iter(files.values())))).parent.parent.name
    return from_dynamics(files, name=name, incomplete=incomplete)


def _no_table(columns: dict[str, Any], place: Path | str) -> None:
    if columns:
        name, value = next(iter(columns.items()))
        raise OptionError(f"{name}={value!r:.60} is for tables; {place} is none")
