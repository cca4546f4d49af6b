"""A model with the weights of a checkpoint in it."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from torch import Tensor, nn

from rdmviz.errors import CheckpointError, OptionError
from rdmviz.record.checkpoint_files import read_weights
from rdmviz.record.hub import HubRevision

__all__ = ["Load", "Opened", "fill", "opened_by"]

Load: TypeAlias = nn.Module | Callable[..., nn.Module]
Opened: TypeAlias = Callable[[Any], nn.Module]

# What wrappers put before every name, and their models do not have.
_WRAPPERS = ("module.", "_orig_mod.")
_MOST_NAMES = 4


def opened_by(load: Any) -> Opened:
    """Return how a checkpoint becomes a model, by what ``load`` is (see :func:`rdmviz.record_checkpoints`).

    Raises
    ------
    OptionError
        It is none of the three.
    """
    if isinstance(load, nn.Module):
        return _Filled(lambda: copy.deepcopy(load))
    expected = (
        "expected a model, a function that makes one, load(), or one that opens a checkpoint, load(path)"
    )
    if not callable(load):
        raise OptionError(f"load is a {type(load).__name__}; {expected}")
    name = getattr(load, "__name__", type(load).__name__)
    try:
        signature = inspect.signature(load)
    except (TypeError, ValueError) as error:
        raise OptionError(
            f"load={name} does not say what it takes; wrap it: lambda path: {name}(path)"
        ) from error
    # (*args, **kwargs) is what a wrapped from_pretrained shows: it opens something
    anything = any(taken.kind is taken.VAR_POSITIONAL for taken in signature.parameters.values())
    if _takes(signature) and (isinstance(load, type) or not anything):
        return _Filled(load)
    if isinstance(load, type) and issubclass(load, nn.Module):
        raise OptionError(
            f"load={name} needs arguments {signature}; pass a function that gives them: lambda: {name}(...)"
        )
    if _takes(signature, "path"):
        return lambda checkpoint: _checked(load(checkpoint), "load(path)")
    raise OptionError(f"load={name} takes {signature}; {expected}")


class _Filled:
    """Reads weights into one model, again and again."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._model: nn.Module | None = None

    def __call__(self, checkpoint: Any) -> nn.Module:
        """Return the model with other weights."""
        weights = read_weights(_place(checkpoint))
        if self._model is None:
            self._model = _checked(self._make(), "load()")
        fill(self._model, weights, str(checkpoint))
        return self._model

    def __getstate__(self) -> dict[str, Any]:
        return {"_make": self._make, "_model": None}  # every process makes its own


def fill(model: nn.Module, weights: Mapping[str, Any], where: str) -> None:
    """Load weights that fit a model exactly; a name that a wrapper prefixed is taken without its prefix.

    Raises
    ------
    CheckpointError
        They do not fit; the message names what is missing, unexpected, or of another shape.
    """
    state = model.state_dict()
    for prefix in _WRAPPERS:
        if all(name.startswith(prefix) for name in weights) and not any(
            name.startswith(prefix) for name in state
        ):
            weights = {name.removeprefix(prefix): value for name, value in weights.items()}
    weights = {**weights, **_tied(state, weights)}
    try:
        model.load_state_dict(weights, strict=True)
    except (RuntimeError, TypeError, AttributeError) as error:
        raise CheckpointError(
            f"checkpoint {where} does not fit {type(model).__name__}: {_misfit(state, weights) or error}"
        ) from error


def _tied(state: Mapping[str, Any], weights: Mapping[str, Any]) -> dict[str, Any]:
    """Weights that are stored once and that the model has under several names."""
    stored = {_memory(state[name]): weights[name] for name in weights if isinstance(state.get(name), Tensor)}
    missing = {
        name: value for name, value in state.items() if name not in weights and isinstance(value, Tensor)
    }
    return {name: stored[_memory(value)] for name, value in missing.items() if _memory(value) in stored}


def _memory(value: Tensor) -> Any:
    """Return what two names of one weight share; an empty tensor shares nothing."""
    if not value.numel() or value.is_meta:
        return id(value)
    return value.device, value.data_ptr(), tuple(value.shape), value.stride()


def _misfit(state: Mapping[str, Any], weights: Mapping[str, Any]) -> str:
    missing = [name for name in state if name not in weights]
    unexpected = [name for name in weights if name not in state]
    shapes = [
        f"{name!r} is {tuple(weights[name].shape)} and not {tuple(value.shape)}"
        for name, value in state.items()
        if isinstance(value, Tensor) and name in weights and weights[name].shape != value.shape
    ]
    parts = [
        f"{what} {', '.join(names[:_MOST_NAMES])}"
        + (f" and {len(names) - _MOST_NAMES} more" * (len(names) > _MOST_NAMES))
        for what, names in (
            ("it lacks", [repr(name) for name in missing]),
            ("it has the unexpected", [repr(name) for name in unexpected]),
            ("it differs in shape:", shapes),
        )
        if names
    ]
    return "; ".join(parts) + (f". {_way_out(missing, unexpected)}" if parts else "")


def _way_out(missing: list[str], unexpected: list[str]) -> str:
    prefix = unexpected[0].partition(".")[0] + "." if unexpected else ""
    if missing and {name.removeprefix(prefix) for name in unexpected} == set(missing):
        return (
            f"Its names fit without {prefix!r} before them: pass the model that has the others as its "
            f"{prefix[:-1]!r}, or open checkpoints yourself, load=lambda path: ..."
        )
    return "Pass the model that was trained, or open checkpoints yourself: load=lambda path: ..."


def _place(checkpoint: Any) -> Path:
    if isinstance(checkpoint, HubRevision):
        return checkpoint.download()
    try:
        return Path(checkpoint).expanduser()
    except TypeError as error:
        raise OptionError(
            f"checkpoint is a {type(checkpoint).__name__}, not a path; pass load=lambda checkpoint: ... that "
            "opens it"
        ) from error


def _checked(model: Any, call: str) -> nn.Module:
    if isinstance(model, nn.Module):
        return model
    raise OptionError(f"{call} gave a {type(model).__name__}; expected a torch.nn.Module with its weights")


def _takes(signature: inspect.Signature, *arguments: Any) -> bool:
    try:
        signature.bind(*arguments)
    except TypeError:
        return False
    return True
