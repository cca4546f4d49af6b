"""A training does not notice that it is recorded: real trainings, bit for bit."""

from __future__ import annotations

import contextlib
import random
import warnings

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.nn.utils import parametrizations, parametrize

from rdmviz import Recorder
from rdmviz.errors import OptionError
from rdmviz.record import module_state, per_sample_cross_entropy
from rdmviz.record.evaluation import unchanged

X = torch.randn(60, 6, generator=torch.Generator().manual_seed(1))
Y = (X[:, 0] > 0).long() + (X[:, 1] > 0).long()
STEPS = 200


class Noisy(nn.Module):
    """Draws from every random state there is, and from three of its own, even in evaluation mode."""

    def __init__(self) -> None:
        super().__init__()
        self.generator = torch.Generator().manual_seed(5)
        self.numpy, self.python = np.random.default_rng(5), random.Random(5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        noise = torch.randn(()) + random.random() + np.random.rand()  # noqa: NPY002
        own = torch.rand((), generator=self.generator) + self.numpy.random() + self.python.random()
        return x + 1e-3 * (noise + own)


class Stateful(nn.Module):
    """Computes with what earlier calls wrote, in training and in evaluation, however one writes."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(6))
        self.register_buffer("calls", torch.zeros(()))
        self.register_buffer("places", torch.zeros(1, 6).expand(4, 6), persistent=False)
        self.hidden = torch.zeros(6)
        self.behind = torch.zeros(6)
        self.sizes: list[int] = []
        self.seen = {"largest": torch.zeros(())}
        self.kinds: set[int] = set()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            self.mean.lerp_(x.float().mean(dim=0), 0.1)
            self.calls = self.calls + 1
            self.hidden = torch.tanh(self.hidden + x.float().sum(dim=0))
            self.behind.data.add_(x.float()[0])
            self.sizes.append(len(x))
            self.seen["largest"].copy_(x.max())
            self.seen[f"size {len(x)}"] = torch.ones(())
            self.kinds.add(len(x))
            self.late = len(self.sizes)
        state = self.mean + self.hidden + self.behind.tanh() + self.calls / 100 + self.seen["largest"]
        return x + 0.01 * (state + sum(self.sizes) / 1e4 + len(self.seen) + len(self.kinds)) + self.places[0]


def make_model() -> nn.Sequential:
    torch.manual_seed(0)
    model = nn.Sequential(
        Stateful(), nn.Linear(6, 16), nn.BatchNorm1d(16), nn.Dropout(0.3), nn.ReLU(), Noisy(),
        nn.Linear(16, 16), nn.BatchNorm1d(16), parametrizations.spectral_norm(nn.Linear(16, 3)),
    )  # fmt: skip
    model[7].eval()  # a frozen batch norm must stay frozen
    return model


def train(look, autocast: bool = False) -> nn.Sequential:
    """Train, looking at every place of a step where a person may want to record."""
    model = make_model()
    torch.manual_seed(7)
    random.seed(7)
    np.random.seed(7)  # noqa: NPY002
    optimiser = torch.optim.Adam(model.parameters(), lr=0.01)
    for step in range(STEPS):
        with (
            torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast),
            parametrize.cached() if step % 2 else contextlib.nullcontext(),
        ):
            look(4 * step, model)
            batch = torch.randint(len(X), (8,))
            outputs = model(X[batch])
            look(4 * step + 1, model)
            loss = cross_entropy(outputs, Y[batch])
        if step % 3 == 0:  # gradients of three steps add up
            optimiser.zero_grad()
        look(4 * step + 2, model)
        loss.backward()
        look(4 * step + 3, model)
        optimiser.step()
    return model


def state_of(model: nn.Module) -> dict[str, torch.Tensor]:
    stateful, noisy = model[0], model[5]
    return {
        **{name: value.clone() for name, value in model.state_dict().items()},
        **{f"grad of {name}": weight.grad for name, weight in model.named_parameters()},
        "modes": torch.tensor([module.training for module in model.modules()]),
        "hidden": stateful.hidden,
        "behind": stateful.behind,
        "sizes": torch.tensor(stateful.sizes),
        "seen": torch.stack(list(stateful.seen.values())),
        "late": torch.tensor(stateful.late),
        "draws": torch.tensor(
            [torch.rand(()), random.random(), np.random.rand(),  # noqa: NPY002
             torch.rand((), generator=noisy.generator), noisy.numpy.random(), noisy.python.random()]
        ),
    }  # fmt: skip


def assert_identical(model: nn.Module, theirs: dict[str, torch.Tensor]) -> None:
    mine = state_of(model)
    assert mine.keys() == theirs.keys()
    for name, value in mine.items():
        assert torch.equal(value, theirs[name]), name


@pytest.fixture(scope="module", params=[False, True], ids=["single", "autocast"])
def alone(request):
    """The state after a training without a recorder, and whether under autocast."""
    return state_of(train(lambda step, model: None, request.param)), request.param


@pytest.mark.parametrize("batch_size", [None, 25])
def test_weights_after_200_steps_are_the_same_bit_for_bit(alone, batch_size):
    expected, autocast = alone
    recorder = Recorder(None, (X, Y), every=3, batch_size=batch_size)
    model = train(recorder.record, autocast)
    assert recorder.run.n_steps == -(-4 * STEPS // 3)
    assert_identical(model, expected)


def test_also_when_the_probe_raises_in_the_middle(alone):
    expected, autocast = alone
    calls = []

    def failing(outputs, targets):
        calls.append(len(targets))
        if len(calls) % 3 == 0:  # the last of three batches
            raise RuntimeError("no loss today")
        return per_sample_cross_entropy(outputs, targets)

    recorder = Recorder(None, (X, Y), loss_fn=failing, batch_size=25)

    def look(step, model):
        with pytest.raises(RuntimeError, match="no loss today"):
            recorder.record(step, model)

    assert_identical(train(look, autocast), expected)
    assert len(calls) == 3 * 4 * STEPS


def test_also_when_the_loss_takes_gradients_and_leaves_switches_as_they_should_not_be(alone):
    expected, autocast = alone

    def meddling(outputs, targets):
        torch.set_grad_enabled(True)
        torch.set_autocast_enabled("cpu", not torch.is_autocast_enabled("cpu"))
        torch.set_autocast_dtype("cpu", torch.float16)
        torch.manual_seed(0)
        model[1].train()
        model[1].weight.square().sum().backward()
        model[1].bias.grad = torch.ones(16)
        return per_sample_cross_entropy(outputs, targets)

    recorder = Recorder(None, (X, Y), loss_fn=meddling, every=5)

    def look(step, current):
        nonlocal model
        model = current
        recorder.record(step, current)

    model = None
    assert_identical(train(look, autocast), expected)
    assert torch.is_grad_enabled()
    assert torch.get_autocast_dtype("cpu") == torch.bfloat16


def test_a_model_is_not_told_to_evaluate_where_that_would_change_it():
    class Merging(nn.Linear):
        """Adds a correction to its weights when it is told to evaluate, as adapters do."""

        def train(self, mode=True):
            if self.training and not mode:
                self.weight.data += 1
            return super().train(mode)

    model = Merging(6, 3)
    before = model.weight.clone()
    Recorder(None, (X, Y)).record(0, model)
    assert torch.equal(model.weight, before)
    assert model.training


def test_nothing_is_written_where_nothing_may_be():
    model = nn.Linear(6, 3)
    with torch.inference_mode():
        model.register_buffer("cache", torch.ones(3))
        model.register_buffer("far", torch.ones(3, device="meta"))
        model.register_buffer("sparse", torch.eye(3).to_sparse())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # torch calls this layout a beta
        model.register_buffer("rows", torch.eye(3).to_sparse_csr())
    recorder = Recorder(None, (X, Y))
    recorder.record(0, model)
    with torch.inference_mode():  # as in a validation loop
        recorder.record(1, model)
    recorder.record(2, model)
    assert recorder.run.n_steps == 3


def test_a_large_tensor_that_is_written_is_told_in_a_warning(monkeypatch):
    class Queue(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("queue", torch.zeros(100))
            self.writes = False

        def forward(self, x):
            if self.writes:
                self.queue += 1
            return x[:, :3]

    model = Queue()
    monkeypatch.setattr(module_state, "_MOST_BYTES", 50)
    recorder = Recorder(None, (X, Y))
    recorder.record(0, model)
    model.writes = True
    with pytest.warns(RuntimeWarning, match=r"wrote into a tensor of shape \(100,\) in evaluation mode"):
        recorder.record(1, model)


def test_a_model_without_shapes_is_not_initialised_by_the_recorder():
    model = nn.Sequential(nn.LazyLinear(3))
    with pytest.raises(OptionError, match="send one batch through it first"):
        Recorder(None, (X, Y)).record(0, model)
    assert model.training


def test_a_recurrent_and_a_scripted_model_come_back():
    class Counter(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("calls", torch.zeros(()))
            self.dropout = nn.Dropout(0.5)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.calls += 1
            return self.dropout(x)

    recurrent = nn.LSTM(6, 3, num_layers=2, dropout=0.5)
    weights = list(recurrent._flat_weights)
    with unchanged(recurrent):
        recurrent(X)
    assert all(one is other for one, other in zip(weights, recurrent._flat_weights, strict=True))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # scripting goes, in the latest torch
        scripted = torch.jit.script(Counter())
    with unchanged(scripted):
        assert torch.equal(scripted(X), X)
    assert (scripted.calls, scripted.training, scripted.dropout.training) == (0, True, True)


def test_a_compiled_model_comes_back():
    model = torch.compile(nn.Sequential(nn.Linear(6, 6), nn.BatchNorm1d(6), nn.Dropout(0.5)), backend="eager")
    model(X)
    expected = {name: value.clone() for name, value in model.state_dict().items()}
    with unchanged(model):
        assert torch.equal(model(X), model(X))
    assert not torch.equal(model(X), model(X))
    assert model.training
    model.load_state_dict(expected)
    with unchanged(model):
        model(X)
    for name, value in model.state_dict().items():
        assert torch.equal(value, expected[name]), name
