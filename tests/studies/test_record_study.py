"""Studies by name, as the command line asks for them."""

from __future__ import annotations

import pytest
import torch

from rdmviz import cli, open_run
from rdmviz.errors import OptionError, RecordingWarning
from rdmviz.studies import STUDIES, record
from rdmviz.studies.transition import Transition

FEW = {"progress": False, "steps": 8, "every": 4, "seed": 3}
EARLIER = {"misalignment": {"pretraining": 4}}
"""What comes before the transition, shorter, too."""


@pytest.mark.parametrize("name", sorted(STUDIES))
def test_records_to_a_path(tmp_path, name):
    record(name, tmp_path / name, **(FEW | EARLIER.get(name, {})))
    run = open_run(tmp_path / name)
    assert run.attrs["study"] == name
    assert run.attrs["seed"] == 3
    assert run.steps[:3].tolist() == [0, 4, 8]


@pytest.mark.parametrize(
    ("name", "control"), [(name, control) for name, study in STUDIES.items() for control in study.CONTROLS]
)
def test_records_every_control_under_a_name_of_its_own(name, control):
    options = FEW | EARLIER.get(name, {})
    run = record(name, control=control, **options)
    assert run.name != record(name, **options).name
    assert isinstance(STUDIES[name].transition(run), Transition)


def test_names_the_studies_controls_and_options_there_are():
    with pytest.raises(OptionError, match="there are grokking, "):
        record("groking")
    with pytest.raises(OptionError, match=r"grokking has no option lr; it has .*learning_rate"):
        record("grokking", progress=False, lr=1)
    with pytest.raises(OptionError, match="no control 'no_labels'; it has shuffled_labels, no_weight_decay"):
        record("grokking", control="no_labels")


def test_the_command_line_knows_all_studies_without_torch():
    assert set(STUDIES) == set(cli.STUDIES)


def test_a_transition_is_told_in_words():
    assert str(Transition("Accuracy", 10, 1200, None)) == (
        "Accuracy: began at step 10, half way at 1,200, never ended"
    )
    assert str(Transition("Accuracy", None, None, None)) == "Accuracy: never began"
    assert not Transition("Accuracy", 10, None, None).reached


@pytest.mark.parametrize("name", sorted(STUDIES))
def test_an_interrupted_training_in_memory_returns_what_was_recorded(name, monkeypatch):
    study, loss, calls = STUDIES[name], torch.Tensor.backward, []

    def interrupted(tensor, *args, **options):
        calls.append(tensor)
        if len(calls) == 6:
            raise KeyboardInterrupt
        return loss(tensor, *args, **options)

    monkeypatch.setattr(torch.Tensor, "backward", interrupted)
    options = {"pretraining": 4, "lead": 4} if name == "misalignment" else {}
    with pytest.warns(RecordingWarning, match="interrupted: this run ends with the last row") as told:
        run = study.train(steps=50, every=1, progress=False, **options)
    assert run.steps.tolist() == list(range(6))
    assert told[0].filename == __file__
