"""What the callbacks of all trainers share."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from rdmviz import Recorder, open_run
from rdmviz.errors import NoRowsYetError, StepsError
from rdmviz.record.trainer import TrainerRecording, numbers_of

PROBE = torch.eye(3), torch.arange(3)


def test_numbers_are_told_from_other_values():
    values = {
        "loss": torch.tensor([0.5], requires_grad=True),
        "rate": 1e-3,
        "steps": np.int64(3),
        "done": True,
        "half": torch.tensor(2.0, dtype=torch.bfloat16),
        "name": "adam",
        "both": torch.ones(2),
        "none": None,
        "nested": {"a": 1},
        "text": "0.5",
    }
    expected = {"loss": 0.5, "rate": 1e-3, "steps": 3, "done": 1, "half": 2}
    assert numbers_of(values) == expected


def test_a_step_is_recorded_once_and_only_while_the_training_runs():
    recording = TrainerRecording(None, PROBE, every=2)
    assert not recording.record(0, nn.Linear(3, 3))  # not begun
    recording.flush()
    recording.end()
    with pytest.raises(NoRowsYetError, match="not started"):
        _ = recording.run
    recording.begin(0)
    recorded = [recording.record(step, nn.Linear(3, 3)) for step in (0, 0, 1, 1, 2, 2)]
    assert recorded == [True, False, False, False, True, False]
    with pytest.raises(StepsError, match="starts at step 1, and the run has rows up to step 2"):
        recording.begin(1)
    assert recording.rehearsal().last_step is None
    assert recording.run.steps.tolist() == [0, 2]


def test_a_second_training_does_not_drop_again_what_the_first_was_told_to(tmp_path):
    with Recorder(tmp_path / "run", PROBE) as recorder:
        for step in range(11):
            recorder.record(step, nn.Linear(3, 3))
    recording = TrainerRecording(tmp_path / "run", PROBE, resume=True, drop_after=5)
    for begin, end in ((5, 9), (9, 12)):
        recording.begin(begin)
        for step in range(begin + 1, end + 1):
            recording.record(step, nn.Linear(3, 3))
        recording.end()
    assert open_run(tmp_path / "run").steps.tolist() == list(range(13))
