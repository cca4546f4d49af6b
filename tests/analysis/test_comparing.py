"""Runs on one axis, and the overlap of their leading modes."""

from __future__ import annotations

import numpy as np
import pytest
from toy import LOSSES, STEPS, make_run

import rdmviz
from rdmviz.analysis import align, eigenmodes, subspace_overlap
from rdmviz.analysis.aligning import criterion_step, movement, unique_names
from rdmviz.analysis.comparing import probe_difference
from rdmviz.compute.rdm.one_window import fitted_displacement
from rdmviz.errors import OptionError, ProbeError, WindowError
from rdmviz.run import TrainingRun


def run_of(losses, steps=None, **options):
    return TrainingRun.from_arrays(losses, steps=steps, **options)


def two_modes(rows=300, n=24, seed=0, swap=False, **options):
    """Losses that fluctuate along two fixed directions of datapoints, and hardly elsewhere."""
    rng = np.random.default_rng(seed)
    directions = np.linalg.qr(np.random.default_rng(99).standard_normal((n, 4)))[0].T
    kept = directions[2:] if swap else directions[:2]
    return run_of(
        5 + rng.standard_normal((rows, 2)) @ kept + 1e-6 * rng.standard_normal((rows, n)), **options
    )


def decay(scale, steps, n=4):
    return run_of(3 * np.exp(-np.asarray(steps) / scale)[:, None] * np.ones(n), steps, name=f"decay {scale}")


# --- alignment


def test_by_step_every_row_of_every_run_has_its_place():
    a, b = make_run(), make_run(LOSSES[:200, :7], np.arange(200) * 3 + 50)
    found = align([a, b])
    assert found["run"].values.tolist() == ["toy", "toy (2)"]
    np.testing.assert_array_equal(found["at"], np.union1d(a.steps, b.steps))
    for k, run in enumerate((a, b)):
        here = found.isel(run=k)
        own = here["own"].values
        np.testing.assert_array_equal(here["row"].values[own], np.arange(run.n_steps))
        inside = (here["at"].values >= run.steps[0]) & (here["at"].values <= run.steps[-1])
        np.testing.assert_array_equal(here["row"].values >= 0, inside)
        distance = np.abs(run.steps[here["row"].values[inside]] - here["at"].values[inside])
        nearest = np.abs(run.steps[:, None] - here["at"].values[inside]).min(axis=0)
        np.testing.assert_array_equal(distance, nearest)
    assert found.attrs["notes"] == ["toy (2) starts at 50 and ends at 647"]  # toy has steps 2 to 749


def test_by_transition_the_given_steps_meet_at_zero():
    a, b = decay(100, np.arange(0, 500, 5)), decay(200, np.arange(100, 900, 4))
    for given in ([200, 460], {"decay 100": 200, "decay 200": 460}):
        found = align([a, b], "transition", transitions=given).sel(at=0)
        assert found["step"].values.tolist() == [200, 460]
        assert [run.steps[row] for run, row in zip((a, b), found["row"].values, strict=True)] == [200, 460]
    assert found["reference"].values.tolist() == [200, 460]


def test_by_loss_equal_decays_meet_at_equal_losses():
    steps = np.arange(0, 1000, 4)
    a, b = decay(100, steps), decay(200, steps)
    found = align([a, b], "loss")
    assert (np.diff(found["at"]) < 0).all(), "training goes on to the right"
    both = found.where(found["step"].notnull().all("run"), drop=True)
    step_a, step_b = both["step"].values
    np.testing.assert_allclose(step_b, 2 * step_a, atol=4)  # the slower one is there in twice the time
    rows = both["row"].values.astype(int)
    assert (3 * np.exp(-steps[rows[0]] / 100) <= both["at"].values + 1e-12).all()
    # The slower run ends at 3 exp(-996/200) = 0.0206; below, it has no place, and the notes say so.
    alone = found["row"].values[1] < 0
    assert (found["at"].values[alone] < 3 * np.exp(-996 / 200)).all()
    assert found.attrs["notes"] == ["decay 200 never gets below 0.0206"]


def test_a_loss_that_rises_again_does_not_move_a_run_back():
    losses = np.array([5, 3, 4, 4, 2, 6, 1.0])[:, None] * np.ones(3)
    found = align([run_of(losses), run_of(losses + 0.5)], "loss")
    first = found.isel(run=0)
    assert first["at"].values[first["own"].values].tolist() == [5, 3, 2, 1]
    assert first["row"].values[first["own"].values].tolist() == [0, 1, 4, 6]
    assert "starts at 5" in found.attrs["notes"][0]


