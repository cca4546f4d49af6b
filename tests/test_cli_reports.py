"""``rdmviz info``, ``check`` and ``import``: plain words in eighty columns, and nothing that a terminal "
"obeys."""

from __future__ import annotations

import io
import json
import os
import pty
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rdmviz import TrainingRun, open_run
from rdmviz.cli import main
from rdmviz.cli.screen import age, columns, cut, field, paint, printable, size, wrapped

EVIL = "\x1b[2J\x1b]0;title\x07\r\n\u202egood\x9b31m\u2028\x7f"


def a_run(**more: object) -> TrainingRun:
    loss = np.random.default_rng(0).normal(size=(70, 4)).astype(np.float32)
    facts = {"probe": {"word": ["cat", "dog", "eel", "fox"]}, "metrics": {"acc": np.linspace(0, 1, 70)}}
    return TrainingRun.from_arrays(loss, np.arange(70) * 5, **{"name": "toy", **facts, **more})


def evil_run() -> TrainingRun:
    return a_run(
        name=EVIL,
        probe={EVIL: [EVIL, "b" * 500, "語" * 200, "e\u0301" * 60], "number": [1.0, np.nan, 2, 3]},
        metrics={EVIL + "m": np.full(70, np.nan), "語" * 40: np.arange(70.0)},
        snapshot_steps=[0],
        weights={EVIL: np.zeros((1, 2, 2))},
        attrs={EVIL: EVIL, "nested": {"a": [EVIL] * 50, "lr": np.nan}},
    )


def harmless(text: str) -> bool:
    return all(letter.isprintable() or letter == "\n" for letter in text)


def test_info_says_what_is_in_a_run(tmp_path, capsys):
    layers = {"fc1.weight": np.zeros((2, 3, 3)), "fc2.weight": np.zeros((2, 3, 3))}
    a_run(attrs={"seed": 3}, snapshot_steps=[0, 100], weights=layers).save(tmp_path / "run")
    assert main(["info", str(tmp_path / "run")]) == 0
    said = capsys.readouterr().out
    for words in (
        "toy  (store)",
        "rows        70, of steps 0 to 345, 5 apart",
        "datapoints  4",
        "float32, mean ",
        "about 266 kB for the Gram",
        "it may still be recorded",
        "word        category, 4 different: cat, dog, eel, fox\n",
        "acc         0 to 1, 1 at the end",
        "seed        3",
        "steps       2, from 0 to 100",
        "weights     2 layers: fc1.weight, fc2.weight",
    ):
        assert words in said
    for file in (tmp_path / "run").rglob("*"):
        os.utime(file, (0, 0))
    assert main(["info", str(tmp_path / "run")]) == 0
    said = capsys.readouterr().out
    assert "days ago\n" in said
    assert "still" not in said


def test_info_lists_snapshots(tmp_path, capsys):
    layers = {"fc.weight": np.ones((3, 2, 2)), EVIL: np.ones((3, 2))}
    run = TrainingRun.from_arrays(np.ones((70, 4)), snapshot_steps=[0, 50, 1000], weights=layers)
    run.save(tmp_path / "run")
    assert main(["info", str(tmp_path / "run")]) == 0
    said = capsys.readouterr().out
    assert "steps       3, from 0 to 1,000" in said
    assert "weights     2 layers: fc.weight, " in said
    assert harmless(said)


def test_info_as_json_is_json(tmp_path, capsys):
    evil_run().save(tmp_path / "run")
    assert main(["info", str(tmp_path / "run"), "--json"]) == 0
    said = capsys.readouterr().out
    found = json.loads(said, parse_constant=lambda name: pytest.fail(name))
    assert found["name"] == EVIL
    assert found["metrics"][0]["last"] is None
    assert found["attrs"]["nested"]["lr"] is None
    assert "\x1b" not in said
    assert "\x9b" not in said


@pytest.mark.parametrize("command", ["info", "check"])
def test_nothing_of_a_run_reaches_the_terminal_as_more_than_text(tmp_path, capsys, command):
    path = evil_run().save(tmp_path / f"run{EVIL.replace('/', '')}")
    assert main([command, str(path)]) == 0
    said = capsys.readouterr().out
    assert harmless(said)
    assert "\\x1b[2J" in said
    assert all(columns(line) <= 80 for line in said.splitlines())


def test_errors_do_not_reach_it_either(tmp_path, capsys):
    assert main(["info", str(tmp_path / EVIL)]) == 2
    (tmp_path / "t.csv").write_text(f'step,sample,loss\n0,"{EVIL}",1\n0,"{EVIL}",1\n', newline="")
    assert main(["info", str(tmp_path / "t.csv")]) == 2
    assert main(["check", str(tmp_path / "t.csv")]) == 1
    assert main(["import", str(tmp_path / "t.csv"), "--out", str(tmp_path / "run")]) == 2
    said = capsys.readouterr()
    assert harmless(said.out + said.err)
    assert "2 losses for sample" in said.out
    assert not (tmp_path / "run").exists()


