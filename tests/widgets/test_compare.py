"""A comparison through the null frontend: drive the traits and the browser's messages, read the traits."""

from __future__ import annotations

import gc
import threading
import weakref

import ipywidgets
import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from ipywidgets.widgets import widget

import rdmviz
from rdmviz.analysis.gram_cache import gram_is_ready
from rdmviz.errors import OptionError, ProbeError, WindowError
from rdmviz.widgets import Comparison, ComparisonState, DatapointMap
from rdmviz.widgets import compare as compare_module
from rdmviz.widgets import preparing as preparing_module
from rdmviz.widgets.comparison_controls import ComparisonControls

SCRIPT = "<script>alert(1)</script><img src=x onerror=alert(2)>"


def make_run(rows=300, n=20, every=10, seed=0, first=0, name="a run", **options):
    rng = np.random.default_rng(seed)
    scale = np.exp(-np.arange(rows) / 80)[:, None]
    loss = 0.5 + 3 * scale * rng.uniform(0.5, 1, n) + 0.05 * rng.random((rows, n))
    options.setdefault("probe", {"kind": ["seen", "unseen"] * (n // 2)})
    return rdmviz.TrainingRun.from_arrays(loss, first + every * np.arange(rows), name=name, **options)


def drag(comparison, place):
    """What the browser says when the cursor is moved."""
    scene = comparison.link.scene
    scene._handle_custom_msg({"kind": "place", "revision": scene.revision, "place": place}, [])


def ints(packed):
    return np.frombuffer(packed, "<i4")


# --- state


def test_one_cursor_moves_every_run_and_every_run_moves_the_cursor():
    state = ComparisonState([make_run(), make_run(rows=200, every=15)])
    assert [each.step for each in state.states] == [2990, 2985], "the end of the common axis"
    state.place = int(np.flatnonzero(state.aligned["at"].values == 1500)[0])
    assert [each.step for each in state.states] == [1500, 1500]
    state.states[1].step = 1515
    assert [each.step for each in state.states] == [1510, 1515]
    assert state.at == 1515
    state.states[0].step = 30
    assert [each.step for each in state.states] == [30, 30]


def test_a_run_waits_at_its_end_where_the_other_goes_on():
    state = ComparisonState([make_run(), make_run(rows=100, first=500)])
    state.states[0].step = 2000
    assert state.states[1].step == 1490
    assert not state.inside[1, state.place]
    state.states[0].step = 0
    assert state.states[1].step == 500
    assert state.inside[:, state.place].tolist() == [True, False]


def test_the_first_run_stays_where_it_is_when_the_alignment_changes():
    state = ComparisonState([make_run(), make_run(every=20)], step=1000)
    state.transitions = (1500, 4000)
    state.align = "transition"
    assert [each.step for each in state.states] == [1000, 3500]
    assert state.at == -500
    state.align = "step"
    assert [each.step for each in state.states] == [1000, 1000]
    state.align = "loss"
    mean = state.runs[0].rows(0, 101).mean(axis=1)
    assert state.states[0].step == 10 * mean.argmin(), "where the loss was at its lowest up to there"


def test_marked_transitions_align_runs_without_being_given():
    state = ComparisonState([make_run(), make_run()])
    with pytest.raises(OptionError, match="transition"):
        state.align = "transition"
    assert state.align == "step"
    for each, step in zip(state.states, (500, 700), strict=True):
        each.marks = [{"step": 100, "kind": "alarm"}, {"step": step, "kind": "transition", "text": ""}]
    state.align = "transition"
    state.states[0].step = 500
    assert (state.at, state.states[1].step) == (0, 700)
    state.states[1].marks = [{"step": 900, "kind": "transition"}]
    assert (state.states[0].step, state.states[1].step) == (500, 900)


def test_what_is_chosen_for_one_is_chosen_for_all():
    state = ComparisonState([make_run(), make_run(seed=1), make_run(seed=2)])
    state.window = 32
    state.states[2].coloring = "loss"
    state.mode_detrend = "linear"
    assert [(s.window, s.coloring, s.mode_detrend) for s in state.states] == [(32, "loss", "linear")] * 3
    assert state.coloring == "loss"


def test_what_does_not_fit_all_is_refused_and_everyone_keeps_what_was():
    state = ComparisonState([make_run(), make_run(rows=100, probe={"other": np.arange(20.0)})])
    assert state.window == 25
    with pytest.raises(WindowError, match="100 recorded rows"):
        state.states[0].window = 200
    assert [s.window for s in state.states] == [25, 25]
    with pytest.raises(ProbeError, match="all of these runs offer 'group', 'loss'"):
        state.states[0].coloring = "kind"
    assert [s.coloring for s in state.states] == ["group", "group"]


@pytest.mark.parametrize(
    ("trait", "value", "error", "says"),
    [
        ("align", "epoch", OptionError, "'epoch'"),
        ("place", -1, OptionError, "0 to 299"),
        ("place", 300, OptionError, "0 to 299"),
        ("transitions", (10**7, 1), OptionError, "steps 0 to 2990"),
        ("transitions", (1,), OptionError, "each of 2 runs"),
        ("signal", "nonsense", OptionError, "mean_loss_slope"),
        ("curve_scale", "cubic", OptionError, "auto"),
        ("detrend", "cubic", OptionError, "quadratic"),
        ("overlap_modes", 9, OptionError, "1 to 8"),
        ("overlap_modes", 0, OptionError, "1 to 8"),
        ("coloring", "size", ProbeError, "'kind'"),
        ("window", 400, WindowError, "300"),
    ],
)
def test_what_the_runs_do_not_have_is_refused_and_the_state_stays(trait, value, error, says):
    state = ComparisonState([make_run(), make_run()])
    before = getattr(state, trait)
    with pytest.raises(error, match=says):
        setattr(state, trait, value)
    assert getattr(state, trait) == before
    state.place = 100  # and goes on working
    assert [s.step for s in state.states] == [1000, 1000]


def test_two_to_eight_runs_are_compared_and_options_are_known():
    for runs in ([make_run()], []):
        with pytest.raises(OptionError, match="two or more"):
            rdmviz.explore(runs)
    with pytest.raises(OptionError, match="8 at most"):
        rdmviz.explore([make_run()] * 9)
    with pytest.raises(OptionError, match="sizing"):
        rdmviz.explore([make_run()] * 2, sizing="loading")
    with pytest.raises(OptionError, match="open_run"):
        rdmviz.explore([make_run(), "a path"])
    assert isinstance(rdmviz.explore((make_run(), make_run()), align="loss", window=32), Comparison)


def test_a_selection_is_shared_with_the_probe_and_only_then():
    shared = ComparisonState([make_run(), make_run(seed=1)])
    shared.states[1].selection = [3, 1]
    assert shared.states[0].selection == [3, 1]
    apart = ComparisonState([make_run(), make_run(n=10)])
    apart.states[0].selection = [19]
    assert apart.states[1].selection == []
    assert apart.difference == "20 against 10 datapoints"


def test_a_run_that_grows_stretches_the_axis():
    long = make_run()
    short = rdmviz.TrainingRun.from_arrays(long.rows(0, 250), long.steps[:250], name="a run")
    state = ComparisonState([make_run(rows=200), short])
    assert len(state.aligned["at"]) == 250
    state.states[1].grow(long)
    assert len(state.aligned["at"]) == 300
    assert state.states[1].step == 2990


class Cursor(RuleBasedStateMachine):
    """Whatever moves, all runs are where the common axis says."""

    @initialize()
    def begin(self):
        self.comparison = rdmviz.explore(
            [make_run(), make_run(rows=170, every=14, first=95, seed=1), make_run(n=6, rows=220, seed=2)],
            window=8,
        )
        self.state = self.comparison.state

    @rule(share=st.floats(0, 1), stale=st.booleans())
    def the_browser_moves(self, share, stale):
        scene = self.comparison.link.scene
        place = round(share * (len(self.state.aligned["at"]) - 1))
        message = {"kind": "place", "revision": scene.revision - stale, "place": place}
        before = self.state.place
        scene._handle_custom_msg(message, [])
        assert self.state.place == (before if stale else place)

    @rule(run=st.integers(0, 2), share=st.floats(0, 1))
    def one_of_the_runs_is_moved(self, run, share):
        state = self.state.states[run]
        wanted = round(share * (state.run.n_steps - 1))
        state.step = int(state.run.steps[wanted])
        assert state.index <= wanted
        if self.state.align != "loss":
            assert state.index == wanted

    @rule(run=st.integers(0, 2), share=st.floats(0, 1))
    def a_map_is_moved_in_the_browser(self, run, share):
        scene = self.comparison.maps[run].link.scene
        scene.set_state({"index": round(share * (scene.count - 1))})

    @rule(align=st.sampled_from(["step", "loss", "drift", "spectral_heat_capacity"]))
    def the_alignment_changes(self, align):
        self.state.align = align

    @rule(run=st.integers(0, 2))
    def a_step_is_marked(self, run):
        self.comparison.link.scene._handle_custom_msg({"kind": "transition", "run": run}, [])

    @rule(window=st.sampled_from([5, 8, 13]))
    def the_window_changes(self, window):
        self.state.window = window

    @invariant()
    def all_agree(self):
        if not hasattr(self, "state"):
            return
        state, scene = self.state, self.comparison.link.scene
        rows = [each.index for each in state.states]
        assert rows == state.rows[:, state.place].tolist()
        assert scene.place == state.place
        assert scene.revision == state.revision
        assert ints(scene.rows).reshape(3, -1)[:, scene.place].tolist() == rows
        assert [view.link.scene.index for view in self.comparison.maps] == rows
        assert np.frombuffer(scene.coordinates, "<f8")[scene.place] == state.at
        shares = np.frombuffer(scene.shares, "<f8")
        assert (np.diff(shares) > 0).all()
        assert (shares[0], shares[-1]) == (0, 1)
        count = len(state.aligned["at"])
        assert len(self.comparison.curves.cursor.values) == 4 * count * len(
            self.comparison.curves.cursor.readouts
        )


Cursor.TestCase.settings = settings(max_examples=12, stateful_step_count=12, deadline=None)
TestCursor = Cursor.TestCase


# --- view


def test_a_move_in_the_browser_is_not_told_back_to_it():
    comparison = rdmviz.explore([make_run(), make_run(rows=200)])
    sent = []
    for scene in (comparison.link.scene, *(view.link.scene for view in comparison.maps)):
        scene.send_state = lambda key=None, scene=scene: sent.append((scene, key))
    drag(comparison, 120)
    assert [each.step for each in comparison.state.states] == [1200, 1200]
    assert sent == [], "a message about the past would move the maps back while a person drags on"
    comparison.state.place = 130
    assert {key for _, key in sent} == {"place", "index"}
    assert len(sent) == 3


def test_curves_are_overlaid_at_each_runs_own_places():
    runs = [make_run(), make_run(rows=200, every=15, seed=1)]
    comparison = rdmviz.explore(runs)
    panel = comparison.curves.panels[0]
    for mark, run, data in zip(panel.figure.marks, runs, comparison.curves.datasets, strict=True):
        np.testing.assert_array_equal(mark.x, run.steps[: len(mark.x)])
        np.testing.assert_array_equal(mark.y, data["spectral_heat_capacity"].values)
    first, second = panel.figure.marks
    assert first.colors != second.colors
    assert first.scales["x"] is second.scales["x"] is comparison.curves.panels[1].figure.marks[0].scales["x"]
    comparison.state.align = "loss"
    marks = comparison.curves.panels[1].figure.marks
    for mark, run in zip(marks, runs, strict=True):
        mean = run.rows(0, run.n_steps).mean(axis=1)
        lows = np.minimum.accumulate(mean)
        np.testing.assert_allclose(mark.x, np.unique(lows)[::-1], rtol=1e-12)
        np.testing.assert_array_equal(
            mark.y, [run.steps[np.flatnonzero(lows <= x * (1 + 1e-12))[0]] for x in mark.x]
        )
    assert marks[0].scales["x"].reverse
    assert comparison.curves.cursor.titles[1] == "Training step at this loss"


def test_readouts_are_the_values_under_the_cursor_and_nothing_outside_a_run():
    runs = [make_run(), make_run(rows=100, seed=1)]
    comparison = rdmviz.explore(runs)
    cursor = comparison.curves.cursor
    values = np.frombuffer(cursor.values, "<f4").reshape(len(cursor.readouts), -1)
    at = [k for k, readout in enumerate(cursor.readouts) if readout["panel"] == 1]
    for k, run, data in zip(at, runs, comparison.curves.datasets, strict=True):
        np.testing.assert_array_equal(values[k, : run.n_steps], data["mean_loss"].values.astype("f4"))
        assert np.isnan(values[k, run.n_steps :]).all()


def test_the_overlap_is_drawn_with_its_chance_or_replaced_by_words():
    runs = [make_run(), make_run(seed=1)]
    comparison = rdmviz.explore([*runs, runs[0]])
    figure = comparison.curves.panels[2].figure
    (chance, _, other, _, same) = figure.marks
    assert chance.line_style == "dashed"
    np.testing.assert_allclose(chance.y, 4 / 20)
    np.testing.assert_allclose(same.y, 1, atol=1e-9)
    assert np.nanmax(other.y) < 0.999
    assert len(comparison.curves._plots.children) == 3
    comparison.state.overlap_modes = 2
    np.testing.assert_allclose(figure.marks[0].y, 2 / 20)

    apart = rdmviz.explore([runs[0], make_run(n=10)])
    assert len(apart.curves._plots.children) == 2
    assert "20 against 10 datapoints" in apart.curves.caption.value
    assert apart.curves.cursor.titles[-1].startswith("Mean loss")
    short = rdmviz.explore([make_run(rows=20), make_run(rows=20, first=10**5)])
    assert "no place at which both" in short.curves.caption.value


def test_scrubbing_and_choosing_a_curve_do_not_solve_the_overlap_again(monkeypatch):
    from rdmviz.widgets import comparison_curves

    comparison = rdmviz.explore([make_run(), make_run(seed=1)])
    solved = []
    original = comparison_curves.subspace_overlap
    monkeypatch.setattr(
        comparison_curves, "subspace_overlap", lambda *a, **k: solved.append(1) or original(*a, **k)
    )
    comparison.state.place = 50
    comparison.state.signal = "participation_ratio"
    comparison.state.detrend = "quadratic"
    assert solved == []
    comparison.state.mode_detrend = "linear"
    assert solved == [1]


def test_recorded_metrics_of_any_run_can_be_overlaid():
    runs = [make_run(metrics={"accuracy": np.arange(300.0)}), make_run()]
    comparison = rdmviz.explore(runs, signal="metrics/accuracy")
    (mark,) = comparison.curves.panels[0].figure.marks
    np.testing.assert_array_equal(mark.y, np.arange(300.0))
    assert comparison.curves.cursor.titles[0] == "accuracy"
    comparison.state.curve_scale = "log"
    assert comparison.curves.cursor.titles[0] == "accuracy, log"
    (mark,) = comparison.curves.panels[0].figure.marks
    assert np.isnan(mark.y[0])


def test_marking_a_step_in_every_run_aligns_by_transition():
    comparison = rdmviz.explore([make_run(), make_run(seed=1)])
    scene, state = comparison.link.scene, comparison.state
    drag(comparison, 100)
    scene._handle_custom_msg({"kind": "transition", "run": 0}, [])
    assert scene.flags == ["step 1,000", ""]
    assert state.align == "step"
    drag(comparison, 150)
    scene._handle_custom_msg({"kind": "transition", "run": 1}, [])
    assert (state.align, state.transitions) == ("transition", (1000.0, 1500.0))
    assert scene.flags == ["step 1,000", "step 1,500"]
    assert [each.step for each in state.states] == [1500, 2000]
    assert comparison.controls.of["align"].value == "transition"
    drag(comparison, 0)
    scene._handle_custom_msg({"kind": "transition", "run": 0}, [])
    assert state.transitions == (0.0, 1500.0), "a mark can be moved"


def test_controls_follow_the_state_and_say_what_cannot_be():
    comparison = rdmviz.explore([make_run(), rdmviz.TrainingRun.from_arrays(np.ones((300, 4)), name=SCRIPT)])
    controls, state = comparison.controls, comparison.state
    assert "transition" not in dict(controls.of["align"].options).values()
    controls.of["align"].value = "drift"
    assert state.align == controls.of["align"].value == "step"
    assert "nothing moves" in controls.alert.value
    assert "<script" not in controls.alert.value
    controls.of["align"].value = "loss"
    assert (state.align, controls.alert.value) == ("loss", "")
    state.window = 40
    assert controls.of["window"].value == 40
    controls.of["window"].value = 32
    assert state.window == 32


def test_texts_of_runs_never_become_html():
    n = 20
    runs = [
        make_run(name=SCRIPT, probe={SCRIPT: [SCRIPT] * n}, metrics={SCRIPT: np.arange(300.0)}),
        make_run(name=SCRIPT, probe={SCRIPT: ["other"] * n}),
    ]
    comparison = rdmviz.explore(runs)
    comparison.state.signal = f"metrics/{SCRIPT}"
    comparison.state.align = "loss"
    shown = [w.value for w in _descendants(comparison) if isinstance(w, ipywidgets.HTML)]
    assert any("&lt;script&gt;" in text for text in shown)
    assert not any("<script" in text or "<img" in text for text in shown)
    assert comparison.link.scene.names == [SCRIPT, f"{SCRIPT} (2)"]  # set as text in the browser


@pytest.mark.parametrize("align", ["step", "loss"])
def test_runs_in_which_nothing_moves_or_losses_are_not_finite_can_be_compared(align):
    odd = np.random.default_rng(0).random((100, 6)) + 1
    odd[50, 2] = np.nan
    comparison = rdmviz.explore(
        [rdmviz.TrainingRun.from_arrays(np.ones((80, 6))), rdmviz.TrainingRun.from_arrays(odd)], align=align
    )
    assert comparison.maps[0].link.scene.notes["2"].startswith("Nothing fluctuates")
    assert comparison.curves.caption.value


def test_long_reading_is_shown_for_one_run_after_the_other(monkeypatch):
    told = []
    monkeypatch.setattr(
        compare_module,
        "takes_long",
        lambda run, window: run.name not in told and not told.append(run.name),
    )
    comparison = rdmviz.explore([make_run(name="one"), make_run(name="two")])
    assert comparison.wait(30)
    assert told == ["one", "two"]
    assert len(comparison.maps) == 2


def test_opening_and_closing_comparisons_leaves_no_widget_behind():
    runs = [make_run(), make_run(rows=200, n=10)]
    rdmviz.explore(runs).close()
    before = set(widget._instances)
    for _ in range(5):
        comparison = rdmviz.explore(runs)
        comparison.state.align = "loss"
        comparison.state.place = 10
        comparison.state.window = 32
        state = comparison.state
        comparison.close()
        comparison.close()  # twice is once
    assert set(widget._instances) == before
    state.place = 20  # nobody is left to hear of it
    kept = weakref.ref(comparison)
    del comparison
    gc.collect()
    assert kept() is None


@pytest.mark.parametrize("moment", ["the first run is read", "it has been read", "pictures are made"])
def test_a_comparison_closed_while_it_is_made_leaves_nothing_behind(moment, monkeypatch):
    rdmviz.explore([make_run(), make_run(seed=1)]).close()
    monkeypatch.setattr(preparing_module, "_LONG_PRODUCTS", 0)
    runs, gate = [make_run(seed=2), make_run(seed=3)], threading.Event()
    for run in runs:
        run.rows = lambda start, stop, rows=run.rows: gate.wait(30) and rows(start, stop)
    widgets, threads = set(widget._instances), set(threading.enumerate())
    comparison = rdmviz.explore(runs)
    (preparing,) = [part for part in comparison.children if isinstance(part, preparing_module.Preparing)]
    closed = threading.Event()

    def close_before(then):
        def closing(*given, **options):
            comparison.close()
            closed.set()
            return then(*given, **options)

        return closing

    if moment == "the first run is read":
        comparison.close()
        closed.set()
    elif moment == "it has been read":
        preparing._done = close_before(preparing._done)
    else:
        monkeypatch.setattr(compare_module, "ComparisonControls", close_before(ComparisonControls))
    gate.set()
    assert closed.wait(30)
    while ours := [each for each in threading.enumerate() if each not in threads]:
        ours[0].join(30)
        assert not ours[0].is_alive()
    assert set(widget._instances) == widgets
    assert gram_is_ready(runs[1], 64) == (moment == "pictures are made"), "what nobody waits for is not read"
    states = comparison.state.states
    assert [state.link for state in states] == [None, None]
    fresh = ComparisonState([make_run(seed=2), make_run(seed=3)])
    for left, never in zip([comparison.state, *states], [fresh, *fresh.states], strict=True):
        assert heard(left) == heard(never)


def heard(state):
    """How many hear of a change of each trait."""
    found = {name: sum(map(len, kinds.values())) for name, kinds in state._trait_notifiers.items()}
    return {name: count for name, count in found.items() if count}


def test_a_further_view_of_one_run_stays_in_step():
    comparison = rdmviz.explore([make_run(), make_run(rows=200)])
    view = DatapointMap(comparison.state.states[1])
    drag(comparison, 50)
    assert view.scene.index == 50
    comparison.close()
    view.scene.index = 60
    assert [each.step for each in comparison.state.states] == [600, 600]
    view.close()


def _descendants(found):
    yield found
    for child in getattr(found, "children", ()):
        yield from _descendants(child)
