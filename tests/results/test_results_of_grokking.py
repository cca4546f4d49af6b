"""What the page says about grokking, of figures that are known and of a run."""

from __future__ import annotations

import math

import numpy as np
import pytest
from results.grokking import ALL_PAIRS, MODULUS, SETTING, measure
from results.grokking_residues import Residues, correlated
from results.grokking_signs import CONTROL, LEVELS, SIGNS, levels, passed

from rdmviz.record import GaussianSnapshots, Snapshots
from rdmviz.studies import grokking

NAN = math.nan
NAMES = (
    *("ari_onset", "ari_middle", "ari_end", "ari_losses", "mass", "answer_share", "sum_share"),
    *("difference_share", "answer_auc", "difference_auc", "answer_auc_before", "difference_auc_before"),
    *("row_auc", "gaussian_answer_auc", "gaussian_difference_auc", "gaussian_alike", "predicted"),
    *(f"{name}_{at}" for name in ("modes", "drifting", "gaussian") for at in ("memorised", "middle", "last")),
)


def figures(onset: float, drift: float, **at: float) -> dict[str, float]:
    """Figures of a run whose curves each pass every level at one step; NaN never."""
    steps = {f"{name}_{level:g}": at.get(name, NAN) for name in SIGNS for level in LEVELS}
    return {**dict.fromkeys(NAMES, 0.25), **steps, "onset": onset, "best": 0.5, "drift": drift}


def variants(real: dict[int, dict[str, float]]) -> dict[str, dict[int, dict[str, float]]]:
    silent = {seed: figures(NAN, 1.0) for seed in (0, 1)}
    return {"": real, CONTROL: silent, "no_weight_decay": silent, ALL_PAIRS: real}


def test_a_curve_passes_a_level_where_it_has_left_its_extreme_by_so_much():
    steps = np.arange(6) * 10
    curve = np.array([2.0, 1.0, np.nan, 1.04, 1.06, 3.0])
    rises, falls = (passed(steps, curve, way) for way in ("rises", "falls"))
    assert (rises[0.02], rises[0.05], rises[1.0]) == (30, 40, 50)
    assert math.isnan(rises[1.5])
    assert (falls[0.5], rises[0.01]) == (10, 30)
    assert math.isnan(falls[0.7])


def test_a_level_is_the_lowest_that_no_control_passes():
    given = variants({0: figures(4000, -1.0)})
    given[CONTROL][0][f"trace_{LEVELS[0]:g}"] = 2000.0
    assert levels(given)["trace"] == LEVELS[1]
    assert levels(given)["participation"] == LEVELS[0]
    for level in LEVELS:
        given[CONTROL][1][f"trace_{level:g}"] = 3000.0
    assert math.isnan(levels(given)["trace"])
    assert "- trace rises: ahead in 0 of 1 seeds" in "\n".join(SETTING.findings(given))


def test_says_whether_the_spectrum_warned_and_who_was_ahead():
    real = {seed: figures(4000, -1.0, held_out_loss=1500.0, heat_capacity=5000.0) for seed in (0, 1)}
    words = "\n".join(SETTING.findings(variants(real)))
    assert "heat capacity does not warn**" in words
    assert "mean held-out loss falls by more than 1%: ahead in 2 of 2 seeds, 2,500 steps" in words
    assert "losses fell in 2 of 2 seeds, and in 0 of 2 with shuffled labels" in words
    real = {seed: figures(4000, -1.0, heat_capacity=3000.0) for seed in (0, 1)}
    assert "heat capacity warns**" in "\n".join(SETTING.findings(variants(real)))


def test_a_seed_without_a_transition_is_named():
    words = "\n".join(SETTING.findings(variants({0: figures(4000, -1.0), 3: figures(NAN, 1.0)})))
    assert "1 of 2 seeds generalised. **Seeds 3 did not**" in words
    (none,) = SETTING.findings(variants({0: figures(NAN, 1.0)}))
    assert "**No seed generalised**" in none


@pytest.fixture(scope="module")
def run():
    held_out = tuple(range(20, 40))
    return grokking.train(
        steps=450,
        every=2,
        modulus=13,
        probe_size=20,
        batch_size=64,
        snapshots=Snapshots(every=50, layers=["*"], gaussian=GaussianSnapshots(draws=32, samples=held_out)),
        progress=False,
    )


def test_every_figure_of_a_claim_is_measured(run):
    found = measure(run)
    assert {claim.figure for claim in SETTING.claims} <= set(found)
    assert set(NAMES) <= set(found)
    assert all(math.isfinite(found[name]) for name in NAMES)
    assert math.isnan(found["onset"]), "a run that does not generalise has no transition"
    assert found["answer_share"] == found["sum_share"]


def test_the_network_of_a_snapshot_has_the_losses_that_were_recorded(run):
    held = Residues(run)
    network = held.model(320)
    row = run.index_of(300)
    losses = run.rows(row, row + 1)[0][held.held_out]
    confusion = held.confusion(network)
    assert confusion.sum() == pytest.approx(1)
    assert confusion[0] == pytest.approx(np.exp(-losses).mean(), rel=1e-4)


def test_fluctuations_stand_for_the_correlations_of_a_window(run):
    held = Residues(run)
    rows = held.fluctuations(int(run.steps[-1]), 64)
    losses = run.rows(run.n_steps - 64, run.n_steps)[:, held.held_out].astype(float)
    trend = np.polynomial.polynomial.polyfit(np.arange(64), losses, 1)
    apart = losses - np.polynomial.polynomial.polyval(np.arange(64), trend).T
    np.testing.assert_allclose(rows.T @ rows, np.corrcoef(apart.T), atol=1e-6)


def test_what_does_not_move_has_no_correlation():
    np.testing.assert_array_equal(correlated(np.array([[3.0, 0.0], [4.0, 0.0]])), [[0.6, 0], [0.8, 0]])


def test_the_probe_of_all_pairs_holds_every_pair():
    pairs = MODULUS**2
    half = SETTING.more[ALL_PAIRS]["probe_size"]
    assert half == min(round(pairs / 2), pairs - round(pairs / 2))
