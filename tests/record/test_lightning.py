"""Real trainings with the Lightning trainer: recorded in one line, and none the wiser."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from lightning.pytorch import LightningModule, Trainer, seed_everything
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

from rdmviz import open_run
from rdmviz.errors import NoRowsYetError, OptionError, StepsError, StoreExistsError
from rdmviz.record.lightning import RecorderCallback

pytestmark = [
    pytest.mark.filterwarnings(f"ignore:{message}")
    for message in (
        ".*does not have many workers",
        ".*dataloader is not resumable",
        "`isinstance.treespec, LeafSpec.` is deprecated",
        "Checkpoint directory .* exists and is not empty",
        ".*fast_dev_run.*",
        "GPU available but not used",
        "Be aware that when using `ckpt_path`",
    )
]

X = torch.randn(40, 6, generator=torch.Generator().manual_seed(1))
Y = (X[:, 0] > 0).long() + (X[:, 1] > 0).long()


class Training:
    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(6, 16), nn.BatchNorm1d(16), nn.Dropout(0.3), nn.ReLU(), nn.Linear(16, 3)
        )

    def forward(self, x):
        return self.net(x)

    def training_step(self, batch, index):
        x, y = batch
        loss = cross_entropy(self.net(x), y)
        self.log("train/loss", loss)
        return loss

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=0.01)


class Classifier(Training, LightningModule):
    pass


class Validated(Classifier):
    def validation_step(self, batch, index):
        x, y = batch
        self.log("val", cross_entropy(self.net(x), y))


def loader(shuffle: bool = True) -> DataLoader:
    return DataLoader(TensorDataset(X, Y), batch_size=8, shuffle=shuffle)


def trainer_of(*callbacks: Callback, **options) -> Trainer:
    options = {"max_steps": 12, "logger": False, "enable_checkpointing": False} | options
    return Trainer(
        accelerator="cpu", devices=1, enable_progress_bar=False, enable_model_summary=False,
        callbacks=list(callbacks), log_every_n_steps=1, **options,
    )  # fmt: skip


def train(*callbacks: Callback, kind=Classifier, **options) -> LightningModule:
    seed_everything(3, verbose=False)
    model = kind()
    validation = [loader(False)] if kind is Validated else []
    trainer_of(*callbacks, **options).fit(model, loader(), *validation)
    return model


class Witness(Callback):
    """Takes down the losses of the probe, and what was logged, by itself."""

    def __init__(self) -> None:
        self.losses: dict[int, np.ndarray] = {}
        self.logged: list[float] = []

    def on_train_start(self, trainer, module) -> None:
        self.on_train_batch_end(trainer, module)

    def on_train_batch_end(self, trainer, module, outputs=None, *_) -> None:
        module.eval()
        with torch.no_grad(), trainer.precision_plugin.forward_context():
            losses = cross_entropy(module(X).float(), Y, reduction="none")
        module.train()
        if trainer.global_step not in self.losses:
            self.losses[trainer.global_step] = losses.numpy()
            self.logged.append(np.nan if outputs is None else outputs["loss"].item())


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the models are small, and the cores not alone
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize(
    "options", [{}, {"precision": "bf16-mixed"}, {"accumulate_grad_batches": 2, "kind": Validated}]
)
def test_a_training_that_is_recorded_is_the_same(tmp_path, options):
    witness = Witness()
    recorded = train(RecorderCallback(tmp_path / "run", (X, Y), every=3), witness, **options)
    plain = train(**options)
    for (name, weight), other in zip(recorded.state_dict().items(), plain.state_dict().values(), strict=True):
        assert torch.equal(weight, other), name
    run = open_run(tmp_path / "run")
    assert run.steps.tolist() == [0, 3, 6, 9, 12]
    np.testing.assert_array_equal(run.loss, [witness.losses[step] for step in run.steps.tolist()])
    if "accumulate_grad_batches" not in options:
        np.testing.assert_allclose(
            run.metrics["train/loss"], [witness.logged[step] for step in run.steps.tolist()], rtol=1e-6
        )


def test_only_a_training_is_recorded(tmp_path):
    callback = RecorderCallback(tmp_path / "run", (X, Y))
    trainer_of(callback).validate(Validated(), loader(False), verbose=False)
    train(callback, fast_dev_run=2)
    assert callback.run.steps.tolist() == [0, 1, 2]  # in memory
    assert list(tmp_path.iterdir()) == []
    train(callback, max_steps=3)
    assert open_run(tmp_path / "run").steps.tolist() == [0, 1, 2, 3]
    with pytest.raises(NoRowsYetError, match="not started"):
        _ = RecorderCallback(None, (X, Y)).run


def test_several_probes_are_recorded_each_to_its_path(tmp_path):
    parts = {"first": slice(0, 20), "second": slice(20, 40)}
    callbacks = [RecorderCallback(tmp_path / name, (X[part], Y[part])) for name, part in parts.items()]
    train(*callbacks, max_steps=2)
    whole = RecorderCallback(None, (X, Y))
    train(whole, max_steps=2)
    runs = [open_run(tmp_path / name).loss for name in parts]
    np.testing.assert_allclose(np.concatenate(runs, axis=1), whole.run.loss, rtol=1e-5)


class Failing(Classifier):
    def training_step(self, batch, index):
        if self.global_step == 7:
            raise ArithmeticError("no gradient today")
        return super().training_step(batch, index)


@pytest.mark.parametrize("name", ["run", "run.zip"])
def test_a_training_that_fails_leaves_its_rows(tmp_path, name):
    with pytest.raises(ArithmeticError, match="no gradient"):
        train(RecorderCallback(tmp_path / name, (X, Y), flush_seconds=1e9), kind=Failing)
    assert open_run(tmp_path / name).steps.tolist() == list(range(8))


class WithoutForward(LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Linear(6, 3)

    def training_step(self, batch, index):
        if self.global_step >= 0 and self.forbidden:
            raise AssertionError("the training has begun")
        return cross_entropy(self.body(batch[0]), batch[1])

    forbidden = False
    configure_optimizers = Classifier.configure_optimizers


class Forbidden(WithoutForward):
    forbidden = True


def test_a_part_of_the_module_may_be_what_is_called(tmp_path):
    train(RecorderCallback(tmp_path / "run", (X, Y), submodule="body"), kind=WithoutForward)
    assert open_run(tmp_path / "run").n_steps == 13


def test_what_is_wrong_is_told_before_the_first_step(tmp_path):
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "precious").touch()
    for path, options, error, says in (
        ("a", {}, OptionError, r"submodule='...', one of \['body'\]"),
        ("b", {"submodule": "body", "every": 0}, OptionError, "every=0"),
        ("taken", {"submodule": "body"}, StoreExistsError, "taken"),
    ):
        with pytest.raises(error, match=says):
            train(RecorderCallback(tmp_path / path, (X, Y), **options), kind=Forbidden)
    with pytest.raises(OptionError, match="probe is None"):
        RecorderCallback(tmp_path / "run", None)
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_inputs_are_converted_as_those_of_a_training():
    for precision, dtype in (("64-true", torch.float64), ("bf16-true", torch.bfloat16)):
        seen = []

        def loss_fn(outputs, targets, seen=seen):
            seen.append(outputs.dtype)
            return cross_entropy(outputs, targets, reduction="none")

        callback = RecorderCallback(None, (X, Y), loss_fn=loss_fn)
        train(callback, precision=precision, max_steps=2)
        assert callback.run.n_steps == 3
        assert set(seen) == {dtype}


def test_the_older_package_is_served_too():
    import pytorch_lightning

    class Older(Training, pytorch_lightning.LightningModule):
        pass

    callback = RecorderCallback(None, (X, Y), every=2)
    trainer = pytorch_lightning.Trainer(
        accelerator="cpu", max_steps=4, logger=False, enable_checkpointing=False, callbacks=[callback],
        enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(Older(), loader())
    assert callback.run.steps.tolist() == [0, 2, 4]


def saved_every(steps: int, folder) -> ModelCheckpoint:
    return ModelCheckpoint(folder, every_n_train_steps=steps, save_top_k=-1, filename="{step}")


def go_on(callback: Callback, checkpoint, max_steps: int = 12) -> None:
    seed_everything(4, verbose=False)
    trainer = trainer_of(callback, max_steps=max_steps)
    trainer.fit(Classifier(), loader(), ckpt_path=str(checkpoint))


def test_a_training_goes_on_from_its_checkpoint(tmp_path):
    path, options = tmp_path / "run", {"every": 2, "flush_seconds": 1e9}
    saver = saved_every(4, tmp_path / "checkpoints")
    with pytest.raises(ArithmeticError):
        train(RecorderCallback(path, (X, Y), **options), saver, kind=Failing, enable_checkpointing=True)
    assert open_run(path).steps.tolist() == [0, 2, 4, 6]
    before = open_run(path).loss.to_numpy()
    checkpoint = tmp_path / "checkpoints" / "step=4.ckpt"
    # the run is ahead of the checkpoint, and loses nothing unasked
    with pytest.raises(StepsError, match=r"starts at step 4, .* up to step 6.*drop_after='checkpoint'"):
        go_on(RecorderCallback(path, (X, Y), **options), checkpoint)
    assert open_run(path).steps.tolist() == [0, 2, 4, 6]
    # the options of a job that is started again and again
    again = {**options, "overwrite": True, "drop_after": "checkpoint"}
    go_on(RecorderCallback(path, (X, Y), **again), checkpoint)
    run = open_run(path)
    assert run.steps.tolist() == [0, 2, 4, 6, 8, 10, 12]
    np.testing.assert_array_equal(run.loss[:3], before[:3])
    assert not np.array_equal(run.loss[3], before[3])  # other batches
    train(RecorderCallback(path, (X, Y), **again), max_steps=2)
    assert open_run(path).steps.tolist() == [0, 2]


def test_a_checkpoint_of_a_training_that_was_not_recorded_begins_a_run(tmp_path):
    train(saved_every(4, tmp_path / "checkpoints"), enable_checkpointing=True, max_steps=4)
    go_on(RecorderCallback(tmp_path / "run", (X, Y)), tmp_path / "checkpoints" / "step=4.ckpt", 6)
    assert open_run(tmp_path / "run").steps.tolist() == [4, 5, 6]


@pytest.mark.parametrize("path", ["run", None])
def test_a_second_fit_goes_on(tmp_path, path):
    callback = RecorderCallback(path and tmp_path / path, (X, Y), every=2)
    model = Classifier()
    trainer = trainer_of(callback, max_steps=4)
    trainer.fit(model, loader())
    trainer.fit_loop.epoch_loop.max_steps = 8
    trainer.fit(model, loader())
    assert callback.run.steps.tolist() == [0, 2, 4, 6, 8]
    with pytest.raises(StepsError, match="starts at step 0, and the run has rows up to step 8"):
        trainer_of(callback).fit(model, loader())
    assert callback.run.n_steps == 5
