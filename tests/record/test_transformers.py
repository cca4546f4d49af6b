"""Real trainings with the Trainer of transformers: recorded in one line, and none the wiser."""

from __future__ import annotations

import gc

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy
from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainerCallback, TrainingArguments, set_seed

from rdmviz import open_run
from rdmviz.errors import NoRowsYetError, OptionError, StepsError, StoreExistsError
from rdmviz.record.transformers import RecorderCallback

IDS = torch.randint(1, 32, (12, 10), generator=torch.Generator().manual_seed(1))
MASK = torch.ones_like(IDS)
MASK[::3, 7:] = 0
BATCH = {"input_ids": IDS, "attention_mask": MASK, "labels": torch.where(MASK == 1, IDS, -100)}


def losses_of(model) -> np.ndarray:
    """Mean cross-entropy of the next token, by sequence."""
    with torch.no_grad():
        logits = model(input_ids=IDS, attention_mask=MASK).logits[:, :-1]
    labels = BATCH["labels"][:, 1:]
    losses = cross_entropy(logits.mT.float(), labels, reduction="none")
    return (losses.sum(dim=1) / (labels != -100).sum(dim=1)).numpy()


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the models are small, and the cores not alone
    yield
    torch.set_num_threads(threads)


def make_model() -> GPT2LMHeadModel:
    set_seed(3)
    sizes = {"vocab_size": 32, "n_positions": 16, "n_embd": 16, "n_layer": 2, "n_head": 2}
    return GPT2LMHeadModel(GPT2Config(**sizes, bos_token_id=0, eos_token_id=0)).eval()


def train(folder, *callbacks: TrainerCallback, resume=None, **options) -> Trainer:
    options = {"max_steps": 12, "save_strategy": "no", "logging_steps": 1, "learning_rate": 1e-2} | options
    trainer = Trainer(
        make_model(),
        TrainingArguments(
            str(folder / "trainer"), use_cpu=True, per_device_train_batch_size=2, report_to=[],
            disable_tqdm=True, **options,
        ),
        train_dataset=[{name: values[index] for name, values in BATCH.items()} for index in range(12)],
        callbacks=list(callbacks),
    )  # fmt: skip
    trainer.train(resume_from_checkpoint=resume)
    return trainer


class Witness(TrainerCallback):
    """Takes down the losses of the probe, and the logs, by itself."""

    def __init__(self) -> None:
        self.losses: dict[int, np.ndarray] = {}
        self.logs: dict[int, dict] = {}

    def on_train_begin(self, args, state, control, model=None, **kwargs):
        model.eval()
        self.losses[state.global_step] = losses_of(model)
        model.train()

    def on_step_end(self, args, state, control, model=None, **kwargs):
        self.on_train_begin(args, state, control, model=model)

    def on_log(self, args, state, control, logs=None, **kwargs):
        self.logs.setdefault(state.global_step, dict(logs))


@pytest.mark.parametrize("options", [{}, {"bf16": True}, {"gradient_accumulation_steps": 2}])
def test_a_training_that_is_recorded_is_the_same(tmp_path, options):
    witness = Witness()
    callback = RecorderCallback(tmp_path / "run", BATCH, every=3)
    recorded = train(tmp_path, callback, witness, **options).model
    plain = train(tmp_path, **options).model
    for (name, weight), other in zip(recorded.state_dict().items(), plain.state_dict().values(), strict=True):
        assert torch.equal(weight, other), name
    run = open_run(tmp_path / "run")
    assert run.steps.tolist() == [0, 3, 6, 9, 12]
    whole = np.allclose(run.loss[0], losses_of(make_model()), rtol=1e-6)
    assert whole is not options.get("bf16", False)
    np.testing.assert_allclose(run.loss, [witness.losses[step] for step in run.steps.tolist()], rtol=1e-6)
    for name in ("loss", "learning_rate", "grad_norm"):  # of this step, not of the one before
        expected = [np.nan] + [witness.logs[step][name] for step in (3, 6, 9, 12)]
        np.testing.assert_allclose(run.metrics[name], expected, rtol=1e-6)


