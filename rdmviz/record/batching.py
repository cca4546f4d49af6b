"""Losses of many perturbed copies of a model: how many copies and datapoints go through it at once.

A kernel is efficient when what it writes is large enough to pay for its launch and small enough to be in
the cache when the next one reads it. Where a copy's activations are small, copies are stacked
(`torch.func.vmap` over `torch.func.functional_call`) and share kernels; where they are large, datapoints are
split. Beyond the cost of launches a stack gains nothing on a CPU, and pays for layouts: 16 copies of a
two-layer transformer took three times as long together as one by one at 256 datapoints, as long at 16,
and two thirds at 4; those of a small multilayer perceptron, between two fifths and two thirds.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.utils._python_dispatch import TorchDispatchMode

from rdmviz.errors import OptionError
from rdmviz.record.compiling import not_compiled
from rdmviz.record.probe import Probe

__all__ = ["Batches", "Copies", "batches"]

# Bytes of the largest tensor of one copy up to which copies are stacked, and of a kernel at most: where
# launches stop to matter and a share of the cache on a CPU; all multiprocessors busy on a GPU.
_STACKED_UP_TO = {"cpu": 2**17, "cuda": 2**28}
_KERNEL = {"cpu": 2**21, "cuda": 2**28}


@dataclass(frozen=True)
class Batches:
    """How many copies of the model, and how many datapoints, are evaluated at once."""

    draws: int
    samples: int


@dataclass(frozen=True)
class Copies:
    """A model that can be called with other weights, on a probe that does not change."""

    model: nn.Module
    probe: Probe

    def losses(self, weights: Mapping[str, Tensor], samples: int) -> Tensor:
        """Return the losses of one copy, shape (n,), ``samples`` datapoints at a time."""
        # What a forward pass writes into buffers must not reach the model, or the next copy.
        buffers = {name: buffer.clone() for name, buffer in self.model.named_buffers()}
        state = {**buffers, **weights}

        def called(*args: Any, **kwargs: Any) -> Any:
            return functional_call(self.model, state, args, kwargs)

        starts = range(0, self.probe.items, samples)
        return torch.cat([self.probe.part(slice(i, i + samples)).losses(called) for i in starts])

    def stacked(self, weights: Mapping[str, Tensor], samples: int) -> Tensor:
        """Return the losses of a stack of copies, shape (draws, n).

        Raises
        ------
        Exception
            Whatever the model does that cannot be done for a stack.
        """
        with warnings.catch_warnings(), _plain_attention():
            # An operation without a batching rule is a loop in disguise, slower than an open one.
            warnings.filterwarnings("error", message=".*batching rule")
            losses: Tensor = vmap(lambda one: self.losses(one, samples), randomness="different")(weights)
        return losses


def batches(copies: Copies, weights: Mapping[str, Tensor], nbytes: int, draws: int, memory: int) -> Batches:
    """Choose how much goes through the model at once.

    Parameters
    ----------
    copies
        The model and its probe of n datapoints.
    weights
        Parameters to be perturbed, as they are.
    nbytes
        Size of one perturbed copy.
    draws
        How many copies there will be.
    memory
        Bytes for copies and activations. Everything a forward pass allocates counts, as if it were never
        freed: an upper bound.

    Raises
    ------
    OptionError
        Not even one datapoint of one copy fits.
    """
    n = copies.probe.items
    watched = _Allocations()
    few = replace(copies, probe=copies.probe.part(slice(2)))
    with not_compiled(), watched:
        few.losses(weights, 2)
    largest, total = max(watched.largest // 2, 1), watched.total // 2 + 1
    # twice: a batched kernel may want its weights in another order
    if 2 * nbytes + total > memory:
        raise OptionError(
            f"memory={memory} bytes; one perturbed copy and one datapoint need up to {2 * nbytes + total}"
        )
    device = next(iter(weights.values())).device.type
    kernel = _KERNEL.get(device, _KERNEL["cuda"])
    samples = min(n, max(1, kernel // largest), (memory - 2 * nbytes) // total)
    if samples < n or n * largest > _STACKED_UP_TO.get(device, _STACKED_UP_TO["cuda"]):
        return Batches(1, math.ceil(n / math.ceil(n / samples)))
    return Batches(min(draws, kernel // (n * largest), memory // (2 * nbytes + n * total)), n)


def _plain_attention() -> AbstractContextManager[Any]:
    """Fused attention has no batching rule on a CPU; its products and softmax have."""
    try:
        from torch.nn.attention import SDPBackend, sdpa_kernel
    except ImportError:  # before torch 2.3
        return nullcontext()
    context: AbstractContextManager[Any] = sdpa_kernel(SDPBackend.MATH)
    return context


class _Allocations(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch has no types here
    """Adds up what every operation allocates; views and results in place allocate nothing."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # nor here
        self.largest = self.total = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # what skips it loads all of it: seconds, for a process that compiles nothing

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        given = {_place(value) for value in args if isinstance(value, Tensor)}
        for value in result if isinstance(result, (tuple, list)) else [result]:
            if isinstance(value, Tensor) and _place(value) not in given:
                size = value.numel() * value.element_size()
                self.largest, self.total = max(self.largest, size), self.total + size
        return result


def _place(value: Tensor) -> int:
    return int(value.untyped_storage().data_ptr())
