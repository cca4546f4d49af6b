"""A map-style Dataset as one batch: its items stacked into tensors, once."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Number
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, IterableDataset, default_collate

from rdmviz.errors import LossShapeError, OptionError, ProbeError
from rdmviz.record.random_states import random_states_kept

__all__ = ["is_dataset", "stacked"]


def is_dataset(probe: Any) -> bool:
    """Return whether something is, or behaves like, a Dataset: it has items by number."""
    if isinstance(probe, (Tensor, np.ndarray, str, bytes, list, tuple, Mapping)):
        return False
    return isinstance(probe, Dataset) or (hasattr(probe, "__getitem__") and hasattr(probe, "__len__"))


def stacked(dataset: Any) -> Mapping[str, Any] | tuple[Any, Any]:
    """Return all items of a Dataset as one dict batch, or as the pair (inputs, targets).

    What the Dataset draws at random is drawn once, and the random states come back.

    Raises
    ------
    OptionError
        Its items cannot be had by number.
    LossShapeError
        Fewer than two items.
    ProbeError
        Items are no pairs, tuples or dicts, or do not stack; the message names the item.
    """
    name = type(dataset).__name__
    if isinstance(dataset, IterableDataset) or not hasattr(dataset, "__len__"):
        raise OptionError(
            f"probe is a {name}, which has no items by number; expected a map-style Dataset. Stack those to "
            "be watched: torch.utils.data.default_collate(list(itertools.islice(dataset, 1000)))"
        )
    samples = len(dataset)
    if samples < 2:
        raise LossShapeError(f"{samples} datapoint(s) in the probe; expected at least two")
    with random_states_kept():
        items = [_with_tensors(dataset[index]) for index in range(samples)]
    first = items[0]
    if not isinstance(first, (Mapping, tuple, list)) or (not isinstance(first, Mapping) and len(first) < 2):
        raise ProbeError(
            f"item 0 of the {name} is a {type(first).__name__}; expected (input, target), a longer tuple "
            "(input, ..., target), or a dict"
        )
    shape = _shape(first)
    for index, item in enumerate(items):
        if _shape(item) != shape:
            raise ProbeError(
                f"item {index} of the {name} is {_shape(item)} and item 0 is {shape}; expected the same of "
                "all. Pad or crop them to one size"
            )
    try:
        batch = default_collate(items)
    except (TypeError, RuntimeError) as error:
        raise ProbeError(
            f"items of the {name} do not stack ({error}); expected tensors or numbers"
        ) from error
    if isinstance(batch, Mapping):
        return batch
    *inputs, targets = batch
    if isinstance(targets, list):
        raise ProbeError(
            f"the target of item 0 of the {name} is {_shape(first[-1])}; expected a tensor, a number or "
            "a dict"
        )
    return (_structured(inputs[0]) if len(inputs) == 1 else _structured(inputs)), _structured(targets)


def _with_tensors(item: Any) -> Any:
    """Return an item with lists of numbers as tensors: collating takes a list for a structure."""
    if isinstance(item, Mapping):
        return {name: _tensor(value) for name, value in item.items()}
    return tuple(map(_tensor, item)) if type(item) in (list, tuple) else item


def _tensor(value: Any) -> Any:
    if not isinstance(value, list):
        return value
    try:
        return torch.as_tensor(value)
    except (TypeError, ValueError, RuntimeError):
        return value


def _structured(batch: Any) -> Any:
    """Return a batch with tuples for structure and lists for texts; collating does it the other way round."""
    if isinstance(batch, Mapping):
        return {name: _structured(value) for name, value in batch.items()}
    if isinstance(batch, list):
        return tuple(map(_structured, batch))
    return list(batch) if type(batch) is tuple else batch


def _shape(value: Any) -> str:
    """Say what a value is made of, in words that are the same for values that stack."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name!r}: {_shape(part)}" for name, part in value.items()) + "}"
    if isinstance(value, (tuple, list)):
        return "(" + ", ".join(map(_shape, value)) + ")"
    if isinstance(value, (Tensor, np.ndarray)):
        return f"array {tuple(value.shape)}"
    return "number" if isinstance(value, (Number, np.generic)) else type(value).__name__
