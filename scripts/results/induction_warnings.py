"""What rises before an induction head forms, once control runs have set the level of each alarm."""

from __future__ import annotations

import math

import numpy as np

from rdmviz import TrainingRun, analyze, eigenmodes
from rdmviz.compute.rdm.separation import roc_auc
from rdmviz.studies import induction
from results.rises import Baseline, calibrated
from results.setting import Figures

__all__ = ["BASELINE", "leads", "paragraphs", "warnings"]

BASELINE = Baseline(settled=60, window=60, windows=60)
RATE = 0.1
LEADS = tuple(range(-50, 301, 10))  # steps before the onset
CURVES = {
    "heat_capacity": ("spectral heat capacity, linear", "losses"),
    "trace": ("trace, linear", "losses"),
    "variance": ("plain variance of the mean loss", "losses"),
    "variance_linear": ("variance of the mean loss, linear", "losses"),
    "slope": ("slope of the mean loss", "losses"),
    "composition": ("AUC of repeated tokens in the leading mode, linear, above ½", "and token types"),
    "composition_own": ("the same AUC, above its baseline", "and token types"),
    "gap": ("mean loss of other tokens minus that of repeated ones", "and token types"),
    "previous_token": ("attention to the previous token", "attention of each head"),
}
ZEROS = {"composition": 0.5, "gap": 0.0, "previous_token": 0.0}
"""Curves that have a zero of their own, and need no baseline."""


def warnings(run: TrainingRun) -> dict[str, float]:
    """Return the largest rise of each curve, and of a real run those up to so many steps before the onset."""
    onset = induction.transition(run).onset
    steps = run.steps[BASELINE.watched :]
    figures = {"onset": math.nan if onset is None else float(onset)}
    for name, curve in _watched(run).items():
        rises = BASELINE.rises(curve, ZEROS.get(name))
        figures[f"{name}_highest"] = float(rises.max())
        for lead in LEADS if onset is not None else ():
            by_then = rises[steps <= onset - lead]
            figures[f"{name}_by_{lead}"] = float(by_then.max()) if by_then.size else math.nan
    return figures


def _watched(run: TrainingRun) -> dict[str, np.ndarray]:
    """Return what is watched, shapes (T,), variances and slopes as logarithms to base 10."""
    window = BASELINE.window
    curves = analyze(run, window, "linear")
    decades = {
        "heat_capacity": curves["spectral_heat_capacity"],
        "trace": curves["trace"],
        "variance": curves["mean_loss_variance"],
        "variance_linear": analyze(run, window, "linear", shc="total")["spectral_heat_capacity"],
        "slope": curves["mean_loss_slope"],
    }
    repeated = run.probe["type"].to_numpy() == "repeated"
    loss = np.asarray(run.rows(0, run.n_steps), dtype=float)
    gap = loss[:, ~repeated].mean(axis=1) - loss[:, repeated].mean(axis=1)
    smooth = np.lib.stride_tricks.sliding_window_view(gap, window).mean(axis=1)
    composition = np.concatenate([np.full(BASELINE.first, np.nan), _composition(run, repeated)])
    return {
        **{name: np.log10(curve.to_numpy()) for name, curve in decades.items()},
        "composition": composition,
        "composition_own": composition,
        "gap": np.concatenate([np.full(window - 1, np.nan), smooth]),
        "previous_token": run.metrics["previous_token"].to_numpy(),
    }


def _composition(run: TrainingRun, repeated: np.ndarray) -> np.ndarray:
    """Return the AUC of repeated tokens in the leading mode of every window from the baseline on."""
    modes = (
        eigenmodes(run, int(step), BASELINE.window, "linear", modes=1) for step in run.steps[BASELINE.first :]
    )
    return np.array([roc_auc(np.abs(mode["eigenvector"][0].to_numpy()), repeated) for mode in modes])


def leads(figures: Figures) -> dict[str, list[float]]:
    """Return how many steps before the onset each curve alarmed, a number per seed that had one.

    Tens of steps, rounded down, negative after the onset; NaN later than 50 steps after it. At most a tenth
    of the control runs exceed the level of a curve.
    """
    controls = [of for variant, by_seed in figures.items() if variant for of in by_seed.values()]
    real = [of for of in figures[""].values() if not math.isnan(of["onset"])]
    found = {}
    for name in CURVES:
        level = calibrated([of[f"{name}_highest"] for of in controls], RATE)
        found[name] = [
            max((lead for lead in LEADS if of[f"{name}_by_{lead}"] > level), default=math.nan) for of in real
        ]
    return found


def paragraphs(figures: Figures) -> list[str]:
    """Return what warned and what did not, in words (Markdown)."""
    found = leads(figures)
    seeds = len(found["heat_capacity"])
    controls = sum(len(by_seed) for variant, by_seed in figures.items() if variant)
    early = {name: [lead for lead in of if lead > 0] for name, of in found.items()}
    share = {name: f"{len(of)} of {seeds} seeds" for name, of in early.items()}
    first = sum(
        _lateness(one) < _lateness(other)
        for one, other in zip(found["heat_capacity"], found["variance"], strict=True)
    )
    rows = [
        f"| {words} | {needs} | {share[name]} | {', '.join(map(_told, found[name]))} |"
        for name, (words, needs) in CURVES.items()
    ]
    how = (
        "**Did anything warn?** A curve alarms where it stays, three windows in a row, higher than at most "
        f"{RATE:.0%} of the {controls} control runs ever do. Variances and slopes are compared by how far "
        f"their logarithm is above its mean over {BASELINE.windows} windows of {BASELINE.window} rows, those "
        f"from step {BASELINE.settled} on; what has a zero of its own is held against that. An alarm counts "
        "before the onset of prefix matching; steps are tens, rounded down, "
        f"{LEADS[-1]} at most, negative after the onset, and – where there was none until {-LEADS[0]} steps "
        "after it."
    )
    spectrum = (
        f"The spectral heat capacity alarms before the onset in {share['heat_capacity']}, the plain variance "
        f"of the mean loss in {share['variance']}; the heat capacity is the earlier one in {first} of "
        f"{seeds} seeds."
    )
    if len(early["heat_capacity"]) <= seeds / 2:
        spectrum += (
            " With an alarm that controls keep honest, the size of the fluctuations **does not warn**."
        )
    made_of = (
        "What the leading mode is made of is another matter: repeated tokens come to the front of it before "
        f"the onset in {share['composition']} ({_span(early['composition'])} steps), in "
        f"{share['composition_own']} if the AUC has to rise above its own baseline, which one noisy window "
        f"of the early training decides; the plain difference of their losses alarms in {share['gap']} "
        f"({_span(early['gap'])} steps). Both have to be told which tokens are repeated, and neither is a "
        "clock: what they see is that the network has begun to use repetition, and that can go on for any "
        "time before a head forms. Whoever may open the network needs neither: attention to the previous "
        f"token, the other half of the circuit, alarms in {share['previous_token']} "
        f"({_span(early['previous_token'])} steps)."
    )
    head = "| curve | needs | before the onset | steps before it, by seed |\n| --- | --- | --- | --- |"
    return [how, "\n".join([head, *rows]), spectrum, made_of]


def _lateness(lead: float) -> float:
    return math.inf if math.isnan(lead) else -lead


def _told(lead: float) -> str:
    return "–" if math.isnan(lead) else f"{lead:.0f}".replace("-", "−")


def _span(steps: list[float]) -> str:
    return f"{min(steps):.0f} to {max(steps):.0f}" if steps else "no"
