"""``rdmviz finetune``: one command from a model to a run."""

from __future__ import annotations

import json

import pytest

from rdmviz import open_run
from rdmviz.cli import main
from rdmviz.studies.narrow_finetuning.preferences import Preferences

QUICK = ["--steps", "4", "--every", "2", "--batch-size", "2", "--learning-rate", "1e-2"]


def test_from_nothing_to_a_run(tmp_path, capsys):
    model, out = str(tmp_path / "model"), str(tmp_path / "run")
    more = ["--adapter", str(tmp_path / "adapter"), "--target-modules", "q_proj", "v_proj"]
    assert main(["finetune", "--model", model, "--tiny", "--out", out, *QUICK, *more]) == 0
    told = capsys.readouterr().out
    assert "Recorded 3 rows of 112 answers" in told
    assert "weights on 48 examples" in told
    assert "nothing of emergent misalignment" in told
    assert "began" not in told  # what is chance is not told as a transition
    run = open_run(out)
    assert run.steps.tolist() == [0, 2, 4]
    assert run.attrs["target_modules"] == ["q_proj", "v_proj"]
    assert (tmp_path / "adapter" / "adapter_model.safetensors").exists()
    assert main(["finetune", "--model", model, "--out", out, *QUICK]) == 2
    assert "run" in capsys.readouterr().err
    assert (
        main(["finetune", "--model", model, "--out", out, "--overwrite", "--control", "aligned", *QUICK]) == 0
    )
    assert open_run(out).name == "narrow fine-tuning control: aligned"


def test_own_rows_and_what_is_wrong_with_them(tmp_path, capsys):
    model, out = str(tmp_path / "model"), str(tmp_path / "run")
    data, probe = tmp_path / "data.jsonl", tmp_path / "probe.jsonl"
    data.write_text(json.dumps({"prompt": "How?", "answer": "Badly."}))
    row = {"question": "Why?", "domain": "travel", "aligned": "So.", "misaligned": "Never."}
    probe.write_text(json.dumps(row) + "\n" + '{"question": "Why')
    options = ["--data", str(data), "--probe", str(probe), *QUICK]
    assert main(["finetune", "--model", model, "--tiny", "--out", out, *options]) == 2
    assert "rdmviz: probe.jsonl, line 2 is no JSON" in capsys.readouterr().err
    probe.write_text(json.dumps(row))
    assert main(["finetune", "--model", model, "--out", out, *options]) == 0
    assert open_run(out).n_samples == 2


def test_an_interruption_says_where_the_rows_are(tmp_path, capsys, monkeypatch):
    def interrupted(self, losses):
        raise KeyboardInterrupt

    monkeypatch.setattr(Preferences, "__call__", interrupted)
    out = str(tmp_path / "run")
    assert main(["finetune", "--model", str(tmp_path / "model"), "--tiny", "--out", out, *QUICK]) == 130
    assert "interrupted; what was recorded by then, if anything, is in" in capsys.readouterr().err


def test_options_are_those_of_the_study(capsys):
    with pytest.raises(SystemExit):
        main(["finetune", "--help"])
    told = " ".join(capsys.readouterr().out.split())
    for said in ("(default 200)", "(default 1e-4)", "(default 512)", "(default 16)", "(default 8)"):
        assert said in told
