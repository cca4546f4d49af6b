"""Looking at a model in the middle of its training without leaving a trace."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from rdmviz.record.module_state import modules_kept
from rdmviz.record.probe import Probe
from rdmviz.record.random_states import random_states_kept
from rdmviz.record.tokens import check_causal

__all__ = ["device_of", "plain", "probe_losses", "unchanged"]


@contextmanager
def unchanged(model: nn.Module) -> Iterator[None]:
    """Run a block in evaluation mode, without gradients, and put everything back, also when it raises.

    What :func:`modules_kept` says of the model, and of the process: the random states of torch, NumPy and
    Python, whether gradients are taken, and the state and caches of autocast and of parametrizations. The
    block runs under the autocast that it is called in.
    """
    devices = {weight.device for weight in model.parameters()}
    kinds = {"cpu", *(device.type for device in devices)}
    process = _autocast_kept(kinds), _parametrizations_kept(), random_states_kept(devices)
    with process[0], process[1], process[2], torch.no_grad(), modules_kept(model):
        yield


@contextmanager
def _autocast_kept(kinds: set[str]) -> Iterator[None]:
    # Older torch caches weights cast by autocast under no_grad without their gradient, and the training
    # step that follows would not move them (pytorch/pytorch issue 112583).
    cached = torch.is_autocast_cache_enabled()
    kinds = {kind for kind in kinds if torch.amp.is_autocast_available(kind)}
    before = {kind: (torch.is_autocast_enabled(kind), torch.get_autocast_dtype(kind)) for kind in kinds}
    torch.set_autocast_cache_enabled(False)
    try:
        yield
    finally:
        torch.set_autocast_cache_enabled(cached)
        for kind, (enabled, dtype) in before.items():
            torch.set_autocast_enabled(kind, enabled)
            torch.set_autocast_dtype(kind, dtype)


@contextmanager
def _parametrizations_kept() -> Iterator[None]:
    """Inside ``parametrize.cached()`` a weight computed without gradients must not serve the training."""
    names: Any = parametrize
    kept = names._cache
    names._cache = {}
    try:
        yield
    finally:
        names._cache = kept


def device_of(model: nn.Module) -> torch.device | None:
    """Return where a model is: where its first parameter is, or None if it has none."""
    return next((weight.device for weight in model.parameters()), None)


def probe_losses(model: nn.Module, probe: Probe, batch_size: int | None = None) -> np.ndarray:
    """Return the loss of every probe datapoint, shape (n,).

    Parameters
    ----------
    model
        Called as the probe says, on its own device, in the mode and under the autocast that it finds: inside
        :func:`unchanged`.
    probe
        The datapoints, or the part of them that this process evaluates.
    batch_size
        How many of its items go through the model at once.

    Raises
    ------
    LossShapeError
        The probe's loss is not one real number per datapoint.
    """
    if probe.causal:
        check_causal(model)
    device = device_of(model)
    size = probe.items if batch_size is None else batch_size
    if size >= probe.items:
        return _numbers(probe.on(device).losses(model))
    parts = [
        probe.part(slice(start, start + size)).on(device).losses(model).detach()
        for start in range(0, probe.items, size)
    ]
    return _numbers(torch.cat(parts))


def _numbers(losses: Tensor) -> np.ndarray:
    numbers: np.ndarray = losses.detach().cpu().double().numpy()
    return numbers


def plain(value: Any) -> Any:
    """Return a tensor as a NumPy array, wherever it lives; anything else as it is."""
    if not isinstance(value, Tensor):
        return value
    value = value.detach().cpu()
    # NumPy has no bfloat16
    return (value.double() if value.is_floating_point() else value).numpy()
