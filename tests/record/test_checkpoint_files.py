"""Weights in files and folders: read whatever trainers write, refused by name what could run code."""

from __future__ import annotations

import argparse
import contextlib
import json
import pickle
import random
import shutil
import sys
from functools import partial

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from rdmviz.errors import (
    CheckpointError,
    CheckpointNotFoundError,
    MissingExtraError,
    OptionError,
    UnsafeDataError,
)
from rdmviz.record import hub_revisions
from rdmviz.record.checkpoint_files import read_weights
from rdmviz.record.checkpoint_models import fill, opened_by

WEIGHTS = nn.Linear(3, 2).state_dict()


def same(found) -> bool:
    return set(found) == set(WEIGHTS) and all(torch.equal(found[name], WEIGHTS[name]) for name in WEIGHTS)


@pytest.mark.parametrize("nested", [None, "state_dict", "model_state_dict", "model", "module"])
@pytest.mark.parametrize("zipped", [True, False])
def test_torch_files(tmp_path, nested, zipped):
    held = WEIGHTS if nested is None else {nested: WEIGHTS, "step": 3, "optimizer": {"lr": 0.1}}
    torch.save(held, tmp_path / "a.pt", _use_new_zipfile_serialization=zipped)
    assert same(read_weights(tmp_path / "a.pt"))


def test_safetensors_and_folders(tmp_path):
    save_file(WEIGHTS, tmp_path / "a.safetensors")
    assert same(read_weights(tmp_path / "a.safetensors"))
    longer = WEIGHTS | {"x" * 205: torch.ones(1)}  # with a header of 384 bytes it begins as a pickle does
    save_file(longer, tmp_path / "longer.safetensors")
    assert (tmp_path / "longer.safetensors").read_bytes().startswith(b"\x80")
    assert set(read_weights(tmp_path / "longer.safetensors")) == set(longer)
    for name in ("only.safetensors", "model.safetensors"):  # of two, that of the model
        shutil.copy(tmp_path / "a.safetensors", make(tmp_path / "folder") / name)
        assert same(read_weights(tmp_path / "folder"))


def make(folder):
    folder.mkdir(exist_ok=True)
    return folder


@pytest.mark.parametrize("kind", ["safetensors", "bin"])
def test_shards(tmp_path, kind):
    stem = "model" if kind == "safetensors" else "pytorch_model"
    index = tmp_path / f"{stem}.{kind}.index.json"
    weight_map = {}
    for number, (name, value) in enumerate(WEIGHTS.items(), start=1):
        shard = weight_map[name] = f"{stem}-0000{number}-of-00002.{kind}"
        (save_file if kind == "safetensors" else torch.save)({name: value}, tmp_path / shard)
    index.write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    assert same(read_weights(tmp_path))
    for broken, told in [
        ({**weight_map, "more": weight_map["bias"]}, "promises 'more'"),
        ({**weight_map, "bias": "../../secret.bin"}, r"names a shard '../../secret.bin'"),
        ({**weight_map, "bias": 3}, "cannot be read"),
    ]:
        index.write_text(json.dumps({"weight_map": broken}))
        with pytest.raises(CheckpointError, match=told):
            read_weights(tmp_path)
    index.write_text("{")
    with pytest.raises(CheckpointError, match="cannot be read"):
        read_weights(tmp_path)
    index.write_text(json.dumps({"weight_map": weight_map}))
    (tmp_path / weight_map["bias"]).unlink()
    with pytest.raises(CheckpointNotFoundError, match=f"{weight_map['bias']} is not there any more"):
        read_weights(tmp_path)


class Trap:
    """Leaves a file where it is unpickled."""

    def __init__(self, mark):
        self.mark = str(mark)

    def __reduce__(self):
        return open, (self.mark, "w")


