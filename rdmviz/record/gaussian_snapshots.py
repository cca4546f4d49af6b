"""The Gaussian 2RDM of a network at snapshots along its training."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
from torch import nn

from rdmviz.compute.rdm.draws import modes_of_draws
from rdmviz.errors import OptionError
from rdmviz.record.gaussian import check_displacement, draw_losses
from rdmviz.record.perturbation import Perturbed, perturbable, scales_of
from rdmviz.record.probe import Probe

__all__ = ["DrawnModes", "GaussianSnapshots"]

Sharing = Callable[[Probe, Callable[[Probe], np.ndarray]], np.ndarray]
"""``sharing(probe, evaluate)`` lets the processes of a training evaluate a share of the probe each."""


@dataclass(frozen=True, kw_only=True, eq=False)
class GaussianSnapshots:
    """How the Gaussian 2RDM is taken at every snapshot: see :func:`rdmviz.gaussian_draws`.

    ::

        snapshots = Snapshots(every=150, weights=None, gaussian=GaussianSnapshots(draws=256))
        with Recorder("run.rdmviz", probe, snapshots=snapshots) as recorder:
            ...
        rdmviz.gaussian_modes(recorder.run)

    The probe is evaluated at ``draws`` random displacements of the model as it is, and what is kept is the
    spectrum of the covariance of the losses over the draws. The directions are the same at every snapshot, so
    that what changes along the run is the model and not the draw.

    Parameters
    ----------
    draws : int
        Number of displacements, at least 2.
    sigma, relative
        Standard deviation of the noise: `sigma` times the root mean square of each parameter tensor as it is
        at the snapshot, or `sigma` for all.
    perturb : str, sequence of str, callable or None
        Which parameters, as for :func:`rdmviz.gaussian_draws`.
    samples : array of int, optional
        Numbers of the datapoints to evaluate, in increasing order; all by default.
    modes : int
        How many eigenvectors are kept; of eigenvalues, all.
    mean_loss : bool
        Keep the mean loss of each datapoint over the draws.
    seed : int
        Of the directions.
    memory : int
        Bytes that perturbed copies and activations may take.

    Raises
    ------
    OptionError
        An option has no meaning.
    """

    draws: int = 256
    sigma: float = 0.05
    relative: bool = True
    perturb: Perturbed = None
    samples: Any = None
    modes: int = 8
    mean_loss: bool = True
    seed: int = 0
    memory: int = 512 * 2**20

    def __post_init__(self) -> None:
        check_displacement(draws=self.draws, sigma=self.sigma, seed=self.seed, memory=self.memory)
        modes: Any = self.modes
        if isinstance(modes, bool) or not isinstance(modes, Integral) or int(modes) < 1:
            raise OptionError(f"modes={self.modes!r:.60}; expected how many eigenvectors to keep, at least 1")
        if self.samples is None:
            return
        chosen = np.asarray(self.samples)
        if chosen.ndim != 1 or chosen.dtype.kind not in "iu" or len(chosen) < 2:
            raise OptionError(
                f"samples={self.samples!r:.60}; expected numbers of two datapoints or more, such as "
                "np.flatnonzero(held_out)"
            )
        if chosen[0] < 0 or (np.diff(chosen.astype(np.int64)) <= 0).any():
            raise OptionError(f"samples={self.samples!r:.60}; expected numbers from 0 on that increase")
        object.__setattr__(self, "samples", chosen.astype(np.int64))

    def check(self, samples: int) -> None:
        """Check that the datapoints chosen are among those there are.

        Raises
        ------
        OptionError
            They are not.
        """
        if self.samples is not None and self.samples[-1] >= samples:
            raise OptionError(
                f"samples has datapoint {self.samples[-1]}, and the probe {samples} datapoints; expected "
                f"numbers from 0 to {samples - 1}"
            )

    @property
    def facts(self) -> dict[str, Any]:
        """What has to be the same for all snapshots of a run, as JSON."""
        named = self.perturb
        if callable(named):
            named = getattr(named, "__qualname__", type(named).__qualname__)
        elif named is not None:
            named = [named] if isinstance(named, str) else list(named)
        chosen = None
        if self.samples is not None:
            chosen = hashlib.sha256(self.samples.tobytes()).hexdigest()[:16]
        return {
            "draws": int(self.draws),
            "sigma": float(self.sigma),
            "relative": bool(self.relative),
            "seed": int(self.seed),
            "perturb": named,
            "samples": chosen,
        }


class DrawnModes:
    """Takes the Gaussian 2RDM of a model as it is.

    Parameters
    ----------
    what
        How it is taken.
    """

    def __init__(self, what: GaussianSnapshots) -> None:
        self._what = what
        self._chosen: tuple[Probe, Probe, np.ndarray | None] | None = None

    def check(self, model: nn.Module) -> None:
        """Check that the model has what is to be perturbed.

        Raises
        ------
        OptionError
            It has not.
        """
        perturbable(model, self._what.perturb)

    def parts(
        self, model: nn.Module, probe: Probe, losses: np.ndarray, sharing: Sharing
    ) -> dict[str, np.ndarray]:
        """Return what is kept of a snapshot, by name.

        Parameters
        ----------
        model
            In evaluation mode, within :func:`rdmviz.record.evaluation.unchanged`.
        probe
            All of it, on the device of the model.
        losses
            Of all its datapoints at the model itself, ``(n,)``.
        sharing
            Evaluates the datapoints, on several processes if need be.
        """
        what = self._what
        noise = scales_of(perturbable(model, what.perturb), float(what.sigma), bool(what.relative))
        among = slice(None) if what.samples is None else what.samples
        if noise is None or not noise.weights:
            # a training that is lost goes on being recorded, and a network of zeros has nowhere to go
            here = np.full_like(losses[among], np.nan) if noise is None else losses[among]
            rows = np.broadcast_to(here, (what.draws, len(here)))
        else:
            part, columns = self._part(probe)

            def evaluate(share: Probe) -> np.ndarray:
                drawn, _ = draw_losses(
                    model, share, noise, draws=what.draws, seed=what.seed, memory=what.memory
                )
                return drawn

            rows = sharing(part, evaluate)
            rows = rows if columns is None else rows[:, columns]
        values, vectors = modes_of_draws(rows, what.modes)
        n = len(losses)
        everywhere = np.full((len(vectors), n), np.nan, np.float32)
        everywhere[:, among] = vectors
        parts: dict[str, np.ndarray] = {"eigenvalues": values, "eigenvectors": everywhere}
        if what.mean_loss:
            mean = np.full(n, np.nan)
            with np.errstate(over="ignore", invalid="ignore"):
                mean[among] = rows.mean(axis=0, dtype=np.float64)
            parts["mean_loss"] = mean
        numbers: dict[str, float] = {
            "draws": what.draws,
            "sigma": what.sigma,
            "relative": what.relative,
            "displacement": math.nan if noise is None else noise.length,
        }
        return parts | {name: np.array(value, np.float64) for name, value in numbers.items()}

    def _part(self, probe: Probe) -> tuple[Probe, np.ndarray | None]:
        """Return what goes through the model, and which of its losses count; made once."""
        if self._what.samples is None:
            return probe, None
        if self._chosen is None or self._chosen[0] is not probe:
            self._chosen = probe, *_chosen(probe, self._what.samples)
        return self._chosen[1:]


def _chosen(probe: Probe, samples: np.ndarray) -> tuple[Probe, np.ndarray | None]:
    if probe.tokens is None:
        return probe.chosen(samples), None
    sequence = np.nonzero(probe.tokens.kept)[0]
    items = np.unique(sequence[samples])
    return probe.chosen(items), np.searchsorted(np.flatnonzero(np.isin(sequence, items)), samples)
