"""The results as a page: every number is computed from what was measured, none is written by hand."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from results.intervals import Interval, coverage, interval
from results.measured import AllMeasured, Measured
from results.setting import Claim, Figures, Setting

__all__ = ["figures_of", "kept", "page"]

_OF_REAL = "real run"


def page(settings: Mapping[str, Setting], measured: AllMeasured, facts: Mapping[str, Any]) -> str:
    """Return the page, Markdown."""
    seeds = sorted({seed for variants in measured.values() for runs in variants.values() for seed in runs})
    how = (
        f"Written by `make results` from `docs/results.json`; no number is typed in. Seeds {seeds[0]} to "
        f"{seeds[-1]}, every control with every seed; {facts['cores']} cores, Python {facts['python']}, "
        f"torch {facts['torch']}. The recordings are left in `artifacts/results/`, one per run; those of "
        "seed 0 ship with the package (`rdmviz.list_examples()`). To check: `make results`, or one run with "
        "`rdmviz record STUDY --seed SEED --control CONTROL --out PATH`."
    )
    reading = (
        f"A figure is the median of {len(seeds)} seeds, with the smallest and the largest in brackets: "
        "whatever the distribution of seeds is, these hold its median with probability "
        f"{coverage(len(seeds)):.1%}. A seed that does not have a figure, because its transition "
        "never came, counts as one that misses the bound."
    )
    parts = ["# Four settings with a known truth", how, reading]
    for name, runs in measured.items():
        parts += _setting(settings[name], runs)
    return "\n\n".join(parts) + "\n"


def figures_of(runs: Mapping[str, Mapping[int, Measured]]) -> Figures:
    """Return the measured figures alone."""
    return {
        variant: {seed: one.figures for seed, one in by_seed.items()} for variant, by_seed in runs.items()
    }


def kept(claim: Claim, values: Iterable[float]) -> bool | None:
    """Return whether figures, one per seed, keep the bound of a claim; None where it has none."""
    if claim.at_least is None and claim.at_most is None:
        return None
    low = -math.inf if claim.at_least is None else claim.at_least
    high = math.inf if claim.at_most is None else claim.at_most
    within = [low <= value <= high for value in values]  # NaN is not
    if claim.every_seed:
        return all(within)
    # the median of an even number of seeds keeps a bound if the middle two do on average
    worst = math.inf if claim.at_least is None else -math.inf
    ordered = sorted(worst if math.isnan(value) else value for value in values)
    half = len(ordered) // 2
    middle = ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2
    return low <= middle <= high


def _setting(setting: Setting, runs: Mapping[str, Mapping[int, Measured]]) -> Iterator[str]:
    yield f"## {setting.title}"
    yield setting.question
    yield _table(
        ["what", "of", "bound", "measured", "kept"],
        [_claim(claim, runs[claim.variant].values()) for claim in setting.claims],
    )
    yield f"![Every seed of every figure](images/results_{setting.name}.svg)"
    yield "When it happened, step of onset, middle and end; – where it never did:"
    yield _table(
        ["", *(f"seed {seed}" for seed in runs[""])],
        [
            [_words(variant), *(_transition(one) for one in by_seed.values())]
            for variant, by_seed in runs.items()
        ],
    )
    yield from setting.findings(figures_of(runs))
    yield _table(
        ["training with its recording", "processor time, s", "wall time, s", "largest memory, MB"],
        [
            [
                _words(variant),
                _interval(interval(one.processor_seconds for one in by_seed.values()), 2),
                _interval(interval(one.seconds for one in by_seed.values()), 2),
                _interval(interval(one.megabytes for one in by_seed.values()), 3),
            ]
            for variant, by_seed in runs.items()
        ],
    )


def _claim(claim: Claim, runs: Iterable[Measured]) -> list[str]:
    values = [one.figures[claim.figure] for one in runs]
    word = {True: "yes", False: "**no**", None: ""}[kept(claim, values)]
    return [claim.words, _words(claim.variant), _bound(claim), _interval(interval(values)), word]


def _bound(claim: Claim) -> str:
    signs = [("≥", claim.at_least), ("≤", claim.at_most)]
    bounds = " and ".join(f"{sign} {_number(value)}" for sign, value in signs if value is not None)
    return f"{bounds}, {'every seed' if claim.every_seed else 'median'}" if bounds else "reported"


def _transition(one: Measured) -> str:
    return " / ".join("–" if step is None else f"{step:,}" for step in one.transition.values())


def _words(variant: str) -> str:
    return variant.replace("_", " ") or _OF_REAL


def _interval(found: Interval, digits: int = 3) -> str:
    if found.missing == found.seeds:
        return "no seed has it"
    ends = f"{_number(found.median, digits)} [{_number(found.low, digits)}, {_number(found.high, digits)}]"
    return ends + (f", {found.seeds - found.missing} of {found.seeds} seeds" if found.missing else "")


def _number(value: float, digits: int = 3) -> str:
    """Write a number in so many digits, without an exponent where it has fewer than six before the point."""
    if abs(value) >= 10**digits and abs(value) < 1e6:
        return f"{value:,.0f}".replace("-", "−")
    return f"{value:.{digits}g}".replace("-", "−")


def _table(head: list[str], rows: Iterable[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
