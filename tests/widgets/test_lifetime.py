"""Views come and go: what they are made of goes with them, and the scene with the last."""

from __future__ import annotations

import gc
import weakref

import numpy as np
from ipywidgets.widgets import widget

import rdmviz
from rdmviz.widgets import DatapointMap, Explorer, ExplorerState, MatrixView, SpectrumView


def make_run(rows=200, n=12):
    rng = np.random.default_rng(0)
    return rdmviz.TrainingRun.from_arrays(1 + rng.random((rows, n)), probe={"kind": ["a", "b"] * (n // 2)})


def open_widgets():
    return set(widget._instances)


def test_views_of_a_state_share_a_scene_that_goes_with_the_last():
    state = ExplorerState(make_run())
    views = [DatapointMap(state), MatrixView(state), SpectrumView(state)]
    scene = views[0].scene
    assert all(view.scene is scene for view in views)
    views[0].close()
    views[1].close()
    views[1].close()  # twice is once
    assert scene.comm is not None
    scene.index = 100
    assert state.step == 100
    views[2].close()
    assert scene.comm is None
    assert MatrixView(state).scene is not scene


def test_opening_and_closing_fifty_explorers_leaves_no_widget_behind():
    run = make_run()
    state = ExplorerState(run)
    Explorer(state).close()
    before = open_widgets()
    for _ in range(50):
        explorer = Explorer(state)
        explorer.state.step = 150
        explorer.state.coloring = "loss"
        explorer.state.window = 32 if state.window != 32 else 48
        explorer.close()
    assert open_widgets() == before
    state.window = 24  # nobody is left to hear of it
    kept = weakref.ref(explorer)
    del explorer
    gc.collect()
    assert kept() is None, "a closed explorer is not kept alive by its state"


def test_closing_one_of_two_explorers_leaves_the_other_working():
    state = ExplorerState(make_run())
    first, second = Explorer(state), Explorer(state)
    first.close()
    second.controls.window.value = 32
    assert state.window == 32
    assert second.scene.first == 31
    second.close()
