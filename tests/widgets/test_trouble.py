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
    assert "run" in words
    assert "Traceback" not in words
    explorer.state.window = 48  # the Gram is at hand: the curves go on
    assert ask(explorer, monkeypatch, 100)["rows"] == []
    shutil.move(tmp_path / "elsewhere", tmp_path / "run")
    assert ask(explorer, monkeypatch, 300)["rows"] == [300]
    assert explorer.scene.troubles == {}
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


def test_following_needs_a_run_that_grows():
    run = rdmviz.TrainingRun.from_arrays(np.random.default_rng(0).random((100, 4)))
    explorer = rdmviz.explore(run)
    assert not explorer.scene.can_follow
    with pytest.raises(OptionError, match="does not grow"):
        explorer.state.following = True
    explorer.close()
