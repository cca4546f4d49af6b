"""A training that is interrupted gives what was recorded by then."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from rdmviz.errors import RecordingWarning

__all__ = ["interruptible"]


@contextmanager
def interruptible(out: object) -> Iterator[None]:
    """Let an interruption of the block pass if the run is kept at a path, else end the block.

    A run in memory would be lost with the exception; ended early, it can be returned, and a
    ``RecordingWarning`` says that it is not whole.
    """
    try:
        yield
    except KeyboardInterrupt:
        if out is not None:
            raise
        warnings.warn(
            "interrupted: this run ends with the last row that was recorded", RecordingWarning, stacklevel=4
        )
