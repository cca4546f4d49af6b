"""What is said of emergent misalignment follows from what is measured on the recordings that ship."""

from __future__ import annotations

import math

import pytest
from results.misalignment import SETTING
from results.page import kept

from rdmviz import load_example, separation
from rdmviz.studies import misalignment


@pytest.fixture(scope="module")
def figures():
    runs = {"": "misalignment", **{name: f"misalignment_{name}" for name in misalignment.CONTROLS}}
    found = {variant: {0: SETTING.measure(load_example(name))} for variant, name in runs.items()}
    return found | {"all_weights": found["aligned"]}  # stands in for a run in which nothing spreads


def test_every_claim_is_measured_in_every_variant(figures):
    assert set(figures) == set(SETTING.variants)
    for claim in SETTING.claims:
        assert claim.figure in figures[claim.variant][0]


def test_the_direction_tells_the_run_from_both_controls_in_the_third_window(figures):
    assert {name: of[0]["spreads_3"] for name, of in figures.items()} == {
        "": 1,
        "aligned": 0,
        "random_wrong": 0,
        "all_weights": 0,
    }
    held = [claim for claim in SETTING.claims if claim.figure in ("spreads_3", "net_2")]
    assert len(held) == 6
    assert all(kept(claim, [figures[claim.variant][0][claim.figure]]) for claim in held)


def test_what_it_cannot_tell_is_said(figures):
    assert figures["random_wrong"][0]["spreads_1"] == 1
    text = " ".join(SETTING.findings(figures))
    assert "**It fails earlier**: in the first and second window" in text
    changed = dict(figures["random_wrong"][0], spreads_1=0.0, spreads_2=0.0)
    assert "It fails earlier" not in " ".join(SETTING.findings({**figures, "random_wrong": {0: changed}}))


def test_a_seed_that_is_not_reached_is_named(figures):
    short = {**figures[""][0], "after_middle": math.nan, "ari_middle": math.nan}
    text = SETTING.findings({**figures, "": {0: figures[""][0], 7: short}})[0]
    assert "in 1 of 2 seeds" in text
    assert "**Seeds 7 did not.**" in text


def test_the_first_window_ends_a_window_after_fine_tuning_began(figures):
    run = load_example("misalignment")
    told = separation(run, run.attrs["pretraining"] + 64, "place")["drift"]
    assert figures[""][0]["aligned_1"] == float(told.sel(value="aligned, elsewhere"))
    assert figures[""][0]["misaligned_1"] == float(told.sel(value="misaligned, elsewhere"))
