"""Which checkpoints a folder, glob, list or mapping has, and what their names tell."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from rdmviz.errors import CheckpointNotFoundError, OptionError, StepsError
from rdmviz.record.checkpoint_steps import by_step, step_of


@pytest.mark.parametrize(
    ("name", "mark", "step"),
    [
        ("checkpoint-500", "checkpoint", 500),
        ("run/checkpoint-500/model.safetensors", "checkpoint", 500),
        ("run/70/weights.pt", "number", 70),
        ("run/step_7/pytorch_model.bin", "step", 7),
        ("step1000", "step", 1000),
        ("step1000.pt", "step", 1000),
        ("step=1000-epoch=2.ckpt", "step", 1000),
        ("epoch=2-step=1000.ckpt", "step", 1000),
        ("epoch=2-step=1000-v1.ckpt", "step", 1000),
        ("epoch=3-val_loss=0.25.ckpt", "epoch", 3),
        ("model_000500.pt", "number", 500),
        ("model.500.pth", "number", 500),
        ("500.safetensors", "number", 500),
        ("0.pt", "number", 0),
        ("iter_0001000", "step", 1000),
        ("global_step40", "step", 40),
        ("GPT2-Step-40.bin", "step", 40),
        ("step1000-unsharded", "step", 1000),
        ("stage1-step1000-tokens5B", "step", 1000),
        ("resnet18_ckpt_90.pth", "checkpoint", 90),
        ("checkpoint_epoch_5.pt", "epoch", 5),
        ("timestep100.pt", "number", 100),
    ],
)
def test_a_name_tells_its_step(name, mark, step):
    assert step_of(Path("/runs", name)) == (mark, step)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("resnet18-500.pt", "may mean step 18 or 500"),
        ("step10-step20.pt", "may mean step 10 or 20"),
        ("model-00001-of-00002.safetensors", "may mean step 1 or 2"),
        ("last.ckpt", r"'last.ckpt' tells no training step.*mapping"),
        ("step10k.pt", "tells no training step"),
        ("loss0.25.pt", "tells no training step"),
        ("best/model.safetensors", "tells no training step"),
        ("step5/step10k.pt", "tells no training step"),
        ("seed3/last.ckpt", "tells no training step"),
    ],
)
def test_a_name_that_tells_none_or_several_is_an_error(name, told):
    with pytest.raises(StepsError, match=told):
        step_of(Path("/runs", name))


def put(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_files_of_a_folder_in_order_of_the_step(tmp_path):
    put(tmp_path, "step1000.pt", "step20.pt", "step3.safetensors", "optimizer.pt", "log.txt", ".step4.pt")
    assert {step: path.name for step, path in by_step(tmp_path).items()} == {
        3: "step3.safetensors",
        20: "step20.pt",
        1000: "step1000.pt",
    }
    assert list(by_step(str(tmp_path))) == [3, 20, 1000]
    assert list(by_step(f"{tmp_path}/step?0.pt")) == [20]
    assert list(by_step([tmp_path / "step20.pt", str(tmp_path / "step3.safetensors")])) == [3, 20]
    assert list(by_step(tmp_path / "step20.pt")) == [20]
    mapping = {7: "any", torch.tensor(2): object()}
    assert list(by_step(mapping)) == [2, 7]


def test_what_a_trainer_leaves_beside_its_checkpoints_is_left_out(tmp_path):
    put(
        tmp_path,
        "model.safetensors",
        "config.json",
        "training_args.bin",
        "runs/events",
        "checkpoint-5/rng_state.pth",
    )
    assert by_step({1: tmp_path}) == {1: tmp_path}
    for step in (20, 100):
        put(tmp_path, f"checkpoint-{step}/model.safetensors", f"checkpoint-{step}/optimizer.pt")
    assert by_step(tmp_path) == {step: tmp_path / f"checkpoint-{step}" for step in (20, 100)}
    assert by_step(tmp_path / "checkpoint-20") == {20: tmp_path / "checkpoint-20"}
    assert list(by_step(f"{tmp_path}/*/model.safetensors")) == [20, 100]


def test_two_checkpoints_of_one_step_are_an_error(tmp_path):
    put(tmp_path, "step10.pt", "step10.safetensors")
    with pytest.raises(
        StepsError, match=r"step 10 has two checkpoints, .*step10.pt.*step10.safe.*narrower glob"
    ):
        by_step(tmp_path)


def test_epochs_and_steps_do_not_mix(tmp_path):
    put(tmp_path, "step10.pt", "epoch3.pt")
    with pytest.raises(StepsError, match=r"different things.*step10.pt.*epochs are no steps"):
        by_step(tmp_path)


def test_nothing_there_is_an_error_that_says_what_is(tmp_path):
    with pytest.raises(CheckpointNotFoundError, match=r"holds no checkpoints, only nothing; expected files"):
        by_step(tmp_path)
    put(tmp_path, "notes.txt", "checkpoint-5/optimizer.pt")
    with pytest.raises(CheckpointNotFoundError, match=r"only 'checkpoint-5', 'notes.txt'; expected"):
        by_step(tmp_path)
    for gone in (tmp_path / "nowhere", f"{tmp_path}/step*.pt", tmp_path / "a" / "b"):
        with pytest.raises(CheckpointNotFoundError, match=r"no checkpoint at .*there is .*notes.txt"):
            by_step(gone)
    for empty in ([], {}):
        with pytest.raises(CheckpointNotFoundError, match="empty"):
            by_step(empty)


@pytest.mark.parametrize("odd", [7, None, [3], "s3://bucket/run", [b"bytes.pt"]])
def test_what_is_no_path_is_refused(odd):
    with pytest.raises(OptionError, match="mapping"):
        by_step(odd)