def test_what_could_run_code_is_refused_and_does_not_run(tmp_path):
    mark = tmp_path / "ran"
    (tmp_path / "plain.pt").write_bytes(pickle.dumps(Trap(mark)))
    (tmp_path / "old.pt").write_bytes(pickle.dumps({"w": np.ones(3)}, protocol=2))
    (tmp_path / "renamed.safetensors").write_bytes(pickle.dumps(Trap(mark)))
    torch.save({"state_dict": WEIGHTS, "trap": Trap(mark)}, tmp_path / "trap.ckpt")
    torch.save({"trap": Trap(mark)}, tmp_path / "legacy.pt", _use_new_zipfile_serialization=False)
    torch.save({"state_dict": WEIGHTS, "hparams": argparse.Namespace(lr=1)}, tmp_path / "light.ckpt")
    torch.save(nn.Linear(3, 2), tmp_path / "whole.pt")
    torch.save(WEIGHTS, tmp_path / "zip.safetensors")
    with pytest.warns(DeprecationWarning, match="torch.jit"):
        torch.jit.save(torch.jit.trace(nn.Linear(3, 2), torch.ones(1, 3)), tmp_path / "script.pt")
    for path in [path for path in tmp_path.iterdir() if path != mark]:
        with pytest.raises(UnsafeDataError, match=f"{path.name} .*save the weights alone.*load=lambda path"):
            read_weights(path)
    with pytest.raises(UnsafeDataError, match=r"pickled objects \(argparse.Namespace\)"):
        read_weights(tmp_path / "light.ckpt")
    assert not mark.exists()