def test_the_movement_of_a_window_is_the_displacement_of_its_lines():
    run = make_run()
    found = movement(run, 20)
    for row in (19, 150, 299):
        displaced = fitted_displacement(LOSSES[row - 19 : row + 1])
        assert found[row] == pytest.approx(np.sqrt(np.mean(displaced**2)), rel=1e-9)
    assert np.isnan(found[:19]).all()


def test_criteria_find_the_step_that_everything_happens_at():
    t = np.arange(400)
    rng = np.random.default_rng(0)
    jump = 1 / (1 + np.exp(-(t - 250) / 3))[:, None] * rng.uniform(1, 2, 10)
    run = run_of(3 - jump + 0.01 * rng.standard_normal((400, 10)), 10 * t)
    # The fitted line across 21 rows is steepest with the jump in the middle, and the window ends 10 rows on.
    assert criterion_step(run, "drift", 21) == pytest.approx(2600, abs=20)
    loud = np.where((t >= 200) & (t < 240), 1.0, 0.01)[:, None] * rng.standard_normal((400, 10))
    assert 2200 <= criterion_step(run_of(5 + loud, 10 * t), "spectral_heat_capacity", 21) <= 2400
    found = align([run, run], "drift", window=21)
    assert "criterion, not a detected transition" in found.attrs["reading"]
    with pytest.raises(OptionError, match="nothing moves"):
        align([run, run_of(np.ones((100, 3)))], "drift")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"by": "epoch"}, "'loss'"),
        ({"by": "transition"}, "transitions="),
        ({"by": "transition", "transitions": [1]}, "each of 2 runs"),
        ({"by": "transition", "transitions": {"toy": 5}}, r"toy \(2\)"),
        ({"by": "transition", "transitions": [10, 10**6]}, "steps"),
        ({"by": "transition", "transitions": ["a", "b"]}, "one step per run"),
        ({"by": "transition", "transitions": [np.nan, 1]}, "nan"),
    ],
)
def test_what_cannot_be_aligned_is_refused_with_the_way_out(options, says):
    with pytest.raises(OptionError, match=says):
        align([make_run(), make_run()], **options)


def test_only_several_runs_can_be_aligned():
    for runs in ([make_run()], "ab", make_run(), []):
        with pytest.raises(OptionError, match="two or more"):
            align(runs)
    with pytest.raises(OptionError, match="open_run"):
        align([make_run(), "path"])
    with pytest.raises(OptionError, match="finite"):
        align([make_run(), run_of(np.full((70, 3), np.nan))], "loss")


def test_a_repeated_name_gets_a_number_that_is_free():
    runs = [run_of(LOSSES, name=name) for name in ("a", "a (2)", "a", "", "", "a")]
    assert unique_names(runs) == ["a", "a (2)", "a (3)", "run", "run (2)", "a (4)"]


# --- overlap


def test_a_run_overlaps_wholly_with_itself_and_not_at_all_with_orthogonal_modes():
    run = two_modes()
    same = subspace_overlap(run, run, 2)
    np.testing.assert_allclose(same["overlap"], 1, atol=1e-9)
    # Within the two directions any basis will do: another realisation has other modes, the same subspace.
    np.testing.assert_allclose(subspace_overlap(run, two_modes(seed=5), 2)["overlap"], 1, atol=1e-9)
    assert subspace_overlap(run, two_modes(seed=5, swap=True), 2)["overlap"].values.max() < 1e-9


def test_the_overlap_is_that_of_the_eigenmodes_at_the_same_steps():
    a, b = make_run(), make_run(LOSSES[::-1])
    found = subspace_overlap(a, b, 3, window=32, places=5)
    assert found.sizes["at"] == 5
    for place in range(5):
        v, w = (
            eigenmodes(run, int(found["step"].values[k, place]), 32, modes=3)["eigenvector"].values
            for k, run in enumerate((a, b))
        )
        assert found["overlap"].values[place] == pytest.approx(((v @ w.T) ** 2).sum() / 3, abs=1e-12)
    assert found["step"].values[0, 0] == STEPS[31]
    assert found["step"].values[0, -1] == STEPS[-1]


def test_independent_noise_overlaps_by_chance():
    n, k = 60, 4
    rng = np.random.default_rng(3)
    a, b = (run_of(rng.standard_normal((64 * 80, n))) for _ in range(2))
    places = 79  # windows that do not overlap: independent draws
    found = subspace_overlap(a, b, k, places=places)
    assert found["chance"] == k / n
    error = float(found["chance_deviation"]) / np.sqrt(places)
    assert abs(float(found["overlap"].mean()) - k / n) < 4 * error


