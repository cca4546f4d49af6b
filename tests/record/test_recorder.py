"""Recording: one row per step, and a training that does not notice."""

from __future__ import annotations

import contextlib
import random
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from rdmviz import Recorder, open_run
from rdmviz.errors import (
    LossShapeError,
    MetricError,
    OptionError,
    ProbeError,
    StepsError,
    StoreExistsError,
    TruncatedStoreError,
)
from rdmviz.record import per_sample_cross_entropy, per_sample_squared_error

X = torch.randn(40, 6, generator=torch.Generator().manual_seed(1))
Y = (X[:, 0] > 0).long() + (X[:, 1] > 0).long()


class Noisy(nn.Module):
    """Draws from every random state there is, even in evaluation mode."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + 1e-3 * (torch.randn(()) + random.random() + np.random.rand())  # noqa: NPY002


def make_model() -> nn.Sequential:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(6, 16), nn.BatchNorm1d(16), nn.Dropout(0.3), nn.ReLU(), Noisy(), nn.Linear(16, 16),
        nn.BatchNorm1d(16), nn.Linear(16, 3),
    )  # fmt: skip
    model[6].eval()  # a frozen batch norm must stay frozen
    return model


def train(record=None, autocast: bool = False) -> nn.Sequential:
    """Train for 30 steps, calling ``record`` inside the loop as a user would."""
    model = make_model()
    torch.manual_seed(7)
    random.seed(7)
    np.random.seed(7)  # noqa: NPY002
    optimiser = torch.optim.Adam(model.parameters(), lr=0.01)
    for step in range(30):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
            if record is not None:
                record(step, model)
            batch = torch.randint(len(X), (8,))
            loss = cross_entropy(model(X[batch]), Y[batch])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return model


def assert_identical(one: nn.Module, other: nn.Module) -> None:
    for (name, a), (_, b) in zip(one.state_dict().items(), other.state_dict().items(), strict=True):
        assert torch.equal(a, b), name
    assert [m.training for m in one.modules()] == [m.training for m in other.modules()]


@pytest.mark.parametrize("autocast", [False, True])
def test_recording_changes_nothing(autocast):
    recorder = Recorder(None, (X, Y), every=3)
    recorded = train(recorder.record, autocast)
    assert recorder.run.steps.tolist() == list(range(0, 30, 3))
    assert_identical(recorded, train(None, autocast))


def test_autocast_caches_no_weights_while_the_probe_is_evaluated():
    seen = []

    def loss_fn(outputs, targets):
        seen.append(torch.is_autocast_cache_enabled())
        return per_sample_cross_entropy(outputs, targets)

    assert torch.is_autocast_cache_enabled()
    Recorder(None, (X, Y), loss_fn=loss_fn).record(0, nn.Linear(6, 3))
    assert seen == [False]
    assert torch.is_autocast_cache_enabled()


def test_a_probe_that_raises_changes_nothing_either():
    def failing(outputs, targets):
        raise RuntimeError("no loss today")

    recorder = Recorder(None, (X, Y), loss_fn=failing)

    def attempt(step, model):
        with pytest.raises(RuntimeError, match="no loss today"):
            recorder.record(step, model)

    assert_identical(train(attempt), train(None))


def test_records_the_losses_of_evaluation_mode(tmp_path):
    model = nn.Sequential(nn.Linear(6, 3), nn.Dropout(0.9))
    with Recorder(
        tmp_path / "run",
        (X, Y),
        metadata={"label": Y, "text": [f"<b>{i}" for i in range(40)]},
        every=2,
        name="toy",
        attrs={"lr": 0.1},
    ) as recorder:
        assert recorder.record(0, model, metrics={"acc": torch.tensor(0.5)})
        assert not recorder.record(1, model)
        assert recorder.record(2, model, metrics=lambda: {"acc": 1})
    expected = cross_entropy(model[0](X), Y, reduction="none").detach().numpy()
    for run in (recorder.run, open_run(tmp_path / "run")):
        np.testing.assert_allclose(run.loss, [expected, expected], rtol=1e-6)
        assert run.loss.dtype == np.float32
        assert run.steps.tolist() == [0, 2]
        assert run.metrics["acc"].to_numpy().tolist() == [0.5, 1]
        np.testing.assert_array_equal(run.probe["label"], Y)
        assert run.probe["text"].to_numpy()[3] == "<b>3"
        assert (run.name, run.attrs["lr"]) == ("toy", 0.1)
    assert model.training


def test_batches_give_the_same_losses():
    model = nn.Linear(6, 3)
    runs = []
    for size in (None, 7, 1000):
        recorder = Recorder(None, (X, Y), batch_size=size)
        recorder.record(0, model)
        runs.append(recorder.run.loss.to_numpy())
    np.testing.assert_allclose(runs[1], runs[0], rtol=1e-5)
    np.testing.assert_array_equal(runs[2], runs[0])


def test_inputs_of_several_tensors():
    class Sum(nn.Module):
        def forward(self, a, b):
            return (a + b)[:, :3]

    for inputs in ((X, X), {"b": X, "a": X}):
        recorder = Recorder(None, (inputs, Y), batch_size=9)
        recorder.record(0, Sum())
        expected = cross_entropy(2 * X[:, :3], Y, reduction="none")
        np.testing.assert_allclose(recorder.run.loss[0], expected, rtol=1e-6)


def test_default_losses():
    real = torch.randn(40)
    recorder = Recorder(None, (X, real))
    recorder.record(0, nn.Linear(6, 1))
    assert recorder.run.n_samples == 40
    outputs = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    np.testing.assert_allclose(per_sample_squared_error(outputs, torch.zeros(2, 2)), [2.5, 12.5])
    np.testing.assert_allclose(
        per_sample_cross_entropy(torch.zeros(2, 4), torch.tensor([0, 3])), np.log([4, 4])
    )


@pytest.mark.parametrize(
    ("model", "targets", "error"),
    [
        (nn.Linear(6, 3), torch.randn(40), LossShapeError),  # would broadcast to 40 x 40
        (nn.Linear(6, 1), Y, OptionError),
        (nn.Linear(6, 3), Y > 0, OptionError),
        (nn.LSTM(6, 3), Y, OptionError),
    ],
)
def test_no_default_loss_is_guessed(model, targets, error):
    recorder = Recorder(None, (X, targets))
    with pytest.raises(error, match=r"expected the same shape|[pP]ass loss_fn"):
        recorder.record(0, model)


@pytest.mark.parametrize(
    "loss_fn",
    [
        cross_entropy,
        lambda outputs, targets: outputs,
        lambda outputs, targets: 1.0,
        lambda outputs, targets: outputs[:-1, 0],
        lambda outputs, targets: torch.complex(outputs[:, 0], outputs[:, 0]),
    ],
)
def test_a_loss_that_is_not_one_number_per_datapoint(loss_fn):
    recorder = Recorder(None, (X, Y), loss_fn=loss_fn)
    with pytest.raises(LossShapeError, match="for 40 datapoints; expected one real number each"):
        recorder.record(0, nn.Linear(6, 3))
    with pytest.raises(TruncatedStoreError):
        _ = recorder.run


def test_append_takes_losses_from_anywhere(tmp_path):
    with Recorder(tmp_path / "run", metadata={"id": range(3)}, dtype="float64") as recorder:
        recorder.append(0, [1.0, 2.0, np.nan], {"lr": 0.1})
        recorder.append(5, np.array([1, 2, 3]))
        with pytest.raises(StepsError, match="step 5 after step 5"):
            recorder.append(5, [1.0, 2.0, 3.0])
        with pytest.raises(LossShapeError, match="3 datapoints"):
            recorder.append(6, [1.0, 2.0])
        with pytest.raises(MetricError, match="'lr'"):
            recorder.append(6, [1.0, 2.0, 3.0], {"lr": "high"})
    run = open_run(tmp_path / "run")
    np.testing.assert_array_equal(run.loss, [[1, 2, np.nan], [1, 2, 3]])
    assert run.loss.dtype == np.float64


def test_a_failing_training_keeps_what_was_recorded(tmp_path):
    def crash(folder) -> None:
        with Recorder(folder, (X, Y)) as recorder:
            recorder.record(0, nn.Linear(6, 3))
            raise RuntimeError("out of memory")

    for name in ("run", "run.zip"):
        with pytest.raises(RuntimeError, match="out of memory"):
            crash(tmp_path / name)
        assert open_run(tmp_path / name).n_steps == 1


def test_run_shows_what_was_recorded_so_far():
    recorder = Recorder(None, (X, Y))
    model = nn.Linear(6, 3)
    recorder.record(0, model)
    early = recorder.run
    recorder.record(1, model)
    assert (early.n_steps, recorder.run.n_steps) == (1, 2)
    assert recorder.close().n_steps == 2
    with pytest.raises(StoreExistsError, match="closed"):
        recorder.record(2, model)


def test_nothing_is_overwritten_unasked(tmp_path):
    with Recorder(tmp_path / "run", (X, Y)) as recorder:
        recorder.record(0, nn.Linear(6, 3))
    for probe in ((X, Y), None):
        with pytest.raises(StoreExistsError, match="overwrite=True"):
            Recorder(tmp_path / "run", probe)
    with Recorder(tmp_path / "run", (X, Y), overwrite=True) as recorder:
        recorder.record(7, nn.Linear(6, 3))
    assert open_run(tmp_path / "run").steps.tolist() == [7]


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"every": 0}, OptionError, "every=0"),
        ({"batch_size": 0}, OptionError, "batch_size=0"),
        ({"dtype": "int32"}, OptionError, "int32"),
        ({"dtype": "floaty"}, OptionError, "floaty"),
        ({"probe": X}, OptionError, "pair"),
        ({"every": 0.5}, OptionError, "every=0.5"),
        ({"every": "4"}, OptionError, "every='4'"),
        ({"flush_seconds": -1}, OptionError, "flush_seconds"),
        ({"probe": (X[:30], Y)}, ProbeError, "inputs has 30 datapoints and targets 40"),
        ({"probe": (X, Y[:30])}, ProbeError, "inputs has 40 datapoints and targets 30"),
        ({"probe": ((X, X[:39]), Y)}, ProbeError, r"inputs\[1\] has 39 datapoints"),
        ({"probe": ({"a": X, "b": X[:39]}, Y)}, ProbeError, r"inputs\['b'\] has 39 datapoints"),
        ({"probe": ({"a": X, "cache": True}, Y)}, ProbeError, r"inputs\['cache'\] is True"),
        ({"probe": ((), Y)}, ProbeError, "empty"),
        ({"probe": (np.array(["a"] * 40), Y)}, ProbeError, "cannot be a tensor"),
        ({"probe": (X, 3)}, LossShapeError, "one per datapoint"),
        ({"probe": (X, X[:1])}, LossShapeError, "at least two"),
        ({"probe": (X, Y), "metadata": {"a": [1, 2]}}, ProbeError, r"expected \(40,\)"),
        ({"probe": (X, Y), "attrs": {"a": X}}, OptionError, "JSON"),
    ],
)
def test_refuses_options(tmp_path, options, error, says):
    with pytest.raises(error, match=says):
        Recorder(tmp_path / "run", **options)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("step", "model", "error", "says"),
    [
        (0.5, nn.Linear(6, 3), StepsError, "step is 0.5; expected the training step first"),
        (nn.Linear(6, 3), 0, StepsError, "step is a Linear; expected the training step first"),
        ("5", nn.Linear(6, 3), StepsError, "step is '5'"),
        (None, nn.Linear(6, 3), StepsError, "step is None"),
        (6, None, OptionError, r"model is a NoneType.*record\(step, model\)"),
        (7, None, OptionError, "model is a NoneType"),  # also when the step is not due
    ],
)
def test_wrong_arguments_are_named(step, model, error, says):
    recorder = Recorder(None, (X, Y), every=2)
    with pytest.raises(error, match=says):
        recorder.record(step, model)


@pytest.mark.parametrize(
    ("step", "losses", "error"),
    [
        (0, np.ones((2, 3)), LossShapeError),
        (0, torch.ones(2, 3), LossShapeError),
        (0, "abc", LossShapeError),
        (0, [1.0], LossShapeError),
        (0, None, LossShapeError),
        (2**70, [1.0, 2.0], StepsError),
        (None, [1.0, 2.0], StepsError),
        (float("nan"), [1.0, 2.0], StepsError),
        ("abc", [1.0, 2.0], StepsError),
    ],
)
def test_a_bad_first_row_creates_nothing(tmp_path, step, losses, error):
    recorder = Recorder(tmp_path / "deep" / "run")
    with pytest.raises(error):
        recorder.append(step, losses)
    assert list(tmp_path.iterdir()) == []
    recorder.append(3, [1.0, 2.0])
    assert recorder.run.steps.tolist() == [3]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.int32])
def test_append_takes_tensors(dtype):
    weight = torch.ones((), requires_grad=True)
    recorder = Recorder(dtype="float64")
    losses = torch.tensor([1, 2, 3], dtype=dtype)
    recorder.append(0, losses * weight if losses.is_floating_point() else losses, {"loss": weight * 0.5})
    assert recorder.run.loss.to_numpy().tolist() == [[1, 2, 3]]
    assert recorder.run.metrics["loss"].to_numpy().tolist() == [0.5]
    with pytest.raises(MetricError, match="'loss'"):
        recorder.append(1, losses, {"loss": torch.ones(2)})


def test_a_numpy_probe_gives_the_same_losses():
    model = nn.Linear(6, 3)
    inputs, targets = X.numpy(), Y.numpy().copy()
    targets.flags.writeable = False  # as from a memory map
    runs = []
    for probe in ((X, Y), (inputs, targets), ((inputs,), targets)):
        recorder = Recorder(None, probe)
        recorder.record(0, model)
        runs.append(recorder.run.loss.to_numpy())
    np.testing.assert_array_equal(runs[1], runs[0])
    np.testing.assert_array_equal(runs[2], runs[0])


def test_another_thread_may_follow_a_recording():
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)  # the threads take turns inside a row, not only between rows
    recorder = Recorder(None, flush_seconds=1e9)
    failures: list[BaseException] = []
    stop = threading.Event()

    def follow() -> None:
        try:
            while not stop.is_set():
                with contextlib.suppress(TruncatedStoreError):
                    run = recorder.run
                    np.testing.assert_array_equal(run.rows(0, run.n_steps)[:, 0], run.steps)
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=follow)
    thread.start()
    try:
        for step in range(1000):
            recorder.append(step, np.full(3, step))
    finally:
        sys.setswitchinterval(interval)
        stop.set()
        thread.join()
    assert not failures
    run = recorder.close()
    np.testing.assert_array_equal(run.steps, np.arange(1000))
    np.testing.assert_array_equal(run.loss[:, 0], np.arange(1000))


def test_a_killed_training_keeps_what_was_committed(tmp_path):
    code = (
        "import os, signal, sys, time\n"
        "from rdmviz import Recorder\n"
        "recorder = Recorder(sys.argv[1], flush_seconds=0.2)\n"
        "for step in range(8):\n"
        "    recorder.append(step, [step, step])\n"
        "    time.sleep(0.1)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    ended = subprocess.run([sys.executable, "-c", code, str(tmp_path / "run")], check=False)
    assert ended.returncode == -signal.SIGKILL
    run = open_run(tmp_path / "run")
    assert 4 <= run.n_steps <= 8
    np.testing.assert_array_equal(run.loss[:, 1], run.steps)


def test_recording_a_model_needs_a_probe():
    with pytest.raises(OptionError, match="use append"):
        Recorder().record(0, nn.Linear(2, 2))
    with pytest.raises(TruncatedStoreError, match="nothing was recorded"):
        _ = Recorder().run


def test_curves_that_follow_from_the_losses_are_measured(tmp_path):
    """They are recorded beside the metrics of a row, which go before them where both have a name."""
    torch.manual_seed(0)
    probe = torch.randn(5, 2), torch.randn(5, 1)
    model = nn.Linear(2, 1)
    measure = {"measure": lambda losses: {"worst": losses.max(), "lr": -1.0}}
    with Recorder(tmp_path / "run", probe, **measure, dtype="float64") as recorder:
        recorder.record(0, model, metrics={"lr": 0.5})
        recorder.record(1, model, metrics=lambda: {"lr": 0.25})
    run = recorder.run
    np.testing.assert_array_equal(run.metrics["worst"], run.loss.max("sample"))
    assert run.metrics["lr"].to_numpy().tolist() == [0.5, 0.25]
    with Recorder(None, **measure) as recorder:
        recorder.append(0, torch.tensor([1.0, 3.0]))
    assert {name: float(curve[0]) for name, curve in recorder.run.metrics.items()} == {
        "worst": 3.0,
        "lr": -1.0,
    }
