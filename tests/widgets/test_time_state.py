"""Time on the state: step and span never part, marks and bookmarks are what they should be."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import rdmviz
from rdmviz.errors import OptionError
from rdmviz.widgets import ExplorerState, TimeBar

RUN = rdmviz.TrainingRun.from_arrays(
    1 + np.random.default_rng(0).random((60, 4)), steps=np.arange(60) ** 2 + 5
)
STEPS = RUN.steps.tolist()


def test_the_whole_run_at_first_and_a_span_snaps_outward_to_recorded_steps():
    state = ExplorerState(RUN)
    assert state.span == (STEPS[0], STEPS[-1])
    state.span = (10, 31)  # recorded: 5, 6, 9, 14, 21, 30, 41
    assert state.span == (9, 41)
    assert state.step == 41, "the step moves in"


@pytest.mark.parametrize("span", [(30, 9), (9, 9), (0, 41), (9, 10**6)])
def test_spans_that_are_not_in_the_run_are_refused(span):
    state = ExplorerState(RUN, step=14)
    with pytest.raises(OptionError, match="two steps in order"):
        state.span = span
    assert (state.span, state.step) == ((STEPS[0], STEPS[-1]), 14)


def test_a_step_outside_the_span_widens_it():
    state = ExplorerState(RUN, span=(30, 105))
    assert state.step == 105
    state.step = 9
    assert state.span == (9, 105)


@given(st.lists(st.tuples(st.booleans(), st.sampled_from(STEPS), st.sampled_from(STEPS)), max_size=12))
def test_the_step_is_in_the_span_whatever_is_done_on_either_side(actions):
    state = ExplorerState(RUN)
    bar = TimeBar(state)
    scene = bar.link.scene
    for in_browser, one, other in actions:
        if one == other:
            if in_browser:
                scene.index = STEPS.index(one)
            else:
                state.step = one
        elif in_browser:
            scene.span = [float(min(one, other)), float(max(one, other))]
        else:
            state.span = (min(one, other), max(one, other))
        assert state.span[0] <= state.step <= state.span[1]
        assert scene.span == list(state.span)
        assert scene.index == state.index
    bar.close()


def test_marks_and_bookmarks_reach_the_browser():
    state = ExplorerState(RUN)
    bar = TimeBar(state)
    state.marks = [{"step": 30, "kind": "alarm", "text": "<b>"}]
    state.bookmarks = [{"step": 9, "note": "here"}]
    assert bar.link.scene.marks == [{"step": 30, "kind": "alarm", "text": "<b>"}]
    assert bar.link.scene.bookmarks == [{"step": 9, "note": "here"}]
    with pytest.raises(OptionError, match="transition or alarm"):
        state.marks = [{"step": 30, "kind": "bell"}]
    bar.close()
