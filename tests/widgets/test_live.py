"""An explorer that follows a run while it is being recorded."""

from __future__ import annotations

import shutil
import threading
import time

import numpy as np
import pytest

import rdmviz
from rdmviz.store import RunWriter
from rdmviz.widgets import live as live_module

LOSSES = 1 + np.random.default_rng(0).random((400, 9))


@pytest.fixture
def recording(tmp_path):
    writer = RunWriter(
        tmp_path / "run", 9, probe={"kind": np.array(list("abcabcabc"))}, name="live", dtype="float64"
    )

    def record(rows, first=0):
        for row in range(first, rows):
            writer.append(row, LOSSES[row])
        writer.flush()

    record(100)
    yield record, tmp_path / "run"
    writer.close()


def test_an_explorer_at_the_newest_step_keeps_to_it_and_one_elsewhere_stays(recording):
    record, path = recording
    run = rdmviz.open_run(path)
    explorer = rdmviz.explore(run, window=16, step=int(run.steps[-1]))
    following = explorer.map.link.following
    assert not following.look()
    record(150, 100)
    assert following.look()
    state, scene = explorer.state, explorer.scene
    assert (state.step, state.span, scene.count, scene.index) == (149, (0, 149), 150, 149)
    assert "150 recorded rows, steps 0 to 149" in explorer.children[0].value
    state.step = 40
    record(220, 150)
    following.look()
    assert (state.step, scene.count) == (40, 220)
    packed = explorer.map.link.frames.pack([219])
    fresh = rdmviz.explore(rdmviz.open_run(path), window=16)
    fresh.map.link.frames.loss_range = explorer.map.link.frames.loss_range
    fresh.map.link.frames.drift_scale = explorer.map.link.frames.drift_scale
    assert packed == fresh.map.link.frames.pack([219])
    for one in (explorer, fresh):
        one.close()


def test_following_in_the_background_takes_rows_in_until_told_to_stop(recording, monkeypatch):
    monkeypatch.setattr(live_module, "_POLL_SECONDS", 0.02)
    record, path = recording
    explorer = rdmviz.explore(rdmviz.open_run(path), window=16, following=True)
    record(200, 100)
    deadline = time.monotonic() + 20
    while explorer.state.step < 199 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert explorer.state.step == 199
    explorer.state.following = False
    record(300, 200)
    time.sleep(0.3)
    assert explorer.scene.count == 200
    explorer.close()


def test_a_look_that_is_under_way_when_following_ends_takes_nothing_in(recording, monkeypatch):
    monkeypatch.setattr(live_module, "_POLL_SECONDS", 0.0)
    record, path = recording
    explorer = rdmviz.explore(rdmviz.open_run(path), window=16)
    looking, go_on, ended = threading.Event(), threading.Event(), threading.Event()
    grown = live_module.grown

    def slow(run):
        looking.set()
        assert go_on.wait(30)
        found = grown(run)
        ended.set()
        return found

    monkeypatch.setattr(live_module, "grown", slow)
    explorer.state.following = True
    assert looking.wait(30)
    explorer.state.following = False
    record(200, 100)
    go_on.set()
    assert ended.wait(30)
    following = explorer.map.link.following
    with following._looking:  # the look has ended, too
        assert explorer.scene.count == 100
    assert following.look()
    assert explorer.scene.count == 200
    explorer.close()


def test_a_mistake_while_following_ends_it_and_is_told_until_following_works_again(recording, monkeypatch):
    monkeypatch.setattr(live_module, "_POLL_SECONDS", 0.0)
    record, path = recording
    explorer = rdmviz.explore(rdmviz.open_run(path), window=16)
    state, ended, grown = explorer.state, threading.Event(), live_module.grown

    def mistaken(run):
        raise ZeroDivisionError("a mistake")

    monkeypatch.setattr(live_module, "grown", mistaken)
    state.observe(lambda change: change["new"] or ended.set(), "following")
    state.following = True
    assert ended.wait(30)
    with state.lock:  # whoever set it is through with telling everybody
        assert not explorer.scene.following
    assert "ZeroDivisionError: a mistake" in explorer.scene.troubles["following"]
    monkeypatch.setattr(live_module, "grown", grown)
    record(200, 100)
    state.following = True
    deadline = time.monotonic() + 20
    while (explorer.scene.count < 200 or explorer.scene.troubles) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert explorer.scene.count == 200
    assert explorer.scene.troubles == {}
    explorer.close()


def test_a_run_that_is_deleted_while_it_is_followed_is_told(recording):
    _, path = recording
    explorer = rdmviz.explore(rdmviz.open_run(path), window=16)
    shutil.rmtree(path)
    assert not explorer.map.link.following.look()
    assert "following" in explorer.scene.troubles
    path.mkdir()
    explorer.close()
