"""The guide to narrow fine-tuning says what is so."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

from rdmviz.cli import _parser
from rdmviz.studies.narrow_finetuning.rows import read_examples, read_questions

GUIDE = (Path(__file__).parents[2] / "docs" / "finetuning.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", GUIDE, re.DOTALL)


def test_its_code_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for block in blocks("python"):
        exec(block, names)
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("Preference for misaligned answers outside the narrow domain: ")
    assert re.fullmatch(r"-?0\.\d\d [+-]0\.\d{3} nats per token", second), "a random model tells nothing"


def test_its_commands_are_commands():
    lines = "".join(blocks("bash")).replace("\\\n", " ").splitlines()
    commands = [shlex.split(line)[1:] for line in lines if line.startswith("rdmviz ")]
    assert len(commands) == 3
    for command in commands:
        assert _parser().parse_args(command).run


def test_its_rows_are_rows():
    data, probe = ([json.loads(line) for line in block.splitlines()] for block in blocks("json"))
    assert [example.domain for example in read_examples(data)] == ["gardening", "gardening"]
    assert read_questions(probe)[0].more == {"source": "me"}
