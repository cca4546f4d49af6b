"""Losses of probe datapoints, along a training or around a checkpoint, without a trace on the model."""

from __future__ import annotations

try:
    import torch  # noqa: F401  # only to learn whether it is there
except ImportError as error:
    from rdmviz.errors import MissingExtraError

    raise MissingExtraError('recording a training needs torch: pip install "rdmviz[torch]"') from error

from importlib import import_module
from typing import Any

from rdmviz.record.checkpoints import record_checkpoints
from rdmviz.record.gaussian import gaussian_draws
from rdmviz.record.gaussian_snapshots import GaussianSnapshots
from rdmviz.record.hub import hub_revisions
from rdmviz.record.losses import (
    per_sample_cross_entropy,
    per_sample_squared_error,
    per_token_cross_entropy,
)
from rdmviz.record.recorder import Recorder
from rdmviz.record.snapshots import Snapshots

__all__ = [
    "GaussianSnapshots",
    "Recorder",
    "Snapshots",
    "gaussian_draws",
    "hub_revisions",
    "per_sample_cross_entropy",
    "per_sample_squared_error",
    "per_token_cross_entropy",
    "record_checkpoints",
]


def __getattr__(name: str) -> Any:
    """Import the callbacks of a trainer when they are asked for: each needs a library of its own."""
    if name in ("lightning", "transformers"):
        return import_module(f"rdmviz.record.{name}")
    raise AttributeError(f"module 'rdmviz.record' has no attribute {name!r}; it offers {', '.join(__all__)}")
