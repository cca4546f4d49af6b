"""Looking at a model in the middle of its training without leaving a trace."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from rdmviz.errors import LossShapeError, OptionError, ProbeError

__all__ = [
    "Inputs",
    "LossFn",
    "checked_pair",
    "count",
    "losses_of",
    "on",
    "part_of",
    "plain",
    "probe_losses",
    "unchanged",
]

Inputs: TypeAlias = Tensor | tuple[Any, ...] | Mapping[str, Any]
LossFn: TypeAlias = Callable[[Any, Any], Tensor]


@contextmanager
def unchanged(model: nn.Module) -> Iterator[None]:
    """Run a block in evaluation mode, without gradients, and put everything back.

    Every module's own train/eval mode comes back (a frozen batch norm stays frozen), and so do the random
    states of torch, numpy and Python, also when the block raises.
    """
    modes = [(module, module.training) for module in model.modules()]
    devices = {p.device for p in model.parameters() if p.device.type == "cuda"}
    numpy_state, python_state = np.random.get_state(), random.getstate()  # noqa: NPY002
    # Older torch caches weights cast by autocast under no_grad without their gradient, and the training
    # step that follows would not move them (pytorch/pytorch issue 112583).
    cached = torch.is_autocast_cache_enabled()
    torch.set_autocast_cache_enabled(False)
    try:
        with torch.random.fork_rng(devices=list(devices)), torch.no_grad():
            model.eval()
            yield
    finally:
        torch.set_autocast_cache_enabled(cached)
        np.random.set_state(numpy_state)  # noqa: NPY002
        random.setstate(python_state)
        for module, training in modes:
            module.training = training


def probe_losses(
    model: nn.Module, inputs: Inputs, targets: Any, loss_fn: LossFn, batch_size: int | None
) -> np.ndarray:
    """Return the loss of every probe datapoint, shape (n,).

    Raises
    ------
    LossShapeError
        ``loss_fn`` does not give one real number per datapoint.
    """
    samples = count(targets)
    size = samples if batch_size is None else batch_size
    device = next((p.device for p in model.parameters()), None)
    parts = []
    for start in range(0, samples, size):
        part = slice(start, min(start + size, samples))
        losses = losses_of(model, on(device, part_of(inputs, part)), on(device, targets[part]), loss_fn)
        parts.append(losses.detach().cpu().double().numpy())
    return np.concatenate(parts)


def losses_of(model: Callable[..., Any], inputs: Inputs, targets: Any, loss_fn: LossFn) -> Tensor:
    """Return the loss of each of these datapoints, shape (n,), as ``loss_fn`` gives it.

    Raises
    ------
    LossShapeError
        ``loss_fn`` does not give one real number per datapoint.
    """
    losses = loss_fn(_forward(model, inputs), targets)
    expected = (count(targets),)
    shape = tuple(losses.shape) if isinstance(losses, Tensor) else type(losses).__name__
    if shape != expected or losses.is_complex():
        raise LossShapeError(
            f"loss_fn gave {shape} for {expected[0]} datapoints; expected one real number each, shape "
            f"{expected}. Use reduction='none', and average over everything but the datapoints"
        )
    return losses


def count(targets: Any) -> int:
    """Return the number of datapoints."""
    try:
        return len(targets)
    except TypeError as error:
        raise LossShapeError(f"probe targets are {targets!r:.60}; expected one per datapoint") from error


def checked_pair(probe: Any) -> tuple[Inputs, Any]:
    """Return probe inputs and targets of the same length, NumPy arrays as tensors.

    Raises
    ------
    OptionError
        Not a pair.
    LossShapeError
        Fewer than two datapoints.
    ProbeError
        An input is not as long as the targets, or is an array that torch cannot hold.
    """
    if not isinstance(probe, (tuple, list)) or len(probe) != 2:
        raise OptionError(f"probe is a {type(probe).__name__}; expected the pair (inputs, targets)")
    inputs, targets = _tensors(probe[0], "inputs"), _tensors(probe[1], "targets")
    samples = count(targets)
    if samples < 2:
        raise LossShapeError(f"{samples} datapoint(s) in the probe; expected at least two")
    if isinstance(inputs, Mapping):
        named = {f"inputs[{name!r}]": value for name, value in inputs.items()}
    elif isinstance(inputs, tuple):
        named = {f"inputs[{index}]": value for index, value in enumerate(inputs)}
    else:
        named = {"inputs": inputs}
    if not named:
        raise ProbeError("probe inputs are empty; expected at least one tensor")
    for name, value in named.items():
        try:
            length = len(value)
        except TypeError as error:
            raise ProbeError(
                f"probe {name} is {value!r:.60}; expected one entry for each of {samples} targets"
            ) from error
        if length != samples:
            raise ProbeError(
                f"probe {name} has {length} datapoints and targets {samples}; expected as many. "
                "Cut both to the same datapoints"
            )
    return inputs, targets


def _tensors(value: Any, name: str) -> Any:
    if isinstance(value, Mapping):
        return {key: _tensors(item, f"{name}[{key!r}]") for key, item in value.items()}
    if isinstance(value, tuple):
        return tuple(_tensors(item, f"{name}[{index}]") for index, item in enumerate(value))
    if not isinstance(value, np.ndarray):
        return value
    try:
        return torch.as_tensor(value if value.flags.writeable else value.copy())
    except (TypeError, ValueError) as error:
        raise ProbeError(
            f"probe {name} cannot be a tensor ({error}); expected numbers. "
            "Convert it first, for example with .astype('float32')"
        ) from error


def plain(value: Any) -> Any:
    """Return a tensor as a NumPy array, wherever it lives; anything else as it is."""
    if not isinstance(value, Tensor):
        return value
    value = value.detach().cpu()
    # NumPy has no bfloat16
    return (value.double() if value.is_floating_point() else value).numpy()


def part_of(inputs: Any, part: slice) -> Any:
    """Return some datapoints of the inputs."""
    if isinstance(inputs, Mapping):
        return {name: value[part] for name, value in inputs.items()}
    if isinstance(inputs, tuple):
        return tuple(value[part] for value in inputs)
    return inputs[part]


def on(device: torch.device | None, value: Any) -> Any:
    """Return a probe's tensors on a device; what is no tensor, or has nowhere to go, stays."""
    if isinstance(value, Mapping):
        return {name: on(device, item) for name, item in value.items()}
    if isinstance(value, tuple):
        return tuple(on(device, item) for item in value)
    return value.to(device) if isinstance(value, Tensor) and device is not None else value


def _forward(model: Callable[..., Any], inputs: Any) -> Any:
    if isinstance(inputs, Mapping):
        return model(**inputs)
    if isinstance(inputs, tuple):
        return model(*inputs)
    return model(inputs)
