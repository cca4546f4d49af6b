"""The command line: one clear line on bad input, a recorded run on good."""

from __future__ import annotations

import socket

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


def test_a_port_that_cannot_be_used_is_named(capsys):
    assert main(["demo", "--no-browser", "--port", "99999"]) == 2
    assert "expected 1 to 65535" in capsys.readouterr().err
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(["demo", "--no-browser", "--port", str(port)]) == 2
    assert f"port {port} cannot be used" in capsys.readouterr().err
