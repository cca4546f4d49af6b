"""The keep bar through the null frontend: what a button asks for, and what it is answered."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

import rdmviz
from rdmviz.widgets import ExplorerState, KeepBar


@pytest.fixture
def bar(monkeypatch):
    loss = 1 + np.random.default_rng(0).random((300, 12))
    run = rdmviz.TrainingRun.from_arrays(loss, steps=np.arange(300) * 4, name="a/run: 1?")
    bar = KeepBar(ExplorerState(run))
    bar.sent = []
    monkeypatch.setattr(bar, "send", lambda content, buffers: bar.sent.append((content, buffers)))
    yield bar
    bar.close()


def ask(bar, **content):
    bar._handle_custom_msg({"row": 200, "id": 7, **content}, [])
    (answer,) = bar.sent
    bar.sent.clear()
    return answer


def test_a_bookmark_is_of_the_row_on_the_persons_screen(bar):
    assert ask(bar, kind="bookmark", note="here", row=50) == ({"kind": "done", "id": 7}, None)
    assert bar.state.bookmarks == [{"step": 200, "note": "here"}]
    assert bar.scene.bookmarks == bar.state.bookmarks
    assert ask(bar, kind="forget", note="here", step=200)[0]["kind"] == "done"
    assert bar.state.bookmarks == []


def test_a_bookmark_on_a_run_that_is_gone_is_no_success(tmp_path, monkeypatch):
    loss = 1 + np.random.default_rng(0).random((300, 12))
    path = rdmviz.TrainingRun.from_arrays(loss).save(tmp_path / "run")
    bar = KeepBar(ExplorerState(rdmviz.open_run(path)))
    bar.sent = []
    monkeypatch.setattr(bar, "send", lambda content, buffers: bar.sent.append((content, buffers)))
    shutil.rmtree(path)
    answer, _ = ask(bar, kind="bookmark", note="here")
    assert answer["kind"] == "trouble"
    assert answer["text"].startswith("Not kept beside the run, only until this kernel stops. The run at")
    assert not path.exists(), "nothing is made where the run was"
    assert bar.state.bookmarks == [{"step": 200, "note": "here"}]
    bar.close()


def test_a_picture_comes_as_bytes_with_a_name_for_any_file_system(bar):
    content, [data] = ask(bar, kind="picture", view="spectrum", format="png")
    assert content == {"kind": "file", "name": "a-run-1-step-800-spectrum.png", "type": "image/png", "id": 7}
    assert data == rdmviz.figure(bar.state.run, "spectrum", step=800).to_bytes("png")


def test_a_table_comes_as_csv(bar):
    content, [data] = ask(bar, kind="table", table="modes")
    assert (content["name"], content["type"]) == ("a-run-1-step-800-modes.csv", "text/csv")
    assert data.startswith(b"\xef\xbb\xbfdatapoint,loss,drift,group,mode 1")


def test_code_is_of_what_is_on_screen(bar):
    assert "step=40" in ask(bar, kind="code", row=10)[0]["text"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({"kind": "picture", "view": "map", "format": "svg", "row": 3}, "window"),
        ({"kind": "picture", "view": "map", "format": "jpg"}, ".svg, .png or .pdf"),
        ({"kind": "table", "table": "selection"}, "nothing is selected"),
        ({"kind": "forget", "note": "x", "step": 4}, "no bookmark 'x'"),
    ],
)
def test_what_goes_wrong_is_told(bar, content, says):
    answer, buffers = ask(bar, **content)
    assert answer["kind"] == "trouble"
    assert says in answer["text"]
    assert buffers is None


def test_what_is_not_asked_for_is_not_answered(bar):
    bar._handle_custom_msg({"kind": "eval", "code": "1"}, [])
    bar._handle_custom_msg({}, [])
    assert bar.sent == []


def test_a_closed_bar_hears_no_more_of_its_state(bar):
    bar.close()
    bar.state.bookmarks_kept = "elsewhere"
    assert bar.bookmarks_kept != "elsewhere"
