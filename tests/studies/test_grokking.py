"""Grokking and the two controls that never generalise."""

from __future__ import annotations

import numpy as np
import pytest

from rdmviz import TrainingRun
from rdmviz.errors import OptionError
from rdmviz.studies import grokking


def first_step(run: TrainingRun, metric: str, level: float) -> int:
    """Step at which a metric first reaches a level."""
    reached = run.metrics[metric].to_numpy() >= level
    assert reached.any(), f"{metric} never reaches {level}"
    return int(run.steps[np.argmax(reached)])


@pytest.mark.training
def test_memorises_then_generalises():
    run = grokking.train(seed=0, every=20, progress=False)
    memorised = first_step(run, "train_accuracy", 0.999)
    assert memorised < 2000
    assert first_step(run, "test_accuracy", 0.1) > 2 * memorised
    assert first_step(run, "test_accuracy", 0.9) > 4 * memorised
    assert run.metrics["test_accuracy"][-1] > 0.95


@pytest.mark.training
@pytest.mark.parametrize("control", [{"shuffle_labels": True}, {"weight_decay": 0.0}])
def test_controls_memorise_and_never_generalise(control):
    run = grokking.train(seed=0, every=50, progress=False, **control)
    assert first_step(run, "train_accuracy", 0.999) < 2000
    assert run.metrics["test_accuracy"].max() < 0.05


def test_describes_its_probe():
    run = grokking.train(seed=2, modulus=7, steps=10, every=4, probe_size=8, progress=False)
    assert run.steps.tolist() == [0, 4, 8]
    probe = {name: column.to_numpy() for name, column in run.probe.items()}
    np.testing.assert_array_equal((probe["a"] + probe["b"]) % 7, probe["target"])
    assert probe["split"].tolist() == ["train"] * 8 + ["held-out"] * 8
    assert len(set(zip(probe["a"].tolist(), probe["b"].tolist(), strict=True))) == 16
    assert set(run.metrics) == {"train_accuracy", "test_accuracy", "train_loss", "test_loss"}
    assert run.attrs["study"] == "grokking"


def test_probe_losses_are_those_of_the_halves():
    """With every pair in the probe, its mean losses are the metrics."""
    run = grokking.train(modulus=4, steps=8, every=2, probe_size=8, progress=False)
    halves = run.loss.groupby(run.probe["split"]).mean()
    np.testing.assert_allclose(halves.sel(split="train"), run.metrics["train_loss"], rtol=1e-5)
    np.testing.assert_allclose(halves.sel(split="held-out"), run.metrics["test_loss"], rtol=1e-5)


def test_shuffled_labels_keep_the_counts_but_not_the_sums():
    run = grokking.train(modulus=6, steps=1, probe_size=18, shuffle_labels=True, progress=False)
    target = run.probe["target"].to_numpy()
    assert np.bincount(target).tolist() == [6] * 6
    assert (target != (run.probe["a"] + run.probe["b"]) % 6).any()
    assert "control" in run.name


def test_same_seed_same_run():
    one, two, other = (grokking.train(seed, steps=40, progress=False) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.loss, two.loss)
    assert one.probe.identical(two.probe)
    assert not one.probe.identical(other.probe)


@pytest.mark.parametrize(
    "options",
    [
        {"modulus": 1},
        {"train_fraction": 0.0},
        {"train_fraction": 1.0},
        {"steps": 0},
        {"every": 0},
        {"batch_size": 0},
        {"probe_size": 0},
        {"probe_size": 2000},
    ],
)
def test_refuses_options(options):
    with pytest.raises(OptionError, match=next(iter(options))):
        grokking.train(progress=False, **options)
