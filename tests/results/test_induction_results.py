"""What the page says about induction heads, of figures that are known and of a run."""

from __future__ import annotations

import math

import numpy as np
import pytest
from results.induction import SETTING
from results.induction_warnings import CURVES, LEADS, leads

from rdmviz import TrainingRun
from rdmviz.studies import induction

NAN = math.nan


def figures(onset: float, alarms: dict[str, float]) -> dict[str, float]:
    """Figures of a run whose curves rise from 0 to 1 so many steps before the onset."""
    passed = {f"{name}_by_{lead}": float(at >= lead) for name, at in alarms.items() for lead in LEADS}
    return {
        **dict.fromkeys(("auc", "mass", "drift", "falling", "misled", "ari_groups"), 0.25),
        **dict.fromkeys(("auc_long", "mass_long", "auc_clear", "fall_repeated"), 0.5),
        **{f"{name}_highest": 0.5 for name in CURVES},
        "onset": onset,
        **(passed if not math.isnan(onset) else {"auc": NAN}),
    }


def of_two_seeds(first: float, second: float) -> dict[str, dict[int, dict[str, float]]]:
    control = {seed: figures(NAN, {}) for seed in (0, 1)}
    alarms = dict.fromkeys(CURVES, 20.0)
    return {
        "": {
            0: figures(400, {**alarms, "heat_capacity": first}),
            1: figures(500, {**alarms, "heat_capacity": second}),
        },
        "one_layer": control,
        "no_repeats": control,
    }


def test_leads_are_read_off_the_level_of_the_controls():
    found = leads(of_two_seeds(100, -60))
    assert found["heat_capacity"][0] == 100
    assert math.isnan(found["heat_capacity"][1])
    assert found["variance"] == [20, 20]


def test_says_whether_the_spectrum_warned():
    silent, loud = ("\n".join(SETTING.findings(of_two_seeds(lead, lead))) for lead in (-10, 100))
    assert "**does not warn**" in silent
    assert "in 0 of 2 seeds" in silent
    assert "−10, −10" in silent
    assert "does not warn" not in loud
    assert "the earlier one in 2 of 2 seeds" in loud


def test_a_seed_without_a_transition_is_named():
    given = of_two_seeds(100, 100)
    given[""][1] = figures(NAN, {})
    assert "**Seeds 1 did not** and are left out" in SETTING.findings(given)[0]
    given[""][0] = figures(NAN, {})
    assert SETTING.findings(given) == ["**No seed reached the transition**, so nothing can be said about it."]


@pytest.fixture(scope="module")
def planted() -> TrainingRun:
    """The probe of a real run whose repeated tokens fall at step 300, and no others."""
    probe = {
        name: column.to_numpy()
        for name, column in induction.train(steps=1, progress=False).probe.data_vars.items()
    }
    rng, steps = np.random.default_rng(0), np.arange(401)
    loss = 3.5 + 0.01 * rng.standard_normal((401, len(probe["type"])))
    formed = 1 / (1 + np.exp(-(steps - 300) / 8))
    loss[:, probe["type"] == "repeated"] -= 2 * formed[:, None]
    metrics = {
        "prefix_matching": formed,
        "previous_token": 1 / (1 + np.exp(-(steps - 260) / 8)),
        "loss_repeated": 3.5 - 2 * formed,
        "loss_other": np.full(401, 3.5),
    }
    return TrainingRun.from_arrays(loss, steps, probe=probe, metrics=metrics)


def test_measures_what_was_planted(planted):
    found = SETTING.measure(planted)
    assert found["auc"] == found["auc_long"] == found["auc_clear"] == 1
    assert found["mass"] > 0.99
    assert found["falling"] == 1
    assert found["ari_groups"] > 0.2
    assert found["fall_repeated"] == pytest.approx(2, abs=0.01)
    assert found["fall_other"] == 0
    assert found["onset"] == planted.first_step("prefix_matching", at_least=0.2)
    assert {claim.figure for claim in SETTING.claims} <= set(found)
    assert found["previous_token_by_0"] > 0.9
    assert found["previous_token_by_100"] < 0.01
    assert found["heat_capacity_by_-50"] > 2


def test_a_run_without_a_transition_has_no_figures_of_one(planted):
    still = TrainingRun.from_arrays(
        planted.loss[:250].to_numpy(),
        planted.steps[:250],
        probe={name: column.to_numpy() for name, column in planted.probe.data_vars.items()},
        metrics={name: 0.1 * column[:250].to_numpy() for name, column in planted.metrics.data_vars.items()},
    )
    found = SETTING.measure(still)
    assert math.isnan(found["auc"])
    assert math.isnan(found["onset"])
    assert "heat_capacity_by_0" not in found
    assert found["heat_capacity_highest"] < 0.5