def test_a_rise_that_all_datapoints_share_is_told_apart():
    n = 40
    rng = np.random.default_rng(4)
    common = np.cumsum(rng.standard_normal(300))[:, None] * np.ones(n)
    a, b = (run_of(common + 0.1 * rng.standard_normal((300, n))) for _ in range(2))
    found = subspace_overlap(a, b, 1)
    assert float(found["overlap"].min()) > 0.9
    np.testing.assert_allclose(found["relabelled"], found["overlap"], atol=0.05)


def test_overlap_by_loss_compares_runs_that_differ_in_speed():
    steps = np.arange(600)
    path = np.random.default_rng(6).standard_normal((4, 20)) * np.geomspace(1, 0.2, 4)[:, None]

    def at_speed(speed):
        s = speed * steps / 600
        shape = np.stack([np.exp(-s), np.sin(3 * s), np.cos(5 * s), np.sin(9 * s)], axis=1) @ (0.1 * path)
        return run_of(5 + 3 * np.exp(-s)[:, None] + shape)

    slow, fast = at_speed(1.0), at_speed(2.0)
    # At half the speed a window sees half the path: turned modes, but the same ones at the same loss.
    by_loss = float(subspace_overlap(slow, fast, 1, window=8, by="loss", places=50)["overlap"].mean())
    by_step = float(subspace_overlap(slow, fast, 1, window=8, by="step", places=50)["overlap"].mean())
    assert by_loss > by_step
    assert by_loss > 0.99


def test_windows_without_enough_modes_are_gaps_that_are_counted():
    losses = np.random.default_rng(0).random((200, 8))
    losses[50:150] = 0.5
    losses[150:, :] = losses[150:, :1]  # one mode only
    found = subspace_overlap(run_of(losses), run_of(losses), 2, window=16, places=200)
    gaps = np.isnan(found["overlap"].values)
    rows = found["row"].values[0]
    np.testing.assert_array_equal(
        gaps, rows - 15 >= 50 - 1
    )  # from the first window with one moving row at most
    assert found.attrs["silent"].startswith(f"{gaps.sum()} of {len(rows)} places")


def test_the_number_of_solved_places_is_bounded():
    run = two_modes(rows=900)
    found = subspace_overlap(run, run, 2)
    assert found.sizes["at"] == 200


@pytest.mark.parametrize(
    ("probe_a", "probe_b", "says"),
    [
        ({"kind": ["x"] * 24}, {"kind": ["x"] * 23 + ["y"]}, "'kind' of datapoint 23 is x against y"),
        ({"kind": ["x"] * 24}, {}, "'kind'"),
        ({"size": np.arange(24)}, {"size": ["0"] * 24}, "'size'"),
    ],
)
def test_another_probe_is_refused_by_name(probe_a, probe_b, says):
    with pytest.raises(ProbeError, match=says):
        subspace_overlap(two_modes(probe=probe_a), two_modes(probe=probe_b), 2)


def test_the_same_probe_is_known_by_its_metadata():
    numbers = np.where(np.arange(24) == 3, np.nan, np.arange(24.0))
    with_facts = [two_modes(seed=s, probe={"x": numbers, "t": ["ü"] * 24}) for s in (0, 1)]
    assert probe_difference(*with_facts) is None
    assert subspace_overlap(*with_facts, 2).attrs["probe"] == "same metadata"
    assert "no metadata" in subspace_overlap(two_modes(), two_modes(seed=1), 2).attrs["probe"]
    with pytest.raises(ProbeError, match="24 against 20 datapoints"):
        subspace_overlap(two_modes(), two_modes(n=20), 2)


def test_options_that_do_not_fit_are_refused():
    run = two_modes()
    with pytest.raises(OptionError, match="at most 24 modes"):
        subspace_overlap(run, run, 25)
    with pytest.raises(WindowError, match="at least one"):
        subspace_overlap(run, run, 0)
    with pytest.raises(OptionError, match="places"):
        subspace_overlap(run, run, 2, places=0)
    late = two_modes(steps=np.arange(300) + 250)
    with pytest.raises(WindowError, match="no place at which both"):
        subspace_overlap(run, late, 2)
    with pytest.raises(OptionError, match="open_run"):
        subspace_overlap(run, "path")


def test_the_shipped_run_overlaps_with_a_rerecording_and_less_with_another_order():
    run = rdmviz.load_example("linear_network")
    rows = run.rows(0, run.n_steps)
    shuffled = run_of(rows[:, np.random.default_rng(0).permutation(run.n_samples)], run.steps)
    plain = run_of(rows, run.steps)
    found = subspace_overlap(plain, shuffled, 4, places=20)
    # Exchanged datapoints: what is left of the overlap is what relabelling leaves on average.
    assert abs(float((found["overlap"] - found["relabelled"]).mean())) < 4 * float(found["chance_deviation"])
    assert float(subspace_overlap(plain, plain, 4, places=20)["overlap"].min()) > 1 - 1e-8
