"""The null edge and the strongest datapoints of a mode, through the null frontend."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

import rdmviz
from rdmviz.analysis import ModePath
from rdmviz.widgets import ExplorerState, ModeStrip, SpectrumView
from rdmviz.widgets import null_edges as null_edges_module
from rdmviz.widgets.null_edges import NullEdges


def make_run(n=40, rows=200, seed=0, **options):
    rng = np.random.default_rng(seed)
    loss = 5 + rng.standard_normal((rows, 2)) @ rng.standard_normal((2, n)) + rng.standard_normal((rows, n))
    return rdmviz.TrainingRun.from_arrays(loss, **options)


class Answers:
    """What is sent to the browser, from whichever thread."""

    def __init__(self, scene, monkeypatch):
        self.scene, self.sent, self.came = scene, [], threading.Event()
        monkeypatch.setattr(scene, "send", self.take)

    def take(self, content, buffers=()):
        self.sent.append(content)
        self.came.set()

    def ask(self, kind, row, **question):
        self.came.clear()
        content = {"kind": kind, "epoch": self.scene.epoch, "row": row, "key": "k", **question}
        self.scene._handle_custom_msg(content, [])

    def wait(self):
        assert self.came.wait(30)
        return self.sent[-1]


@pytest.fixture
def answers(monkeypatch):
    def answers(run, view=SpectrumView, **options):
        return Answers(view(ExplorerState(run, window=40, **options)).link.scene, monkeypatch)

    return answers


def test_the_edge_is_that_of_null_edge_for_the_window_on_screen(answers):
    run = make_run()
    asked = answers(run)
    asked.ask("edge", 120)
    found = asked.wait()
    expected = rdmviz.null_edge(run, int(run.steps[120]), window=40, detrend="constant")
    assert found["edge"] == pytest.approx(float(expected["edge"]))
    assert found["above"] == int(expected["n_above"]) == 2
    assert found["words"] == "2 modes above the null (95%, AR(1) surrogates)"
    assert (found["row"], found["key"]) == (120, "k")


def test_an_edge_that_cannot_be_had_says_why(answers):
    asked = answers(make_run(), mode_detrend="none")
    asked.ask("edge", 120)
    found = asked.wait()
    assert found["edge"] is None
    assert found["words"].startswith("no null edge: detrend='none' leaves the means in")


def test_frames_are_answered_while_an_edge_is_computed(answers, monkeypatch):
    go_on = threading.Event()

    def slow(run, step, window, detrend, *, level, between):
        for _ in range(3):
            go_on.wait(30)
            between()
        return rdmviz.null_edge(run, step, window, detrend, level=level)

    monkeypatch.setattr(null_edges_module, "null_edge", slow)
    asked = answers(make_run())
    asked.ask("edge", 120)
    asked.scene._handle_custom_msg({"kind": "frames", "epoch": asked.scene.epoch, "rows": [121]}, [])
    assert [content["kind"] for content in asked.sent] == ["frames"]
    asked.came.clear()
    go_on.set()
    assert asked.wait()["kind"] == "edge"


def test_only_the_last_edge_asked_for_is_computed_and_edges_are_kept(monkeypatch):
    run = make_run()
    path = ModePath(run, window=40)
    begun, finished, go_on = [], [], threading.Event()
    real = null_edges_module.null_edge

    def counted(run, step, *given, between, **options):
        begun.append(step)
        go_on.wait(30)
        found = real(run, step, *given, between=between, **options)
        finished.append(step)
        return found

    monkeypatch.setattr(null_edges_module, "null_edge", counted)
    edges, told = NullEdges(threading.RLock()), []
    for row in (100, 110, 120, 130):
        edges.ask(path, row, lambda found, row=row: told.append((row, found["edge"])), run)
    go_on.set()
    wait_until(lambda: told and edges.thread is None)
    assert [row for row, _ in told] == [130]
    assert len(begun) <= 2, "what was superseded before it began is never begun"
    assert finished == [int(run.steps[130])]
    edges.ask(path, 130, lambda found: told.append((0, found["edge"])), run)
    assert told[-1] == (0, told[0][1]), "kept: told at once"
    assert len(finished) == 1


def test_an_edge_asked_for_again_while_it_is_computed_is_computed_once(monkeypatch):
    begun, go_on = [], threading.Event()
    real = null_edges_module.null_edge

    def counted(run, step, *given, **options):
        begun.append(step)
        go_on.wait(30)
        return real(run, step, *given, **options)

    monkeypatch.setattr(null_edges_module, "null_edge", counted)
    run = make_run()
    edges, told = NullEdges(threading.RLock()), []
    path = ModePath(run, window=40)
    edges.ask(path, 100, told.append, run)
    wait_until(lambda: begun)
    edges.ask(path, 100, told.append, run)
    go_on.set()
    wait_until(lambda: edges.thread is None)
    assert len(begun) == 1
    assert len(told) == 2
    assert told[0] == told[1]


def test_a_closed_view_ends_the_computation(monkeypatch):
    begun, ended = threading.Event(), []

    def endless(*_given, between, **_options):
        begun.set()
        while True:
            between()
            time.sleep(0.001)

    monkeypatch.setattr(null_edges_module, "null_edge", endless)
    run = make_run()
    edges = NullEdges(threading.RLock())
    edges.ask(ModePath(run, window=40), 100, ended.append, run)
    assert begun.wait(30)
    edges.stop()
    wait_until(lambda: edges.thread is None)
    assert ended == []


def test_after_a_mistake_the_next_question_starts_anew(monkeypatch):
    run = make_run()
    real, fallen = null_edges_module.null_edge, []

    def mistaken(*_given, **_options):
        raise ZeroDivisionError("a mistake")

    monkeypatch.setattr(threading, "excepthook", lambda what: fallen.append(what.exc_type))
    monkeypatch.setattr(null_edges_module, "null_edge", mistaken)
    edges, told, path = NullEdges(threading.RLock()), [], ModePath(run, window=40)
    edges.ask(path, 100, told.append, run)
    first = edges.thread
    wait_until(lambda: edges.thread is None)
    if first is not None:
        first.join(30)
    assert (fallen, told) == ([ZeroDivisionError], [])
    monkeypatch.setattr(null_edges_module, "null_edge", real)
    edges.ask(path, 100, told.append, run)
    wait_until(lambda: told)
    expected = rdmviz.null_edge(run, int(run.steps[100]), window=40, detrend="constant")
    assert told[0]["edge"] == pytest.approx(float(expected["edge"]))


def test_the_strip_has_the_strongest_of_either_end(answers):
    run = make_run(probe={"kind": ["x", "y"] * 20})
    asked = answers(run, ModeStrip)
    asked.ask("strip", 150, mode=2)
    found = asked.wait()
    vector = asked_vector(run, 150, 2)
    samples, loadings = np.array(found["samples"]), np.array(found["loadings"])
    np.testing.assert_allclose(np.abs(loadings), np.abs(vector[samples]), rtol=1e-9)
    ranked = np.argsort(vector)
    assert {frozenset(samples[loadings > 0]), frozenset(samples[loadings < 0])} == {
        frozenset(ranked[:5]),
        frozenset(ranked[-5:]),
    }
    assert found["names"] == [f"kind {'xy'[s % 2]}" for s in samples]
    asked.ask("strip", 150, mode=99)
    assert asked.wait()["samples"] == []


def asked_vector(run, row, mode):
    modes = rdmviz.eigenmodes(run, int(run.steps[row]), window=40)
    return modes["eigenvector"].values[mode - 1]


def test_a_mode_chosen_in_the_browser_is_the_states(answers):
    view = SpectrumView(ExplorerState(make_run()))
    assert view.link.scene.most_modes == view.state.most_modes
    view.link.scene.modes = [3, 2]
    assert view.state.modes == (3, 2)
    few = SpectrumView(ExplorerState(make_run(n=3)))
    assert few.link.scene.most_modes == 3


def wait_until(true, seconds=30):
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until
        time.sleep(0.01)
