"""What a forward pass may write into a model, and how it comes back."""

from __future__ import annotations

import random
import warnings
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from operator import is_not
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from rdmviz.errors import OptionError

__all__ = ["modules_kept"]

_OF_TORCH = frozenset(vars(nn.Module()))  # hooks, registries and the mode; a forward pass sets other names
_REGISTRIES = ("_parameters", "_buffers", "_modules")
_MOST_BYTES = 2**28


@contextmanager
def modules_kept(model: nn.Module) -> Iterator[None]:
    """Put a model in evaluation mode inside a ``with``, and back as it was, also when the block raises.

    What comes back: every module's own mode; buffers, written in place or replaced; attributes that were set;
    tensors and random generators in attributes, and in lists, dicts and sets there, that were written in
    place; gradients of parameters. Modes are set one by one: an ``eval`` of the model's own, such as one that
    merges weights, is not called. Parameters are taken to be read only, and so are tensors beyond 256 MiB: a
    warning tells of one that was written all the same.

    Raises
    ------
    OptionError
        The model has parameters without a shape yet, which the block would initialise.
    """
    modules, weights = list(model.modules()), list(model.parameters())
    if any(map(is_lazy, weights)):
        raise OptionError(
            f"{type(model).__name__} has parameters without a shape yet; send one batch through it first"
        )
    written = _Written()
    for module in modules:
        written.keep_module(module)
    gradients = [(weight, weight.grad) for weight in weights if weight.grad is not None]
    modes = [(module, module.training) for module in modules]
    try:
        for weight, _ in gradients:
            weight.grad = None
        for module, training in modes:
            if training:
                _set_mode(module, False)
        yield
    finally:
        for module, training in modes:
            if module.training is not training:
                _set_mode(module, training)
        written.put_back()
        for weight in weights:
            if weight.grad is not None:
                weight.grad = None
        for weight, gradient in gradients:
            weight.grad = gradient


class _Written:
    """Values as they are before a forward pass, and how each is put back."""

    def __init__(self) -> None:
        self._undo: list[Callable[[], object]] = []
        self._seen: dict[int, Any] = {}  # the values too, so that no other gets the identity of one
        self._watched: list[tuple[Tensor, int]] = []

    def keep_module(self, module: nn.Module) -> None:
        """Keep its attributes and its buffers."""
        state = vars(module)
        self._undo.append(partial(_put_names_back, state, state.copy()))
        for name in _REGISTRIES:
            registry = state.get(name)
            if isinstance(registry, dict):
                self._undo.append(partial(_put_dict_back, registry, registry.copy()))
        self._keep_all([value for name, value in state.items() if name not in _OF_TORCH])
        buffers = state.get("_buffers")  # a scripted module has them elsewhere
        self._keep_all((dict(module.named_buffers()) if buffers is None else buffers).values())

    def put_back(self) -> None:
        """Undo what was written."""
        for undo in self._undo:
            undo()
        for tensor, version in self._watched:
            if tensor._version != version:
                warnings.warn(
                    f"the model wrote into a tensor of shape {tuple(tensor.shape)} in evaluation mode, and "
                    f"more than {_MOST_BYTES >> 20} MiB are not put back: its training is not as it would be "
                    "without a recording. Let it write in training mode only",
                    RuntimeWarning,
                    stacklevel=2,
                )

    def _keep_all(self, values: Iterable[Any]) -> None:
        for value in values:
            kind = type(value)
            if kind in _CANNOT_CHANGE or id(value) in self._seen:
                continue
            self._seen[id(value)] = value
            if isinstance(value, Tensor):
                self._keep_tensor(value)
            elif kind in _DICTS:
                self._undo.append(partial(_put_dict_back, value, dict(value)))
                self._keep_all(value.values())
            elif kind in (list, deque, tuple):
                if kind is not tuple:
                    self._undo.append(partial(_put_list_back, value, list(value)))
                self._keep_all(value)
            elif kind is set:
                self._undo.append(partial(_put_set_back, value, set(value)))
            elif kind is torch.Generator:
                self._undo.append(partial(value.set_state, value.get_state()))
            elif kind is np.random.Generator:
                self._undo.append(partial(setattr, value.bit_generator, "state", value.bit_generator.state))
            elif kind is random.Random:
                self._undo.append(partial(value.setstate, value.getstate()))

    def _keep_tensor(self, tensor: Tensor) -> None:
        # A result of the training step in flight is not written into, and nor is what nothing may write into.
        if isinstance(tensor, nn.Parameter) or isinstance(tensor._base, nn.Parameter) or tensor.grad_fn:
            return
        if _overlaps(tensor):
            return
        if tensor.numel() * tensor.element_size() <= _MOST_BYTES:
            # through .data: the version that autograd sees stays, and a backward pass under way is not upset
            self._undo.append(partial(tensor.data.copy_, tensor.detach().clone()))
        elif not tensor.is_inference():
            self._watched.append((tensor, tensor._version))


_CANNOT_CHANGE = {type(None), bool, int, float, complex, str, bytes, torch.dtype, torch.device, type}
_DICTS = {dict, OrderedDict, defaultdict}


def _set_mode(module: nn.Module, training: bool) -> None:
    if "training" in vars(module) and not hasattr(type(module), "training"):
        vars(module)["training"] = training  # an attribute that is set the long way costs ten times as much
    else:
        module.training = training  # scripted and compiled modules have it elsewhere


def _overlaps(tensor: Tensor) -> bool:
    if tensor.is_nested or tensor.layout is not torch.strided:
        return False
    return any(stride == 0 and size > 1 for stride, size in zip(tensor.stride(), tensor.shape, strict=True))


def _put_names_back(now: dict[str, Any], before: dict[str, Any]) -> None:
    if _same(now, before):
        return
    for name in [name for name in now if name not in before]:
        del now[name]
    now.update({name: value for name, value in before.items() if name not in _OF_TORCH})


def _put_dict_back(now: dict[Any, Any], before: dict[Any, Any]) -> None:
    if not _same(now, before):
        now.clear()
        now.update(before)


def _same(now: dict[Any, Any], before: dict[Any, Any]) -> bool:
    """Return whether two dicts hold the same objects in the same order."""
    unlike = any(map(is_not, now, before)) or any(map(is_not, now.values(), before.values()))
    return len(now) == len(before) and not unlike


def _put_list_back(now: Any, before: list[Any]) -> None:
    if len(now) != len(before) or any(map(is_not, now, before)):
        now.clear()
        now.extend(before)


def _put_set_back(now: set[Any], before: set[Any]) -> None:
    if now != before:
        now.clear()
        now.update(before)
