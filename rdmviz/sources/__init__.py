"""Foreign data becomes a TrainingRun: stores, NumPy archives, tables and URLs."""

from __future__ import annotations

import zipfile
from os import PathLike
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from rdmviz.errors import OptionError, RunNotFoundError, TruncatedStoreError
from rdmviz.run import TrainingRun
from rdmviz.sources.archives import from_npz
from rdmviz.sources.tables import from_frame, read_csv, read_parquet
from rdmviz.store import RunStore
from rdmviz.store.chunked import chunked
from rdmviz.store.places import at, fetch, missing, reading

__all__ = ["from_frame", "open_run"]


def open_run(path: str | PathLike[str], *, chunks: Any = None) -> TrainingRun:
    """Open a run from wherever it is.

    Parameters
    ----------
    path : path or URL
        One of

        - a store written by ``run.save`` or a Recorder: a folder, or the same in a ``.zip``; its losses
          are read when they are asked for;
        - ``.npz``: ``loss`` (T, n), ``steps`` (T,) and one array (n,) per probe column, or pictures
          (n, height, width) with or without channels; arrays called ``metrics/<name>`` are metrics (T,);
        - ``.csv`` or ``.parquet``, wide: one row per recorded step, a column ``step``, one column per
          datapoint, and columns ``metrics/<name>``;
        - ``.csv`` or ``.parquet``, long: columns ``step``, ``sample`` and ``loss``, one row for each pair;
          another column describes datapoints if it is the same in all rows of each sample, and is a
          metric if it is the same in all rows of each step;
        - an fsspec URL of any of these, such as ``memory://run`` or ``s3://bucket/run``.

    chunks : optional
        For stores: make the losses a dask array of such chunks (``"auto"``, rows, or ``(rows, datapoints)``
        as dask understands them), so that they are reduced on the dask cluster in use. Its workers must
        reach ``path``. A store opened without is read in pieces by this process, in bounded memory, too.

    Raises
    ------
    RunNotFoundError
        Nothing is there; the message lists what is near.
    OptionError
        ``path`` is no path, or ``chunks`` do not fit or are asked of something that is no store.
    SchemaVersionError, TruncatedStoreError
        The store is from a newer rdmviz, or damaged.
    UnsafeDataError
        The file holds pickled objects.
    MissingExtraError
        The format needs a package that is not installed.
    LossShapeError, StepsError, ProbeError, MetricError
        The data are no run.
    """
    place = at(path)
    run = _open(place, chunks)
    run.origin = f"rdmviz.open_run({str(place)!r}{'' if chunks is None else f', chunks={chunks!r}'})"
    return run


def _open(place: Path | str, chunks: Any) -> TrainingRun:
    if isinstance(place, Path):
        name = place.name
    else:
        parts = urlsplit(place)  # memory://run.csv has no path
        name = Path(parts.path).name or parts.netloc
    suffix = Path(name).suffix.lower()
    if suffix in (".npz", ".csv", ".parquet") and not (isinstance(place, Path) and place.is_dir()):
        if chunks is not None:
            raise OptionError(
                f"chunks={chunks!r:.60} for {place}: only a store is read chunk by chunk; "
                "make one with open_run(path).save('run.rdmviz')"
            )
        if isinstance(place, Path) and not place.is_file():
            raise missing(place)
        with place.open("rb") if isinstance(place, Path) else fetch(place) as file:
            if suffix == ".npz":
                return from_npz(file, str(place), name=Path(name).stem)
            frame = read_csv(file) if suffix == ".csv" else read_parquet(file, str(place))
            return from_frame(frame, name=Path(name).stem)
    if suffix == ".npy" and not (isinstance(place, Path) and not place.is_file()):
        raise RunNotFoundError(
            f"{place} is a single array; make a run of it with TrainingRun.from_arrays(numpy.load(path))"
        )
    if isinstance(place, Path) and place.is_file() and suffix != ".zip":
        raise RunNotFoundError(
            f"{place} is a file of unknown kind; expected a store, .zip, .npz, .csv or .parquet"
        )
    try:
        store = RunStore(reading(place), str(place))
        return TrainingRun.from_store(store, None if chunks is None else chunked(store, place, chunks))
    except zipfile.BadZipFile as error:
        raise TruncatedStoreError(f"{place} is no readable zip ({error}); copy it again") from error
    except RunNotFoundError as error:
        if isinstance(place, Path) and place.is_dir():
            raise missing(place / "zarr.json", f"{place} holds no run ({error}) and no {{}}") from error
        raise
