"""Figures show what the explorer shows: the same frames, colours, order and words."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from ipywidgets.widgets import widget
from matplotlib.colors import to_hex
from matplotlib.text import Text

import rdmviz
from rdmviz.errors import FlatWindowError, NonFiniteLossError, OptionError, StepNotFoundError, WindowError
from rdmviz.figures.palette import CATEGORIES, OTHER, SEQUENTIAL, ramp
from rdmviz.widgets import ExplorerState, paneling
from rdmviz.widgets.picturing import VIEWS


def make_run(**changes):
    rng = np.random.default_rng(0)
    wave = np.cumsum(rng.standard_normal((300, 3)), axis=0) @ rng.standard_normal((3, 30))
    facts = {"probe": {"kind": ["a", "b", "a"] * 10, "size": np.arange(30.0)}, "name": "a run"}
    loss = 50 + wave + 0.1 * rng.standard_normal((300, 30))
    return rdmviz.TrainingRun.from_arrays(loss, steps=np.arange(300) * 4, **(facts | changes))


RUN = make_run()


def labelled_axes(figure, label):
    (axes,) = [axes for axes in figure.axes if label in axes.get_xlabel()]
    return axes


@pytest.mark.parametrize("modes", [(1, 2), (3, 1)])
def test_the_map_has_the_datapoints_where_the_modes_put_them(modes):
    figure = rdmviz.figure(RUN, "map", step=800, modes=modes, coloring="kind")
    axes = labelled_axes(figure, f"mode {modes[0]}")
    assert axes.get_ylabel().startswith(f"mode {modes[1]} · ")
    found = rdmviz.eigenmodes(RUN, 800, modes=4)
    where = np.asarray(axes.collections[0].get_offsets())
    for axis, mode in zip(where.T, modes, strict=True):
        value, vector = found["eigenvalue"].values[mode - 1], found["eigenvector"].values[mode - 1]
        expected = np.sqrt(value) * vector
        np.testing.assert_allclose(axis * np.sign(axis @ expected), expected, atol=1e-4 * np.ptp(expected))
    colors = [to_hex(color) for color in axes.collections[0].get_facecolors()]
    assert colors == [CATEGORIES[0], CATEGORIES[1], CATEGORIES[0]] * 10


def test_a_number_colours_by_the_ramp_and_the_selection_is_ringed():
    figure = rdmviz.figure(RUN, "map", coloring="size", selection=[4, 7])
    points, chosen, rings = labelled_axes(figure, "mode 1").collections
    expected = ramp(SEQUENTIAL)[np.rint(255 * np.arange(30) / 29).astype(int)] / 255
    np.testing.assert_allclose(points.get_facecolors()[:, :3], np.delete(expected, [4, 7], axis=0))
    np.testing.assert_allclose(chosen.get_facecolors()[:, :3], expected[[4, 7]])
    np.testing.assert_array_equal(rings.get_offsets(), chosen.get_offsets())


def test_what_has_no_value_is_grey_and_the_key_says_so():
    size = np.where(np.arange(30) % 5, np.arange(30.0), np.nan)
    figure = rdmviz.figure(make_run(probe={"size": size}), "map", coloring="size")
    points = labelled_axes(figure, "mode 1").collections[0]
    grey = [to_hex(color) == OTHER for color in points.get_facecolors()]
    assert grey == np.isnan(size).tolist()
    words = [text.get_text() for text in figure.findobj(Text)]
    assert words.index("no value") == words.index("29") + 1 == words.index("1") + 2


@pytest.mark.parametrize("map_scale", ["linear", "log"])
def test_colour_and_area_by_loading_are_those_of_the_maps_modes(map_scale):
    options = {
        "step": 800,
        "modes": (2, 3),
        "map_scale": map_scale,
        "coloring": "loading",
        "sizing": "loading",
    }
    (points, *_) = labelled_axes(rdmviz.figure(RUN, "map", **options), "mode 2").collections
    found = rdmviz.eigenmodes(RUN, 800, modes=3)
    loadings = np.sqrt(found["eigenvalue"].values[1:, None]) * found["eigenvector"].values[1:]
    share = np.hypot(*loadings) / np.hypot(*loadings).max()
    if map_scale == "log":
        share = np.maximum(0, 1 + np.log10(share) / 6)
    expected = ramp(SEQUENTIAL)[np.rint(255 * share).astype(int)] / 255
    np.testing.assert_allclose(
        points.get_facecolors()[:, :3], expected, atol=6 / 255
    )  # one code, at most six
    np.testing.assert_allclose(points.get_sizes() / 16, (0.55 + 1.7 * np.sqrt(share)) ** 2, rtol=0.02)


def test_a_fixed_plane_and_trails_are_those_of_the_explorer():
    state = ExplorerState(RUN, step=800, plane="fixed", plane_step=400, trails=5, selection=[3, 9])
    axes = labelled_axes(rdmviz.figure(state, "map"), "mode 1 of step 400")
    _, chosen, _ = axes.collections
    ways = [np.column_stack(line.get_data()) for line in axes.lines if len(line.get_xdata()) == 6]
    np.testing.assert_array_equal([way[-1] for way in ways], chosen.get_offsets())
    before = labelled_axes(rdmviz.figure(state, "map", step=780), "mode 1 of step 400").collections[1]
    np.testing.assert_allclose([way[0] for way in ways], before.get_offsets(), rtol=1e-6)


def test_a_plane_without_modes_is_told():
    with pytest.raises(OptionError, match="fixed at step 8"):
        rdmviz.figure(RUN, "map", plane="fixed", plane_step=8)


@pytest.mark.parametrize("kind", ["covariance", "correlation"])
def test_the_matrix_is_in_the_explorers_order(kind):
    explorer = rdmviz.explore(RUN, step=800, matrix=kind)
    frames = explorer.map.link.frames
    order = frames.arrangement.at(200).order
    image = rdmviz.figure(explorer, "matrix").axes[1].images[0].get_array()
    rows = RUN.rows(137, 201).T[order]
    share = np.cov(rows) / np.cov(rows).diagonal().max()
    expected = np.sign(share) * np.sqrt(np.abs(share)) if kind == "covariance" else np.corrcoef(rows)
    np.testing.assert_allclose(image, expected, atol=1e-9)
    explorer.close()


def test_the_matrix_of_many_datapoints_says_how_many_and_has_the_selected_ones():
    run = rdmviz.TrainingRun.from_arrays(np.random.default_rng(0).random((80, 900)))
    figure = rdmviz.figure(run, "matrix", selection=[7, 333])
    assert "400 of 900 datapoints" in " ".join(text.get_text() for text in figure.texts)
    assert len(figure.axes[1].patches) == 4, "two rows and two columns are outlined"


def test_the_spectrum_has_the_shares_of_the_trace():
    figure = rdmviz.figure(RUN, "spectrum", step=800, modes=(1, 3), spectrum_scale="linear")
    (axes,) = figure.axes
    values = rdmviz.spectra(RUN, 800)["explained"].values[0]
    heights = [bar.get_height() for bar in axes.patches]
    np.testing.assert_allclose(heights[:24], values[:24], rtol=1e-5)
    assert [to_hex(axes.patches[k].get_facecolor()) for k in (0, 2)] == list(CATEGORIES[:2])
    null = rdmviz.null_edge(RUN, 800, detrend="constant")
    trace = rdmviz.spectra(RUN, 800)["trace"].values[0]
    assert axes.lines[0].get_ydata()[0] == pytest.approx(float(null["edge"]) / trace, rel=1e-6)
    assert axes.get_yscale() == "linear"


def test_the_curves_are_those_of_analyze_with_the_baselines_beside_them():
    state = ExplorerState(RUN, step=800, detrend="quadratic", marks=[{"step": 40, "kind": "alarm"}])
    state.add_bookmark("here", 400)
    figure = rdmviz.figure(state, "curves")
    dataset = rdmviz.analyze(RUN, detrend="quadratic")
    drawn = {axes.get_title("left"): axes for axes in figure.axes}
    for name, title in {
        "spectral_heat_capacity": "Spectral heat capacity",
        "participation_ratio": "Participation ratio",
        "mean_loss_variance": "Variance of the mean loss",
        "mean_loss_autocorrelation": "Lag-1 autocorrelation of the mean loss",
    }.items():
        (axes,) = [axes for text, axes in drawn.items() if text.startswith(title)]
        np.testing.assert_array_equal(axes.lines[0].get_ydata(), dataset[name].values)
        assert [line.get_xdata()[0] for line in axes.lines[1:]] == [40, 400, 800]
    (losses,) = [axes for text, axes in drawn.items() if text.startswith("Mean loss")]
    np.testing.assert_allclose(
        losses.lines[0].get_ydata(), RUN.loss.values[:, RUN.probe["kind"] == "a"].mean(1)
    )


def titles(figure):
    return [axes.get_title("left") for axes in figure.axes]


def test_a_baseline_stands_once_beside_those_it_is_for_and_all_else_spans_both():
    run = make_run(metrics={"test_accuracy": np.linspace(0, 1, 300)})
    names = (
        "metrics/test_accuracy",
        "trace",
        "spectral_heat_capacity",
        "mean_loss_variance",
        "mean_loss_slope",
    )
    figure = rdmviz.figure(run, "curves", signals=names, curve_scale="linear")
    assert titles(figure) == [
        "Trace of the 2RDM, loss²",
        "Variance of the mean loss, loss²",
        "Spectral heat capacity, loss⁴",
        "test accuracy",
        "Slope of the mean loss, |dL/dt|, loss/step",
    ]
    widths = [round(axes.get_position().width, 3) for axes in figure.axes]
    assert widths[0] == widths[1] == widths[2] < widths[3] == widths[4]
    assert {axes.get_yscale() for axes in figure.axes} == {"linear"}


def test_a_dear_curve_is_solved_over_the_span_at_as_many_rows_as_can_be(monkeypatch):
    options = {"signals": ("entropy",), "span": (400, 1000)}
    expected = rdmviz.analyze(RUN)["entropy"].values[100:251]
    line = rdmviz.figure(RUN, "curves", **options).axes[0].lines[0]
    np.testing.assert_allclose(line.get_ydata(), expected)
    monkeypatch.setattr(paneling, "_SOLVED_ENTRIES", 30**2 * 60)
    figure = rdmviz.figure(RUN, "curves", **options)
    assert "one of 3 rows is solved" in figure.texts[0].get_text()
    np.testing.assert_allclose(figure.axes[0].lines[0].get_ydata()[::3], expected[::3])


def test_losses_are_of_the_selection_or_of_the_groups_here():
    selected = rdmviz.figure(RUN, "curves", signals=("mean_loss",), loss_curves="selection", selection=[3, 9])
    (axes,) = selected.axes
    assert titles(selected) == ["Mean loss of the selection"]
    np.testing.assert_allclose(axes.lines[0].get_ydata(), RUN.loss.values[:, [3, 9]].mean(1))
    np.testing.assert_allclose(axes.lines[2].get_ydata(), RUN.loss.values[:, 3])
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["2 selected", "all others"]

    grouped = rdmviz.figure(RUN, "curves", step=800, signals=("mean_loss",), loss_curves="groups")
    found = rdmviz.groups(RUN, 4 * 191)  # the keyframe before row 200: groups hold for 16 rows
    assert titles(grouped) == ["Mean loss by group at step 764"]
    for line, label in zip(grouped.axes[0].lines, found["label"].values, strict=False):
        mine = found["group"].values == label
        np.testing.assert_allclose(line.get_ydata(), RUN.loss.values[:, mine].mean(1))


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("suffix", ["svg", "png", "pdf"])
def test_a_picture_is_written_by_suffix_and_the_same_each_time(view, suffix, tmp_path):
    first, again = tmp_path / f"a.{suffix}", tmp_path / f"b.{suffix}"
    rdmviz.figure(RUN, view, first)
    rdmviz.figure(RUN, view, str(again))
    assert first.read_bytes() == again.read_bytes() != b""


def test_an_explorer_saves_what_it_shows_and_is_left_as_it_is(tmp_path):
    explorer = rdmviz.explore(RUN, step=800)
    before = explorer.state.state_dict()
    explorer.save_figure(tmp_path / "shown.svg", "map")
    rdmviz.figure(explorer.state, "map", tmp_path / "state.svg")
    rdmviz.figure(RUN, "map", tmp_path / "run.svg", step=800)
    assert len({(tmp_path / f"{name}.svg").read_bytes() for name in ("shown", "state", "run")}) == 1
    rdmviz.figure(explorer, "map", step=400, window=20)
    assert explorer.state.state_dict() == before
    explorer.save_table(tmp_path / "curves.csv")
    assert (tmp_path / "curves.csv").read_bytes().startswith(b"\xef\xbb\xbfstep,")
    explorer.close()


def test_figures_leave_no_widget_behind():
    before = set(widget._instances)
    for view in VIEWS:
        rdmviz.figure(RUN, view)
    assert set(widget._instances) == before


def test_a_step_without_modes_says_why():
    loss = np.random.default_rng(0).random((300, 8))
    loss[100:180] = 0.5
    loss[290, 3] = np.nan
    run = rdmviz.TrainingRun.from_arrays(loss)
    for step, error in ((10, WindowError), (170, FlatWindowError), (295, NonFiniteLossError)):
        for view in ("map", "matrix", "spectrum"):
            with pytest.raises(error):
                rdmviz.figure(run, view, step=step)
        rdmviz.figure(run, "curves", step=step).to_bytes("png")


def test_a_run_without_metadata_or_name_and_of_two_datapoints_has_figures():
    run = rdmviz.TrainingRun.from_arrays(np.random.default_rng(0).random((60, 2)))
    for view in VIEWS:
        rdmviz.figure(run, view).to_bytes("png")


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"view": "maps"}, OptionError, "'map', 'matrix', 'spectrum'"),
        ({"width": 0.1}, OptionError, "1 to 40 inches"),
        ({"colour": "kind"}, OptionError, "colour"),
        ({"path": "x.jpg"}, OptionError, r"\.svg, \.png or \.pdf"),
        ({"step": 5}, StepNotFoundError, "4 and 8"),
    ],
)
def test_what_cannot_be_drawn_is_refused(arguments, error, says):
    with pytest.raises(error, match=says):
        rdmviz.figure(RUN, **arguments)


def test_what_is_no_run_is_refused():
    with pytest.raises(OptionError, match="open_run"):
        rdmviz.figure("a/path")


def test_without_matplotlib_the_install_command_is_named_and_all_else_works():
    script = """
import sys
sys.modules["matplotlib"] = None
import numpy as np, rdmviz
from rdmviz.errors import MissingExtraError
run = rdmviz.TrainingRun.from_arrays(np.random.default_rng(0).random((60, 4)))
explorer = rdmviz.explore(run)
try:
    rdmviz.figure(run)
except MissingExtraError as error:
    assert 'pip install "rdmviz[figures]"' in str(error), error
else:
    raise SystemExit("no error")
sent = []
explorer.keep.send = lambda content, buffers: sent.append(content)
explorer.keep._handle_custom_msg({"kind": "picture", "view": "map", "format": "svg", "row": 40, "id": 3}, [])
assert sent[0]["kind"] == "trouble" and "rdmviz[figures]" in sent[0]["text"], sent
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", script], check=True)
