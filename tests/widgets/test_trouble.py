"""What goes wrong under an open explorer is told on the screen; nothing is lost and no traceback is shown."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

import rdmviz
from rdmviz.errors import OptionError


def stored(path, rows=400, n=3000):
    rng = np.random.default_rng(0)
    rdmviz.TrainingRun.from_arrays(1 + rng.random((rows, n))).save(path)
    return path


def ask(explorer, monkeypatch, row):
    sent = []
    monkeypatch.setattr(explorer.scene, "send", lambda content, buffers: sent.append(content))
    explorer.scene._handle_custom_msg({"kind": "frames", "rows": [row], "epoch": explorer.scene.epoch}, [])
    return sent[-1]


def test_a_run_that_is_deleted_under_the_explorer_is_told_and_the_rest_goes_on(tmp_path, monkeypatch):
    explorer = rdmviz.explore(rdmviz.open_run(stored(tmp_path / "run")), step=100)
    assert ask(explorer, monkeypatch, 100)["rows"] == [100]
    shutil.move(tmp_path / "run", tmp_path / "elsewhere")
    explorer.state.run.store._chunks.clear()  # as it is where a run does not fit the cache
    answer = ask(explorer, monkeypatch, 300)
    assert (answer["rows"], answer["later"]) == ([], [300])
    (words,) = explorer.scene.troubles.values()
    assert words.startswith(f"The run at {tmp_path / 'run'} is gone: it was moved or deleted.")
    assert "Traceback" not in words
    explorer.state.window = 48  # the Gram is at hand: the curves go on
    assert ask(explorer, monkeypatch, 100)["rows"] == []
    shutil.move(tmp_path / "elsewhere", tmp_path / "run")
    assert ask(explorer, monkeypatch, 300)["rows"] == [300]
    assert explorer.scene.troubles == {}
    explorer.close()


def test_a_run_that_is_deleted_while_it_is_followed_is_told_in_the_same_words(tmp_path):
    run = rdmviz.open_run(stored(tmp_path / "run", n=40))
    explorer = rdmviz.explore(run, step=100)
    shutil.rmtree(tmp_path / "run")
    assert not explorer.map.link.following.look()
    assert explorer.scene.troubles["following"].startswith(f"The run at {tmp_path / 'run'} is gone:")
    explorer.close()


def test_a_chunk_that_is_cut_short_is_told(tmp_path, monkeypatch):
    explorer = rdmviz.explore(rdmviz.open_run(stored(tmp_path / "run")), step=100)
    for chunk in (tmp_path / "run" / "loss").rglob("*"):
        if chunk.is_file() and chunk.name != "zarr.json":
            chunk.write_bytes(chunk.read_bytes()[:100])
    explorer.state.run.store._chunks.clear()
    assert ask(explorer, monkeypatch, 300)["rows"] == []
    assert any("damaged" in words for words in explorer.scene.troubles.values())
    explorer.close()


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("selection", [3, 99], "datapoint 99 is not in the probe"),
        ("signals", ["entropy", "phlogiston"], "'phlogiston' is unknown"),
        ("modes", [2, 2], "choose two different ones"),
        ("modes", [1, 2, 3], "modes"),
        ("span", [10.0, 10.0], "two steps in order"),
        ("index", 100, "row 100 is not in this run"),
        ("plane", "flying", "choose one of moving, fixed"),
    ],
)
def test_what_the_state_refuses_is_put_back_in_the_browser_and_told_until_something_is_taken(
    name, value, says, monkeypatch
):
    run = rdmviz.TrainingRun.from_arrays(np.random.default_rng(0).random((100, 4)))
    explorer = rdmviz.explore(run, selection=[3])
    scene, sent = explorer.scene, {}
    before = scene.get_state()[name]
    monkeypatch.setattr(scene, "_send", lambda message, buffers=None: sent.update(message.get("state", {})))
    scene.set_state({name: value})  # as a message of the browser does
    assert scene.get_state()[name] == before
    assert sent[name] == before, "the browser is told"
    (words,) = explorer.state.troubles.values()
    assert says in words
    assert list(scene.troubles.values()) == [words]
    scene.set_state({"hovered": [1]})
    assert scene.troubles, "a pointer moves before anybody has read it"
    scene.set_state({"selection": [0, 2]})
    assert explorer.state.selection == [0, 2]
    assert scene.troubles == explorer.state.troubles == {}
    explorer.close()


def test_following_needs_a_run_that_grows():
    run = rdmviz.TrainingRun.from_arrays(np.random.default_rng(0).random((100, 4)))
    explorer = rdmviz.explore(run)
    assert not explorer.scene.can_follow
    with pytest.raises(OptionError, match="does not grow"):
        explorer.state.following = True
    explorer.close()
