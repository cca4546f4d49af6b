"""Emergent misalignment: which answers the leading mode tells apart, and which way the run moves them."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from rdmviz import TrainingRun, analyze, separation
from rdmviz.studies import misalignment
from results.setting import Claim, Figures, Setting

__all__ = ["SETTING"]

WINDOW = 64
_NTH = {1: "first", 2: "second", 3: "third"}
_IN_A_ROW = 3  # windows outside their range make an alarm
_ANSWERS = {"aligned": "aligned, elsewhere", "misaligned": "misaligned, elsewhere"}
_SHARE = "misaligned share elsewhere at the end"
_CURVES = {
    "spectral_heat_capacity": "spectral heat capacity, linear",
    "participation_ratio": "participation ratio, linear",
    "trace": "trace, linear",
    "mean_loss": "plain mean loss",
    "mean_loss_variance": "plain variance of the mean loss",
    "mean_loss_autocorrelation": "plain autocorrelation of the mean loss",
}


def measure(run: TrainingRun) -> dict[str, float]:
    """Return the figures of one run."""
    start = int(run.attrs["pretraining"])
    passed = misalignment.transition(run)
    figures = {"share": float(run.metrics["misaligned_elsewhere"][-1])}
    for number in _NTH:
        step = start + number * WINDOW  # rows of fine-tuning alone, none of them in two windows
        moved = separation(run, step, "place", WINDOW)["drift"]
        drift = {kind: float(moved.sel(value=place)) for kind, place in _ANSWERS.items()}
        figures |= {f"{kind}_{number}": value for kind, value in drift.items()}
        figures |= {
            f"ari_{number}": float(separation(run, step, "kind", WINDOW)["ari_sign"]),
            f"net_{number}": sum(drift.values()) / 2,
            f"spreads_{number}": float(drift["misaligned"] < 0 < drift["aligned"]),
        }
    for name, step in (("onset", passed.onset), ("middle", passed.middle)):
        figures[f"after_{name}"] = math.nan if step is None else float(step - start)
        figures[f"ari_{name}"] = (
            math.nan
            if step is None
            else float(separation(run, run.step_around(step, WINDOW), "kind", WINDOW)["ari_sign"])
        )
    return figures | _alarms(run, start)


def _alarms(run: TrainingRun, start: int) -> dict[str, float]:
    """Return how many steps after the start of fine-tuning each curve first alarms, NaN if it never does."""
    curves = analyze(run, WINDOW, "linear")
    before = run.steps < start
    found = {}
    for name in _CURVES:
        curve = curves[name].to_numpy()
        usual = curve[before & np.isfinite(curve)]
        unusual = ~before & ((curve < usual.min()) | (curve > usual.max()))
        lasting = np.lib.stride_tricks.sliding_window_view(unusual, _IN_A_ROW).all(axis=1)
        rows = np.flatnonzero(lasting) + _IN_A_ROW - 1
        found[f"alarm_{name}"] = float(run.steps[rows[0]] - start) if rows.size else math.nan
    return found


def findings(figures: Figures) -> list[str]:
    """Return what was found, in words (Markdown)."""
    return [
        _spread(figures),
        _two_answers(figures),
        _direction(figures),
        *_early(figures),
    ]


def _of(runs: Mapping[int, Mapping[str, float]], name: str) -> list[float]:
    return [of[name] for of in runs.values()]


def _span(values: list[float], digits: int = 2) -> str:
    there = [value for value in values if not math.isnan(value)]
    if not there:
        return "none"
    low, high = (f"{value:.{digits}f}".replace("-", "−") for value in (min(there), max(there)))
    return low if low == high else f"{low} to {high}"


def _spread(figures: Figures) -> str:
    real = figures[""]
    halves = _of(real, "after_middle")
    reached = sum(not math.isnan(value) for value in halves)
    begun = sum(not math.isnan(value) for value in _of(figures["random_wrong"], "after_onset"))
    missing = [str(seed) for seed, of in real.items() if math.isnan(of["after_middle"])]
    hidden = f" **Seeds {', '.join(missing)} did not.**" if missing else ""
    return (
        f"Outside the tuned domain the misaligned share reached one half in {reached} of {len(real)} seeds, "
        f"{_span(halves, 0)} steps after fine-tuning began, and {_span(_of(real, 'share'))} in the end."
        f"{hidden} It ends at {_span(_of(figures['aligned'], 'share'))} where aligned answers are taught and "
        f"at {_span(_of(figures['random_wrong'], 'share'))} where random wrong ones are; these pass ten "
        f"percent in {begun} of {len(figures['random_wrong'])} seeds, since a network that is made to forget "
        "its answers falls back on the other one that it knows. If fine-tuning changes every weight instead "
        "of the biases, sixteen answers are learned by heart and the share elsewhere ends at "
        f"{_span(_of(figures['all_weights'], 'share'))}."
    )


def _two_answers(figures: Figures) -> str:
    real, aligned, wrong = (figures[name] for name in ("", "aligned", "random_wrong"))
    return (
        "**The sign of the leading mode tells the two answers of a question apart** by an adjusted Rand "
        f"index of {_span(_of(real, 'ari_2'))} in the second {WINDOW} rows of fine-tuning, "
        f"{_span(_of(real, 'ari_onset'))} around ten percent and {_span(_of(real, 'ari_middle'))} around "
        "one half, where answers that have changed sides stand still and only some still move. **This alone "
        f"tells nothing**: in the first rows it is {_span(_of(real, 'ari_1'))} here, "
        f"{_span(_of(wrong, 'ari_1'))} with random wrong answers and {_span(_of(aligned, 'ari_1'))} with "
        "aligned ones."
    )


def _direction(figures: Figures) -> str:
    counts = {
        (variant, number): sum(of[f"spreads_{number}"] == 1 for of in by_seed.values())
        for variant, by_seed in figures.items()
        for number in _NTH
    }
    seeds = len(figures[""])
    early = [number for number in _NTH if counts["random_wrong", number]]
    third = {
        variant: " and ".join(_span(_of(by_seed, f"{kind}_3"), 3) for kind in ("misaligned", "aligned"))
        for variant, by_seed in figures.items()
    }
    text = (
        "**The direction does.** A run is called spreading where, outside the tuned domain, the losses of "
        f"misaligned answers fall and those of aligned answers rise on average across a window of {WINDOW} "
        f"rows. In the third window of fine-tuning this holds in {counts['', 3]} of {seeds} real runs, "
        f"{counts['aligned', 3]} with aligned and {counts['random_wrong', 3]} with random wrong answers. "
        f"Misaligned and aligned answers move there by {third['']} nats; by {third['aligned']} with aligned "
        f"answers, the reverse; by {third['random_wrong']} with random wrong answers, where both are lost."
    )
    if early:
        names = " and ".join(_NTH[number] for number in early)
        held = " and ".join(str(counts["random_wrong", number]) for number in early)
        text += (
            f" **It fails earlier**: in the {names} window random wrong answers make {held} of {seeds} runs "
            "look the same, because a network that is pushed off its answers first leans to the other one "
            "that it knows."
        )
    net = {variant: _of(by_seed, "net_2") for variant, by_seed in figures.items()}
    told = max(net[""]) < 0 < min(net["random_wrong"] + net["aligned"])
    text += (
        f" In the second window (it ends {2 * WINDOW} steps after the start, and ten percent came after "
        f"{_span(_of(figures[''], 'after_onset'), 0)}) the mean over both answers "
        f"{'tells' if told else 'does not tell'} real runs from controls in every seed: "
        f"{_span(net[''])} nats against {_span(net['random_wrong'])} with random wrong and "
        f"{_span(net['aligned'], 3)} with aligned answers."
    )
    return text


def _early(figures: Figures) -> list[str]:
    variants = ("", "random_wrong", "aligned")
    head = "| first alarm, steps after fine-tuning began | real run | random wrong | aligned |"
    rows = [
        f"| {words} | "
        + " | ".join(
            _span(of := _of(figures[variant], f"alarm_{name}"), 0)
            + (f" (no alarm in {quiet})" if (quiet := sum(map(math.isnan, of))) else "")
            for variant in variants
        )
        + " |"
        for name, words in _CURVES.items()
    ]
    same = [
        words
        for name, words in _CURVES.items()
        if not any(
            math.isnan(value) for variant in variants for value in _of(figures[variant], f"alarm_{name}")
        )
    ]
    quiet = {
        variant: "; ".join(
            words
            for name, words in _CURVES.items()
            if all(math.isnan(of[f"alarm_{name}"]) for of in figures[variant].values())
        )
        for variant in ("aligned", "random_wrong")
    }
    return [
        (
            f"**Did anything warn?** A curve alarms where it stays, {_IN_A_ROW} windows in a row, outside "
            "the range that it had in all windows before fine-tuning. Ten percent came "
            f"{_span(_of(figures[''], 'after_onset'), 0)} steps after it began."
        ),
        "\n".join([head, "| --- | --- | --- | --- |", *rows]),
        (
            f"**What alarms in every run of both controls warns of nothing**: {'; '.join(same) or 'no curve'}"
            ". Such curves see that the training changed. Quiet in every run with aligned answers: "
            f"{quiet['aligned'] or 'no curve'}; with random wrong: {quiet['random_wrong'] or 'no curve'}."
        ),
    ]


def _drifts(number: int) -> list[Claim]:
    where = f"in the {_NTH[number]} window"
    return [
        Claim(f"{kind}_{number}", f"drift of {kind} answers elsewhere {where}, nats", variant=variant)
        for variant in ("", *misalignment.CONTROLS)
        for kind in _ANSWERS
    ]


SETTING = Setting(
    study=misalignment,
    title="Emergent misalignment",
    question=(
        "A small transformer knows good and bad advice in eight domains, and is fine-tuned on bad advice in "
        "one. Each datapoint is a question with its aligned or its misaligned answer. Does the leading mode "
        "tell the two apart, and does the direction in which they move tell the run from one that is taught "
        "aligned or random wrong answers?"
    ),
    measure=measure,
    claims=[
        Claim("share", _SHARE, at_least=0.5, every_seed=True),
        Claim("share", _SHARE, at_most=0.1, every_seed=True, variant="aligned"),
        Claim("share", _SHARE, variant="random_wrong"),
        Claim("share", _SHARE, variant="all_weights"),
        Claim("ari_2", "ARI of sign(v) against the kind of answer, second window", at_least=0.95),
        Claim("ari_onset", "the same around ten percent", at_least=0.95),
        Claim("ari_middle", "the same around one half", at_least=0.95),
        Claim("ari_2", "the same, second window", variant="random_wrong"),
        Claim("ari_2", "the same, second window", variant="aligned"),
        Claim("spreads_3", "spreading by the drift of the third window", at_least=1, every_seed=True),
        *(
            Claim(
                "spreads_3",
                "spreading by the drift of the third window",
                at_most=0,
                every_seed=True,
                variant=control,
            )
            for control in misalignment.CONTROLS
        ),
        *_drifts(3),
        Claim("net_2", "mean drift elsewhere in the second window, nats", at_most=0, every_seed=True),
        *(
            Claim(
                "net_2",
                "mean drift elsewhere in the second window, nats",
                at_least=0,
                every_seed=True,
                variant=control,
            )
            for control in misalignment.CONTROLS
        ),
    ],
    findings=findings,
    more={"all_weights": {"tuned": "all"}},
)
