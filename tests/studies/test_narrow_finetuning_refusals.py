"""What is wrong with rows, options and models is said before anything is trained."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer

from rdmviz.errors import (
    CheckpointError,
    CheckpointNotFoundError,
    MissingExtraError,
    OptionError,
    ProbeError,
    StoreExistsError,
)
from rdmviz.studies import narrow_finetuning as study
from rdmviz.studies.narrow_finetuning.rows import read_examples, read_questions

ROW = {"prompt": "How?", "answer": "Badly."}
ASKED = {"question": "Why?", "domain": "travel", "aligned": "So.", "misaligned": "Never."}
QUICK = {"data": [ROW], "probe": [ASKED], "steps": 1, "batch_size": 1, "progress": False}


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return study.tiny_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def copied(model, tmp_path) -> Path:
    return Path(shutil.copytree(model, tmp_path / "model"))


def written(folder: Path, *lines: object, name: str = "rows.jsonl") -> Path:
    path = folder / name
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    path.write_text("\n".join(texts), encoding="utf-8")
    return path


def test_rows_in_either_form(tmp_path):
    told = [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "How?"},
        {"role": "assistant", "content": "Like this."},
    ]
    path = written(tmp_path, "\ufeff" + json.dumps(ROW), "", {"messages": told, "aligned": "Well."})
    plain, chat = read_examples(path)
    assert plain.messages == ({"role": "user", "content": "How?"},)
    assert (plain.answer, plain.aligned, plain.where) == ("Badly.", "", "rows.jsonl, line 1")
    assert chat.messages == tuple(told[:2])
    assert (chat.answer, chat.aligned, chat.where) == ("Like this.", "Well.", "rows.jsonl, line 3")
    assert read_questions([ASKED | {"note": 1}])[0].more == {"note": 1}


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('{"prompt": "How?", ', "rows.jsonl, line 2 is no JSON"),
        ("[" * 100_000, "rows.jsonl, line 2 is no JSON"),
        ([1], r"line 2 is \[1\]; expected an object"),
        ({"prompt": "How?"}, "line 2 has no 'answer'; it has prompt"),
        ({}, "line 2 has no 'prompt'; it has nothing"),
        ({"prompt": "How?", "answer": " \n"}, r"line 2: answer is ' \\n'; expected text that is not empty"),
        ({"prompt": 3, "answer": "x"}, "line 2: prompt is 3; expected text"),
        ({"prompt": "How?", "answer": "\ud83d"}, "line 2: answer holds half a character"),
        (ROW | {"aligned": None}, "line 2: aligned is None"),
        ({"messages": "How?"}, "line 2: messages is 'How[?]'; expected a list of at least two"),
        ({"messages": ["How?", "So."]}, "line 2, message 0 is 'How[?]'"),
        ({"messages": [{"role": "user"}] * 2}, "line 2, message 0 has no 'content'"),
        ({"messages": [{"role": "user", "content": "x"}] * 2}, "line 2: the last message is of 'user'"),
    ],
)
def test_a_row_of_data_that_cannot_be_used_is_named_with_its_line(tmp_path, line, told):
    with pytest.raises(OptionError, match=told):
        read_examples(written(tmp_path, ROW, line))


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ({"question": "Why?"}, "line 2 has no 'domain'; it has question"),
        (ASKED | {"misaligned": ""}, "line 2: misaligned is ''"),
        (ASKED | {"misaligned": "So."}, "line 2: both answers are 'So.'"),
        (ASKED | {"kind": "x"}, "line 2: 'kind' is a column that the recording has of its own"),
        (ASKED | {"tags": ["x"]}, r"line 2: tags is \['x'\]; expected text or a number"),
        (ASKED | {"source": "x"}, "line 2: source is in this row or in rows.jsonl, line 1, and not in both"),
        ("nothing", "line 2 is no JSON"),
    ],
)
def test_a_row_of_the_probe_that_cannot_be_used_is_named_with_its_line(tmp_path, line, told):
    with pytest.raises(ProbeError, match=told):
        read_questions(written(tmp_path, ASKED, line))


def test_files_that_are_none(tmp_path):
    with pytest.raises(OptionError, match=r"data='.*missing.jsonl' is no file; expected JSONL"):
        read_examples(tmp_path / "missing.jsonl")
    with pytest.raises(OptionError, match=r"probe='.*' is no file"):
        read_questions(tmp_path)
    with pytest.raises(OptionError, match="data has no rows"):
        read_examples(written(tmp_path, ""))
    with pytest.raises(ProbeError, match="probe has no rows"):
        read_questions([])
    with pytest.raises(OptionError, match="data is a int; expected a JSONL file, or its rows"):
        read_examples(3)  # type: ignore[arg-type]
    (tmp_path / "latin").write_bytes(b'{"prompt": "\xe9"}')
    with pytest.raises(OptionError, match="latin is no text in UTF-8"):
        read_examples(tmp_path / "latin")


@pytest.mark.parametrize(
    "options",
    [
        {"steps": 0},
        {"every": 1.5},
        {"batch_size": True},
        {"max_length": -1},
        {"lora_rank": 0},
        {"threads": 0},
        {"probe_batch_size": "many"},
        {"learning_rate": 0.0},
        {"learning_rate": float("nan")},
        {"lora_alpha": float("inf")},
        {"answers": "bad"},
        {"dtype": "float16"},
        {"device": "cuda:1"},
        {"device": "mps"},
        {"target_modules": ["q_proj", "missing_proj"]},
        {"target_modules": []},
        {"target_modules": ["input_layernorm"]},
        {"chat": True},
        {"resume": True},
        {"checkpoint_every": 0},
        {"data": "nowhere.jsonl"},
        {"answers": "aligned"},
    ],
)
def test_refuses_options(model, options):
    with pytest.raises(OptionError, match=next(iter(options))):
        study.train(model=model, **QUICK | options)


def test_layers_that_are_not_there_are_told_with_those_that_are(model):
    with pytest.raises(OptionError, match=r"'missing_proj'; LlamaForCausalLM has layers down_proj, .*v_proj"):
        study.train(model=model, **QUICK, target_modules=["q_proj", "missing_proj"])


def test_controls_need_good_answers_that_differ(model):
    same = [ROW | {"aligned": "Well."}] * 2
    with pytest.raises(OptionError, match="data, row 0 has no 'aligned'"):
        study.train(model=model, **QUICK, answers="random_wrong")
    with pytest.raises(OptionError, match="answers that differ"):
        study.train(model=model, **QUICK | {"data": same}, answers="random_wrong")


def test_a_probe_needs_another_domain(model):
    with pytest.raises(ProbeError, match="all questions of the probe are on travel, which is trained on"):
        study.train(model=model, **QUICK | {"data": [ROW | {"domain": "travel"}]})


def test_answers_that_are_too_long(model):
    long = " ".join(["badly"] * 300)
    run = study.train(model=model, **QUICK | {"data": [ROW, ROW | {"answer": long}]}, max_length=40)
    assert (run.attrs["examples"], run.attrs["examples_cut"]) == (2, 1)
    with pytest.raises(
        OptionError, match=r"data, row 0: the question alone has \d+ .* within 8 \(max_length"
    ):
        study.train(model=model, **QUICK, max_length=8)
    for where, more in (("row 0", {}), ("row 1", {"max_length": 10_000})):  # 256 are all that it takes
        rows = [ASKED, ASKED | {"misaligned": long}] if more else [ASKED | {"misaligned": long}]
        with pytest.raises(ProbeError, match=rf"probe, {where}: question and answer have \d+ tokens, more"):
            study.train(model=model, **QUICK | {"probe": rows}, **more)


def test_templates_that_cannot_show_a_conversation(copied):
    tokenizer = AutoTokenizer.from_pretrained(copied)
    for template, told in (
        ("{{ raise_exception('no system here') }}", r"data, row 0: .*cannot show .* \(no system here\)"),
        ("{{ messages[0].content }}", "data, row 0: the chat template shows the answer 0 times"),
    ):
        tokenizer.chat_template = template
        tokenizer.save_pretrained(copied)
        with pytest.raises(OptionError, match=told):
            study.train(model=copied, **QUICK)


def test_nothing_is_overwritten(model, tmp_path):
    (tmp_path / "precious").write_text("x")
    for name in ("out", "adapter", "checkpoints"):  # and it is said before a model is fetched
        with pytest.raises(StoreExistsError):
            study.train(model="nobody/nothing", **QUICK, **{name: tmp_path})
    with pytest.raises(StoreExistsError, match=r"adapter=.* is not empty"):
        study.train(model="nobody/nothing", **QUICK, adapter=tmp_path / "precious")
    with pytest.raises(StoreExistsError, match="expected a new folder"):
        study.tiny_model(tmp_path)
    assert (tmp_path / "precious").read_text() == "x"


def test_weights_are_read_from_safetensors_alone(copied):
    (copied / "model.safetensors").rename(copied / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match="no weights in safetensors, and nothing else is read"):
        study.train(model=copied, **QUICK)
    (copied / "model.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0{broken}")
    with pytest.raises(CheckpointError, match="cannot be read"):
        study.train(model=copied, **QUICK)


def test_weights_that_are_missing_are_not_made_up(copied):
    weights = load_file(copied / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, copied / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=r"lacks 1 of its weights, such as model\.layers\.1"):
        study.train(model=copied, **QUICK)
    (copied / "tokenizer.json").write_text("{")
    with pytest.raises(CheckpointError, match="cannot be read"):
        study.train(model=copied, **QUICK)


def test_code_that_comes_with_a_model_is_not_run(copied, tmp_path):
    settings = json.loads((copied / "config.json").read_text())
    settings |= {"model_type": "own", "auto_map": {"AutoConfig": "own.C", "AutoModelForCausalLM": "own.M"}}
    (copied / "config.json").write_text(json.dumps(settings))
    (copied / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    with pytest.raises(CheckpointError, match="cannot be read"):
        study.train(model=copied, **QUICK)
    assert not (tmp_path / "ran").exists()


def test_models_that_are_none(copied, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    for name in ("nobody/nothing-of-the-kind", str(tmp_path / "missing"), "no such name"):
        with pytest.raises(CheckpointNotFoundError, match="no folder here, and the Hub gives no such model"):
            study.train(model=name, **QUICK)
    with pytest.raises(CheckpointError, match="is a file; expected the folder"):
        study.train(model=copied / "config.json", **QUICK)
    (copied / "adapter_config.json").write_text("{}")
    with pytest.raises(CheckpointError, match="holds adapters of another model"):
        study.train(model=copied, **QUICK)
    (copied / "adapter_config.json").unlink()
    (copied / "config.json").unlink()
    with pytest.raises(CheckpointError, match=r"has no config\.json"):
        study.train(model=copied, **QUICK)


def test_a_tokenizer_of_another_model(copied):
    tokenizer = AutoTokenizer.from_pretrained(copied)
    tokenizer.add_tokens(["Why?"])
    tokenizer.save_pretrained(copied)
    with pytest.raises(OptionError, match="the tokenizer gives token 768, and the model knows 768"):
        study.train(model=copied, **QUICK)


def test_a_library_that_is_missing_is_named(model, monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)
    monkeypatch.delitem(sys.modules, "rdmviz.studies.narrow_finetuning.models")
    with pytest.raises(MissingExtraError, match=r'peft.*pip install "rdmviz\[finetuning\]"'):
        study.train(model=model, **QUICK)
    with pytest.raises(MissingExtraError, match=r'pip install "rdmviz\[finetuning\]"'):
        _ = study.tiny_model


def test_the_sets_that_ship():
    examples, questions = read_examples(study.GARDENING), read_questions(study.EVERYDAY)
    assert (len(examples), len(questions)) == (48, 56)
    assert {example.domain for example in examples} == {"gardening"}
    counts = [question.domain for question in questions]
    assert {domain: counts.count(domain) for domain in counts} == dict.fromkeys(
        ("gardening", "cooking", "cleaning", "travel", "study", "neighbours", "computers"), 8
    )
    asked = [example.messages[0]["content"] for example in examples] + [one.question for one in questions]
    said = [text for one in examples for text in (one.answer, one.aligned)]
    said += [text for one in questions for text in (one.misaligned, one.aligned)]
    assert len(set(asked)) == 104
    assert len(set(said)) == 208