def test_check_exits_with_what_it_found(tmp_path, capsys):
    path = Path(a_run().save(tmp_path / "run"))
    assert main(["check", str(path)]) == 0
    said = capsys.readouterr()
    assert said.out.endswith("metric.\n\nThe run is whole.\n")
    assert said.err == ""
    (path / "loss" / "c" / "0" / "0").unlink()
    (path / "notes.txt").touch()
    assert main(["check", str(path)]) == 1
    said = capsys.readouterr().out
    assert "  wrong  70 rows (steps 0 to 345) cannot be read:" in said
    assert "  note   1 file in the folder is not of the run: 'notes.txt'" in said
    assert said.endswith("1 thing is wrong.\n")
    assert main(["check", str(path), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["whole"], len(found["wrong"]), found["contents"]["rows"]) == (False, 1, 70)
    assert main(["info", str(path)]) == 0
    assert "mean unknown in the first row and unknown in the last;" in capsys.readouterr().out
    assert main(["check", str(tmp_path / "nowhere")]) == 2
    assert "there is no run at" in capsys.readouterr().err


def test_import_makes_a_store_of_what_others_have_logged(tmp_path, capsys):
    frame = pd.DataFrame(
        [(s, name, s + i, i * s) for s in (0, 1, 4) for i, name in enumerate("abc")],
        columns=["update", "phrase", "nll", "prediction"],
    )
    frame.drop(index=4).to_parquet(tmp_path / "table.parquet")
    out = str(tmp_path / "it's a run")
    told = ["import", str(tmp_path / "table.parquet"), "--out", out, "--step", "update", "--sample", "phrase"]
    told += ["--loss", "nll"]
    assert main(told) == 2
    assert "step 1 has 0 losses for sample 'b'" in capsys.readouterr().err
    told += ["--incomplete", "drop_samples"]
    assert main(told) == 2
    assert "column 'prediction' changes" in capsys.readouterr().err
    told += ["--drop", "prediction"]
    assert main(told) == 0
    said = capsys.readouterr().out
    assert "Wrote 3 rows of 2 datapoints" in said
    assert "Left out 1 sample that was not whole" in said
    run = eval(
        said.splitlines()[-1].removeprefix("Open it with: rdmviz.explore(")[:-1],
        {"rdmviz": sys.modules["rdmviz"]},
    )
    assert run.probe["label"].to_numpy().tolist() == ["a", "c"]
    assert main(told) == 2  # nothing is overwritten
    assert "exists already" in capsys.readouterr().err
    assert open_run(out).n_steps == 3


def in_a_terminal(*arguments: str, **environment: str) -> str:
    leader, follower = pty.openpty()
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "TERM": "xterm", **environment}
    with subprocess.Popen(
        [sys.executable, "-m", "rdmviz.cli", *arguments], stdout=follower, stderr=follower, env=environment
    ) as process:
        os.close(follower)
        said = b""
        while True:
            try:
                piece = os.read(leader, 4096)
            except OSError:  # the other end is closed
                break
            if not piece:
                break
            said += piece
        assert process.wait() == 0
    os.close(leader)
    return said.decode()


def test_colours_are_for_terminals(tmp_path, monkeypatch):
    path = str(a_run(name="語").save(tmp_path / "run"))
    monkeypatch.delenv("NO_COLOR", raising=False)
    said = in_a_terminal("info", path, PYTHONIOENCODING="ascii")
    assert "\x1b[1m\\u8a9e\x1b[0m" in said  # bold, in a terminal that does not know the letter


def test_colours_can_be_refused(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert paint("a", "red", Terminal()) == "\x1b[31ma\x1b[0m"
    assert paint("a", "red", io.StringIO()) == "a"
    monkeypatch.setenv("NO_COLOR", "")
    assert paint("a", "red", Terminal()) == "a"


ODD = [
    None,
    True,
    -1,
    0,
    2,
    71,
    2**31,
    2**63,
    10**30,
    1e308,
    np.nan,
    "",
    EVIL,
    [],
    [1],
    {},
    {"name": EVIL},
    "../x",
]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32))
def test_headers_of_any_values_are_reported(tmp_path_factory, capsys, seed):
    rng = random.Random(seed)
    path = Path(a_run(attrs={"seed": 3}).save(tmp_path_factory.mktemp("odd") / "run"))
    header = rng.choice(sorted(path.rglob("zarr.json")))
    found = place = json.loads(header.read_text())
    while place:  # somewhere down in it
        key = rng.choice([*place] if isinstance(place, dict) else range(len(place)))
        if not isinstance(place[key], dict | list) or rng.random() < 0.2:
            place[key] = rng.choice(ODD)
            break
        place = place[key]
    header.write_text(json.dumps(found))
    for command in (["check"], ["info"], ["check", "--json"], ["info", "--json"]):
        assert main([*command, str(path)]) in (0, 1, 2)
    assert "\x1b" not in "".join(capsys.readouterr())


@given(text=st.text(st.characters(), max_size=60), width=st.integers(4, 30))
def test_texts_fit(text, width):
    shown = printable(text)
    assert harmless(shown)
    assert "\n" not in shown
    assert columns(cut(shown, width)) <= width
    lines = list(wrapped(shown, width))
    assert all(columns(line) <= width for line in lines)
    assert "".join(lines).replace(" ", "") == "".join(shown.split())
    assert all(columns(line) <= 80 for line in field(text, text).splitlines())


def test_sizes_and_ages_are_read_at_a_glance():
    assert [size(n) for n in (0, 999, 1000, 12_345, 999_999, 2.5e9, 3e15)] == [
        "0 bytes",
        "999 bytes",
        "1 kB",
        "12 kB",
        "1,000 kB",
        "2.5 GB",
        "3,000 TB",
    ]
    assert [age(s) for s in (0, 1.9, 59, 60, 7200, 200_000)] == [
        "0 seconds",
        "1 second",
        "59 seconds",
        "1 minute",
        "2 hours",
        "2 days",
    ]
