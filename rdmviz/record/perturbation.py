"""Gaussian noise on the parameters of a model: which of them, how much, and the draws themselves."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from rdmviz.errors import OptionError

__all__ = ["Perturbation", "Perturbed", "perturbable", "perturbation", "scales_of"]

Perturbed: TypeAlias = str | Sequence[str] | Callable[[str, Tensor], bool] | None

_MOST_NAMES = 6


@dataclass(frozen=True)
class Perturbation:
    """``theta_0 + scale * xi``, tensor by tensor, ``xi`` standard normal.

    Attributes
    ----------
    weights
        Name to parameter, of those that are perturbed.
    scales
        Name to standard deviation of the noise, in units of the parameter.
    at_rest
        Chosen parameters without noise: their scale is zero.
    """

    weights: Mapping[str, Tensor]
    scales: Mapping[str, float]
    at_rest: tuple[str, ...]

    @property
    def nbytes(self) -> int:
        """Size of one perturbed copy."""
        return sum(weight.numel() * weight.element_size() for weight in self.weights.values())

    @property
    def length(self) -> float:
        """Length of a displacement of all parameters together, root mean square over draws."""
        squares = [scale**2 * self.weights[name].numel() for name, scale in self.scales.items()]
        return math.sqrt(math.fsum(squares))

    def draw(self, count: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Return the next ``count`` draws, name to ``(count, *shape)``.

        Draw by draw and tensor by tensor, so that a draw does not depend on how many are made at once.
        """
        stacks = {
            name: torch.empty((count, *weight.shape), dtype=weight.dtype, device=weight.device)
            for name, weight in self.weights.items()
        }
        for draw in range(count):
            for name, stack in stacks.items():
                noise = stack[draw].normal_(generator=generator)
                noise.mul_(self.scales[name]).add_(self.weights[name])
        return stacks


def perturbation(model: nn.Module, perturb: Perturbed, sigma: float, relative: bool) -> Perturbation:
    """Choose parameters of a model and the scale of their noise, as :func:`rdmviz.gaussian_draws` says.

    Raises
    ------
    OptionError
        Nothing is chosen, a pattern matches no parameter, or nothing that is chosen can be scaled.
    """
    chosen = perturbable(model, perturb)
    noise = scales_of(chosen, sigma, relative)
    if noise is None:
        broken = next(name for name, weight in chosen.items() if not bool(torch.isfinite(weight).all()))
        raise OptionError(f"parameter {broken!r} holds NaN or infinite values; expected a model that works")
    if not noise.weights:
        raise OptionError(
            f"all of {_few(chosen)} are zero, so that noise relative to them is zero too; pass relative=False"
        )
    return noise


def scales_of(chosen: Mapping[str, Tensor], sigma: float, relative: bool) -> Perturbation | None:
    """Return the noise on chosen parameters; None where one holds values that are not finite."""
    scales = {}
    for name, weight in chosen.items():
        size = float(weight.detach().double().square().mean().sqrt()) if weight.numel() else 0.0
        if not size < float("inf"):
            return None
        scales[name] = sigma * size if relative else sigma
    moved = {name: weight.detach() for name, weight in chosen.items() if scales[name] > 0}
    return Perturbation(
        moved, {name: scales[name] for name in moved}, tuple(name for name in chosen if name not in moved)
    )


def perturbable(model: nn.Module, perturb: Perturbed) -> dict[str, Tensor]:
    """Choose parameters of a model by name.

    Raises
    ------
    OptionError
        Nothing is chosen, or a pattern matches no parameter.
    """
    there = {name: weight for name, weight in model.named_parameters() if weight.is_floating_point()}
    if not there:
        raise OptionError(f"{type(model).__name__} has no real parameters; expected some to perturb")
    if perturb is None:
        chosen = {name for name, weight in there.items() if weight.requires_grad}
        described = "none of them is trainable (requires_grad)"
    elif callable(perturb):
        chosen = {name for name, weight in there.items() if perturb(name, weight)}
        described = "perturb(name, tensor) holds for none of them"
    else:
        chosen = set().union(*(_matching(pattern, there) for pattern in _patterns(perturb)))
        described = "perturb is empty"
    if not chosen:
        raise OptionError(f"nothing to perturb: {described}. There are {_few(there)}")
    return {name: weight for name, weight in there.items() if name in chosen}


def _patterns(perturb: Any) -> list[str]:
    patterns = [perturb] if isinstance(perturb, str) else perturb
    if not isinstance(patterns, Sequence) or any(not isinstance(pattern, str) for pattern in patterns):
        raise OptionError(
            f"perturb={perturb!r:.60}; expected None, a pattern such as 'layers.0.*', a list of them, "
            "or a function of (name, tensor)"
        )
    return list(patterns)


def _matching(pattern: str, there: Mapping[str, Tensor]) -> set[str]:
    found = {name for name in there if fnmatchcase(name, pattern)}
    if not found:
        near = difflib.get_close_matches(pattern, there, n=_MOST_NAMES, cutoff=0.4) or list(there)
        raise OptionError(f"perturb={pattern!r} matches no parameter; near it: {_few(near)}")
    return found


def _few(names: Any) -> str:
    listed = list(names)
    more = f" and {len(listed) - _MOST_NAMES} more" if len(listed) > _MOST_NAMES else ""
    return ", ".join(map(repr, listed[:_MOST_NAMES])) + more
