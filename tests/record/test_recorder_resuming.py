"""Recordings that go on: schedules, snapshots and steps are where they were."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from rdmviz import Recorder, open_run
from rdmviz.errors import LossShapeError, ProbeError, StepsError, StoreExistsError
from rdmviz.record import Snapshots
from rdmviz.record.schedules import Adaptive, LogSpaced

X = torch.randn(30, 3, generator=torch.Generator().manual_seed(2))
Y = X.sum(dim=1, keepdim=True)
STEPS, CUT = 200, 90


def train(path, every, stops=(STEPS,), checkpoint=0, **options):
    """Train in one go or several, each recorder going on where the last one ended."""
    torch.manual_seed(0)
    model = nn.Linear(3, 1)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.02)
    begin = 0
    for stop in stops:
        with Recorder(path, (X, Y), every=every, resume=begin > 0, **options) as recorder:
            for step in range(begin, stop):
                recorder.record(step, model)
                optimiser.zero_grad()
                (model(X) - Y).square().mean().backward()
                optimiser.step()
        begin = stop
    return open_run(path)


@pytest.mark.parametrize("every", [7, Adaptive(least=40, most=2, tolerance=0.2), LogSpaced(6)])
def test_a_resumed_recording_is_the_one_that_was_never_interrupted(tmp_path, every):
    snapshots = Snapshots(every=LogSpaced(2), weights="full")
    whole = train(tmp_path / "whole", every, snapshots=snapshots)
    parts = train(tmp_path / "parts", every, (40, 41, 133, STEPS), snapshots=snapshots)
    np.testing.assert_array_equal(parts.steps, whole.steps)
    np.testing.assert_array_equal(parts.loss, whole.loss)
    assert parts.snapshot_steps.tolist() == whole.snapshot_steps.tolist()
    assert parts.weights.identical(whole.weights)


def test_an_older_checkpoint_drops_what_comes_after_it_only_when_told_to(tmp_path):
    run = train(tmp_path / "run", 10, snapshots=Snapshots(every=50))
    model = nn.Linear(3, 1)
    with (
        pytest.raises(StepsError, match=r"step 100 after step 190.*drop_after=step"),
        Recorder(tmp_path / "run", (X, Y), every=10, resume=True) as recorder,
    ):
        recorder.record(100, model)
    assert open_run(tmp_path / "run").steps.tolist() == run.steps.tolist()
    with Recorder(tmp_path / "run", (X, Y), every=10, resume=True, drop_after=CUT) as recorder:
        assert recorder.last_step == CUT
        recorder.record(100, model)
    again = open_run(tmp_path / "run")
    assert again.steps.tolist() == [*range(0, CUT + 1, 10), 100]
    assert again.snapshot_steps.tolist() == [0, 50]
    np.testing.assert_array_equal(again.loss[:10], run.loss[:10])


def test_appended_losses_go_on_without_a_probe(tmp_path):
    for begin in (0, 3):
        with Recorder(tmp_path / "run", resume=begin > 0) as recorder:
            assert recorder.last_step == (begin - 1 if begin else None)
            for step in range(begin, begin + 3):
                recorder.append(step, [1.0, step])
            assert recorder.last_step == begin + 2
    assert open_run(tmp_path / "run").steps.tolist() == list(range(6))


def other_loss(outputs, targets):
    return (outputs - targets).abs().mean(dim=1)


@pytest.mark.parametrize(
    ("probe", "options", "says"),
    [
        ((X, Y), {"metadata": {"kind": np.arange(30)}}, "kind"),
        ((X + 1, Y), {}, "recorded with another probe; resume with what it was recorded with"),
        ((X, Y), {"loss_fn": other_loss}, "another loss_fn"),
    ],
)
def test_a_run_goes_on_with_its_own_probe_alone(tmp_path, probe, options, says):
    run = train(tmp_path / "run", 50)
    with pytest.raises(ProbeError, match=says):
        Recorder(tmp_path / "run", probe, resume=True, drop_after=0, **options)
    assert open_run(tmp_path / "run").steps.tolist() == run.steps.tolist(), "nothing is dropped before"


def test_a_run_that_failed_before_its_first_row_is_no_obstacle(tmp_path):
    with (
        pytest.raises(LossShapeError),
        Recorder(tmp_path / "run", (X, Y), loss_fn=lambda outputs, targets: outputs.mean()) as recorder,
    ):
        recorder.record(0, nn.Linear(3, 1))
    train(tmp_path / "run", 50)
    with pytest.raises(StoreExistsError, match="resume=True"):
        Recorder(tmp_path / "run", (X, Y))
