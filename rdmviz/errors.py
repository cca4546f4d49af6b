"""Every exception rdmviz raises on bad input, in one place.

All are :class:`ValueError`, :class:`KeyError`, :class:`FileNotFoundError` or :class:`ImportError` too,
so code that does not know rdmviz can still catch them.
"""

from __future__ import annotations

from rdmviz.compute.errors import (
    ComputeError,
    DetrendError,
    FlatWindowError,
    LossShapeError,
    NonFiniteLossError,
    NullError,
    WindowError,
)

__all__ = [
    "CheckpointError",
    "CheckpointNotFoundError",
    "ChunkError",
    "ComputeError",
    "DetrendError",
    "DuplicateRowsError",
    "ExampleNotFoundError",
    "FlatWindowError",
    "LossShapeError",
    "MetricError",
    "MissingExtraError",
    "MissingRowsError",
    "NoRowsYetError",
    "NonFiniteLossError",
    "NullError",
    "OptionError",
    "ProbeError",
    "RankError",
    "RunNotFoundError",
    "SchemaVersionError",
    "StepNotFoundError",
    "StepsError",
    "StoreExistsError",
    "TruncatedStoreError",
    "UnsafeDataError",
    "WindowError",
]


class StepsError(ValueError):
    """Recorded steps are not increasing integers, or not one per row of losses."""


class StepNotFoundError(KeyError):
    """The run holds no row at the step asked for."""

    def __str__(self) -> str:  # KeyError would show the repr, quotes and all
        return str(self.args[0]) if self.args else ""


class DuplicateRowsError(LossShapeError):
    """A table or log gives two losses for one datapoint at one step."""


class MissingRowsError(LossShapeError):
    """A table or log gives no loss for a datapoint at a step, or leaves out an epoch."""


class ProbeError(ValueError):
    """Probe metadata does not fit the datapoints, or names a column that is not there."""


class MetricError(ValueError):
    """A metric does not have one number per recorded step, or is not there."""


class OptionError(ValueError):
    """An option has a value that is not among the choices."""


class RunNotFoundError(FileNotFoundError):
    """There is no run at the path."""


class ExampleNotFoundError(KeyError):
    """No shipped example has that name."""

    __str__ = StepNotFoundError.__str__


class StoreExistsError(FileExistsError):
    """There is something at the path already, and nothing is overwritten unasked."""


class ChunkError(RuntimeError):
    """A chunk of a Dask-backed run could not be read or reduced; the message says which."""


class RankError(RuntimeError):
    """A process of a distributed training failed to record, and all of them were told."""


class CheckpointError(ValueError):
    """A checkpoint does not fit the model, cannot be read, or could not be evaluated."""


class CheckpointNotFoundError(FileNotFoundError):
    """There is no checkpoint where one is expected, or not any more."""


class UnsafeDataError(ValueError):
    """The file holds pickled objects; rdmviz never unpickles."""


class SchemaVersionError(ValueError):
    """The store was written by a newer rdmviz."""


class TruncatedStoreError(ValueError):
    """The store is damaged: parts that it promises are missing."""


class NoRowsYetError(TruncatedStoreError):
    """The store is whole and holds no committed row: its recording has just begun."""


class MissingExtraError(ImportError):
    """An optional dependency is not installed; the message gives the install command."""
