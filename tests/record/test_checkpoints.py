"""A run recorded from checkpoints: the rows that a Recorder would have recorded, and nothing lost."""

from __future__ import annotations

import copy
import random
import shutil
import subprocess
import sys
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn.functional import cross_entropy

import rdmviz
from rdmviz import Recorder, open_run, record_checkpoints
from rdmviz.errors import (
    CheckpointError,
    CheckpointNotFoundError,
    NonFiniteLossError,
    OptionError,
    StepsError,
    StoreExistsError,
    UnsafeDataError,
)
from rdmviz.record import hub_revisions

X = torch.randn(40, 6, generator=torch.Generator().manual_seed(1))
Y = (X[:, 0] > 0).long() + (X[:, 1] > 0).long()
STEPS = list(range(0, 24, 4))


def make_model() -> nn.Sequential:
    return nn.Sequential(nn.Linear(6, 16), nn.BatchNorm1d(16), nn.Dropout(0.3), nn.ReLU(), nn.Linear(16, 3))


class Opening:
    """Opens checkpoints, and notes which."""

    def __init__(self) -> None:
        self.opened: list[str] = []

    def __call__(self, path):
        self.opened.append(path.name)
        model = make_model()
        model.load_state_dict(torch.load(path, weights_only=True))
        return model


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Checkpoints of a training, in a folder, and the run that a Recorder wrote of it."""
    folder = tmp_path_factory.mktemp("checkpoints")
    torch.manual_seed(0)
    model = make_model()
    optimiser = torch.optim.Adam(model.parameters(), lr=0.01)
    recorder = Recorder(None, (X, Y), every=4)
    for step in range(24):
        if recorder.record(step, model):
            torch.save(model.state_dict(), folder / f"step{step}.pt")
        loss = cross_entropy(model(X), Y)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return folder, recorder.run


@pytest.fixture
def folder(trained, tmp_path):
    """The checkpoints, to be broken."""
    return Path(shutil.copytree(trained[0], tmp_path / "checkpoints"))


def record(checkpoints, load, path, **options):
    return record_checkpoints(checkpoints, load, (X, Y), path, progress=False, **options)


@pytest.mark.parametrize("load", ["model", "factory", "opening"])
def test_checkpoints_give_the_run_that_a_recorder_wrote(trained, tmp_path, load):
    folder, expected = trained
    given = {"model": make_model(), "factory": make_model, "opening": Opening()}[load]
    run = record(folder, given, tmp_path / "run", metadata={"label": Y}, name="seed 0", attrs={"seed": 0})
    for found in (run, open_run(tmp_path / "run")):
        np.testing.assert_array_equal(found.loss, expected.loss)
        assert found.steps.tolist() == STEPS
        assert found.loss.dtype == np.float32
        assert (found.name, found.attrs["seed"]) == ("seed 0", 0)
        np.testing.assert_array_equal(found.probe["label"], Y)
    assert record_checkpoints is rdmviz.record_checkpoints


def test_nothing_is_left_behind(trained):
    model = make_model()
    before = copy.deepcopy(model.state_dict())
    torch.manual_seed(5)
    random.seed(5)
    np.random.seed(5)  # noqa: NPY002
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy()  # noqa: NPY002
    for load in (model, make_model):  # that draws its weights
        record(trained[0], load, None)
    assert torch.equal(torch.get_rng_state(), states[0])
    assert random.getstate() == states[1]
    np.testing.assert_array_equal(np.random.get_state()[1], states[2])  # noqa: NPY002
    assert model.training
    assert torch.is_grad_enabled()
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_lightning_checkpoints_nested_in_other_things(trained, tmp_path):
    folder, expected = trained
    for step in STEPS:
        weights = torch.load(folder / f"step{step}.pt", weights_only=True)
        held = {"state_dict": weights, "epoch": 0, "global_step": step, "hyper_parameters": {"lr": 0.1}}
        torch.save(held, tmp_path / f"epoch=0-step={step}.ckpt")
    run = record(f"{tmp_path}/*.ckpt", make_model, None, batch_size=len(X))
    np.testing.assert_array_equal(run.loss, expected.loss)


def test_a_mapping_says_the_steps(trained):
    folder, expected = trained
    run = record({200: folder / "step4.pt", 100: str(folder / "step0.pt")}, make_model, None)
    assert run.steps.tolist() == [100, 200]
    np.testing.assert_array_equal(run.loss, expected.loss[:2])


def test_the_bar_counts_and_estimates(trained, tmp_path, capsys):
    record_checkpoints(trained[0], make_model, (X, Y), tmp_path / "run")
    shown = capsys.readouterr().err
    assert "6/6 [" in shown
    assert "checkpoint/s" in shown
    assert "<" in shown  # the time that is left
    record(trained[0], make_model, None)
    assert capsys.readouterr().err == ""


def test_gpt2_checkpoints_of_transformers(tmp_path):
    from transformers import AutoModelForCausalLM, GPT2Config, GPT2LMHeadModel  # takes seconds

    config = GPT2Config(vocab_size=20, n_positions=12, n_embd=16, n_layer=2, n_head=2)
    torch.manual_seed(0)
    model = GPT2LMHeadModel(config)
    tokens = torch.randint(20, (8, 12))
    mask = torch.ones_like(tokens)
    mask[3, 7:] = 0
    probe = {"input_ids": tokens, "attention_mask": mask}
    optimiser = torch.optim.AdamW(model.parameters(), lr=0.01)
    recorder = Recorder(None, probe)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of transformers about its own
        for step in (0, 5, 10):
            recorder.record(step, model)
            size = "2KB" if step == 5 else "5GB"  # one in shards
            model.save_pretrained(tmp_path / f"checkpoint-{step}", max_shard_size=size)
            optimiser.zero_grad()
            model(tokens, labels=tokens).loss.backward()
            optimiser.step()
        model.save_pretrained(tmp_path)
        assert (tmp_path / "checkpoint-5" / "model.safetensors.index.json").exists()
        for load in (AutoModelForCausalLM.from_pretrained, lambda: GPT2LMHeadModel(config), model):
            run = record_checkpoints(tmp_path, load, probe, None, progress=False)
            assert run.steps.tolist() == [0, 5, 10]
            np.testing.assert_array_equal(run.loss, recorder.run.loss)
        by_token = record_checkpoints(tmp_path, model, probe, None, per="token", progress=False)
    assert by_token.n_samples == 7 * 11 + 6
    assert set(by_token.probe) == {"sequence", "position", "token"}


# What goes wrong in the middle: those before are recorded, and the same call goes on.


def cut(path):
    path.write_bytes(path.read_bytes()[:500])


def misfit(path):
    torch.save(nn.Linear(6, 3).state_dict(), path)


BROKEN = [
    (cut, CheckpointError, r"step12.pt cannot be read"),
    (lambda path: torch.save(make_model(), path), UnsafeDataError, r"step12.pt holds pickled objects"),
    (
        misfit,
        CheckpointError,
        r"step12.pt does not fit Sequential: it lacks '0.weight', .*unexpected 'weight'",
    ),
]


@pytest.mark.parametrize(("damage", "error", "told"), BROKEN)
def test_a_broken_checkpoint_costs_nothing_before_it(trained, folder, tmp_path, damage, error, told):
    damage(folder / "step12.pt")
    with pytest.raises(error, match=told) as caught:
        record(folder, make_model, tmp_path / "run")
    assert "checkpoint of step 12" in caught.value.__notes__[0]
    assert "resume=True" in caught.value._render_traceback_()[1]  # also in a notebook
    kept = open_run(tmp_path / "run")
    assert kept.steps.tolist() == [0, 4, 8]
    np.testing.assert_array_equal(kept.loss, trained[1].loss[:3])


def test_a_checkpoint_that_vanishes_in_between(trained, folder, tmp_path):
    opening = Opening()

    def vanishing(path):
        (folder / "step8.pt").unlink(missing_ok=True)
        return opening(path)

    with pytest.raises(FileNotFoundError):
        record(folder, vanishing, tmp_path / "one")
    assert open_run(tmp_path / "one").steps.tolist() == [0, 4]
    left = {step: folder / f"step{step}.pt" for step in STEPS}
    with pytest.raises(CheckpointNotFoundError, match=r"step8.pt is not there any more; bring it back"):
        record(left, make_model, tmp_path / "two")
    assert open_run(tmp_path / "two").steps.tolist() == [0, 4]


def test_an_error_of_the_person_stays_what_it_is(folder, tmp_path):
    def failing(outputs, targets):
        raise ZeroDivisionError("no loss today")

    with pytest.raises(ZeroDivisionError, match="no loss today") as caught:
        record(folder, make_model, tmp_path / "run", loss_fn=failing)
    assert "checkpoint of step 0" in caught.value.__notes__[0]
    assert not (tmp_path / "run").exists()


def test_an_empty_folder_or_a_bad_option_leaves_nothing(folder, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(CheckpointNotFoundError, match="holds no checkpoints"):
        record(tmp_path / "empty", make_model, tmp_path / "run")
    for options, told in [
        ({"client": "tcp://localhost"}, "expected a dask.distributed.Client"),
        ({"overwrite": True, "resume": True}, "expected one of them"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"per": "token"}, "per='token'"),
    ]:
        with pytest.raises(OptionError, match=told):
            record(folder, make_model, tmp_path / "run", **options)
    with pytest.raises(OptionError, match="resume=True and path=None"):
        record(folder, make_model, None, resume=True)
    assert not (tmp_path / "run").exists()


def test_a_loss_that_is_nan(folder, tmp_path):
    weights = torch.load(folder / "step8.pt", weights_only=True)
    weights["4.bias"][0] = torch.nan
    torch.save(weights, folder / "step8.pt")
    torch.save(weights, folder / "step16.pt")
    with pytest.warns(RuntimeWarning, match="40 of 40 datapoints is NaN at step 8; it is recorded") as told:
        run = record(folder, make_model, tmp_path / "run")
    assert len(told) == 1
    assert run.finite_rows().tolist() == [True, True, False, True, False, True]
    torch.save(weights, folder / "step0.pt")
    with pytest.raises(NonFiniteLossError, match="NaN at step 0, the first that is recorded"):
        record(folder, make_model, tmp_path / "other")
    assert not (tmp_path / "other").exists()


# Going on.


@pytest.mark.parametrize("name", ["run", "run.zip"])
def test_resume_evaluates_only_what_is_new(trained, folder, tmp_path, name):
    path, opening = tmp_path / name, Opening()
    cut(folder / "step12.pt")
    with pytest.raises(CheckpointError):
        record(folder, make_model, path, resume=True)
    shutil.copy(trained[0] / "step12.pt", folder)
    run = record(folder, opening, path, resume=True)
    assert opening.opened == ["step12.pt", "step16.pt", "step20.pt"]
    np.testing.assert_array_equal(run.loss, trained[1].loss)
    torch.save(make_model().state_dict(), folder / "step100.pt")
    (folder / "step0.pt").unlink()  # as trainers delete old ones
    run = record(folder, opening, path, resume=True)
    assert opening.opened[3:] == ["step100.pt"]
    assert run.steps.tolist() == [*STEPS, 100]
    run = record(folder, opening, path, resume=True)
    assert opening.opened[4:] == []
    assert run.steps.tolist() == open_run(path).steps.tolist() == [*STEPS, 100]
    with pytest.raises(StoreExistsError):
        record(folder, opening, path)
    assert record({7: folder / "step4.pt"}, opening, path, overwrite=True).steps.tolist() == [7]


SLOW = """
import sys, time
sys.path.insert(0, sys.argv[1])
import test_checkpoints as known

