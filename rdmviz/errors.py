"""Every exception rdmviz raises on bad input, in one place.

All are :class:`ValueError`, :class:`KeyError`, :class:`OSError` or :class:`ImportError` too,
so code that does not know rdmviz can still catch them. In a notebook those of bad input show their message
alone; ``%tb`` shows the traceback.
"""

from __future__ import annotations

from rdmviz.compute.errors import (
    ComputeError,
    DetrendError,
    DistanceError,
    FlatWindowError,
    LandscapeError,
    LossShapeError,
    NonFiniteLossError,
    NullError,
    PlainError,
    RepresentationError,
    SpinModelError,
    WeightsError,
    WindowError,
)

__all__ = [
    "CheckpointError",
    "CheckpointNotFoundError",
    "ChunkError",
    "ComputeError",
    "DetrendError",
    "DistanceError",
    "DuplicateRowsError",
    "ExampleNotFoundError",
    "FlatWindowError",
    "LandscapeError",
    "LossShapeError",
    "MetricError",
    "MissingExtraError",
    "MissingRowsError",
    "NoRowsYetError",
    "NonFiniteLossError",
    "NullError",
    "OptionError",
    "PlainError",
    "ProbeError",
    "RankError",
    "RecordingWarning",
    "RepresentationError",
    "RunNotFoundError",
    "SchemaVersionError",
    "SnapshotError",
    "SpinModelError",
    "StepNotFoundError",
    "StepsError",
    "StoreExistsError",
    "StoreLockedError",
    "StoreUnwritableError",
    "TruncatedStoreError",
    "UnsafeDataError",
    "WeightsError",
    "WindowError",
]


class StepsError(PlainError, ValueError):
    """Recorded steps are not increasing integers, or not one per row of losses."""


class StepNotFoundError(PlainError, KeyError):
    """The run holds no row at the step asked for."""

    def __str__(self) -> str:  # KeyError would show the repr, quotes and all
        return str(self.args[0]) if self.args else ""


class DuplicateRowsError(LossShapeError):
    """A table or log gives two losses for one datapoint at one step."""


class MissingRowsError(LossShapeError):
    """A table or log gives no loss for a datapoint at a step, or leaves out an epoch."""


class ProbeError(PlainError, ValueError):
    """Probe metadata does not fit the datapoints, or names a column that is not there."""


class MetricError(PlainError, ValueError):
    """A metric does not have one number per recorded step, or is not there."""


class SnapshotError(PlainError, ValueError):
    """A snapshot of weights or representations does not fit, or the run holds none."""


class OptionError(PlainError, ValueError):
    """An option has a value that is not among the choices."""


class RunNotFoundError(PlainError, FileNotFoundError):
    """There is no run at the path."""


class ExampleNotFoundError(PlainError, KeyError):
    """No shipped example has that name."""

    __str__ = StepNotFoundError.__str__


class StoreExistsError(PlainError, FileExistsError):
    """There is something at the path already, and nothing is overwritten unasked."""


class StoreLockedError(PlainError, OSError):
    """Another recorder writes to the path."""


class StoreUnwritableError(PlainError, OSError):
    """Nothing can be written to the path: it is read-only, full, or not where a folder can be."""


class RecordingWarning(UserWarning):
    """Rows could not be written for now, or are lost; the training goes on."""


class ChunkError(RuntimeError):
    """A chunk of a Dask-backed run could not be read or reduced; the message says which."""


class RankError(RuntimeError):
    """A process of a distributed training failed to record, and all of them were told."""


class CheckpointError(PlainError, ValueError):
    """A checkpoint does not fit the model, cannot be read, or could not be evaluated."""


class CheckpointNotFoundError(PlainError, FileNotFoundError):
    """There is no checkpoint where one is expected, or not any more."""


class UnsafeDataError(PlainError, ValueError):
    """The file holds pickled objects; rdmviz never unpickles."""


class SchemaVersionError(PlainError, ValueError):
    """The store was written by a newer rdmviz."""


class TruncatedStoreError(PlainError, ValueError):
    """The store is damaged: parts that it promises are missing."""


class NoRowsYetError(TruncatedStoreError):
    """The store is whole and holds no committed row: its recording has just begun."""


class MissingExtraError(PlainError, ImportError):
    """An optional dependency is not installed; the message gives the install command."""
