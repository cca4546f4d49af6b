"""The state without a browser: set the traits, read the traits."""

from __future__ import annotations

import numpy as np
import pytest

import rdmviz
from rdmviz.errors import OptionError, ProbeError, StepNotFoundError, WindowError
from rdmviz.widgets import ExplorerState


@pytest.fixture
def run():
    loss = 1 + np.random.default_rng(0).random((300, 12))
    return rdmviz.TrainingRun.from_arrays(
        loss, steps=np.arange(300) * 4, probe={"kind": ["a", "b"] * 6, "size": np.arange(12.0)}
    )


def test_defaults_are_the_last_step_a_window_that_fits_and_the_first_telling_column(run):
    state = ExplorerState(run)
    assert (state.step, state.index, state.window, state.coloring) == (1196, 299, 64, "kind")
    assert state.detrend == "linear"
    assert state.mode_detrend == "constant"
    assert state.colorings == ("group", "loss", "loading", "drift", "kind", "size")


@pytest.mark.parametrize(("rows", "window"), [(300, 64), (192, 64), (100, 25), (12, 5), (5, 5)])
def test_a_short_run_gets_a_window_that_fits(rows, window):
    assert (
        ExplorerState(rdmviz.TrainingRun.from_arrays(np.random.default_rng(0).random((rows, 3)))).window
        == window
    )


@pytest.mark.parametrize(
    ("trait", "value", "error", "says"),
    [
        ("step", 5, StepNotFoundError, "4"),
        ("window", 301, WindowError, "300 recorded rows"),
        ("window", 1, WindowError, "at least"),
        ("detrend", "cubic", OptionError, "'cubic'"),
        ("coloring", "colour", ProbeError, "'kind'"),
        ("selection", [12], ProbeError, "between 0 and 11"),
    ],
)
def test_what_the_run_does_not_have_is_refused_and_the_state_stays(run, trait, value, error, says):
    state = ExplorerState(run)
    before = getattr(state, trait)
    with pytest.raises(error, match=says):
        setattr(state, trait, value)
    assert getattr(state, trait) == before


@pytest.mark.parametrize("trait", ["detrend", "mode_detrend"])
def test_a_detrending_that_the_window_is_too_short_for_is_refused(run, trait):
    state = ExplorerState(run, window=3)
    with pytest.raises(WindowError, match="quadratic"):
        setattr(state, trait, "quadratic")
    assert getattr(state, trait) != "quadratic"


def test_selection_keeps_order_and_drops_repeats(run):
    state = ExplorerState(run)
    state.selection = [3, 1, 3]
    assert state.selection == [3, 1]


def test_too_few_rows_for_any_window_is_said():
    run = rdmviz.TrainingRun.from_arrays(np.random.default_rng(0).random((4, 3)))
    with pytest.raises(WindowError, match="at least 5"):
        ExplorerState(run)
