"""Snapshots of real trainings: what was there is what is stored, and the training does not notice."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from rdmviz import Recorder, open_run
from rdmviz.errors import OptionError, SnapshotError
from rdmviz.record import Snapshots, per_sample_cross_entropy
from rdmviz.record.probe import as_probe
from rdmviz.record.schedules import LogSpaced
from rdmviz.record.snapshots import SnapshotTaker

N = 12
PICTURES = torch.randn(N, 1, 8, 8, generator=torch.Generator().manual_seed(1))
TOKENS = torch.randint(7, (N, 5), generator=torch.Generator().manual_seed(2))
CLASSES = torch.arange(N) % 3


class Block(nn.Module):
    """Attention and a multilayer perceptron that gives a tuple, as blocks of transformers do."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(width, 2, dropout=0.1, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(width, 16), nn.ReLU(inplace=True), nn.Linear(16, width))

    def forward(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
        mixed, weights = self.attention(hidden, hidden, hidden)
        return hidden + mixed + self.mlp(hidden), weights


class Transformer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(7, 8)
        self.blocks = nn.ModuleList([Block(), Block()])
        self.head = nn.Linear(8, 3)

    def forward(self, tokens: Tensor) -> Tensor:
        hidden = self.embed(tokens)
        for block in self.blocks:
            hidden, _ = block(hidden)
        return self.head(hidden.mean(dim=1))


def perceptron() -> nn.Module:
    return nn.Sequential(
        nn.Flatten(), nn.Linear(64, 16), nn.BatchNorm1d(16), nn.ReLU(inplace=True), nn.Dropout(0.3),
        nn.Linear(16, 3),
    )  # fmt: skip


def convolutional() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout2d(0.2), nn.Conv2d(4, 6, 3, groups=2),
        nn.Flatten(), nn.Linear(96, 3),
    )  # fmt: skip


NETWORKS = {
    "perceptron": (perceptron, PICTURES, ["1", "3"]),
    "convolutional": (convolutional, PICTURES, ["0", "4", "5"]),
    "transformer": (Transformer, TOKENS, ["embed", "blocks.?", "blocks.1.attention", "head"]),
}


def train(make, inputs: Tensor, record=None, steps: int = 10, autocast: bool = False) -> nn.Module:
    """Train, calling ``record`` inside the loop as a user would."""
    torch.manual_seed(0)
    model = make()
    optimiser = torch.optim.Adam(model.parameters(), lr=0.01)
    for step in range(steps):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
            if record is not None:
                record(step, model)
            batch = torch.randint(N, (6,))
            loss = cross_entropy(model(inputs[batch]), CLASSES[batch])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return model


def assert_identical(one: nn.Module, other: nn.Module) -> None:
    for (name, a), (_, b) in zip(one.state_dict().items(), other.state_dict().items(), strict=True):
        assert torch.equal(a, b), name


def hooks(model: nn.Module) -> int:
    return sum(len(module._forward_hooks) for module in model.modules())


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("autocast", [False, True])
def test_a_training_does_not_notice(network, autocast):
    make, inputs, layers = NETWORKS[network]
    plain = Recorder(None, (inputs, CLASSES), every=2)
    expected = train(make, inputs, plain.record, autocast=autocast)
    for weights in ("full", "spectra"):
        snapshots = Snapshots(every=4, weights=weights, representations=layers)
        recorder = Recorder(None, (inputs, CLASSES), every=2, snapshots=snapshots)
        model = train(make, inputs, recorder.record, autocast=autocast)
        assert_identical(model, expected)
        assert hooks(model) == 0
        np.testing.assert_array_equal(recorder.run.loss, plain.run.loss)
        assert recorder.run.snapshot_steps.tolist() == [0, 4, 8]
    assert_identical(expected, train(make, inputs, autocast=autocast))