def test_damaged_files_are_told_by_name(tmp_path):
    torch.save(WEIGHTS, tmp_path / "whole.pt")
    torch.save(WEIGHTS, tmp_path / "whole_old.pt", _use_new_zipfile_serialization=False)
    save_file(WEIGHTS, tmp_path / "whole.safetensors")
    for whole in list(tmp_path.iterdir()):
        data = whole.read_bytes()
        assert same(read_weights(whole))
        whole.unlink()
        for size in (0, 1, 7, 70, len(data) // 2, len(data) - 9, len(data) - 1):
            (tmp_path / f"{size}{whole.suffix}").write_bytes(data[:size])
            with pytest.raises((CheckpointError, UnsafeDataError), match=rf"{size}{whole.suffix} "):
                read_weights(tmp_path / f"{size}{whole.suffix}")
            assert len(data) < 100 or size < 70 or not read_as_unsafe(tmp_path / f"{size}{whole.suffix}")
    draw = random.Random(3)
    torch.save(WEIGHTS, tmp_path / "whole.pt")
    data = (tmp_path / "whole.pt").read_bytes()
    for _ in range(200):
        bent = bytearray(data)
        bent[draw.randrange(len(data) - 400, len(data))] = draw.randrange(256)  # its directory
        (tmp_path / "bent.pt").write_bytes(bent)
        with contextlib.suppress(CheckpointError, UnsafeDataError):
            read_weights(tmp_path / "bent.pt")
    (tmp_path / "text.pt").write_text("hello, these are no weights at all")
    with pytest.raises(CheckpointError, match=r"text.pt cannot be read .*Copy it again"):
        read_weights(tmp_path / "text.pt")


def read_as_unsafe(path) -> bool:
    try:
        read_weights(path)
    except UnsafeDataError:
        return True
    except CheckpointError:
        return False


@pytest.mark.parametrize(
    ("held", "told"),
    [
        ([1, 2], "is a list"),
        ({}, "is a dict"),
        (
            {"weights": 3, "epoch": 4},
            "a dict of 'weights, epoch'; expected a state dict, or one under 'state_dict'",
        ),
        ({"state_dict": WEIGHTS, "model": WEIGHTS}, "not under 'state_dict' and 'model' both"),
        (torch.ones(3), "is a Tensor"),
    ],
)
def test_files_without_a_state_dict(tmp_path, held, told):
    torch.save(held, tmp_path / "a.pt")
    with pytest.raises(CheckpointError, match=told):
        read_weights(tmp_path / "a.pt")


def test_folders_without_one_file_of_weights(tmp_path):
    with pytest.raises(CheckpointError, match=r"holds nothing; expected model.safetensors"):
        read_weights(tmp_path)
    for name in ("a.pt", "b.pt"):
        torch.save(WEIGHTS, tmp_path / name)
    with pytest.raises(CheckpointError, match=r"holds a.pt, b.pt; expected"):
        read_weights(tmp_path)
    (make(tmp_path / "dcp") / "__0_0.distcp").touch()
    with pytest.raises(CheckpointError, match="dcp_to_torch_save"):
        read_weights(tmp_path / "dcp")


def test_weights_have_to_fit_and_the_misfit_is_told():
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    for weights, told in [
        ({}, r"lacks '0.weight', '0.bias', '1.weight', '1.bias'\. Pass"),
        (model.state_dict() | {"2.bias": torch.ones(2)}, "it has the unexpected '2.bias'"),
        (
            model.state_dict() | {"1.weight": torch.ones(2, 5)},
            r"differs in shape: '1.weight' is \(2, 5\) and not \(2, 4\)",
        ),
        (
            {f"net.{name}": value for name, value in model.state_dict().items()},
            r"names fit without 'net.'",
        ),
    ]:
        with pytest.raises(CheckpointError, match=r"step9.pt does not fit Sequential: .*" + told):
            fill(model, weights, "step9.pt")


@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod."])
def test_what_wrappers_put_before_names_is_taken_away(prefix):
    model = nn.Linear(3, 2)
    fill(model, {f"{prefix}{name}": value for name, value in WEIGHTS.items()}, "a.pt")
    assert same(model.state_dict())


def test_tied_weights_are_stored_once():
    model = nn.ModuleDict({"embed": nn.Embedding(5, 3), "head": nn.Linear(3, 5, bias=False)})
    model["head"].weight = model["embed"].weight
    value = torch.randn(5, 3)
    fill(model, {"embed.weight": value}, "a.safetensors")
    assert model["head"].weight is model["embed"].weight
    assert torch.equal(model["head"].weight, value)


def dict_maker():
    return {}


class Net(nn.Linear):
    """Needs no arguments."""

    def __init__(self) -> None:
        super().__init__(3, 2)


def test_what_load_may_be(tmp_path):
    torch.save(WEIGHTS, tmp_path / "a.pt")
    given = nn.Linear(3, 2)
    before = given.weight.clone()

    def opening(path):
        model = nn.Linear(3, 2)
        model.load_state_dict(torch.load(path, weights_only=True))
        return model

    for load in (
        given,
        Net,
        lambda: nn.Linear(3, 2),
        partial(nn.Linear, 3, 2),
        opening,
        lambda path, device="cpu": opening(path),
        lambda *args, **kwargs: opening(*args, **kwargs),
    ):
        assert same(opened_by(load)(tmp_path / "a.pt").state_dict())
    assert torch.equal(given.weight, before)


@pytest.mark.parametrize(
    ("load", "told"),
    [
        (3, "load is a int; expected a model, a function"),
        (nn.Linear, r"needs arguments .*lambda: Linear\(\.\.\.\)"),
        (lambda one, two: None, r"takes \(one, two\)"),
        (dict, "dict does not say what it takes; wrap it: lambda path: dict"),
    ],
)
def test_what_load_may_not_be(load, told):
    with pytest.raises(OptionError, match=told):
        opened_by(load)


def test_load_has_to_give_a_model(tmp_path):
    torch.save(WEIGHTS, tmp_path / "a.pt")
    with pytest.raises(OptionError, match=r"load\(\) gave a dict; expected a torch.nn.Module"):
        opened_by(dict_maker)(tmp_path / "a.pt")
    with pytest.raises(OptionError, match=r"load\(path\) gave a OrderedDict"):
        opened_by(lambda path: WEIGHTS)(tmp_path / "a.pt")
    with pytest.raises(OptionError, match="checkpoint is a int, not a path"):
        opened_by(Net)(3)


def test_a_missing_extra_is_named(tmp_path, monkeypatch):
    save_file(WEIGHTS, tmp_path / "a.safetensors")
    for package in ("safetensors", "huggingface_hub"):
        monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=r"a.safetensors needs .*rdmviz\[checkpoints\]"):
        read_weights(tmp_path / "a.safetensors")
    with pytest.raises(MissingExtraError, match=r"need huggingface_hub: .*rdmviz\[checkpoints\]"):
        hub_revisions("some/model")
