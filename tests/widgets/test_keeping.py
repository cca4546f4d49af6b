"""A view kept as data or as code comes back as it was, or not at all."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rdmviz
from rdmviz.errors import OptionError, ProbeError, StepNotFoundError, WindowError
from rdmviz.widgets import DatapointMap, ExplorerState
from rdmviz.widgets.keeping import kept_traits

STEPS = np.arange(300) * 4


def make_run(name="a run", n=12, seed=0):
    loss = 1 + np.random.default_rng(seed).random((300, n))
    probe = {"kind": ["a", "b"] * (n // 2), "size": np.arange(float(n))}
    return rdmviz.TrainingRun.from_arrays(loss, steps=STEPS, probe=probe, name=name)


RUN = make_run()

VIEWS = st.fixed_dictionaries(
    {},
    optional={
        "step": st.sampled_from(STEPS.tolist()),
        "window": st.integers(5, 150),
        "detrend": st.sampled_from(["none", "constant", "linear", "quadratic"]),
        "mode_detrend": st.sampled_from(["none", "constant", "linear"]),
        "modes": st.sampled_from([(1, 3), (4, 2), (2, 1)]),
        "plane": st.sampled_from(["moving", "fixed"]),
        "plane_step": st.sampled_from([None, 800]),
        "map_scale": st.sampled_from(["linear", "log"]),
        "coloring": st.sampled_from(["group", "loss", "kind", "size"]),
        "sizing": st.sampled_from(["equal", "loading"]),
        "matrix": st.sampled_from(["covariance", "correlation"]),
        "trails": st.integers(0, 40),
        "selection": st.lists(st.integers(0, 11), unique=True),
        "marks": st.lists(
            st.fixed_dictionaries(
                {
                    "step": st.sampled_from(STEPS.tolist()),
                    "kind": st.just("alarm"),
                    "text": st.text(max_size=9),
                }
            ),
            max_size=2,
        ),
    },
)


@given(VIEWS)
@settings(max_examples=25, deadline=None)
def test_a_view_comes_back_from_json_and_from_its_code(chosen):
    state = ExplorerState(RUN, **chosen)
    kept = json.loads(json.dumps(state.state_dict()))
    other = ExplorerState(RUN, window=40, selection=[1], coloring="loss")
    other.load_state_dict(kept)
    assert other.state_dict() == state.state_dict()
    assert kept_traits(other) == kept_traits(state), "tuples are tuples again"

    names = {"run": RUN}
    exec(state.code(), names)
    assert names["explorer"].state.state_dict() == state.state_dict()
    names["explorer"].close()


def test_the_code_opens_the_run_from_where_it_was_opened(tmp_path):
    folder = tmp_path / 'a "run" of äöü'
    RUN.save(folder)
    np.savez(tmp_path / "run.npz", loss=RUN.loss.values, steps=STEPS)
    for place in (folder, tmp_path / "run.npz"):
        state = ExplorerState(rdmviz.open_run(place), step=800, modes=(2, 3))
        names = {}
        exec(state.code(), names)
        assert names["explorer"].state.state_dict() == state.state_dict()
        assert names["run"].origin == state.run.origin == f"rdmviz.open_run({str(place)!r})"
    example = ExplorerState(rdmviz.load_example("grokking"), step=4000)
    assert "rdmviz.load_example('grokking')" in example.code()
    assert "explore(run, step=4000)" in example.code()


def test_the_code_of_a_dask_run_says_its_chunks(tmp_path):
    RUN.save(tmp_path / "run")
    run = rdmviz.open_run(tmp_path / "run", chunks=100)
    assert run.origin.endswith("chunks=100)")
    assert eval(run.origin, {"rdmviz": rdmviz}).chunked.numblocks == run.chunked.numblocks


def test_code_of_a_run_in_memory_says_what_run_is_and_breaks_long_lines():
    state = ExplorerState(RUN, step=800, selection=list(range(12)), marks=[{"step": 4, "kind": "alarm"}] * 3)
    assert "TrainingRun in memory" in state.code()
    assert "\n    selection=[0, 1, 2," in state.code()


HOSTILE = '"""\n__import__("os").abort()\n#'


