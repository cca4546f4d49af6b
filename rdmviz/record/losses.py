"""Losses with one number per datapoint."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from rdmviz.errors import LossShapeError, OptionError

__all__ = [
    "LEFT_OUT",
    "default_loss",
    "logits_of",
    "per_sample_cross_entropy",
    "per_sample_squared_error",
    "per_token_cross_entropy",
    "whole",
]

LEFT_OUT = -100  # torch's and transformers' label of what does not count


def per_sample_cross_entropy(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the cross-entropy in nats of each datapoint, shape (n,).

    Parameters
    ----------
    outputs : Tensor, shape (n, classes)
        Logits.
    targets : Tensor of int, shape (n,)
        Class of each datapoint.
    """
    return functional.cross_entropy(outputs.float(), targets, reduction="none")


def per_token_cross_entropy(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the cross-entropy in nats of each token, shape (n, length), zero where the target is -100.

    Parameters
    ----------
    outputs : Tensor, shape (n, length, vocabulary)
        Logits.
    targets : Tensor of int, shape (n, length)
        Token at each place, or -100. They are not shifted: ``targets[:, t]`` is compared with
        ``outputs[:, t]``.
    """
    losses = functional.cross_entropy(
        outputs.flatten(0, 1).float(), targets.flatten(), reduction="none", ignore_index=LEFT_OUT
    )
    return losses.reshape(targets.shape)


def per_sample_squared_error(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the squared error of each datapoint, averaged over its outputs, shape (n,).

    Parameters
    ----------
    outputs, targets : Tensor, shape (n, ...)
        Predictions and truth of the same shape; ``(n, 1)`` and ``(n,)`` are taken as the same.

    Raises
    ------
    LossShapeError
        The shapes differ: broadcasting them would compare every datapoint with every other.
    """
    if outputs.shape != targets.shape:
        if outputs.numel() != targets.numel() or len(outputs) != len(targets):
            raise LossShapeError(
                f"outputs have shape {tuple(outputs.shape)} and targets {tuple(targets.shape)}; "
                "expected the same shape for a squared error"
            )
        outputs = outputs.reshape(targets.shape)
    error = (outputs.float() - targets.float()).square()
    return error.reshape(len(error), -1).mean(dim=1)


def default_loss(outputs: Any, targets: Any) -> Tensor:
    """Return cross-entropy for integer classes, squared error for real targets, shape (n,).

    Raises
    ------
    OptionError
        Neither fits.
    """
    outputs = logits_of(outputs)
    if not isinstance(outputs, Tensor) or not isinstance(targets, Tensor):
        raise OptionError(
            f"the model gave {type(outputs).__name__} for targets of {type(targets).__name__}; expected two "
            "tensors. Pass loss_fn(outputs, targets) that returns one number per datapoint"
        )
    if whole(targets) and targets.ndim == 1 and outputs.ndim == 2 and outputs.shape[1] > 1:
        return per_sample_cross_entropy(outputs, targets)
    if targets.is_floating_point() and outputs.is_floating_point():
        return per_sample_squared_error(outputs, targets)
    raise OptionError(
        f"no default loss for outputs {tuple(outputs.shape)} ({outputs.dtype}) and targets "
        f"{tuple(targets.shape)} ({targets.dtype}); pass loss_fn(outputs, targets) that returns one number "
        "per datapoint"
    )


def logits_of(outputs: Any) -> Any:
    """Return the ``logits`` of an output that has them; any other as it is."""
    return getattr(outputs, "logits", outputs)


def whole(targets: Any) -> bool:
    """Return whether targets are a tensor of integers: classes, or tokens."""
    return isinstance(targets, Tensor) and targets.dtype in _INTEGERS


_INTEGERS = {torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64}
