"""The first pass over a large run: told, and ended when the person wishes."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from ipywidgets.widgets import widget

import rdmviz
from rdmviz.analysis.gram_cache import gram_is_ready
from rdmviz.widgets import preparing as preparing_module
from rdmviz.widgets.preparing import Preparing, takes_long


class Slow:
    """A run whose losses are read only when a test lets them."""

    def __init__(self, monkeypatch):
        monkeypatch.setattr(preparing_module, "_LONG_PRODUCTS", 0)
        rng = np.random.default_rng(0)
        self.run = rdmviz.TrainingRun.from_arrays(1 + rng.random((300, 8)), name="<b>slow</b>")
        self.gate = threading.Event()
        self.fail = None
        rows = self.run.rows

        def read(start, stop):
            if threading.current_thread().name == "rdmviz-preparing":
                assert self.gate.wait(30)
                if self.fail:
                    raise self.fail
            return rows(start, stop)

        self.run.rows = read


@pytest.fixture
def slow(monkeypatch):
    return Slow(monkeypatch)


def preparing_of(explorer):
    (found,) = [part for part in explorer.children if isinstance(part, Preparing)]
    return found


def test_an_explorer_of_a_large_run_is_there_at_once_and_fills_when_the_losses_are_read(slow):
    explorer = rdmviz.explore(slow.run)
    assert not explorer.wait(0)
    words = preparing_of(explorer).words.value
    assert "300 rows of 8 datapoints" in words
    assert "<b>slow" not in words
    slow.gate.set()
    assert explorer.wait(30)
    assert explorer.map.scene.count == 300
    assert gram_is_ready(slow.run, 64)
    explorer.close()


def test_reading_can_be_cancelled_and_begun_again(slow):
    explorer = rdmviz.explore(slow.run)
    preparing = preparing_of(explorer)
    preparing.button.click()
    slow.gate.set()
    preparing.thread.join(30)
    assert preparing.words.value == "Cancelled."
    assert preparing.button.description == "Read again"
    preparing.button.click()
    assert explorer.wait(30)
    explorer.close()


def test_what_goes_wrong_while_reading_is_told_on_the_screen(slow):
    slow.fail = OSError("the disk is gone")
    explorer = rdmviz.explore(slow.run)
    slow.gate.set()
    preparing = preparing_of(explorer)
    preparing.thread.join(30)
    assert preparing.words.value == "the disk is gone"
    slow.fail = None
    preparing.button.click()
    assert explorer.wait(30)
    assert explorer.state.troubles == {}
    explorer.close()


def test_a_longer_window_is_read_for_beside_the_pictures_and_can_be_given_up(slow):
    slow.gate.set()
    explorer = rdmviz.explore(slow.run)
    assert explorer.wait(30)
    slow.gate.clear()
    explorer.controls.window.value = 128
    preparing = preparing_of(explorer)
    assert explorer.state.window == 64
    preparing.button.click()
    slow.gate.set()
    preparing.thread.join(30)
    assert explorer.controls.window.value == explorer.state.window == 64
    assert not any(isinstance(part, Preparing) for part in explorer.children)
    explorer.controls.window.value = 128
    for part in explorer.children:
        if isinstance(part, Preparing):
            part.thread.join(30)
    assert explorer.state.window == 128
    assert not takes_long(slow.run, 128)
    explorer.close()


def test_of_two_windows_chosen_while_reading_the_last_one_counts(slow):
    slow.gate.set()
    explorer = rdmviz.explore(slow.run)
    assert explorer.wait(30)
    slow.gate.clear()
    explorer.controls.window.value = 128
    first = preparing_of(explorer)
    explorer.controls.window.value = 96
    second = preparing_of(explorer)
    assert second is not first
    explorer.controls.window.value = 48
    slow.gate.set()
    first.thread.join(30)
    second.thread.join(30)
    assert explorer.controls.window.value == explorer.state.window == 48
    assert not any(isinstance(part, Preparing) for part in explorer.children)
    explorer.close()


def test_a_window_that_is_at_hand_is_shown_while_the_losses_are_read_for_a_longer_one(slow):
    slow.gate.set()
    explorer = rdmviz.explore(slow.run)
    assert explorer.wait(30)
    slow.gate.clear()
    explorer.controls.window.value = 128
    reading = preparing_of(explorer).thread
    explorer.state.window = 48
    explorer.state.mode_detrend = "linear"
    assert explorer.map.link.frames.path.window == 48
    assert len(explorer.map.link.frames.pack([200])) == 1
    assert reading.is_alive()
    assert not slow.gate.is_set()
    slow.gate.set()
    reading.join(30)
    assert explorer.state.window == 48, "the window chosen last is the one that counts"
    explorer.close()


def test_an_explorer_closed_while_its_pictures_are_made_leaves_none_behind(slow):
    explorer = rdmviz.explore(slow.run)
    preparing = preparing_of(explorer)
    before = set(widget._instances)
    explorer.close()
    slow.gate.set()
    preparing.thread.join(30)
    preparing._done()  # as if the reading had ended a moment before
    assert set(widget._instances) < before
    assert explorer.state.link is None
