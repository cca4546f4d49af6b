"""The Gaussian 2RDM: losses of a probe set over random displacements of one checkpoint."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from rdmviz.errors import OptionError
from rdmviz.record.batching import Batches, Copies, batches
from rdmviz.record.evaluation import unchanged
from rdmviz.record.linears import fast_linears
from rdmviz.record.pages import keep_pages
from rdmviz.record.perturbation import Perturbation, Perturbed, perturbation
from rdmviz.record.probe import LossFn, Probe, as_probe
from rdmviz.record.tokens import check_causal
from rdmviz.run import TrainingRun

__all__ = ["check_displacement", "draw_losses", "gaussian_draws"]


def gaussian_draws(
    model: nn.Module,
    probe: Any,
    *,
    loss_fn: LossFn | None = None,
    per: str = "sequence",
    draws: int = 256,
    sigma: float = 0.05,
    relative: bool = True,
    perturb: Perturbed = None,
    seed: int = 0,
    memory: int = 512 * 2**20,
    metadata: Any = None,
    name: str = "",
    progress: bool = False,
) -> TrainingRun:
    """Evaluate a probe set at random displacements of a model's parameters.

    The covariance of the losses over the draws is the Gaussian 2RDM of the model,
    ``C_ij = Cov[l_i, l_j]`` with ``theta = theta_0 + scale * xi``: use the run with
    ``window=draws, detrend="constant"`` ::

        run = gaussian_draws(model, (inputs, targets), draws=256)
        eigenmodes(run, step=255, window=256)

    The model is looked at in evaluation mode, without gradients, and is left as it was.

    Parameters
    ----------
    model : Module
        The checkpoint ``theta_0``, on its own device.
    probe, loss_fn, per, metadata
        As for :class:`rdmviz.Recorder`.
    draws : int
        Number ``K`` of displacements, at least 2.
    sigma : float
        Scale of the noise.
    relative : bool
        The standard deviation of the noise on a parameter tensor is ``sigma`` times the root mean square of
        that tensor; one that is zero throughout, such as a fresh bias, is not perturbed and is named in
        ``attrs["unperturbed"]``. Otherwise it is ``sigma`` for all.
    perturb : str, sequence of str, callable or None
        Which parameters: all that are trainable by default; those whose name matches a pattern such as
        ``"layers.0.*"``, or one of several; or those for which ``perturb(name, tensor)`` holds. Only
        floating-point parameters are perturbed. One that is shared by layers is drawn once.
    seed : int
        The same seed gives the same draws on the same kind of device, whatever ``memory`` is, and the first
        draws of a longer run are those of a shorter one.
    memory : int
        Bytes that perturbed copies and activations may take, beside the model, the probe and the result.
    name : str
        As in :meth:`rdmviz.TrainingRun.from_arrays`.
    progress : bool
        Show a progress bar.

    Returns
    -------
    TrainingRun
        One row per draw, "steps" ``0 .. draws-1``, with the facts in ``attrs``: ``rows="draws"``, the
        options, ``scales`` (standard deviation of the noise per parameter), and in ``evaluation`` how many
        draws and datapoints shared kernels and, where draws could have but did not, ``loop_reason``.

    Raises
    ------
    OptionError
        An option has no meaning, a pattern matches no parameter, or ``memory`` is too small.
    LossShapeError, ProbeError
        As :class:`rdmviz.Recorder` does.
    """
    if not isinstance(model, nn.Module):
        raise OptionError(f"model is a {type(model).__name__}; expected a torch.nn.Module")
    check_displacement(draws=draws, sigma=sigma, seed=seed, memory=memory)
    watched = as_probe(probe, loss_fn, per)
    if watched.causal:
        check_causal(model)
    facts_of_probe = watched.columns(metadata)
    noise = perturbation(model, perturb, float(sigma), relative)
    with unchanged(model), tqdm(total=draws, disable=not progress, unit="draw") as bar:
        losses, evaluation = draw_losses(
            model, watched, noise, draws=draws, seed=seed, memory=memory, watch=bar.update
        )
    facts = {
        "rows": "draws",
        "sigma": float(sigma),
        "relative": bool(relative),
        "seed": int(seed),
        "scales": dict(noise.scales),
        "unperturbed": list(noise.at_rest),
        "evaluation": evaluation,
    }
    return TrainingRun.from_arrays(losses, probe=facts_of_probe, name=name, attrs=facts)


def draw_losses(
    model: nn.Module,
    probe: Probe,
    noise: Perturbation,
    *,
    draws: int,
    seed: int,
    memory: int,
    watch: Callable[[int], object] = lambda draws: None,
) -> tuple[np.ndarray, dict[str, Any]]:
    """Return the losses of displaced copies of a model, ``(draws, n)``, and how they were evaluated.

    Parameters
    ----------
    model
        As it is to be evaluated: call this inside :func:`unchanged`.
    noise
        Which displacements.
    draws, seed, memory
        As for :func:`gaussian_draws`.
    watch
        Is told how many draws came about.

    Raises
    ------
    OptionError
        ``memory`` is too small.
    """
    keep_pages()
    device = next(iter(noise.weights.values())).device
    copies = Copies(model, probe.on(device))
    generator = torch.Generator(device).manual_seed(int(seed))
    at_once = batches(copies, noise.weights, noise.nbytes, draws, memory)
    evaluation = _Evaluation(model, copies, at_once)
    rows: list[Tensor] = []
    for stack in _stacks(noise, generator, draws, at_once.draws):
        rows.append(evaluation.losses(stack))
        watch(len(rows[-1]))
    losses = torch.cat(rows)
    single = losses if losses.dtype in (torch.float32, torch.float64) else losses.double()
    return single.numpy(), evaluation.facts()


def check_displacement(draws: Any, sigma: Any, seed: Any, memory: Any) -> None:
    """Check the numbers that displacements are drawn by.

    Raises
    ------
    OptionError
        One has no meaning.
    """
    for option, value, least in (("draws", draws, 2), ("seed", seed, 0), ("memory", memory, 1)):
        if isinstance(value, bool) or not isinstance(value, Integral) or not least <= int(value) < 2**63:
            raise OptionError(f"{option}={value!r:.60}; expected an integer, at least {least}, below 2**63")
    if isinstance(sigma, bool) or not isinstance(sigma, Real) or not 0 < float(sigma) < math.inf:
        raise OptionError(f"sigma={sigma!r:.60}; expected a positive number")


def _stacks(
    noise: Perturbation, generator: torch.Generator, draws: int, at_once: int
) -> Iterator[dict[str, Tensor]]:
    for start in range(0, draws, at_once):
        yield noise.draw(min(at_once, draws - start), generator)


class _Evaluation:
    """Evaluates stacks of copies together, or one by one once they turn out not to stack."""

    def __init__(self, model: nn.Module, copies: Copies, at_once: Batches) -> None:
        self._model, self._copies, self._at_once = model, copies, at_once
        self._reason = ""

    def losses(self, stack: Mapping[str, Tensor]) -> Tensor:
        """Return the losses of a stack, shape (draws, n), on the CPU."""
        if self._at_once.draws > 1 and not self._reason:
            try:
                return self._copies.stacked(stack, self._at_once.samples).cpu()
            except Exception as error:  # what does not work one by one either is raised there
                self._reason = f"{type(error).__name__}: {error}".split("\n")[0]
        return torch.stack(list(self._one_by_one(stack)))

    def _one_by_one(self, stack: Mapping[str, Tensor]) -> Iterator[Tensor]:
        with fast_linears(self._model):
            for draw in range(len(next(iter(stack.values())))):
                one = {name: weights[draw] for name, weights in stack.items()}
                yield self._copies.losses(one, self._at_once.samples).cpu()

    def facts(self) -> dict[str, Any]:
        """Say how it was done."""
        one_by_one = {"loop_reason": self._reason} if self._reason else {}
        draws = 1 if self._reason else self._at_once.draws
        return {"draws_at_once": draws, "datapoints_at_once": self._at_once.samples, **one_by_one}