def test_text_of_a_run_is_never_code(tmp_path):
    run = rdmviz.TrainingRun.from_arrays(RUN.loss.values, probe={HOSTILE: ["x", "y"] * 6}, name=HOSTILE)
    mark = {"step": 4, "kind": "alarm", "text": HOSTILE}
    state = ExplorerState(run, coloring=HOSTILE, marks=[mark], step=200)
    names = {"run": run}
    exec(state.code(), names)
    assert names["explorer"].state.state_dict() == state.state_dict()


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ({"colour": "kind"}, OptionError, "colour"),
        ({"run": 3}, OptionError, "'run'"),
        ({"step": 5}, StepNotFoundError, "4 and 8"),
        ({"step": "5"}, OptionError, "step"),
        ({"window": 301}, WindowError, "300 recorded rows"),
        ({"coloring": "split"}, ProbeError, "'kind'"),
        ({"selection": [3, 12]}, ProbeError, "datapoint 12"),
        ({"selection": 3}, OptionError, "selection"),
        ({"modes": [1, 2, 3]}, OptionError, "modes"),
        ({"span": [4]}, OptionError, "span"),
        ({"matrix": "cosine"}, OptionError, "'cosine'"),
        ({"marks": [{"step": 4}]}, OptionError, "mark"),
    ],
)
def test_what_the_run_does_not_have_is_refused_by_name_and_nothing_changes(change, error, says):
    state = ExplorerState(RUN, step=400, selection=[2])
    before, heard = state.state_dict(), []
    state.observe(heard.append)
    kept = state.state_dict()
    kept["traits"] |= {"map_scale": "log", "trails": 7} | change
    with pytest.raises(error, match=says):
        state.load_state_dict(kept)
    assert state.state_dict() == before
    assert heard == []


@pytest.mark.parametrize(
    ("kept", "says"),
    [
        (None, "no state dict"),
        ([], "no state dict"),
        ({}, "no state dict"),
        ({"version": True}, "no state dict"),
        ({"version": 2}, "pip install --upgrade"),
        ({"version": 1, "notes": []}, "'notes'"),
        ({"version": 1, "traits": []}, "no traits"),
        ({"version": 1, "bookmarks": {}}, "list of bookmarks"),
        ({"version": 1, "traits": {}}, "is of run None"),
    ],
)
def test_what_is_no_state_dict_is_refused(kept, says):
    with pytest.raises(OptionError, match=says):
        ExplorerState(RUN).load_state_dict(kept)


@pytest.mark.parametrize(
    "bookmarks", [[{"step": 5, "note": ""}], [{"note": "x"}], [3], [{"step": 4, "note": 1}]]
)
def test_bookmarks_that_do_not_fit_are_refused_and_nothing_changes(bookmarks):
    state = ExplorerState(RUN)
    kept = state.state_dict() | {"bookmarks": bookmarks}
    kept["traits"]["step"] = 400
    with pytest.raises((OptionError, StepNotFoundError)):
        state.load_state_dict(kept)
    assert (state.step, state.bookmarks) == (1196, [])


def test_bookmarks_are_added_and_none_is_lost():
    state, other = ExplorerState(RUN), ExplorerState(RUN)
    state.add_bookmark("mine", 400)
    other.add_bookmark("theirs", 8)
    state.load_state_dict(other.state_dict())
    assert [mark["note"] for mark in state.bookmarks] == ["theirs", "mine"]


def test_a_view_of_another_run_is_refused_unless_it_is_asked_for():
    kept = ExplorerState(make_run("seed 1"), step=400).state_dict()
    state = ExplorerState(make_run("seed 2"))
    with pytest.raises(OptionError, match=r"'seed 1'.*any_run=True"):
        state.load_state_dict(kept)
    state.load_state_dict(kept, any_run=True)
    assert state.step == 400
    with pytest.raises(OptionError, match="datapoints"):
        ExplorerState(make_run("seed 1", n=14)).load_state_dict(kept)


def test_a_stored_run_is_known_by_its_identity_under_any_name(tmp_path):
    RUN.save(tmp_path / "run")
    run = rdmviz.open_run(tmp_path / "run")
    kept = ExplorerState(run, step=400).state_dict()
    assert kept["run"]["identity"] == run.store.identity != ""
    kept["run"]["name"] = "as it was called before"
    state = ExplorerState(rdmviz.open_run(tmp_path / "run"))
    state.load_state_dict(kept)
    assert state.step == 400


def test_traits_that_are_not_named_stay_as_they_are():
    state = ExplorerState(RUN, step=400, modes=(1, 3))
    state.load_state_dict({**state.state_dict(), "traits": {"trails": 5}})
    assert (state.step, state.modes, state.trails) == (400, (1, 3), 5)


def test_a_step_outside_the_span_on_screen_widens_it():
    state = ExplorerState(RUN, span=(400, 800), step=600)
    state.load_state_dict({**state.state_dict(), "traits": {"step": 8}})
    assert (state.step, state.span) == (8, (8, 800))
    with pytest.raises(StepNotFoundError, match="2000"):
        state.load_state_dict({**state.state_dict(), "traits": {"step": 2000}})


def test_views_hear_of_a_loaded_state_once_it_is_whole():
    state = ExplorerState(RUN, step=400, window=100, detrend="quadratic")
    kept = ExplorerState(RUN, step=16, window=5, detrend="constant", selection=[1]).state_dict()
    seen = []
    state.observe(lambda change: seen.append((state.step, state.window, state.detrend)))
    view = DatapointMap(state)
    state.load_state_dict(kept)
    assert set(seen) == {(16, 5, "constant")}
    assert (view.scene.index, view.scene.selection, view.scene.first) == (4, [1], 4)
    view.close()
