"""Grokking: what the leading mode tells apart, how many modes there are, what warned, and the arithmetic."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import numpy as np

from rdmviz import TrainingRun, analyze, gaussian_modes, separation
from rdmviz.compute.rdm.separation import adjusted_rand_index, magnitude_split
from rdmviz.record import GaussianSnapshots, Snapshots
from rdmviz.studies import grokking
from results.grokking_residues import residues
from results.grokking_signs import CONTROL, SIGNS, known, lead, levels, signs
from results.setting import Claim, Figures, Setting

__all__ = ["SETTING"]

WINDOW, MODULUS, PROBE, HALF = 64, 53, 300, 1404
MEMORISED = 0.999  # of the training pairs
ALL_PAIRS = "all_pairs"
_TYPICAL = {"onset": 0.45, "middle": 0.6, "end": 0.8}  # of the steps


def _snapshots(first: int) -> Snapshots:
    """Weights, and the Gaussian 2RDM of the first held-out pairs of a probe in which they begin there."""
    held_out = tuple(range(first, first + PROBE))
    return Snapshots(every=200, layers=["*"], gaussian=GaussianSnapshots(samples=held_out, modes=1))


def measure(run: TrainingRun) -> dict[str, float]:
    """Return the figures of one run; where it never generalised, at the places of a typical transition."""
    found = grokking.transition(run)
    steps = {place: getattr(found, place) for place in _TYPICAL}
    if None in steps.values():
        steps = {place: int(run.steps[int(len(run.steps) * at)]) for place, at in _TYPICAL.items()}
    times = {"memorised": known(run, MEMORISED), **steps, "last": int(run.steps[-1])}
    return {
        "onset": math.nan if found.end is None else float(times["onset"]),
        "best": float(run.metrics["test_accuracy"].max()),
        **_separation(run, times),
        **_dimensions(run, times),
        **signs(run, WINDOW),
        **residues(run, times, WINDOW),
    }


def _separation(run: TrainingRun, times: Mapping[str, int]) -> dict[str, float]:
    """How well the leading mode tells training pairs from held-out ones, and the losses themselves do."""
    told = {
        place: separation(run, run.step_around(times[place], WINDOW), "split", WINDOW) for place in _TYPICAL
    }
    held_out = told["middle"].sel(value="held-out")
    row = run.index_of(times["middle"])
    losses = run.rows(row, row + 1)[0].astype(np.float64)
    split = run.probe["split"].to_numpy() == "held-out"
    return {
        **{f"ari_{place}": float(here["ari_magnitude"]) for place, here in told.items()},
        "mass": float(held_out["mass"]),
        "drift": float(held_out["drift"]),
        "ari_losses": adjusted_rand_index(magnitude_split(losses), split.astype(int)),
    }


def _dimensions(run: TrainingRun, times: Mapping[str, int]) -> dict[str, float]:
    """Participation ratios when the training pairs are memorised, in the middle, and at the last step."""
    curves = {
        "modes": analyze(run, window=WINDOW, detrend="linear")["participation_ratio"],
        "drifting": analyze(run, window=WINDOW, detrend="constant")["participation_ratio"],
    }
    around = gaussian_modes(run)["participation_ratio_unbiased"]
    figures = {}
    for place in ("memorised", "middle", "last"):
        step = run.step_around(times[place], WINDOW)
        figures |= {f"{name}_{place}": float(curve.sel(step=step)) for name, curve in curves.items()}
        figures[f"gaussian_{place}"] = float(around.sel(step=times[place], method="nearest"))
    return figures


Runs = Mapping[int, Mapping[str, float]]


def findings(figures: Figures) -> list[str]:
    """Return what was found, in words."""
    reached = {seed: of for seed, of in figures[""].items() if not math.isnan(of["onset"])}
    if not reached:
        return ["**No seed generalised**, so nothing can be said about the transition."]
    return [
        _reaching(figures, reached),
        _told_apart(reached, figures[CONTROL]),
        _modes(reached, figures[CONTROL]),
        _signs(figures, reached),
        _arithmetic(figures, reached),
        _before(figures, reached),
        _two_kinds(reached, figures[CONTROL]),
    ]


def _median(runs: Runs, name: str) -> float:
    return float(np.nanmedian([of[name] for of in runs.values()]))


def _range(numbers: Iterable[float], digits: int = 2) -> str:
    there = sorted(number for number in numbers if not math.isnan(number))
    return f"{there[0]:.{digits}f} to {there[-1]:.{digits}f}".replace("-", "−") if there else "none"


def _all(runs: Runs, name: str, digits: int = 2) -> str:
    return _range((of[name] for of in runs.values()), digits)


def _reaching(figures: Figures, reached: Runs) -> str:
    missing = [str(seed) for seed in figures[""] if seed not in reached]
    left_out = f" **Seeds {', '.join(missing)} did not** and are left out below." if missing else ""
    best = max(of["best"] for name in grokking.CONTROLS for of in figures[name].values())
    return (
        f"{len(reached)} of {len(figures[''])} seeds generalised.{left_out} No control run ever answered "
        f"more than {best:.1%} of the held-out pairs; chance is {1 / MODULUS:.1%}. Figures of controls are "
        "taken where a typical transition would be."
    )


def _told_apart(reached: Runs, control: Runs) -> str:
    real, other = (sum(of["drift"] < 0 for of in runs.values()) for runs in (reached, control))
    return (
        f"**The leading mode is the held-out pairs.** They hold {_median(reached, 'mass'):.1%} of it, and a "
        "cut of its log-magnitude in two agrees with the split by an adjusted Rand index of "
        f"{_median(reached, 'ari_onset'):.2f} at the onset, {_median(reached, 'ari_middle'):.2f} in the "
        f"middle and {_median(reached, 'ari_end'):.2f} at the end, when many held-out pairs have come to "
        "rest. **It takes no eigenvector to see this**: the same cut of the losses themselves gives "
        f"{_median(reached, 'ari_losses'):.2f}. Nor is it special to grokking: with shuffled labels the "
        f"index is {_median(control, 'ari_middle'):.2f}. What differs is the way they move: held-out "
        f"losses fell in {real} of {len(reached)} seeds, and in {other} of {len(control)} with shuffled "
        "labels."
    )


def _modes(reached: Runs, control: Runs) -> str:
    def path(name: str) -> str:
        return " and ".join(
            "/".join(f"{_median(runs, f'{name}_{place}'):.3g}" for place in ("memorised", "middle", "last"))
            for runs in (reached, control)
        )

    return (
        "**Fewer and fewer modes.** Participation ratio where the training pairs are memorised, in the "
        "middle of the transition and at the last step, of real runs and of shuffled labels: "
        f"{path('modes')} of the detrended fluctuations; {path('drifting')} with the drift left in; "
        f"{path('gaussian')} of the Gaussian 2RDM of the held-out pairs."
    )


def _signs(figures: Figures, reached: Runs) -> str:
    level = levels(figures)
    leads = {name: [lead(of, name, level[name]) for of in reached.values()] for name in SIGNS}
    ahead = {name: [one for one in of if one > 0] for name, of in leads.items()}
    warned = len(ahead["heat_capacity"])
    word = "warns" if 2 * warned > len(reached) else "does not warn"
    unclean = figures["no_weight_decay"]
    rows = []
    for name, (words, way) in SIGNS.items():
        size = math.expm1(level[name]) if way == "rises" else -math.expm1(-level[name])
        beyond = "" if math.isnan(size) else f" by more than {size:.0%}"
        early = f", {np.median(ahead[name]):,.0f} steps in the median" if ahead[name] else ""
        fooled = sum(not math.isnan(of.get(f"{name}_{level[name]:g}", math.nan)) for of in unclean.values())
        rows.append(
            f"- {words} {way}{beyond}: ahead in {len(ahead[name])} of {len(reached)} seeds{early}; without "
            f"weight decay in {fooled} of {len(unclean)} runs"
        )
    return (
        f"**The spectral heat capacity {word}**: it rises beyond what shuffled labels show before the onset, "
        f"a test accuracy of 10%, in {warned} of {len(reached)} seeds. Every curve, followed from where the "
        f"training pairs are known, at the lowest level that none of {len(figures[CONTROL])} runs with "
        "shuffled labels passes (levels are set on these runs, so a further one may pass them). Without "
        "weight decay the losses run away to tens of nats, and much moves that has nothing to do with "
        "understanding:\n\n" + "\n".join(rows)
    )


def _arithmetic(figures: Figures, reached: Runs) -> str:
    control, every = figures[CONTROL], figures[ALL_PAIRS]
    return (
        "**The fluctuations know the answers, and through them the frequencies.** Held-out pairs with the "
        f"same answer fluctuate together, which explains {_median(reached, 'answer_share'):.0%} of the "
        "correlations in the middle of the transition. That alone is no arithmetic: with shuffled labels the "
        f"dealt label explains {_median(control, 'answer_share'):.0%}, and the sum "
        f"{abs(_median(control, 'sum_share')):.0%}. But laid out by frequency, the answers move **least "
        "along the frequencies that the embeddings use**: from onset to end the five strongest of 26 are "
        f"told from the others with an area under the ROC curve of {_median(reached, 'answer_auc'):.2f} "
        f"({_all(reached, 'answer_auc')}); with shuffled labels it is {_median(control, 'answer_auc'):.2f} "
        f"({_all(control, 'answer_auc')}). Answers that the circuit tells apart are no longer shaken, those "
        "that it confuses are: the confusions of the network predict the power at each frequency of the "
        f"Gaussian 2RDM with a rank correlation of {_median(reached, 'predicted'):.2f} "
        f"({_median(control, 'predicted'):.2f} with shuffled labels). One row of losses does not show it "
        f"(area {_median(reached, 'row_auc'):.2f}). The difference of the operands explains "
        f"{abs(_median(every, 'difference_share')):.1%} of the correlations, yet carries **more** power at "
        "the used frequencies, as it should in a network that adds angles through the cosine of half their "
        f"difference: area {_median(every, 'difference_auc'):.2f} ({_all(every, 'difference_auc')}) with all "
        f"{2 * HALF:,} pairs watched. {PROBE} held-out pairs are too few to see it "
        f"({_median(reached, 'difference_auc'):.2f})."
    )


def _before(figures: Figures, reached: Runs) -> str:
    control, every = figures[CONTROL], figures[ALL_PAIRS]
    return (
        "Some of it is there **before** the network generalises. Between memorising and the onset the "
        f"answers give an area of {_median(reached, 'answer_auc_before'):.2f} "
        f"({_all(reached, 'answer_auc_before')}), with all pairs watched "
        f"{_median(every, 'answer_auc_before'):.2f}, and the differences then "
        f"{_median(every, 'difference_auc_before'):.2f} ({_all(every, 'difference_auc_before')}); shuffled "
        f"labels {_median(control, 'answer_auc_before'):.2f}. It is no warning that one could have used: one "
        "has to know that the task is one of residues."
    )


def _two_kinds(reached: Runs, control: Runs) -> str:
    return (
        "**Gaussian against dynamical.** The dynamical 2RDM sees where training goes: its leading mode is "
        "the fall of the held-out losses, and its drift says that they fall. The Gaussian 2RDM looks around "
        "one checkpoint, knows neither drift nor history, and finds the frequencies in a single snapshot: "
        f"area {_median(reached, 'gaussian_answer_auc'):.2f}, "
        f"{_median(control, 'gaussian_answer_auc'):.2f} with shuffled labels. Its participation ratio falls "
        "mostly because **pairs that are learned fall silent**, not because the others come to move "
        "together: with every pair scaled to the same size it is "
        f"{_median(reached, 'gaussian_alike'):.0f} in the middle of the transition "
        f"({_median(control, 'gaussian_alike'):.0f} with shuffled labels), not "
        f"{_median(reached, 'gaussian_middle'):.0f}."
    )


SETTING = Setting(
    study=grokking,
    title="Grokking",
    question=(
        "A network memorises half of the sums modulo 53 and, thousands of steps later, understands the "
        "others. Does the leading mode tell training pairs from held-out ones? Did anything warn? And is "
        "there anything of the arithmetic in how the losses fluctuate?"
    ),
    measure=measure,
    claims=[
        Claim(
            "ari_middle",
            "adjusted Rand index of train against held-out, middle of the transition",
            at_least=0.7,
        ),
        Claim("ari_onset", "the same at the onset"),
        Claim("ari_end", "the same at the end"),
        Claim("ari_losses", "the same of the losses themselves, in the middle"),
        Claim("best", "test accuracy at its best", at_least=0.95),
        *(
            Claim("best", "test accuracy at its best", at_most=0.05, every_seed=True, variant=name)
            for name in grokking.CONTROLS
        ),
        Claim("modes_memorised", "participation ratio when memorised, detrended"),
        Claim("modes_middle", "participation ratio in the middle, detrended"),
        Claim("modes_last", "participation ratio at the end, detrended"),
        Claim("modes_last", "participation ratio at the end, detrended", variant=CONTROL),
        Claim("gaussian_memorised", "Gaussian participation ratio when memorised"),
        Claim("gaussian_middle", "Gaussian participation ratio in the middle"),
        Claim("gaussian_last", "Gaussian participation ratio at the end"),
        Claim("gaussian_last", "Gaussian participation ratio at the end", variant=CONTROL),
        Claim("answer_share", "share of the correlations that the answer explains"),
        Claim("answer_auc", "used frequencies found as those that the answers avoid"),
        Claim("answer_auc", "used frequencies found as those that the answers avoid", variant=CONTROL),
        Claim("difference_auc", "used frequencies found in the differences", variant=ALL_PAIRS),
        Claim("gaussian_answer_auc", "used frequencies found in one Gaussian snapshot"),
        Claim("gaussian_answer_auc", "used frequencies found in one Gaussian snapshot", variant=CONTROL),
    ],
    findings=findings,
    options={"snapshots": _snapshots(PROBE)},
    more={ALL_PAIRS: {"probe_size": HALF, "snapshots": _snapshots(HALF)}},
)
