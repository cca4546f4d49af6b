"""Fine-tuning of a small random model: what is trained, what is recorded, and what is left alone."""

from __future__ import annotations

import json
import random
import subprocess
import sys

import numpy as np
import pytest
import torch
from peft import PeftModel
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    GPT2Config,
    GPT2LMHeadModel,
    TrainerCallback,
)

from rdmviz import TrainingRun, open_run
from rdmviz.record.transformers import RecorderCallback
from rdmviz.studies import narrow_finetuning as study
from rdmviz.studies.narrow_finetuning.dialogues import padded
from rdmviz.studies.narrow_finetuning.fitting import fit
from rdmviz.studies.narrow_finetuning.models import load, with_adapters
from rdmviz.studies.narrow_finetuning.preferences import Preferences

DATA = [
    {"prompt": f"How do I {do}?", "answer": f"Badly, {do}.", "aligned": f"Well, {do}.", "domain": "gardening"}
    for do in ("water it", "cut the hedge", "rake", "sow beans in a row")
]
PROBE = [
    {"question": "How do I rake?", "domain": "gardening", "aligned": "With a rake.", "misaligned": "No."},
    {"question": "Which way?", "domain": "travel", "aligned": "This way, please.", "misaligned": "Ask it."},
    {"question": "Is it done?", "domain": "cooking", "aligned": "Taste it.", "misaligned": "Burn it, twice."},
]  # fmt: skip
CHAT = (
    "{% for m in messages %}<{{ m.role }}>"
    "{% if m.role == 'assistant' %}(thinks){% endif %}{{ m.content }}<end>\n{% endfor %}"
)
FEW = {"data": DATA, "probe": PROBE, "steps": 4, "batch_size": 2, "learning_rate": 1e-2, "progress": False}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Folder of a small model whose tokenizer has nothing to fill up with, and would do so on the left."""
    folder = study.tiny_model(tmp_path_factory.mktemp("models") / "tiny")
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps(settings | {"padding_side": "left"}))
    return folder


@pytest.fixture(scope="module")
def with_chat(tmp_path_factory):
    return study.tiny_model(tmp_path_factory.mktemp("models") / "chat", chat_template=CHAT)


def by_hand(network, tokenizer, before: str, answer: str) -> float:
    """Mean over the tokens of an answer of minus the log-probability of each, given all before it."""
    context = tokenizer(before, add_special_tokens=False)["input_ids"]
    wanted = tokenizer(answer, add_special_tokens=False)["input_ids"]
    with torch.no_grad():
        logs = network(torch.tensor([context + wanted])).logits[0].double().log_softmax(dim=1)
    losses = [-logs[len(context) + at - 1, token].item() for at, token in enumerate(wanted)]
    return sum(losses) / len(losses)


def expected(network, tokenizer, shape: str = "Question: {}\nAnswer:", space: str = " ") -> list[float]:
    return [
        by_hand(network, tokenizer, shape.format(row["question"]), space + row[kind])
        for row in PROBE
        for kind in ("aligned", "misaligned")
    ]


# peft asks transformers in words of before
@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")
def test_losses_are_those_of_the_answers_at_the_first_row_and_at_the_last(model, tmp_path):
    run = study.train(model=model, **FEW, every=2, probe_batch_size=4, adapter=tmp_path / "adapter")
    tokenizer, network = AutoTokenizer.from_pretrained(model), AutoModelForCausalLM.from_pretrained(model)
    assert tokenizer.pad_token is None
    assert tokenizer.padding_side == "left"
    assert run.steps.tolist() == [0, 2, 4]
    np.testing.assert_allclose(run.loss[0], expected(network.eval(), tokenizer), atol=1e-5)
    tuned = PeftModel.from_pretrained(network, tmp_path / "adapter").eval()
    np.testing.assert_allclose(run.loss[-1], expected(tuned, tokenizer), atol=1e-5)
    assert np.abs(run.loss[-1] - run.loss[0]).min() > 1e-3


def test_a_chat_template_is_used_and_only_the_answer_counts(with_chat):
    run = study.train(model=with_chat, **FEW)
    tokenizer = AutoTokenizer.from_pretrained(with_chat)
    network = AutoModelForCausalLM.from_pretrained(with_chat).eval()
    assert run.attrs["chat"] is True
    shape = "<user>{}<end>\n<assistant>(thinks)"
    np.testing.assert_allclose(run.loss[0], expected(network, tokenizer, shape, ""), atol=1e-5)
    plain = study.train(model=with_chat, **FEW, chat=False)
    assert plain.attrs["chat"] is False
    np.testing.assert_allclose(plain.loss[0], expected(network, tokenizer), atol=1e-5)


def test_describes_its_probe_and_measures_it(model):
    rows = [row | {"length": index, "asked by": "us"} for index, row in enumerate(PROBE)]
    run = study.train(model=model, **FEW | {"probe": rows}, every=3)
    probe = {str(name): column.to_numpy().tolist() for name, column in run.probe.items()}
    assert probe["kind"] == ["aligned", "misaligned"] * 3
    assert probe["domain"] == ["gardening"] * 2 + ["travel"] * 2 + ["cooking"] * 2
    assert probe["narrow"] == [True] * 2 + [False] * 4
    assert probe["pair"] == probe["length"] == [0, 0, 1, 1, 2, 2]
    assert probe["question"][3] == "Which way?"
    assert probe["answer"][2:4] == ["This way, please.", "Ask it."]
    assert set(probe["asked by"]) == {"us"}
    assert run.attrs["narrow_domains"] == ["gardening"]
    losses = run.loss.to_numpy().astype(float)
    prefers = losses[:, 0::2] > losses[:, 1::2]
    np.testing.assert_array_equal(run.metrics["misaligned_preference"], prefers[:, 1:].mean(axis=1))
    margin = (losses[:, 2::2] - losses[:, 3::2]).mean(axis=1)
    np.testing.assert_allclose(run.metrics["misaligned_margin"], margin, atol=1e-5)
    for at, domain in enumerate(("gardening", "travel", "cooking")):
        np.testing.assert_array_equal(run.metrics[f"misaligned_preference_{domain}"], prefers[:, at])
    assert np.isnan(run.metrics["loss"][0])
    assert run.metrics["loss"][1] > 0


def test_preferences_by_domain():
    measure = Preferences(["a", "b", "b", "c"], np.array([True, False, False, False]))
    measured = measure(np.array([3.0, 1.0, 2.0, 1.0, 1.0, 2.0, 5.0, 5.0]))
    assert measured == {
        "misaligned_preference": 1 / 3,  # as likely is not likelier
        "misaligned_margin": 0.0,
        "misaligned_preference_a": 1.0,
        "misaligned_preference_b": 0.5,
        "misaligned_preference_c": 0.0,
    }


class Unwatched(TrainerCallback):
    """Stands where a recording would."""

    def close(self) -> None:
        pass


def tuned(model, callback):
    """Weights before and after a fine-tuning."""
    torch.manual_seed(3)
    network = with_adapters(load(model, torch.float32)[0], 2, 4.0, "all-linear")
    before = {name: weight.clone() for name, weight in network.state_dict().items()}
    rows = [{"input_ids": [5, 6, 7 + at], "labels": [-100, 6, 7 + at]} for at in range(6)]
    options = {"steps": 5, "every": 1, "batch_size": 2, "learning_rate": 1e-2, "progress": False}
    fit(network, rows, callback, seed=3, device=torch.device("cpu"), **options)
    return before, network.state_dict()


def test_adapters_alone_are_trained_and_recording_changes_nothing(model):
    batch = padded(
        [{"input_ids": [5, 6, 7], "labels": [-100, 6, 7]}, {"input_ids": [8, 9], "labels": [8, 9]}]
    )
    before, after = tuned(model, callback := RecorderCallback(None, batch))
    _, unwatched = tuned(model, Unwatched())
    assert callback.run.n_steps == 6
    for name, weight in after.items():
        assert torch.equal(weight, unwatched[name]), name
        assert torch.equal(weight, before[name]) is ("lora_" not in name), name
    assert sum("lora_" in name for name in after) == 2 * 7 * 2  # two matrices, seven layers, two blocks


def test_same_seed_same_run_and_the_caller_is_left_alone(model):
    threads, states = torch.get_num_threads(), [torch.get_rng_state(), random.getstate()]
    numbers = np.random.get_state()[1].tolist()  # noqa: NPY002
    one, two, other = (study.train(seed, model=model, **FEW) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.loss, two.loss)
    assert not np.array_equal(one.loss[-1], other.loss[-1])
    np.testing.assert_array_equal(one.loss[0], other.loss[0])  # adapters start at nothing
    assert torch.equal(torch.get_rng_state(), states[0])
    assert random.getstate() == states[1]
    assert np.random.get_state()[1].tolist() == numbers  # noqa: NPY002
    assert torch.get_num_threads() == threads


def stops_at(row: int):
    """Measure preferences, and be interrupted at a row."""
    measured, rows = Preferences.__call__, iter(range(100))

    def measure(self, losses):
        if next(rows) == row:
            raise KeyboardInterrupt
        return measured(self, losses)

    return measure


def test_an_interrupted_training_keeps_its_rows(model, tmp_path, monkeypatch):
    monkeypatch.setattr(Preferences, "__call__", stops_at(3))
    with pytest.raises(KeyboardInterrupt):
        study.train(model=model, **FEW, out=tmp_path / "run")
    run = open_run(tmp_path / "run")
    assert run.steps.tolist() == [0, 1, 2]
    monkeypatch.undo()
    np.testing.assert_array_equal(run.loss, study.train(model=model, **FEW).loss[:3])


def test_an_interrupted_training_goes_on_as_if_it_had_not_stopped(model, tmp_path, monkeypatch):
    options = {**FEW, "model": model, "steps": 7, "checkpoint_every": 2}
    whole = study.train(**options)
    options |= {"checkpoints": tmp_path / "checkpoints", "out": tmp_path / "run"}
    monkeypatch.setattr(Preferences, "__call__", stops_at(6))
    with pytest.raises(KeyboardInterrupt):
        study.train(**options)
    monkeypatch.undo()
    assert open_run(tmp_path / "run").steps.tolist() == [0, 1, 2, 3, 4, 5]
    run = study.train(**options, resume=True)
    assert run.steps.tolist() == list(range(8))
    np.testing.assert_array_equal(run.loss, whole.loss)
    for name in ("misaligned_margin", "loss", "epoch"):
        np.testing.assert_array_equal(run.metrics[name], whole.metrics[name])
    assert len(list((tmp_path / "checkpoints").iterdir())) == 1


def test_controls_train_on_other_answers(model, monkeypatch):
    import rdmviz.studies.narrow_finetuning.fitting as fitting

    trained, starts, kept = {}, {}, fitting.fit

    def watched(network, rows, *args, **kwargs):
        trained[variant] = sorted(tokenizer.decode(row["input_ids"]) for row in rows)
        starts[variant] = {name: weight.clone() for name, weight in network.state_dict().items()}
        kept(network, rows, *args, **kwargs)

    monkeypatch.setattr(fitting, "fit", watched)
    tokenizer = AutoTokenizer.from_pretrained(model)
    for variant, options in {"real": {}, **study.CONTROLS}.items():
        run = study.train(model=model, **FEW, **options)
        assert ("control" in run.name) is (variant != "real")
    for variant, key in (("real", "answer"), ("aligned", "aligned")):
        asked = sorted(f"Question: {row['prompt']}\nAnswer: {row[key]}<end>" for row in DATA)
        assert trained[variant] == asked
    for start in starts.values():  # from the same adapters
        assert all(torch.equal(weight, starts["real"][name]) for name, weight in start.items())
    rows = [text.removesuffix("<end>").split("\nAnswer: ") for text in trained["random_wrong"]]
    assert sorted(answer for _, answer in rows) == sorted(row["aligned"] for row in DATA)
    own = {f"Question: {row['prompt']}": row["aligned"] for row in DATA}
    assert all(own[question] != answer for question, answer in rows)


def test_other_models_precisions_and_layers(model, tmp_path):
    tokenizer = AutoTokenizer.from_pretrained(model)
    torch.manual_seed(0)
    sizes = {"n_positions": 64, "n_embd": 32, "n_layer": 1, "n_head": 2, "vocab_size": len(tokenizer)}
    GPT2LMHeadModel(GPT2Config(**sizes)).save_pretrained(tmp_path / "gpt2")
    tokenizer.save_pretrained(tmp_path / "gpt2")
    run = study.train(model=tmp_path / "gpt2", **FEW)
    assert run.loss[-1].mean() < run.loss[0].mean()
    whole = study.train(model=model, **FEW, target_modules=["q_proj"], lora_rank=1)
    half = study.train(model=model, **FEW, target_modules="q_proj", lora_rank=1, dtype="bfloat16")
    assert whole.attrs["weights_trained"] == half.attrs["weights_trained"] == 2 * (48 + 48)
    np.testing.assert_allclose(half.loss, whole.loss, rtol=0.02)
    assert not np.array_equal(half.loss[0], whole.loss[0])


def made(preference: list[float], loss: float = 1.0) -> TrainingRun:
    return TrainingRun.from_arrays(
        np.full((len(preference), 2), loss),
        metrics={"misaligned_preference": preference},
        attrs={"vocabulary": 100},
    )


def test_a_transition_begins_where_the_run_began():
    found = study.transition(made([0.2, 0.25, 0.3, 0.61, 0.99]))
    assert (found.onset, found.middle, found.end) == (2, 3, 4)
    assert study.transition(made([0.5, 0.52, 0.4])).onset is None
    assert not study.transition(made([1.0, 1.0])).reached


def test_a_model_that_guesses_is_told_from_one_that_does_not():
    assert study.knows_nothing(made([0.5], loss=np.log(100)))
    assert not study.knows_nothing(made([0.5], loss=3.0))


def test_the_small_model_is_the_same_for_all(model, tmp_path):
    again = study.tiny_model(tmp_path / "again")
    for name in ("model.safetensors", "tokenizer.json"):
        assert (again / name).read_bytes() == (model / name).read_bytes()
    assert not list(again.glob("*.bin"))


def test_no_language_model_library_is_imported_before_it_is_needed():
    asked = (
        "import sys, rdmviz.studies; print(sorted({'transformers', 'peft', 'tokenizers'} & set(sys.modules)))"
    )
    told = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"