def test_a_row_has_the_numbers_of_the_last_log(tmp_path):
    callback = RecorderCallback(tmp_path / "run", BATCH, every=2)
    witness = Witness()
    train(tmp_path, callback, witness, logging_steps=5, max_steps=8)
    logged = [witness.logs[5]["loss"]] * 2
    assert open_run(tmp_path / "run").steps.tolist() == [0, 2, 4, 6, 8]
    np.testing.assert_array_equal(open_run(tmp_path / "run").metrics["loss"], [np.nan] * 3 + logged)


def test_a_log_that_never_comes_loses_no_step(tmp_path):
    class Silent(RecorderCallback):
        """Is told of a log at every step, and none comes."""

        def on_step_end(self, args, state, control, model=None, **kwargs):
            control.should_log = True
            super().on_step_end(args, state, control, model=model, **kwargs)
            control.should_log = False

    witness = Witness()
    callback = Silent(tmp_path / "run", BATCH)
    train(tmp_path, callback, witness, logging_strategy="no", max_steps=8)
    run = open_run(tmp_path / "run")
    assert run.steps.tolist() == list(range(9))
    np.testing.assert_allclose(run.loss, [witness.losses[step] for step in range(9)], rtol=1e-6)


class Failing(TrainerCallback):
    def __init__(self, step: int = 7) -> None:
        self.step = step

    def on_step_begin(self, args, state, control, **kwargs):
        if state.global_step == self.step:
            raise ArithmeticError("no gradient today")


@pytest.mark.parametrize("closing", ["by hand", "when it is forgotten"])
def test_a_training_that_fails_leaves_its_rows(tmp_path, closing):
    callback = RecorderCallback(tmp_path / "run.zip", BATCH, flush_seconds=1e9)
    with pytest.raises(ArithmeticError, match="no gradient"):
        train(tmp_path, callback, Failing())
    assert callback.run.steps.tolist() == list(range(8))
    assert not (tmp_path / "run.zip").exists()
    if closing == "by hand":
        callback.close()
    else:
        del callback
        gc.collect()
    assert open_run(tmp_path / "run.zip").steps.tolist() == list(range(8))


def test_what_is_wrong_is_told_before_the_first_step(tmp_path):
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "precious").touch()
    for path, options, error in (("a", {"every": 0}, OptionError), ("taken", {}, StoreExistsError)):
        with pytest.raises(error):
            train(tmp_path, RecorderCallback(tmp_path / path, BATCH, **options), Failing(0))
    with pytest.raises(OptionError, match="probe is None"):
        RecorderCallback(tmp_path / "run", None)
    with pytest.raises(NoRowsYetError, match="not started"):
        _ = RecorderCallback(None, BATCH).run


def test_a_training_goes_on_from_its_checkpoint(tmp_path):
    path, options = tmp_path / "run", {"every": 2, "flush_seconds": 1e9}
    saving = {"save_strategy": "steps", "save_steps": 4}
    with pytest.raises(ArithmeticError):
        train(tmp_path, failed := RecorderCallback(path, BATCH, **options), Failing(), **saving)
    # what belongs to the checkpoint was written with it
    assert open_run(path).steps.tolist() == [0, 2, 4]
    failed.close()
    assert open_run(path).steps.tolist() == [0, 2, 4, 6]
    before = open_run(path).loss.to_numpy()
    checkpoint = str(tmp_path / "trainer" / "checkpoint-4")
    with pytest.raises(StepsError, match=r"starts at step 4, .* up to step 6.*drop_after='checkpoint'"):
        train(tmp_path, RecorderCallback(path, BATCH, **options), resume=checkpoint)
    assert open_run(path).steps.tolist() == [0, 2, 4, 6]
    again = {**options, "overwrite": True, "drop_after": "checkpoint"}
    train(tmp_path, RecorderCallback(path, BATCH, **again), resume=checkpoint)
    run = open_run(path)
    assert run.steps.tolist() == [0, 2, 4, 6, 8, 10, 12]
    # the trainer brings its random states back, and so do we: the steps done twice are the same
    np.testing.assert_array_equal(run.loss[:4], before)
    train(tmp_path, RecorderCallback(path, BATCH, **again), max_steps=2)
    assert open_run(path).steps.tolist() == [0, 2]
