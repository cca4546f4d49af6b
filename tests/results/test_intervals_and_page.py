"""The results page: what it says of figures that are known."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
from results.intervals import coverage, interval
from results.measured import Measured, as_json, from_json
from results.page import kept, page
from results.setting import Claim, Setting

NAN = math.nan


def test_an_interval_holds_the_median_as_often_as_it_says():
    rng = np.random.default_rng(0)
    found = [interval(row) for row in rng.lognormal(size=(4000, 6))]
    inside = np.mean([each.low <= 1 <= each.high for each in found])  # 1 is the median of a log-normal
    assert coverage(6) == pytest.approx(1 - 2 / 64)
    assert inside == pytest.approx(coverage(6), abs=4 * math.sqrt(0.03 / 4000))


def test_what_a_seed_does_not_have_is_counted():
    found = interval([3, NAN, 1, 2])
    assert (found.median, found.low, found.high, found.seeds, found.missing) == (2, 1, 3, 4, 1)
    assert interval([NAN, NAN]).missing == 2


@pytest.mark.parametrize(
    ("claim", "values", "expected"),
    [
        (Claim("x", "", at_least=0.9), [0.8, 0.95, 0.99], True),
        (Claim("x", "", at_least=0.9, every_seed=True), [0.8, 0.95, 0.99], False),
        (Claim("x", "", at_least=0.9), [NAN, NAN, 0.99], False),
        (Claim("x", "", at_most=0.06), [NAN, NAN, 0.01], False),
        (Claim("x", "", at_most=0.06), [0.01, NAN, 0.02], True),
        (Claim("x", "", at_least=0, at_most=1, every_seed=True), [0.5, 1.0], True),
        (Claim("x", "", at_least=0, at_most=1, every_seed=True), [0.5, NAN], False),
        (Claim("x", "", at_least=0.5), [0.4, 0.6, 0.4, 0.6], True),
        (Claim("x", ""), [1.0], None),
    ],
)
def test_a_bound_is_kept_or_not_and_a_missing_figure_misses_it(claim, values, expected):
    assert kept(claim, values) is expected


def one(figure: float, middle: int | None) -> Measured:
    return Measured({"figure": figure}, {"onset": 10, "middle": middle, "end": None}, 1.23, 1.1, 345.6)


def test_the_page_says_what_was_measured_and_what_was_missed():
    study = SimpleNamespace(__name__="rdmviz.studies.toy", CONTROLS={"no_thing": {}})
    setting = Setting(
        study,
        "Toy",
        "Is it a toy?",
        lambda run: {},
        [Claim("figure", "the figure", at_least=0.5), Claim("figure", "it again", variant="no_thing")],
        lambda figures: [f"Seed 1 has {figures[''][1]['figure']}."],
    )
    runs = {
        "": {seed: one(0.1 * seed, 1200 if seed else None) for seed in range(6)},
        "no_thing": {seed: one(NAN, None) for seed in range(6)},
    }
    text = page({"toy": setting}, {"toy": runs}, {"cores": 2, "python": "3.11", "torch": "2"})
    assert "| the figure | real run | ≥ 0.5, median | 0.25 [0, 0.5] | **no** |" in text
    assert "| it again | no thing | reported | no seed has it |  |" in text
    assert "| real run | 10 / – / – | 10 / 1,200 / – |" in text
    assert "Seed 1 has 0.1." in text
    assert "| no thing | 1.1 [1.1, 1.1] | 1.2 [1.2, 1.2] | 346 [346, 346] |" in text
    assert "probability 96.9%" in text


def test_json_holds_it_all():
    runs = {"toy": {"": {0: one(NAN, None), 1: one(2.0, 7)}}}
    back = from_json(as_json(runs))
    assert math.isnan(back["toy"][""][0].figures["figure"])
    assert back["toy"][""][1].figures == {"figure": 2.0}
    assert back["toy"][""][1].transition == {"onset": 10, "middle": 7, "end": None}