@pytest.mark.parametrize("network", NETWORKS)
def test_snapshots_are_what_was_there(tmp_path, network):
    make, inputs, layers = NETWORKS[network]
    for weights in ("full", "spectra"):
        snapshots = Snapshots(every=3, weights=weights, representations=layers)
        recorder = Recorder(tmp_path / weights, (inputs, CLASSES), snapshots=snapshots, batch_size=5)
        train(make, inputs, recorder.record)
        recorder.close()
    full, spectra = open_run(tmp_path / "full"), open_run(tmp_path / "spectra")
    assert "singular_values" not in full.snapshots
    assert "weights" not in spectra.snapshots
    for snapshot, step in enumerate([0, 3, 6, 9]):
        model = train(make, inputs, steps=step)
        matrices = {name: w.detach().numpy() for name, w in model.named_parameters() if w.ndim > 1}
        assert list(matrices) == full.snapshots["weights"] == spectra.snapshots["singular_values"]
        for name, matrix in matrices.items():
            assert full.weights[name].dtype == np.float32
            np.testing.assert_array_equal(full.weights[name][snapshot], matrix)
            values = spectra.singular_values[name][snapshot]
            expected = np.linalg.svd(matrix.reshape(len(matrix), -1).astype(float), compute_uv=False)
            np.testing.assert_allclose(values, expected, rtol=1e-12, atol=1e-13)
        model.eval()
        for name in full.snapshots["representations"]:
            kept = []
            module = model.get_submodule(name)
            module.register_forward_hook(lambda *call, kept=kept: kept.append(call[2]))
            with torch.no_grad():
                for start in range(0, N, 5):
                    model(inputs[start : start + 5])
            outputs = torch.cat([out[0] if isinstance(out, tuple) else out for out in kept])
            if network == "perceptron" and name == "1":
                kept.clear()  # its output is changed in place by what follows: once more, alone
                outputs = module(inputs.flatten(1))
            shape = outputs.shape if outputs.ndim == 3 else (N, outputs[0].numel())
            for run in (full, spectra):
                found = run.representations[name][snapshot]
                assert found.shape == shape
                np.testing.assert_allclose(found, outputs.detach().reshape(shape), rtol=2e-6, atol=1e-6)


def test_names_come_in_the_order_of_the_network():
    snapshots = Snapshots(
        every=1,
        layers=["head", "blocks.1.mlp.*", "blocks.0.mlp.0.weight"],
        representations=["head", "blocks.*.mlp"],
    )
    recorder = Recorder(None, (TOKENS, CLASSES), snapshots=snapshots)
    recorder.record(0, Transformer())
    assert recorder.run.snapshots == {
        "weights": [
            "blocks.0.mlp.0.weight", "blocks.1.mlp.0.weight", "blocks.1.mlp.0.bias", "blocks.1.mlp.2.weight",
            "blocks.1.mlp.2.bias", "head.weight", "head.bias",
        ],
        "representations": ["blocks.0.mlp", "blocks.1.mlp", "head"],
    }  # fmt: skip
    assert recorder.run.representations["blocks.0.mlp"].dims[2:] == (
        "blocks.0.mlp_position",
        "blocks.0.mlp_feature",
    )
    spectra = Recorder(
        None, (TOKENS, CLASSES), snapshots=Snapshots(every=1, weights="spectra", layers="blocks.1.mlp")
    )
    spectra.record(0, Transformer())
    assert spectra.run.snapshots["singular_values"] == ["blocks.1.mlp.0.weight", "blocks.1.mlp.2.weight"]


def test_half_precision_and_flattened_maps():
    snapshots = Snapshots(every=1, weights=None, representations=["0"], dtype=np.float16)
    recorder = Recorder(None, (PICTURES, CLASSES), snapshots=snapshots)
    model = convolutional()
    recorder.record(0, model)
    layer = recorder.run.representations["0"]
    assert layer.dtype == np.float16
    assert layer.shape == (1, N, 4 * 6 * 6)
    np.testing.assert_array_equal(layer[0], model[0](PICTURES).detach().half().flatten(1))
    assert recorder.run.snapshots == {"representations": ["0"]}


def test_losses_are_recorded_with_every_snapshot():
    snapshots = Snapshots(every=LogSpaced(per_decade=3), weights="spectra")
    for _ in range(2):  # what one recording did is nothing to the next
        recorder = Recorder(None, (PICTURES, CLASSES), every=3, snapshots=snapshots)
        train(perceptron, PICTURES, recorder.record, steps=12)
        assert recorder.run.snapshot_steps.tolist() == [0, 1, 2, 5, 10]
        assert recorder.run.steps.tolist() == [0, 1, 2, 3, 5, 6, 9, 10]
    recorder = Recorder(None, (PICTURES, CLASSES), every=5, snapshots=Snapshots(every=lambda step: step == 7))
    assert [step for step in range(9) if recorder.due(step)] == [0, 5, 7]
    train(perceptron, PICTURES, recorder.record)
    assert recorder.run.snapshot_steps.tolist() == [7]


def test_a_schedule_is_told_of_snapshots_and_of_no_other_row():
    class Told:
        def __init__(self) -> None:
            self.rows = {}

        def __call__(self, step: int) -> bool:
            return step % 4 == 0

        def update(self, step: int, losses) -> None:
            self.rows[step] = losses

    schedule = Told()
    recorder = Recorder(None, (PICTURES, CLASSES), snapshots=Snapshots(every=schedule))
    train(perceptron, PICTURES, recorder.record)
    assert list(schedule.rows) == [0, 4, 8]
    np.testing.assert_array_equal(schedule.rows[4], recorder.run.loss[4])


