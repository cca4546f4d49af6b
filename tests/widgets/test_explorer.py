"""The explorer through the null frontend: what the browser would be sent, and what its messages do."""

from __future__ import annotations

import ipywidgets
import numpy as np
import pytest

import rdmviz
from rdmviz.errors import OptionError
from rdmviz.widgets import link as link_module

SCRIPT = "<script>alert(1)</script><img src=x onerror=alert(2)>"


def make_run(rows=300, n=20, **options):
    rng = np.random.default_rng(0)
    loss = 2 + np.cumsum(0.1 * rng.standard_normal((rows, n)), axis=0)
    options.setdefault("probe", {"kind": ["seen", "unseen"] * (n // 2)})
    return rdmviz.TrainingRun.from_arrays(loss, steps=10 * np.arange(rows), name="a run", **options)


def test_moving_the_state_moves_the_browser_and_back():
    explorer = rdmviz.explore(make_run())
    explorer.state.step = 1500
    assert explorer.scene.index == 150
    explorer.scene.index = 160
    assert explorer.state.step == 1600


def test_frames_are_answered_for_their_epoch(monkeypatch):
    monkeypatch.setattr(link_module, "_ANSWER_SECONDS", 60)  # what a busy machine does is not at issue
    explorer = rdmviz.explore(make_run())
    sent = []
    monkeypatch.setattr(explorer.scene, "send", lambda content, buffers: sent.append((content, buffers)))
    explorer.scene._handle_custom_msg({"kind": "frames", "rows": [100, 101, 200, 103], "epoch": 1}, [])
    ((content, [packed]),) = sent
    assert content.pop("frame_ms") > 0
    assert content == {"kind": "frames", "epoch": 1, "rows": [100, 101, 200, 103], "later": []}
    assert len(packed) == 4 * explorer.scene.layout["nbytes"]

    epoch = explorer.scene.epoch
    explorer.state.window = 32
    assert explorer.scene.epoch > epoch
    assert explorer.scene.first == 31
    explorer.scene._handle_custom_msg({"kind": "frames", "rows": [50], "epoch": epoch}, [])
    assert len(sent) == 1, "what was asked before the window changed is not answered"
    now = explorer.scene.epoch
    explorer.scene._handle_custom_msg({"kind": "frames", "rows": [-5, 3, 10**9], "epoch": now}, [])
    assert sent[-1][0]["rows"] == [3]
    explorer.scene._handle_custom_msg({"kind": "something else"}, [])
    assert len(sent) == 2


def test_a_new_coloring_leaves_the_frames_alone():
    explorer = rdmviz.explore(make_run())
    epoch = explorer.scene.epoch
    explorer.state.coloring = "loss"
    assert explorer.scene.epoch == epoch
    assert explorer.scene.color_source == "loss"


def test_window_and_detrending_redraw_the_curves():
    explorer = rdmviz.explore(make_run())
    figure = explorer.curves._panels[0].figure
    before = np.array(figure.marks[0].y)
    explorer.state.detrend = "quadratic"
    after = np.array(figure.marks[0].y)
    assert not np.array_equal(before, after, equal_nan=True)
    explorer.controls.window.value = 32
    assert explorer.state.window == 32
    assert np.isfinite(figure.marks[0].y).sum() == 300 - 31


def test_texts_of_a_run_never_become_html():
    n = 20
    run = make_run(probe={SCRIPT: [SCRIPT] * (n // 2) + ["x"] * (n // 2)})
    run = rdmviz.TrainingRun.from_arrays(
        run.loss.values, probe={SCRIPT: run.probe[SCRIPT].values}, name=SCRIPT
    )
    explorer = rdmviz.explore(run)
    explorer.scene.selection = [0]
    shown = [w.value for w in _descendants(explorer) if isinstance(w, ipywidgets.HTML)]
    assert shown
    assert not any("<script" in text or "<img" in text for text in shown)


@pytest.mark.parametrize("loss", [np.ones((80, 4)), np.zeros((80, 4))])
def test_a_run_in_which_nothing_moves_can_be_opened(loss):
    explorer = rdmviz.explore(rdmviz.TrainingRun.from_arrays(loss))
    assert explorer.scene.notes["2"].startswith("Nothing fluctuates")


def test_what_is_not_a_run_is_refused_with_the_way_out():
    with pytest.raises(OptionError, match="open_run"):
        rdmviz.explore("a/path")


def test_explorers_that_share_a_state_stay_in_step():
    first = rdmviz.explore(make_run())
    second = rdmviz.widgets.Explorer(first.state)
    second.scene.index = 77
    assert first.scene.index == 77


def _descendants(widget):
    yield widget
    for child in getattr(widget, "children", ()):
        yield from _descendants(child)
