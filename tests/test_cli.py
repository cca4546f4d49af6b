"""The command line: one clear line on bad input, a recorded run on good."""

from __future__ import annotations

import pytest

from rdmviz.cli import main


def test_version(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out.startswith("rdmviz ")


def test_an_unknown_study_is_refused_with_the_choices(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["record", "groking", "--out", "x"])
    assert stop.value.code == 2
    assert "grokking" in capsys.readouterr().err


def test_nothing_is_overwritten(tmp_path, capsys):
    (tmp_path / "run.rdmviz").mkdir()
    (tmp_path / "run.rdmviz" / "precious").write_text("x")
    assert main(["record", "linear_network", "--out", str(tmp_path / "run.rdmviz")]) == 2
    assert "run.rdmviz" in capsys.readouterr().err
    assert (tmp_path / "run.rdmviz" / "precious").read_text() == "x"