def test_of_tokens_as_datapoints_the_representation_behind_each_loss_is_kept():
    class Language(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.head = nn.Embedding(7, 8), nn.Linear(8, 7)

        def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
            return self.head(self.embed(input_ids))

    mask = torch.ones_like(TOKENS)
    mask[3, 2:] = 0
    labels = TOKENS.flip(0).masked_fill(mask == 0, -100)
    batch = {"input_ids": TOKENS, "attention_mask": mask}
    model = Language()
    for probe, first in ((batch, 1), ((batch, labels), 0)):  # of the next token, and of those in their places
        snapshots = Snapshots(every=1, weights=None, representations=["embed", "head"])
        recorder = Recorder(None, probe, per="token", snapshots=snapshots, batch_size=5)
        recorder.record(0, model)
        run = recorder.run
        sequence, position, token = (
            torch.from_numpy(run.probe[name].to_numpy().copy()) for name in ("sequence", "position", "token")
        )
        assert run.representations["embed"].shape == (1, run.n_samples, 8)
        np.testing.assert_array_equal(
            run.representations["embed"][0],
            model.embed(TOKENS[sequence, position - first]).detach(),
        )
        logits = torch.from_numpy(run.representations["head"][0].to_numpy())
        expected = cross_entropy(logits, token, reduction="none")
        np.testing.assert_allclose(run.loss[0], expected, rtol=1e-6)
    recorder = Recorder(
        None, (TOKENS, TOKENS), per="token", loss_fn=lambda out, targets: out.expand(N, 5),
        snapshots=Snapshots(every=1, representations="1"),
    )  # fmt: skip
    pooled = nn.Sequential(nn.Embedding(7, 8), nn.Flatten(), nn.Linear(40, 1))
    with pytest.raises(SnapshotError, match=r"'1' gave \(12, 40\).*per='sequence'"):
        recorder.record(0, pooled)


def test_a_probe_that_raises_leaves_no_hook_and_no_snapshot():
    fails = False

    def loss_fn(outputs, targets):
        if fails:
            raise RuntimeError("no loss today")
        return per_sample_cross_entropy(outputs, targets)

    recorder = Recorder(
        None, (PICTURES, CLASSES), loss_fn=loss_fn, snapshots=Snapshots(every=1, representations=["1"])
    )
    model = perceptron()
    recorder.record(0, model)
    fails = True
    with pytest.raises(RuntimeError, match="no loss today"):
        recorder.record(1, model)
    assert hooks(model) == 0
    fails = False
    recorder.record(2, model)
    assert recorder.run.snapshot_steps.tolist() == recorder.run.steps.tolist() == [0, 2]


def test_a_hook_of_the_user_is_called_first_and_stays():
    model = perceptron()
    model[1].register_forward_hook(lambda module, given, output: output * 2)
    recorder = Recorder(None, (PICTURES, CLASSES), snapshots=Snapshots(every=1, representations=["1"]))
    recorder.record(0, model)
    model.eval()
    np.testing.assert_array_equal(
        recorder.run.representations["1"][0], model[1](PICTURES.flatten(1)).detach()
    )
    assert hooks(model) == 1


def test_weights_that_are_shared_are_stored_once_unless_named():
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.out = nn.Embedding(7, 8), nn.Linear(8, 7, bias=False)
            self.out.weight = self.embed.weight

        def forward(self, tokens: Tensor) -> Tensor:
            return self.out(self.embed(tokens).mean(dim=1))

    for layers, names in ((None, ["embed.weight"]), (["out"], ["out.weight"])):
        recorder = Recorder(None, (TOKENS, CLASSES), snapshots=Snapshots(every=1, layers=layers))
        recorder.record(0, Tied())
        assert recorder.run.snapshots == {"weights": names}


@pytest.mark.parametrize("wrap", [nn.DataParallel, lambda model: torch.compile(model, backend="eager")])
def test_layers_are_called_the_same_in_a_wrapped_model(wrap):
    model = Transformer()
    recorder = Recorder(
        None, (TOKENS, CLASSES), snapshots=Snapshots(every=1, layers="head", representations=["blocks.0"])
    )
    wrapped = wrap(model)
    for mode in (True, False):
        wrapped.train(mode)(TOKENS)  # compiled before there was a hook
    for step, asked in enumerate((wrapped, wrapped, model)):
        recorder.record(step, asked)
        assert hooks(model) == 0
        wrapped(TOKENS)
    run = recorder.run
    assert run.snapshots == {"weights": ["head.weight", "head.bias"], "representations": ["blocks.0"]}
    for snapshot in (0, 1):
        np.testing.assert_array_equal(*run.representations["blocks.0"][[snapshot, 2]])


def test_a_training_that_is_lost_goes_on_being_recorded():
    model = perceptron()
    recorder = Recorder(None, (PICTURES, CLASSES), snapshots=Snapshots(every=1, weights="spectra"))
    recorder.record(0, model)
    with torch.no_grad():
        model[1].weight[2, 3] = torch.nan
    with pytest.warns(RuntimeWarning, match="NaN at step 1"):
        recorder.record(1, model)
    lost, whole = recorder.run.singular_values["1.weight"], recorder.run.singular_values["5.weight"]
    assert np.isnan(lost).all(dim=lost.dims[1]).values.tolist() == [False, True]
    np.testing.assert_array_equal(whole[1], whole[0])


def test_a_snapshot_shares_no_memory_with_the_network():
    model, seen = convolutional(), {}
    taker = SnapshotTaker(Snapshots(every=1, representations=["0", "6"]), N)
    with taker.watching(model, as_probe((PICTURES, CLASSES)), seen):
        outputs = model(PICTURES)
    parts = taker.parts(model, seen)
    assert not np.shares_memory(parts["representations"]["6"], outputs.detach().numpy())
    for name, weight in parts["weights"].items():
        assert not np.shares_memory(weight, model.get_parameter(name).detach().numpy())


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"layers": ["heed.weight"]}, "'heed.weight', which the model has not; it has 'head.weight'"),
        ({"layers": ["nothing.*"]}, "'nothing\\.\\*'"),
        ({"representations": ["block.0"]}, "'block.0', which the model has not; it has 'blocks.0'"),
        ({"weights": "spectra", "layers": ["head.bias"]}, r"'head.bias' has shape \(3,\)"),
    ],
)
def test_layers_that_are_not_there_are_told_before_anything_is_trained(options, says):
    recorder = Recorder(None, (TOKENS, CLASSES), every=9, snapshots=Snapshots(every=9, **options))
    with pytest.raises(OptionError, match=says):
        recorder.record(1, Transformer())  # a step that is not due


