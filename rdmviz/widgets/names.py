"""A datapoint in a few words, for a line under a picture."""

from __future__ import annotations

from typing import Final

import numpy as np

from rdmviz.run import TrainingRun
from rdmviz.widgets.colors import format_number, shorten

_MOST_COLUMNS: Final = 3


def short_name(run: TrainingRun, sample: int) -> str:
    """Return up to three columns of the metadata of a datapoint, texts first; empty without metadata.

    Plain text: the browser sets it as text, never as HTML.
    """
    columns = [(str(name), np.asarray(column.values)) for name, column in run.probe.data_vars.items()]
    flat = [(name, values) for name, values in columns if values.ndim == 1]
    texts = [column for column in flat if column[1].dtype.kind in "UTOb"]
    rest = [column for column in flat if column[1].dtype.kind not in "UTOb"]
    told = []
    for name, values in (texts + rest)[:_MOST_COLUMNS]:
        value = values[sample]
        text = format_number(float(value)) if isinstance(value, np.floating) else " ".join(str(value).split())
        told.append(f"{shorten(name)} {shorten(text)}")
    return " · ".join(told)
