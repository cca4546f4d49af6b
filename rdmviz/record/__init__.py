"""Recording a training: the loss of every probe datapoint, without a trace on the training."""

from __future__ import annotations

try:
    import torch  # noqa: F401  # only to learn whether it is there
except ImportError as error:
    from rdmviz.errors import MissingExtraError

    raise MissingExtraError('recording a training needs torch: pip install "rdmviz[torch]"') from error

from rdmviz.record.losses import per_sample_cross_entropy, per_sample_squared_error
from rdmviz.record.recorder import Recorder

__all__ = ["Recorder", "per_sample_cross_entropy", "per_sample_squared_error"]