@pytest.mark.parametrize(
    ("module", "says"),
    [
        ("never", "'layer' was not called"),
        ("twice", r"gave \(12, 4\), \(12, 4\) for 12 datapoints.*several times"),
        ("positions", r"gave \(64, 12\) for 12"),
        ("scalar", r"'layer' gave a tensor \(\)"),
        ("text", "'layer' gave a str"),
    ],
)
def test_outputs_that_are_no_representations_are_refused(module, says):
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(64, 4)
            self.layer = Layer()

        def forward(self, pictures: Tensor) -> Tensor:
            flat = pictures.flatten(1)
            if module in ("scalar", "text"):
                self.layer(flat.sum() if module == "scalar" else "a text")
            elif module == "positions":
                self.layer(flat.T)
            elif module == "twice":
                return self.layer(self.layer(self.head(flat)))
            return self.head(flat)

    class Layer(nn.Module):
        def forward(self, value):
            return value

    recorder = Recorder(None, (PICTURES, CLASSES), snapshots=Snapshots(every=2, representations=["layer"]))
    model = Odd()
    with pytest.raises(SnapshotError, match=says):
        recorder.record(0, model)
    assert hooks(model) == 0
    recorder.record(1, model)  # nothing of step 0 was kept
    assert recorder.run.steps.tolist() == [1]
    assert recorder.run.snapshots == {}


def test_a_network_that_changes_is_refused():
    model = perceptron()
    recorder = Recorder(None, (PICTURES, CLASSES), snapshots=Snapshots(every=1))
    recorder.record(0, model)
    model[1], model[2], model[5] = nn.Linear(64, 20), nn.BatchNorm1d(20), nn.Linear(20, 3)
    with pytest.raises(SnapshotError, match=r"step 1: weights of '1.weight' have shape \(20, 64\)"):
        recorder.record(1, model)
    assert recorder.run.steps.tolist() == [0]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"every": 0}, "every=0; expected"),
        ({"every": True}, "every=True"),
        ({"every": "often"}, "every='often'"),
        ({"weights": "half"}, "'full', 'spectra' or None"),
        ({"weights": None}, "snapshots of nothing"),
        ({"weights": None, "layers": ["a"], "representations": ["b"]}, "with weights=None"),
        ({"layers": []}, "layers=\\[\\]"),
        ({"layers": [3]}, "a list of names"),
        ({"representations": 3}, "a list of names"),
        ({"dtype": np.float64}, "float32 or float16"),
    ],
)
def test_options_without_a_meaning(options, says):
    with pytest.raises(OptionError, match=says):
        Snapshots(**options)


def test_a_recorder_says_what_it_needs_for_snapshots():
    with pytest.raises(OptionError, match="needs a probe"):
        Recorder(None, snapshots=Snapshots())
    with pytest.raises(OptionError, match=r"snapshots is a int; expected Snapshots\("):
        Recorder(None, (PICTURES, CLASSES), snapshots=100)
    recorder = Recorder(None, (PICTURES, CLASSES), snapshots=Snapshots())
    with pytest.raises(OptionError, match="no parameter with two dimensions"):
        recorder.record(0, nn.Sequential(nn.Flatten()))
