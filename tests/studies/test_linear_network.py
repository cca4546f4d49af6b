"""The deep linear network against its closed form (Saxe, McClelland, Ganguli 2014)."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rdmviz import TrainingRun, eigenmodes, gaussian_modes, groups, load_example, open_run
from rdmviz.compute.rdm.separation import adjusted_rand_index
from rdmviz.errors import OptionError, StoreExistsError
from rdmviz.record import GaussianSnapshots, Snapshots
from rdmviz.studies import linear_network
from rdmviz.studies.linear_network import CONTROLS, SINGULAR_VALUES, half_times, item_modes, transition
from rdmviz.studies.threads import alone

WINDOW = 32


def measured_half_times(run: TrainingRun, modes: int = 8) -> np.ndarray:
    """Step at which each mode crosses half its strength, interpolated between recorded rows."""
    crossings = []
    for mode, strength in enumerate(SINGULAR_VALUES[:modes]):
        curve = run.metrics[f"mode_{mode}"].to_numpy()
        after = int(np.argmax(curve >= strength / 2))
        assert after > 0, f"mode {mode} never rises"
        pair = slice(after - 1, after + 1)
        crossings.append(np.interp(strength / 2, curve[pair], run.steps[pair]))
    return np.array(crossings)


def deviation(run: TrainingRun, modes: int = 8) -> np.ndarray:
    return measured_half_times(run, modes) / np.array(run.attrs["half_times"][:modes]) - 1


@pytest.fixture(scope="module")
def random_run() -> TrainingRun:
    return linear_network.train(seed=0, progress=False)


def test_modes_are_an_orthonormal_tree():
    modes = item_modes()
    np.testing.assert_allclose(modes.T @ modes, np.eye(8), atol=1e-15)
    assert np.ptp(modes[:, 0]) == 0
    assert [(modes[:, k] != 0).sum() for k in range(8)] == [8, 8, 4, 4, 2, 2, 2, 2]


def test_half_time_is_that_of_the_flow_for_small_steps():
    s, a0, lr = np.array([2.0]), np.array([1e-3]), 1e-5
    np.testing.assert_allclose(half_times(s, a0, lr), np.log(s / a0 - 1) / (2 * s * lr), rtol=2e-5)


@pytest.mark.training
def test_aligned_start_follows_the_closed_form():
    run = linear_network.train(start="aligned", batch_size=None, noise=0, every=1, steps=2500, progress=False)
    np.testing.assert_allclose(run.attrs["start_strengths"], 1e-3, rtol=1e-5)
    assert np.abs(deviation(run)).max() < 0.005


@pytest.mark.training
def test_random_start_follows_it_too(random_run):
    assert np.abs(deviation(random_run, modes=6)).max() < 0.06


@pytest.mark.training
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_random_start_of_other_seeds(seed):
    run = linear_network.train(seed, steps=1500, progress=False)
    assert np.abs(deviation(run, modes=6)).max() < 0.06


@pytest.mark.training
@pytest.mark.parametrize("mode", [0, 1, 2])
def test_top_eigenvector_at_a_rise_is_the_squared_mode(random_run, mode):
    """Centred on its rise the 2RDM is led by the items that the mode tells apart.

    Modes 0 and 1 hold for every seed and window tried. Mode 2 is marginal: over seeds 0-3 its cosine is
    0.951, 0.935, 0.888, 0.965 with 32 rows and 0.87-0.93 with 64, which reach into the rise of its
    neighbours. This test holds the shipped seed, with 32 rows.
    """
    middle = int(np.searchsorted(random_run.steps, measured_half_times(random_run)[mode]))
    step = int(random_run.steps[middle + WINDOW // 2 - 1])
    vector = eigenmodes(random_run, step, WINDOW).eigenvector[0].to_numpy()
    loading = random_run.probe[f"loading_{mode}"].to_numpy() ** 2
    assert abs(vector @ loading) / np.linalg.norm(loading) >= 0.95


@pytest.mark.training
def test_same_seed_same_run_and_the_caller_is_left_alone():
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    one, two, other = (linear_network.train(seed, steps=200, progress=False) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one.loss, two.loss)
    assert not np.array_equal(one.loss, other.loss)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == threads


def test_describes_its_probe_and_is_stored(tmp_path):
    linear_network.train(steps=20, repeats=3, out=tmp_path / "run", progress=False)
    run = open_run(tmp_path / "run")
    assert (run.n_steps, run.n_samples) == (6, 24)
    np.testing.assert_array_equal(run.probe["item"], np.repeat(np.arange(8), 3))
    assert run.probe["name"].to_numpy()[[0, 5, -1]].tolist() == ["canary", "robin", "daisy"]
    np.testing.assert_array_equal(run.probe["half"], run.probe["item"] // 4)
    np.testing.assert_array_equal(run.probe["quarter"], run.probe["item"] // 2)
    np.testing.assert_array_equal(run.probe["loading_2"], item_modes()[run.probe["item"], 2])
    with pytest.raises(StoreExistsError):
        linear_network.train(steps=20, out=tmp_path / "run", progress=False)


@pytest.mark.training
def test_one_mode_rises_on_time_and_nothing_follows():
    run = linear_network.train(steps=1200, progress=False, **CONTROLS["one_mode"])
    held = run.metrics.to_array().to_numpy()
    assert np.abs(deviation(run, modes=1)).max() < 0.06
    np.testing.assert_allclose(held[0, -50:].mean(), SINGULAR_VALUES[0], rtol=0.01)
    assert np.abs(held[1:]).max() < 0.01
    assert transition(run, 0).reached
    assert not transition(run).reached
    assert len(run.attrs["half_times"]) == len(run.attrs["start_strengths"]) == 1


@pytest.mark.training
def test_with_nothing_left_every_mode_keeps_its_strength():
    run = linear_network.train(steps=1200, progress=False, **CONTROLS["nothing_left"])
    held = run.metrics.to_array().to_numpy()
    np.testing.assert_allclose(held[:, 0], SINGULAR_VALUES, rtol=1e-5)
    np.testing.assert_allclose(held, np.broadcast_to(held[:, :1], held.shape), atol=0.03)
    assert run.attrs["half_times"] == []
    assert "learned at the first row" in str(transition(run))
    for mode in range(8):
        assert not transition(run, mode).reached


def test_a_learned_start_without_noise_stays_where_it_is():
    run = linear_network.train(start="learned", batch_size=None, noise=0, steps=40, progress=False)
    np.testing.assert_allclose(run.loss, 0, atol=1e-10)


def test_a_teacher_of_few_modes_needs_few_hidden_units():
    run = linear_network.train(singular_values=(2, 1), hidden=2, start="aligned", steps=600, progress=False)
    assert [transition(run, mode).reached for mode in (0, 1, 2)] == [True, True, False]
    assert "not in the teacher" in str(transition(run, 2))


def test_a_transition_is_half_the_strength_of_a_mode(random_run):
    for mode, strength in enumerate(SINGULAR_VALUES):
        found, curve = transition(random_run, mode), random_run.metrics[f"mode_{mode}"].to_numpy()
        for step, share in ((found.onset, 0.1), (found.middle, 0.5), (found.end, 0.9)):
            row = random_run.index_of(step)
            assert curve[row - 1] < share * strength <= curve[row]


def test_a_training_that_is_too_short_is_said_to_be():
    run = linear_network.train(steps=60, progress=False)
    assert str(transition(run, 0)) == "Mode 0: never began"


@pytest.mark.parametrize("mode", [-1, 8, 1.5, "one", None])
def test_a_transition_of_no_mode_is_refused(mode):
    run = linear_network.train(steps=4, progress=False)
    with pytest.raises(OptionError, match="mode="):
        transition(run, mode)
    with pytest.raises(OptionError, match="no singular_values"):
        transition(TrainingRun.from_arrays(run.rows(0, 2), name="other"))


def test_an_interrupted_training_keeps_what_was_recorded(tmp_path, monkeypatch):
    """Interrupted while row 40 is computed: the rows before it are there, those of an undisturbed run."""
    whole, count = linear_network.train(steps=200, progress=False), 0
    loss = linear_network._half_squared_error

    def interrupted(outputs, targets):
        nonlocal count
        count += len(targets) == 80  # the probe, and no batch
        if count == 41:
            raise KeyboardInterrupt
        return loss(outputs, targets)

    monkeypatch.setattr(linear_network, "_half_squared_error", interrupted)
    with pytest.raises(KeyboardInterrupt):
        linear_network.train(steps=1000, out=tmp_path / "run", progress=False)
    run = open_run(tmp_path / "run")
    assert run.steps.tolist() == list(range(0, 160, 4))
    np.testing.assert_array_equal(run.loss, whole.loss[:40])
    assert not transition(run).reached


@pytest.mark.parametrize(
    "options",
    [
        {"start": "warm"},
        {"start": None},
        {"steps": 0},
        {"every": 0},
        {"every": 1.5},
        {"hidden": 7},
        {"hidden": 1, "singular_values": (2, 1)},
        {"batch_size": 0},
        {"batch_size": True},
        {"repeats": 0},
        {"start_strength": 0.0},
        {"start_strength": 0.1},
        {"start_strength": 0.5, "singular_values": (1,)},
        {"noise": -1.0},
        {"noise": float("nan")},
        {"noise": "none"},
        {"learning_rate": 0.0},
        {"learning_rate": 0.5},
        {"learning_rate": 1.0, "start": "learned"},
        {"singular_values": ()},
        {"singular_values": 2.0},
        {"singular_values": range(9, 0, -1)},
        {"singular_values": (1, 2)},
        {"singular_values": (2, 2)},
        {"singular_values": (2, 0)},
        {"singular_values": (float("inf"), 2)},
        {"singular_values": (2, float("nan"))},
    ],
    ids=str,
)
def test_refuses_options(options, tmp_path):
    with pytest.raises(OptionError, match=f"^{next(iter(options))}="):
        linear_network.train(progress=False, out=tmp_path / "run", **options)
    assert not (tmp_path / "run").exists()


def test_gaussian_snapshots_are_those_of_the_closed_form():
    """``C_ij = sigma_2² (r_i.r_j)(h_i.h_j) + sigma_1² (W_2'r_i . W_2'r_j)(x_i.x_j)``: products of gradients.

    ``r`` are residuals, ``h`` hidden activations: without noise on the targets all is known.
    """
    draws = 4000
    snapshots = Snapshots(every=500, gaussian=GaussianSnapshots(draws=draws, sigma=1e-3, modes=8))
    run = linear_network.train(
        steps=500, every=500, noise=0, batch_size=None, repeats=1, snapshots=snapshots, progress=False
    )
    with alone(0):
        teacher = linear_network._Teacher.draw(SINGULAR_VALUES)
    first, second = (run.weights[name][-1].to_numpy().astype(float) for name in ("0.weight", "1.weight"))
    inputs = teacher.inputs.numpy().astype(float)
    hidden = inputs @ first.T
    residuals = hidden @ second.T - teacher.answers.numpy()
    back = residuals @ second
    size_first, size_second = ((1e-3 * np.sqrt(np.square(weight).mean())) ** 2 for weight in (first, second))
    expected = size_second * (residuals @ residuals.T) * (hidden @ hidden.T)
    expected += size_first * (back @ back.T) * (inputs @ inputs.T)
    modes = gaussian_modes(run).sel(step=500)
    vectors = modes.eigenvector.to_numpy()
    found = vectors.T * modes.eigenvalue.to_numpy() @ vectors
    error = np.linalg.norm(found - expected) / np.linalg.norm(expected)
    assert error < 5 / np.sqrt(draws)


def correlation_across(modes, loading: np.ndarray) -> float:
    """Mean correlation in a 2RDM between the datapoints on both sides of a branch."""
    points = np.sqrt(modes.eigenvalue.to_numpy())[:, None] * modes.eigenvector.to_numpy()
    points /= np.linalg.norm(points, axis=0)
    return float((points[:, loading > 0].T @ points[:, loading < 0]).mean())


@pytest.mark.parametrize("mode", [4, 5])
def test_a_branch_falls_together_and_fluctuates_apart_before(mode):
    """The leaves of a pair share the drift of their mode, and oppose each other in what fluctuates before."""
    run, control = load_example("linear_network"), load_example("linear_network_nothing_left")
    found, loading = transition(run, mode), run.probe[f"loading_{mode}"].to_numpy()
    around = eigenmodes(run, run.step_around(found.middle, WINDOW), WINDOW, modes=WINDOW)
    before = eigenmodes(run, found.onset, WINDOW, "quadratic", modes=WINDOW)
    displaced = gaussian_modes(run).sel(step=found.onset, method="nearest")
    assert correlation_across(around, loading) > 0.5
    assert correlation_across(before, loading) < -0.8
    assert correlation_across(displaced, loading) < -0.5
    quiet = eigenmodes(control, found.onset, WINDOW, "quadratic", modes=WINDOW)
    assert abs(correlation_across(quiet, loading)) < 0.2


@pytest.mark.parametrize("mode", [1, 2, 4, 5])
def test_groups_are_the_items_where_a_mode_begins_to_rise(mode):
    run, control = load_example("linear_network"), load_example("linear_network_nothing_left")
    settings = {"modes": 8, "count": 8, "scale": "direction"}
    item, step = run.probe["item"].to_numpy(), transition(run, mode).onset
    found, quiet = (groups(one, step, WINDOW, "quadratic", **settings)["group"] for one in (run, control))
    assert adjusted_rand_index(found.to_numpy(), item) == 1
    assert adjusted_rand_index(quiet.to_numpy(), item) < 0.2
