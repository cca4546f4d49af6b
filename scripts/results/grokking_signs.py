"""What each curve of a grokking run does that no control with shuffled labels does, and when first.

A curve is followed from where 99% of the training pairs are known. How far it has fallen below its highest
value so far, or risen above its lowest, is measured in nats of its logarithm; the step is kept at which it
first passes each of some levels. A sign is what a curve does beyond the lowest level that no control ever
passes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from rdmviz import TrainingRun, analyze, gaussian_modes
from results.setting import Figures

__all__ = ["CONTROL", "SIGNS", "known", "lead", "levels", "passed", "signs"]

CONTROL = "shuffled_labels"
KNOWN = 0.99
LEVELS = (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0, 8.0)
SIGNS = {
    "held_out_loss": ("mean held-out loss", "falls"),
    "heat_capacity": ("spectral heat capacity", "rises"),
    "trace": ("trace", "rises"),
    "participation": ("participation ratio", "falls"),
    "gaussian_participation": ("participation ratio, Gaussian", "falls"),
    "variance": ("variance of the mean loss", "rises"),
    "slope": ("slope of the mean loss", "rises"),
    "concentration": ("Fourier concentration of the embeddings", "rises"),
}
"""Curve to its words and to what it is watched for. The last is of the weights: no loss tells it."""


def known(run: TrainingRun, share: float) -> int:
    """Return the first recorded step at which this share of the training pairs is known, else the last."""
    step = run.first_step("train_accuracy", at_least=share)
    return int(run.steps[-1]) if step is None else step


def passed(steps: np.ndarray, curve: np.ndarray, way: str) -> dict[float, float]:
    """Return the step at which a curve first passes each level, NaN where it never does.

    Parameters
    ----------
    steps, curve : ndarray, shape (T,)
        Positive numbers from where it is followed; those that are not finite or not positive are left out.
    way : {"falls", "rises"}
        Below its highest value so far, or above its lowest.
    """
    kept = np.isfinite(curve) & (curve > 0)
    height = np.log(curve[kept]) * (1 if way == "rises" else -1)
    moved = height - np.minimum.accumulate(height)
    where = {level: np.flatnonzero(moved > level) for level in LEVELS}
    return {level: float(steps[kept][rows[0]]) if rows.size else math.nan for level, rows in where.items()}


def signs(run: TrainingRun, window: int) -> dict[str, float]:
    """Return figures ``<curve>_<level>``: the step of each level, NaN where it is never passed."""
    curves = analyze(run, window=window, detrend="linear")
    start = known(run, KNOWN)
    after = run.steps >= start
    found = {
        "held_out_loss": run.metrics["test_loss"],
        "heat_capacity": curves["spectral_heat_capacity"],
        "trace": curves["trace"],
        "participation": curves["participation_ratio"],
        "variance": curves["mean_loss_variance"],
        "slope": curves["mean_loss_slope"],
        "concentration": run.metrics["fourier_concentration"],
    }
    steps = {name: passed(run.steps[after], found[name].to_numpy()[after], SIGNS[name][1]) for name in found}
    around = gaussian_modes(run)["participation_ratio_unbiased"]
    around = around.where(around["step"] >= start, drop=True)
    way = SIGNS["gaussian_participation"][1]
    steps["gaussian_participation"] = passed(around["step"].to_numpy(), around.to_numpy(), way)
    return {f"{name}_{level:g}": at for name, of in steps.items() for level, at in of.items()}


def levels(figures: Figures) -> dict[str, float]:
    """Return per curve the lowest level that no control passed; NaN where each was passed."""
    controls = figures[CONTROL].values()
    silent = {
        name: [level for level in LEVELS if all(math.isnan(of[f"{name}_{level:g}"]) for of in controls)]
        for name in SIGNS
    }
    return {name: min(of, default=math.nan) for name, of in silent.items()}


def lead(of: Mapping[str, float], name: str, level: float) -> float:
    """Return how many steps before the onset a curve passed a level; NaN where it never did."""
    return math.nan if math.isnan(level) else of["onset"] - of[f"{name}_{level:g}"]
