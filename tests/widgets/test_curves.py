"""The curves through the null frontend: what is drawn is what `analyze` says, and nothing piles up."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ipywidgets.widgets.widget import _instances as living

import rdmviz
from rdmviz.analysis import curves as analysis_curves
from rdmviz.errors import OptionError
from rdmviz.widgets import ExplorerState, WarningCurves, loss_curves
from rdmviz.widgets import curves as curves_module
from rdmviz.widgets.loss_curves import SELECTED
from rdmviz.widgets.panel import minus_labels, tick_format, ticks, time_ticks
from rdmviz.widgets.signals import MOST_SIGNALS, offered, presets

ROWS, N = 300, 12


def make_run(rows=ROWS, n=N, **options):
    rng = np.random.default_rng(0)
    loss = 3 + np.cumsum(0.05 * rng.standard_normal((rows, n)), axis=0) * np.linspace(1, 2, n)
    options.setdefault("probe", {"kind": ["seen", "unseen", "seen"] * (n // 3)})
    return rdmviz.TrainingRun.from_arrays(np.abs(loss), steps=10 * np.arange(rows), **options)


def open_curves(run=None, **chosen):
    return WarningCurves(ExplorerState(make_run() if run is None else run, **chosen))


def drawn(curves, place):
    """Points of the curves of one panel."""
    mark = curves._panels[place].figure.marks[-1]
    return np.atleast_2d(mark.x), np.atleast_2d(mark.y)


def readouts(curves):
    """Values that the browser shows, one row per curve."""
    count = sum(len(panel["readouts"]) for panel in curves.cursor.panels)
    return np.frombuffer(curves.cursor.values, "<f4").reshape(count, -1)


def test_at_first_heat_capacity_participation_ratio_and_the_losses_are_drawn():
    curves = open_curves()
    names = [signal.name for signal in curves.signals]
    assert names == ["spectral_heat_capacity", "participation_ratio", "mean_loss"]
    data = rdmviz.analyze(curves.state.run)
    for place, name in enumerate(names[:2]):
        _, y = drawn(curves, place)
        np.testing.assert_array_equal(y[0], data[name].values)
    assert [panel["title"] for panel in curves.cursor.panels][-1] == "Mean loss by kind"
    assert "Uncalibrated" in curves.caption.value


@pytest.mark.parametrize("name", list(offered(make_run())))
def test_every_curve_on_offer_is_what_the_analysis_says(name):
    curves = open_curves(signals=(name,), loss_curves="mean", curve_scale="linear")
    run = curves.state.run
    shc = {"heat_capacity_total": "total", "heat_capacity_capacity": "capacity"}.get(name)
    data = rdmviz.analyze(run, shc=shc or "variance")
    expected = data["spectral_heat_capacity" if shc else name].values
    _, y = drawn(curves, 0)
    np.testing.assert_array_equal(y[0], expected)
    np.testing.assert_array_equal(readouts(curves)[0], expected.astype("f4"))


def test_every_spectral_curve_has_a_plain_baseline_beside_it():
    known = offered(make_run())
    spectral = [signal for signal in known.values() if signal.family == "spectral"]
    assert len(spectral) > 8
    assert all(known[signal.baseline].family == "plain" for signal in spectral)
    told = open_curves(signals=("trace", "mean_loss")).cursor.panels
    assert [panel["baseline"] for panel in told] == ["mean_loss_variance", ""]


def test_recorded_metrics_are_drawn_as_recorded_even_if_called_like_a_curve():
    run = make_run(metrics={"mean_loss": np.arange(300.0), "val/accuracy": -np.arange(300.0)})
    curves = open_curves(run, signals=presets(run)["Metrics"])
    assert [signal.name for signal in curves.signals] == [
        "metrics/mean_loss",
        "metrics/val/accuracy",
        "mean_loss",
    ]
    np.testing.assert_array_equal(drawn(curves, 0)[1][0], np.arange(300.0))
    np.testing.assert_array_equal(drawn(curves, 1)[1][0], -np.arange(300.0))


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (["metrics/accuracy"], "'metrics/accuracy' is unknown"),
        (["trace", "trace"], "different"),
        (list(offered(make_run()))[: MOST_SIGNALS + 1], f"up to {MOST_SIGNALS}"),
    ],
)
def test_curves_that_are_not_on_offer_are_refused_and_the_old_ones_stay(names, says):
    curves = open_curves(signals=("trace",))
    with pytest.raises(OptionError, match=says):
        curves.state.signals = names
    assert [signal.name for signal in curves.signals] == ["trace"]


def test_curves_are_chosen_in_the_browser_too():
    curves = open_curves()
    curves.state.link.scene.signals = ["entropy", "mean_loss"]
    assert curves.state.signals == ("entropy", "mean_loss")
    assert curves.head.drawn == ["entropy", "mean_loss"]
    assert len(curves._plots.children) == 2


def test_an_axis_is_log_where_that_is_asked_for_and_possible():
    run = make_run(metrics={"falls": -1.0 - np.arange(300.0), "both": np.arange(300.0) - 10})
    curves = open_curves(run, signals=("trace", "participation_ratio", "metrics/falls", "metrics/both"))

    def logs():
        return [type(p.figure.axes[1].scale).__name__ == "LogScale" for p in curves._panels[:4]]

    assert logs() == [True, False, False, False]
    curves.state.curve_scale = "log"
    assert logs() == [True, True, False, True], "no positive value: no log axis"
    y = drawn(curves, 3)[1][0]
    assert np.isnan(y[:11]).all()
    assert (y[11:] > 0).all()
    curves.state.curve_scale = "linear"
    assert logs() == [False] * 4


def test_a_span_zooms_every_panel_and_shows_what_was_thinned_out_before():
    run = make_run(rows=9000)
    curves = open_curves(run, signals=("trace", "mean_loss_variance"))
    assert drawn(curves, 0)[0].shape[1] <= 3000
    curves.state.span = (40_000, 50_000)
    assert (curves._time.min, curves._time.max) == (40_000, 50_000)
    data = rdmviz.analyze(run).sel(step=slice(40_000, 50_000))
    for place, name in enumerate(("trace", "mean_loss_variance")):
        x, y = drawn(curves, place)
        np.testing.assert_array_equal(x[0], data["step"].values)
        np.testing.assert_array_equal(y[0], data[name].values)
        scale = curves._panels[place].figure.axes[1].scale
        assert scale.min <= y.min() < y.max() <= scale.max
        filled = np.log(y.max() / y.min()) / np.log(scale.max / scale.min)
        assert filled > 0.75, "the axis fits what is in the span"
        ticks = curves._panels[place].figure.axes[0].tick_values
        assert len(ticks) >= 3
        assert ((ticks >= 40_000) & (ticks <= 50_000)).all()
    assert curves.cursor.start == 4000
    np.testing.assert_allclose(readouts(curves)[0], data["trace"].values, rtol=1e-6)


def test_windows_with_losses_that_are_not_numbers_are_gaps_and_said():
    loss = np.random.default_rng(0).random((300, 6))
    loss[200, 2] = np.nan
    curves = open_curves(rdmviz.TrainingRun.from_arrays(loss))
    y = drawn(curves, 1)[1][0]
    assert np.isnan(y[200:264]).all()
    assert np.isfinite(y[264:]).all()
    assert "first at step 200" in curves.caption.value


def test_a_curve_that_never_speaks_leaves_an_empty_panel():
    run = make_run(metrics={"never": np.full(300, np.nan)})
    curves = open_curves(run, signals=("metrics/never", "trace"))
    assert drawn(curves, 0)[1].size == 0
    assert np.isnan(readouts(curves)[0]).all()


def test_eigenvalue_curves_are_solved_when_chosen_and_words_say_so(monkeypatch):
    solved = []
    original = analysis_curves.window_spectra

    def counting(gram, traces, rows, read):
        solved.extend(rows)
        return original(gram, traces, rows, read)

    monkeypatch.setattr(analysis_curves, "window_spectra", counting)
    curves = open_curves()
    curves.state.span = (1000, 1200)
    assert solved == []
    words = []
    curves.cursor.observe(lambda change: words.append(change["new"]), "computing")
    curves.state.signals = ("entropy", "top_eigenvalue")
    assert sorted(solved) == list(range(100, 121)), "of the span alone, once for both"
    assert words == ["Computing: Von Neumann entropy, Largest eigenvalue …", ""]


def test_dear_curves_of_a_large_run_are_solved_at_fewer_rows_and_that_is_said(monkeypatch):
    monkeypatch.setattr(curves_module, "_SOLVED_ENTRIES", 100 * N**2)
    curves = open_curves(signals=("entropy",))
    assert "one of 3 rows is solved" in curves.caption.value
    exact = rdmviz.analyze(curves.state.run)["entropy"].values
    np.testing.assert_array_equal(readouts(curves)[0, ::3], exact[::3].astype("f4"))
    solved = np.append(exact[::3], exact[299])
    np.testing.assert_array_equal(drawn(curves, 0)[1][0], solved, "no steps between, and the end")
    assert readouts(curves)[0, -1] == exact[299].astype("f4")
    curves.state.span = (1000, 1900)
    np.testing.assert_array_equal(readouts(curves)[0], exact[100:191].astype("f4"))
    assert "is solved" not in curves.caption.value


def test_losses_of_classes_and_of_all():
    curves = open_curves(signals=("mean_loss",))
    loss = curves.state.run.loss.values
    kinds = np.array(curves.state.run.probe["kind"].values)
    assert [r["label"] for r in curves.cursor.panels[0]["readouts"]] == ["seen", "unseen"]
    for row, kind in enumerate(("seen", "unseen")):
        np.testing.assert_allclose(drawn(curves, 0)[1][row], loss[:, kinds == kind].mean(axis=1))
    curves.state.loss_curves = "mean"
    np.testing.assert_allclose(drawn(curves, 0)[1], loss.mean(axis=1)[None])


def test_many_classes_are_the_most_frequent_ones_and_all_others():
    names = ["a"] * 5 + ["b"] * 4 + [f"c{k}" for k in range(9)]
    run = make_run(n=18, probe={"kind": names})
    curves = open_curves(run, signals=("mean_loss",), coloring="kind")
    labels = [r["label"] for r in curves.cursor.panels[0]["readouts"]]
    assert labels[:2] == ["a", "b"]
    assert (len(labels), labels[-1]) == (6, "6 more")
    _, y = drawn(curves, 0)
    np.testing.assert_allclose(y[-1], run.loss.values[:, 12:].mean(axis=1))


def test_losses_of_the_selection_against_all_others_and_one_by_one():
    curves = open_curves(signals=("mean_loss",), loss_curves="selection")
    loss = curves.state.run.loss.values
    np.testing.assert_allclose(drawn(curves, 0)[1], loss.mean(axis=1)[None], err_msg="nothing is selected")
    curves.state.selection = [7, 2]
    _, y = drawn(curves, 0)
    np.testing.assert_allclose(y[0], loss[:, [2, 7]].mean(axis=1))
    np.testing.assert_allclose(y[1], np.delete(loss, [2, 7], axis=1).mean(axis=1))
    singles, means = curves._panels[0].figure.marks
    np.testing.assert_array_equal(np.asarray(singles.y), loss[:, [7, 2]].T)
    assert singles.stroke_width < means.stroke_width
    assert curves.cursor.panels[0]["readouts"][0] == {"label": "2 selected", "color": SELECTED}
    curves.state.selection = list(range(N))
    np.testing.assert_allclose(drawn(curves, 0)[1], loss.mean(axis=1)[None])
    assert len(curves._panels[0].figure.marks) == 1


def test_losses_of_the_groups_are_those_where_time_rests():
    curves = open_curves(signals=("mean_loss",), loss_curves="groups")
    assert curves.cursor.panels[0]["title"] == "Mean loss"
    curves.cursor.rested = 250
    frames = curves.state.link.frames
    steady = frames.arrangement.steady_rows
    row = frames.path.first + (250 - frames.path.first) // steady * steady
    labels = frames.path.groups_at(row)
    _, y = drawn(curves, 0)
    loss = curves.state.run.loss.values
    for place, label in enumerate(np.unique(labels)):
        np.testing.assert_allclose(y[place], loss[:, labels == label].mean(axis=1))
    assert f"step {10 * row:,}" in curves.cursor.panels[0]["title"]
    curves.cursor.rested = 3
    assert "first full window" in curves.caption.value


def test_what_is_too_dear_to_read_is_left_out_and_said(monkeypatch):
    monkeypatch.setattr(loss_curves, "_COST", ROWS * N - 1)
    curves = open_curves(signals=("mean_loss",))
    assert "left out: 300 × 12 losses" in curves.caption.value
    np.testing.assert_allclose(drawn(curves, 0)[1][0], curves.state.run.loss.values.mean(axis=1))


def test_redrawing_makes_no_widgets_and_closing_leaves_none():
    before = set(living)
    state = ExplorerState(make_run())
    curves = WarningCurves(state)
    run_through(state)
    once = set(living)
    for _ in range(2):
        run_through(state)
    assert set(living) == once
    curves.close()
    curves.close()
    left = [living[key] for key in set(living) - before]
    assert left == []
    state.span = (0, 100)  # nobody listens any more


def run_through(state):
    for signals in (("trace", "entropy", "mean_loss"), tuple(offered(state.run))[:MOST_SIGNALS], ()):
        state.signals = signals
        for scale in ("log", "linear", "auto"):
            state.curve_scale = scale
        state.selection = [1, 2]
        for kind in ("selection", "groups", "mean", "coloring"):
            state.loss_curves = kind
        state.span = (500, 1500)
        state.span = (0, 2990)
        state.window = 32
        state.window = 64


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.0, 5, 10], "~g"),
        ([0.9998, 0.9999, 1.0], "~g"),
        ([1e-8, 1e-6, 1e-4], ".0~e"),
        ([0.0, 5e-5, 1e-4], ".0~e"),
        ([1.2e6, 1.25e6, 1.3e6], ".2~e"),
        ([0.0], "~g"),
        ([], "~g"),
    ],
)
def test_ticks_are_written_so_that_they_differ(values, expected):
    assert tick_format(np.array(values, float)) == expected


@pytest.mark.parametrize(
    ("values", "form", "expected"),
    [
        ([-0.5, 0, 0.5], "~g", {"-0.5": "−0.5"}),
        ([1e-8, 1e-6, 1e-4], ".0~e", {"1e-8": "1e−8", "0.000001": "1e−6", "0.0001": "1e−4"}),
        ([-2.5e-5, 2e6], ".1~e", {"-0.000025": "−2.5e−5"}),
        ([0.01, 1], ".0e", {"0.01": "1e−2"}),
        ([0, 1000], ",d", {}),
    ],
)
def test_one_minus_sign_is_used_on_axes(values, form, expected):
    assert minus_labels(np.array(values, float), form) == expected


def test_the_detrending_stands_by_what_the_spectrum_has_too():
    curves = open_curves()
    units = {head["name"]: head["units"] for head in curves.cursor.panels}
    assert units["participation_ratio"] == "linear detrending"
    assert units["spectral_heat_capacity"] == "loss⁴, log"
    curves.state.detrend = "none"
    assert curves.cursor.panels[1]["units"] == "no detrending"


@pytest.mark.parametrize(("low", "high"), [(1e-9, 1e-2), (2.1e-4, 3.4e-4), (3.0, 70.0), (1e6, 1.0001e6)])
def test_a_log_axis_has_round_ticks_inside_whatever_it_spans(low, high):
    values = ticks(low, high, log=True)
    assert 2 <= len(values) <= 6
    assert ((values >= low * 0.999) & (values <= high * 1.001)).all()
    np.testing.assert_allclose([float(f"{v:.4g}") for v in values], values, rtol=1e-3)


def test_long_steps_are_not_written_beyond_the_ends_of_the_time_axis():
    assert time_ticks(0, 10_000).tolist() == [0, 5000, 10_000]
    np.testing.assert_allclose(time_ticks(5e6, 8e6), [6e6, 7e6])


@given(low=st.floats(-1e3, 1e3), size=st.floats(1e-3, 1e4))
def test_an_axis_has_two_to_six_ticks_within_it(low, size):
    values = ticks(low, low + size)
    assert 2 <= len(values) <= 6
    assert low - 1e-6 * size <= values[0] < values[-1] <= low + 1.000001 * size
