"""Induction heads: what the leading mode is made of when one forms, and whether anything warned."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from rdmviz import TrainingRun, eigenmodes, separation
from rdmviz.compute.rdm.separation import roc_auc
from rdmviz.studies import induction
from results.induction_warnings import BASELINE, paragraphs, warnings
from results.setting import Claim, Figures, Setting

__all__ = ["SETTING"]

WINDOW, LONGER = 64, 96
_OF_A_TRANSITION = (
    "auc",
    "mass",
    "drift",
    "falling",
    "misled",
    "ari_groups",
    "auc_long",
    "mass_long",
    "auc_clear",
)


def measure(run: TrainingRun) -> dict[str, float]:
    """Return the figures of one run."""
    apart = run.steps[BASELINE.first :: WINDOW]
    curves = {name: run.metrics[f"loss_{name}"].to_numpy() for name in ("repeated", "other")}
    return {
        "matching": float(run.metrics["prefix_matching"].max()),
        **{f"fall_{name}": float(loss[BASELINE.settled] - loss[-1]) for name, loss in curves.items()},
        "auc_typical": float(np.median([_repeated(run, int(step), WINDOW)["auc"] for step in apart])),
        **_at_the_transition(run),
        **warnings(run),
    }


def _repeated(run: TrainingRun, step: int, window: int) -> dict[str, float]:
    told = separation(run, step, "type", window=window)
    repeated, misled = told.sel(value="repeated"), told.sel(value="misleading")
    figures = {name: float(repeated[name]) for name in ("mass", "auc", "drift", "falling")}
    return figures | {"misled": float(misled["drift"]), "ari_groups": float(told["ari_groups"])}


def _at_the_transition(run: TrainingRun) -> dict[str, float]:
    middle = induction.transition(run).middle
    if middle is None:
        return dict.fromkeys(_OF_A_TRANSITION, math.nan)
    step = run.step_around(middle, WINDOW)
    longer = _repeated(run, run.step_around(middle, LONGER), LONGER)
    loading = np.abs(eigenmodes(run, step, WINDOW, modes=1)["eigenvector"][0].to_numpy())
    repeated = run.probe["type"].to_numpy() == "repeated"
    clear = repeated & (run.probe["candidates"].to_numpy() == 1)
    among = clear | ~repeated
    return {
        **_repeated(run, step, WINDOW),
        "auc_long": longer["auc"],
        "mass_long": longer["mass"],
        "auc_clear": float(roc_auc(loading[among], clear[among])),
    }


def findings(figures: Figures) -> list[str]:
    """Return what was found, in words."""
    reached = {seed: of for seed, of in figures[""].items() if not math.isnan(of["auc"])}
    if not reached:
        return ["**No seed reached the transition**, so nothing can be said about it."]
    return [_reaching(figures, reached), _made_of(reached), _clusters(reached), *paragraphs(figures)]


def _median(runs: Mapping[int, Mapping[str, float]], name: str) -> float:
    return float(np.median([of[name] for of in runs.values()]))


def _reaching(figures: Figures, reached: Mapping[int, Mapping[str, float]]) -> str:
    missing = [str(seed) for seed in figures[""] if seed not in reached]
    left_out = f" **Seeds {', '.join(missing)} did not** and are left out below." if missing else ""
    controls = [of for variant, by_seed in figures.items() if variant for of in by_seed.values()]
    begun = sum(not math.isnan(of["onset"]) for of in controls)
    fall = {variant: _median(by_seed, "fall_repeated") for variant, by_seed in figures.items()}
    return (
        f"An induction head formed in {len(reached)} of {len(figures[''])} seeds.{left_out} Prefix matching "
        f"reached its onset in {begun} of {len(controls)} control runs. The loss of repeated tokens fell by "
        f"{fall['']:.2f} nats in the median seed, by {fall['one_layer']:.2f} with one layer, which can learn "
        f"that words come again but not after which, and by {fall['no_repeats']:.2f} where nothing repeats."
    )


def _made_of(reached: Mapping[int, Mapping[str, float]]) -> str:
    figure = {name: _median(reached, name) for name in _OF_A_TRANSITION}
    return (
        f"**The leading mode is the tokens that can be copied.** They hold {figure['mass']:.0%} of it, and "
        f"{figure['falling']:.0%} of them fall, by {-figure['drift']:.1f} nats on average, while tokens "
        f"where another was to be expected rise by {figure['misled']:.1f}: who has learned to copy can be "
        f"misled. The AUC is {figure['auc']:.3f} with {WINDOW} rows and {figure['auc_long']:.3f} with "
        f"{LONGER}; the head forms in some fifty steps, and a window that barely holds them holds less of "
        "the fall. The repeated tokens that the mode misses are those where induction itself is at a loss: "
        f"of those with one candidate the AUC is {figure['auc_clear']:.3f}."
    )


def _clusters(reached: Mapping[int, Mapping[str, float]]) -> str:
    index = _median(reached, "ari_groups")
    words = "**Clusters do not find the types**" if index < 0.5 else "Clusters find the types"
    return (
        f"{words}: as many groups as there are types agree with them by an adjusted Rand index of "
        f"{index:.2f}. One collective mode puts tokens in an order and does not part them, and what is new "
        "fluctuates like what misleads."
    )


SETTING = Setting(
    study=induction,
    title="Induction heads",
    question=(
        "Two attention layers learn, within some fifty steps, to continue a passage that they have read "
        "before. Each datapoint is a token; *repeated* ones have followed the word before them earlier, and "
        "can be copied. Are they what the leading mode is made of when the head forms? Did anything warn?"
    ),
    measure=measure,
    claims=[
        Claim("matching", "prefix matching at its best", at_least=0.8, every_seed=True),
        Claim("matching", "prefix matching at its best", at_most=0.2, every_seed=True, variant="one_layer"),
        Claim("matching", "prefix matching at its best", at_most=0.2, every_seed=True, variant="no_repeats"),
        Claim("auc", f"AUC of repeated tokens at the transition, {WINDOW} rows", at_least=0.9),
        Claim("auc_long", f"AUC of repeated tokens at the transition, {LONGER} rows", at_least=0.9),
        Claim("auc_clear", f"AUC of those with one candidate, {WINDOW} rows"),
        Claim("mass", f"their share of the leading mode, {WINDOW} rows"),
        Claim("mass_long", f"their share of the leading mode, {LONGER} rows"),
        Claim("falling", "share of them whose losses fell"),
        Claim("ari_groups", "adjusted Rand index of groups against types"),
        Claim("auc_typical", "AUC of repeated tokens, median over windows"),
        Claim("auc_typical", "AUC of repeated tokens, median over windows", variant="one_layer"),
        Claim("auc_typical", "AUC of repeated tokens, median over windows", variant="no_repeats"),
    ],
    findings=findings,
)