def slowly(path):
    time.sleep(0.1)
    print(path.name, flush=True)
    return known.Opening()(path)

known.record(sys.argv[2], slowly, sys.argv[3])
"""


def test_a_recording_that_is_killed_goes_on_where_it_stopped(trained, folder, tmp_path):
    path, many = tmp_path / "run", list(range(0, 400, 4))
    for step in many[len(STEPS) :]:
        shutil.copy(folder / f"step{step % 24}.pt", folder / f"step{step}.pt")
    command = [sys.executable, "-c", SLOW, Path(__file__).parent, folder, path]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        opened = [process.stdout.readline().strip() for _ in range(16)]
        process.kill()
    assert opened == [f"step{step}.pt" for step in many[:16]]
    kept = open_run(path).n_steps
    assert 1 <= kept <= 16
    opening = Opening()
    run = record(folder, opening, path, resume=True)
    assert opening.opened == [f"step{step}.pt" for step in many[kept:]]
    np.testing.assert_array_equal(run.loss, trained[1].loss[np.arange(len(many)) % len(STEPS)])
    assert run.steps.tolist() == many


def test_resume_refuses_what_would_not_be_one_run(trained, folder, tmp_path):
    path, half = tmp_path / "run", {step: folder / f"step{step}.pt" for step in STEPS[::2]}
    record(half, make_model, path)
    with pytest.raises(StepsError, match=r"rows up to step 16 and none for checkpoints of steps '4', '12'"):
        record(folder, make_model, path, resume=True)

    def other(outputs, targets):
        return (outputs**2).mean(dim=1)

    for told, probe, options in [
        ("its probe was another", (X.flip(0), Y), {}),
        ("its loss_fn was another", (X, Y), {"loss_fn": other}),
    ]:
        with pytest.raises(StoreExistsError, match=f"not this one: {told}"):
            record_checkpoints(half, make_model, probe, path, resume=True, progress=False, **options)
    trained[1].save(tmp_path / "recorded")
    with pytest.raises(StoreExistsError, match="not recorded from checkpoints"):
        record(half, make_model, tmp_path / "recorded", resume=True)
    assert open_run(path).steps.tolist() == STEPS[::2]


# The Hub, as models publish their trainings there.


@dataclass
class Ref:
    name: str
    target_commit: str
    ref: str = ""


@dataclass
class Hub:
    """Stands for huggingface_hub.HfApi: revisions of one model, whose files lie in folders."""

    branches: list[Ref]
    tags: list[Ref] = field(default_factory=list)
    folder: Path = Path()
    asked: list = field(default_factory=list)

    def list_repo_refs(self, repo_id):
        self.asked.append(repo_id)
        return self

    def list_repo_files(self, repo_id, *, revision):
        return [path.name for path in (self.folder / revision).iterdir()]

    def snapshot_download(self, repo_id, *, revision, allow_patterns):
        self.asked.append((repo_id, revision, allow_patterns[0]))
        return str(self.folder / revision)


def refs(*names):
    return [Ref(name, f"commit-{name}") for name in names]


@pytest.mark.parametrize(
    ("names", "pattern", "steps"),
    [
        (["main", "step0", "step1", "step143000", "step512"], r"step(\d+)", [0, 1, 512, 143000]),
        (["main", "step1000-tokens4B", "step20000-tokens84B"], r"step(\d+)", [1000, 20000]),
        (["stage1-step1000-tokens3B", "main", "stage1-step500-tokens2B"], r"step(\d+)", [500, 1000]),
        (
            ["stage1-step10-tokens1B", "stage2-ingredient1-step10-tokens1B"],
            r"^stage1-step(\d+)",
            [10],
        ),
    ],
)
def test_revisions_as_pythia_and_olmo_publish_them(names, pattern, steps):
    hub = Hub(refs(*names), tags=refs(names[1]))  # a tag of the same commit is the same checkpoint
    found = hub_revisions("some/model", pattern, api=hub)
    assert list(found) == steps
    assert hub.asked == ["some/model"]
    revision = found[steps[-1]]
    assert f"step{steps[-1]}" in revision.revision
    assert (revision.repo_id, revision.commit) == ("some/model", f"commit-{revision.revision}")


def test_revisions_that_do_not_tell_one_step_each():
    hub = Hub(refs("stage1-step10-tokens1B", "stage2-ingredient1-step10-tokens1B", "main"))
    with pytest.raises(StepsError, match=r"step 10 of some/model is both 'stage1-.*Narrow the pattern"):
        hub_revisions("some/model", api=hub)
    with pytest.raises(CheckpointNotFoundError, match=r"no revision .*there are 'stage1-.*'main'"):
        hub_revisions("some/model", r"epoch(\d+)", api=hub)
    for pattern in (r"step\d+", r"(step)(\d+)", "step(", 3, r"(main)"):
        with pytest.raises(OptionError, match="pattern="):
            hub_revisions("some/model", pattern, api=hub)


@pytest.mark.parametrize("kind", ["safetensors", "bin"])
def test_revisions_are_recorded(trained, tmp_path, kind):
    folder, expected = trained
    names = {step: f"step{step}" for step in STEPS}
    for step, name in names.items():
        weights = torch.load(folder / f"step{step}.pt", weights_only=True)
        (tmp_path / f"commit-{name}").mkdir()
        stem = tmp_path / f"commit-{name}"
        if kind == "bin":
            torch.save(weights, stem / "pytorch_model.bin")
        else:
            save_file(weights, stem / "model.safetensors")
    hub = Hub(refs("main", *names.values()), folder=tmp_path)
    revisions = hub_revisions("some/model", api=hub)
    run = record(revisions, make_model, None)
    np.testing.assert_array_equal(run.loss, expected.loss)
    pattern = "*.safetensors" if kind == "safetensors" else "pytorch_model*.bin"
    assert hub.asked[1:] == [("some/model", f"commit-step{step}", pattern) for step in STEPS]
    # or opened by the person, as from_pretrained(revision.repo_id, revision=revision.commit) does
    seen = []

    def opening(revision):
        seen.append((revision.repo_id, revision.revision))
        return Opening()(folder / f"{revision.revision}.pt")

    np.testing.assert_array_equal(record(revisions, opening, None).loss, expected.loss)
    assert seen == [("some/model", name) for name in names.values()]
