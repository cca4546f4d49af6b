"""The recordings that ship with the package."""

from __future__ import annotations

import time
from importlib.resources import files

import numpy as np
import pytest

from rdmviz import list_examples, load_example
from rdmviz.errors import ExampleNotFoundError


def test_studies_ship():
    grokking = {"grokking", "grokking_gaussian", "grokking_shuffled_labels"}
    assert grokking | {"induction", "induction_one_layer", "linear_network"} <= set(list_examples())


@pytest.mark.parametrize("name", list_examples())
def test_opens_at_once_and_is_small(name):
    load_example(name)  # imports and the file cache are warm from here
    start = time.perf_counter()
    run = load_example(name)
    run.rows(0, run.n_steps)
    assert time.perf_counter() - start < 1
    assert run.finite_rows().all()
    assert 1000 <= run.n_steps <= 2600
    assert (np.diff(run.steps) == run.attrs["every"]).all()
    assert (files("rdmviz") / "recordings" / f"{name}.rdmviz.zip").stat().st_size <= 3e6


def test_grokking_recording_memorises_and_then_generalises():
    run = load_example("grokking")
    split = run.probe["split"].to_numpy()
    assert [(split == half).sum() for half in ("train", "held-out")] == [300, 300]
    total = (run.probe["a"] + run.probe["b"]) % run.attrs["modulus"]
    np.testing.assert_array_equal(total, run.probe["target"])
    test = run.metrics["test_accuracy"].to_numpy()
    memorised = int(np.argmax(run.metrics["train_accuracy"].to_numpy() >= 0.999))
    assert test[memorised] < 0.05
    assert test[-1] > 0.95


def test_grokking_recording_says_what_rounding_cost():
    cost = load_example("grokking").attrs["rounding_error_window_64_linear"]
    assert set(cost) == {"trace", "eigenvalue_1", "eigenvalue_8"}
    assert max(cost.values()) < 1e-3


def test_linear_network_recording_learns_in_the_order_of_its_half_times():
    run = load_example("linear_network")
    strengths = np.array(run.attrs["singular_values"])
    for mode, strength in enumerate(strengths):
        np.testing.assert_allclose(run.metrics[f"mode_{mode}"][-50:].mean(), strength, rtol=0.1)
    assert (np.diff(run.attrs["half_times"]) > 0).all()


def test_induction_recordings_share_a_probe_and_one_of_them_forms_a_head():
    run, control = load_example("induction"), load_example("induction_one_layer")
    assert run.probe.identical(control.probe)
    assert run.first_step("prefix_matching", at_least=0.8) is not None
    assert control.first_step("prefix_matching", at_least=0.2) is None
    row = run.probe.isel(sample=100)
    assert str(row["text"].values).endswith(f"[{row['token'].values}]")


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(ExampleNotFoundError, match=r"did you mean 'grokking'\? there are: .*linear_network"):
        load_example("groking")
    for odd in (None, 3, "../run"):
        with pytest.raises(ExampleNotFoundError, match="there are"):
            load_example(odd)


def test_grokking_recordings_hold_the_gaussian_2rdm_and_the_embeddings_of_a_run_and_its_control():
    run, control = load_example("grokking_gaussian"), load_example("grokking_shuffled_labels")
    assert run.first_step("test_accuracy", at_least=0.9) is not None
    assert control.metrics["test_accuracy"].max() < 0.05
    for one in (run, control):
        assert one.snapshots["weights"] == ["first.weight"]
        assert one.snapshot_steps.tolist() == list(range(0, 10_001, 200))
        held_out = one.probe["split"].to_numpy() == "held-out"
        vectors = one.gaussian["eigenvectors"].to_numpy()
        np.testing.assert_array_equal(np.isnan(vectors).any(axis=(0, 1)), ~held_out)
        np.testing.assert_allclose(np.nansum(vectors**2, axis=2), 1, rtol=0.01)  # rounded
