"""Grokking and the two controls that never generalise."""

from __future__ import annotations

import numpy as np
import pytest

from rdmviz import TrainingRun, open_run
from rdmviz.errors import OptionError
from rdmviz.record import Snapshots
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
@pytest.mark.parametrize("control", grokking.CONTROLS)
def test_controls_memorise_and_never_generalise(control):
    run = grokking.train(seed=0, every=50, progress=False, **grokking.CONTROLS[control])
    assert first_step(run, "train_accuracy", 0.999) < 2000
    assert run.metrics["test_accuracy"].max() < 0.05
    assert str(grokking.transition(run)) == "Test accuracy: never began"


def test_describes_its_probe():
    run = grokking.train(seed=2, modulus=7, steps=10, every=4, probe_size=8, progress=False)
    assert run.steps.tolist() == [0, 4, 8]
    probe = {name: column.to_numpy() for name, column in run.probe.items()}
    np.testing.assert_array_equal((probe["a"] + probe["b"]) % 7, probe["target"])
    assert probe["split"].tolist() == ["train"] * 8 + ["held-out"] * 8
    assert len(set(zip(probe["a"].tolist(), probe["b"].tolist(), strict=True))) == 16
    assert set(run.metrics) == {
        "train_accuracy",
        "test_accuracy",
        "train_loss",
        "test_loss",
        "fourier_concentration",
    }
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


def test_concentration_is_that_of_the_embeddings():
    run = grokking.train(
        modulus=13,
        steps=8,
        every=4,
        probe_size=8,
        snapshots=Snapshots(every=4, layers=["first.weight", "second.weight"]),
        progress=False,
    )
    for snapshot, measured in enumerate(run.metrics["fourier_concentration"].to_numpy()):
        power = [grokking.embedding_power(run.weights[name][snapshot].to_numpy()) for name in run.weights]
        strongest = np.sort(np.mean(power, axis=0))[::-1][: grokking.KEY_FREQUENCIES]
        assert measured == pytest.approx(strongest.sum(), rel=1e-5)


def test_embedding_on_one_circle_has_one_frequency():
    angle = 2 * np.pi * 3 * np.arange(13) / 13
    power = grokking.embedding_power(np.stack([np.cos(angle), np.sin(angle) + 5], axis=1))
    np.testing.assert_allclose(power, np.arange(1, 7) == 3, atol=1e-12)


def test_transition_of_known_accuracies():
    steps = np.arange(5) * 10
    metrics = {"test_accuracy": np.array([0.0, 0.1, 0.3, 0.5, 0.7])}
    run = TrainingRun.from_arrays(np.zeros((5, 2)), steps, metrics=metrics)
    found = grokking.transition(run)
    assert (found.onset, found.middle, found.end) == (10, 30, None)
    assert str(found) == "Test accuracy: began at step 10, half way at 30, never ended"


def test_interrupted_training_keeps_what_was_recorded(tmp_path, monkeypatch):
    measured = grokking._metrics

    def interrupted(model, task):
        interrupted.calls += 1
        if interrupted.calls > 5:
            raise KeyboardInterrupt
        return measured(model, task)

    interrupted.calls = 0
    monkeypatch.setattr(grokking, "_metrics", interrupted)
    options = {"modulus": 7, "steps": 40, "every": 4, "probe_size": 8, "progress": False}
    with pytest.raises(KeyboardInterrupt):
        grokking.train(out=tmp_path / "run.rdmviz", **options)
    kept = open_run(tmp_path / "run.rdmviz")
    assert kept.steps.tolist() == [0, 4, 8, 12, 16]
    monkeypatch.undo()
    whole = grokking.train(out=tmp_path / "run.rdmviz", overwrite=True, **options)
    np.testing.assert_array_equal(whole.loss[:5], kept.loss)
    assert not grokking.transition(kept).reached


@pytest.mark.parametrize(
    "options",
    [
        {"seed": -1},
        {"seed": 0.5},
        {"modulus": 1},
        {"modulus": 1001},
        {"modulus": 53.0},
        {"train_fraction": 0.0},
        {"train_fraction": 1.0},
        {"train_fraction": float("nan")},
        {"train_fraction": "half"},
        {"shuffle_labels": "no"},
        {"weight_decay": -0.1},
        {"weight_decay": float("inf")},
        {"learning_rate": 0.0},
        {"learning_rate": float("nan")},
        {"steps": 0},
        {"every": 0},
        {"every": True},
        {"batch_size": 0},
        {"probe_size": 0},
        {"probe_size": 2000},
        {"modulus": 3, "train_fraction": 0.01, "probe_size": 1},
    ],
    ids=str,
)
def test_refuses_options(options, tmp_path):
    """Before anything is written; the last one leaves no pair to train on."""
    with pytest.raises(OptionError, match=list(options)[-1]) as refused:
        grokking.train(out=tmp_path / "run.rdmviz", progress=False, **options)
    assert "expected" in str(refused.value) or "there are" in str(refused.value)
    assert not list(tmp_path.iterdir())
