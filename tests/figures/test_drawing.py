"""Each picture from plain arrays: what is on the axes is what was put in, the same file each time."""

from __future__ import annotations

import logging
import re
import xml.etree.ElementTree as ET

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex

from rdmviz.errors import OptionError
from rdmviz.figures import (
    CurvesContent,
    Key,
    Line,
    MapContent,
    MatrixContent,
    Panel,
    SpectrumContent,
    draw,
)
from rdmviz.figures.contents import FORMATS
from rdmviz.figures.keys import rows_of
from rdmviz.figures.palette import CATEGORIES, CURSOR, DIVERGING, MUTED, UNDEFINED, ramp
from rdmviz.figures.style import Picture, plain, style

RNG = np.random.default_rng(3)
KEY = Key("kind", "categorical", ("seen", "unseen"))
SIGNATURES = {"svg": b"<?xml", "png": b"\x89PNG\r\n", "pdf": b"%PDF-"}


def a_map(**changes):
    facts = {
        "caption": ("a run", "step 5"),
        "positions": RNG.normal(size=(40, 2)),
        "ends": (-4.0, 4.0, -5.0, 5.0),
        "axes": ("mode 1", "mode 2"),
        "codes": np.arange(40, dtype=np.uint8) % 2,
        "key": KEY,
        "ringed": np.array([3, 5]),
    }
    return MapContent(**(facts | changes))


def a_matrix(**changes):
    shade = RNG.uniform(-1, 1, (12, 12))
    facts = {
        "caption": (),
        "shade": (shade + shade.T) / 2,
        "scale": 0.5,
        "quantity": "covariance",
        "rooted": True,
        "codes": np.zeros(12, np.uint8),
        "key": KEY,
        "ringed": np.array([2]),
    }
    return MatrixContent(**(facts | changes))


def a_spectrum(**changes):
    facts = {"caption": (), "shares": 0.5 ** np.arange(1, 20), "note": "PR 3", "chosen": (0, 2)}
    return SpectrumContent(**(facts | changes))


def curves(*panels, **changes):
    facts = {"caption": (), "steps": np.arange(0, 200, 2), "span": (0, 198), "panels": panels, "cursor": 50}
    return CurvesContent(**(facts | changes))


def a_panel(title="Trace", *, log=False, column=0, lines=1):
    walks = np.abs(np.cumsum(RNG.normal(size=(lines, 100)), axis=1)) + 0.1
    return Panel(
        title, tuple(Line(f"l{k}", y, CATEGORIES[k]) for k, y in enumerate(walks)), log, column=column
    )


EVERY = {
    "map": a_map(),
    "matrix": a_matrix(),
    "spectrum": a_spectrum(),
    "curves": curves(
        a_panel(), a_panel(column=1), a_panel(column=None, lines=2), marks=((60, "alarm", "a"),)
    ),
}


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("content", EVERY.values(), ids=EVERY)
def test_a_picture_is_a_file_of_its_kind_and_the_same_each_time(content, kind):
    first = draw(content).to_bytes(kind)
    assert first.startswith(SIGNATURES[kind])
    assert draw(content).to_bytes(kind) == first


LONG = "a title of more words than there is room for beside any curve, whatever it is of"
WORDY = {
    "caption": (LONG[:50], *["some facts"] * 6),
    "key": Key(LONG[:30], "diverging", ("falls by 1.66e-5", "0", "rises by 1.66e-5")),
}
CROWDED = {
    "map, wordy": a_map(**WORDY),
    "matrix, wordy": a_matrix(**WORDY),
    "curves, wordy": curves(a_panel(LONG), a_panel(LONG, column=1), a_panel(LONG, column=None, lines=7)),
}


@pytest.mark.parametrize("width", [3.2, 6.2, None])
@pytest.mark.parametrize("content", (EVERY | CROWDED).values(), ids=EVERY | CROWDED)
def test_nothing_is_cut_off(content, width):
    picture = draw(content, width)
    picture.set_dpi(300)  # as it is saved; on a screen letters are wider
    with style():
        canvas = FigureCanvasAgg(picture)
        canvas.draw()
        box = picture.get_tightbbox(canvas.get_renderer())
    width, height = picture.get_size_inches()
    assert min(box.x0, box.y0) >= 0
    assert box.x1 <= width
    assert box.y1 <= height


def test_the_session_keeps_its_own_style():
    before = dict(mpl.rcParams)
    draw(a_map()).to_bytes("png")
    assert dict(mpl.rcParams) == before


def test_the_style_does_not_depend_on_the_sessions():
    usual = draw(a_spectrum()).to_bytes("svg")
    with mpl.rc_context({"font.size": 20, "svg.fonttype": "path", "axes.facecolor": "black"}):
        assert draw(a_spectrum()).to_bytes("svg") == usual


def test_map_points_and_rings_are_where_they_were_put():
    content = a_map()
    (axes,) = [axes for axes in draw(content).axes if axes.get_xlabel()]
    points, chosen, rings = axes.collections
    np.testing.assert_array_equal(points.get_offsets(), np.delete(content.positions, [3, 5], axis=0))
    np.testing.assert_array_equal(chosen.get_offsets(), content.positions[[3, 5]])
    np.testing.assert_array_equal(rings.get_offsets(), content.positions[[3, 5]])
    assert [to_hex(color) for color in points.get_facecolors()[:2]] == list(CATEGORIES[:2])
    assert points.get_alpha() < chosen.get_alpha() == 1
    assert (*axes.get_xlim(), *axes.get_ylim()) == content.ends
    assert (axes.get_xlabel(), axes.get_ylabel()) == content.axes


def test_trails_go_where_the_datapoints_were_and_areas_follow_the_sizes():
    trails = (np.array([[0.0, 0], [1, 1], [np.nan, np.nan], [2, 1]]), np.zeros((4, 2)))
    sizes = np.linspace(0.5, 5, 40)
    (axes,) = [axes for axes in draw(a_map(trails=trails, sizes=sizes)).axes if axes.get_xlabel()]
    drawn = [np.column_stack(line.get_data()) for line in axes.lines if len(line.get_xdata()) == 4]
    np.testing.assert_array_equal(drawn, trails)
    areas = axes.collections[0].get_sizes()
    np.testing.assert_allclose(areas / areas[0], np.delete(sizes, [3, 5]) / sizes[0])


def test_a_map_of_many_points_is_a_small_file():
    count = 20_000
    many = a_map(
        positions=RNG.normal(size=(count, 2)), codes=np.zeros(count, np.uint8), ringed=np.empty(0, int)
    )
    svg = draw(many).to_bytes("svg")
    assert len(svg) < 2_000_000
    assert b"<image" in svg
    assert b">mode 1<" in svg


def test_matrix_shades_are_symmetric_about_zero_and_the_scale_says_what_they_are():
    content = a_matrix()
    picture = draw(content)
    image, bar = picture.axes[1].images[0], picture.axes[-1]
    np.testing.assert_array_equal(image.get_array(), content.shade)
    assert image.get_clim() == (-1, 1)
    np.testing.assert_array_equal(image.cmap.colors, ramp(DIVERGING) / 255)
    np.testing.assert_allclose(bar.get_xticks(), [-1, -0.5, 0, 0.5, 1])
    assert [text.get_text() for text in bar.get_xticklabels()] == ["−0.5", "−0.125", "0", "0.125", "0.5"]


def test_a_correlation_has_a_plain_scale_and_grey_where_it_is_undefined():
    shade = np.eye(3)
    shade[2] = shade[:, 2] = np.nan
    nothing = {"codes": np.zeros(3, np.uint8), "ringed": np.empty(0, int)}
    picture = draw(a_matrix(shade=shade, scale=1.0, rooted=False, **nothing))
    bar, image = picture.axes[-1], picture.axes[1].images[0]
    assert [text.get_text() for text in bar.get_xticklabels()] == ["−1", "−0.5", "0", "0.5", "1"]
    np.testing.assert_allclose(bar.get_xticks(), [-1, -0.5, 0, 0.5, 1])
    assert to_hex(image.cmap(image.norm(image.get_array()))[2, 2]) == UNDEFINED


def test_spectrum_bars_have_the_shares_and_the_maps_modes_stand_out():
    content = a_spectrum(edge=0.1)
    (axes,) = draw(content).axes
    tops = [bar.get_y() + bar.get_height() for bar in axes.patches]
    shown = content.shares > 1e-4
    np.testing.assert_allclose(np.array(tops)[shown], content.shares[shown])
    assert [to_hex(bar.get_facecolor()) for bar in axes.patches[:4]] == [
        CATEGORIES[0],
        MUTED,
        CATEGORIES[1],
        MUTED,
    ]
    assert axes.get_yscale() == "log"
    assert draw(a_spectrum(log=False)).axes[0].get_yscale() == "linear"
    assert axes.lines[0].get_ydata()[0] == 0.1


def test_curves_show_the_span_with_cursor_and_marks():
    marks = ((60, "transition", "t"), (500, "alarm", "outside"))
    content = curves(a_panel(log=True), a_panel(column=1), span=(20, 120), marks=marks)
    left, right = draw(content).axes
    assert left.get_xlim() == (20, 120)
    line = left.lines[0]
    assert line.get_xdata()[[0, -1]].tolist() == [20, 120]
    np.testing.assert_array_equal(line.get_ydata(), content.panels[0].lines[0].values[10:61])
    assert (left.get_yscale(), right.get_yscale()) == ("log", "linear")
    upright = [(float(line.get_xdata()[0]), line.get_color()) for line in left.lines[1:]]
    assert (50.0, CURSOR) in upright
    assert [x for x, _ in upright] == [60, 50]
    assert left.get_position().y0 == right.get_position().y0, "a curve stands beside its baseline"
    above, below = draw(content, 4).axes
    assert above.get_position().y0 > below.get_position().y1, "or above it where there is no room"


def test_a_curve_without_a_value_says_so():
    empty = Panel("Trace", (Line("", np.full(100, np.nan), CATEGORIES[0]),), log=True)
    (axes,) = draw(curves(empty)).axes
    assert "no value here" in [text.get_text() for text in axes.texts]


HOSTILE = "<script>$\\frac{</script>\x00\udcff & x" + "y" * 60


def test_any_text_of_a_run_is_drawn_as_text(caplog):
    key = Key(HOSTILE, "categorical", (HOSTILE, "שלום", "日本語", "🙂", "$$"))
    with caplog.at_level(logging.WARNING):
        for kind in FORMATS:
            data = draw(a_map(caption=(HOSTILE,), key=key)).to_bytes(kind)
            if kind == "svg":
                svg = data.decode()
    root = ET.fromstring(svg)
    assert not [node for node in root.iter() if node.tag.endswith("script")]
    texts = " ".join("".join(node.itertext()) for node in root.iter() if node.tag.endswith("text"))
    assert "<script>$\\frac{</script>" in texts
    assert "שלום" in texts
    assert not caplog.records


def test_plain_leaves_no_character_that_a_file_cannot_hold():
    assert plain("a\tb\n c") == "a b c"
    assert plain("\x00\ud800\u200d👩\u200d🔬") == "\ufffd\ufffd\u200d👩\u200d🔬"


def test_a_long_key_goes_on_in_more_rows_and_loses_no_category():
    key = Key("word", "categorical", tuple(f"a rather long category {k}" for k in range(9)))
    rows = rows_of(key, 4.2)
    assert [place for row in rows for place in row] == list(range(9))
    assert len(rows) > 3
    assert draw(a_map(key=key)).get_figheight() > draw(a_map()).get_figheight()


@pytest.mark.parametrize("name", ["picture.jpg", "picture", "picture.svgz"])
def test_a_format_that_is_not_offered_is_named_with_those_that_are(name, tmp_path):
    with pytest.raises(OptionError, match=r"\.svg, \.png or \.pdf"):
        draw(a_map()).savefig(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_savefig_takes_a_path_in_capitals_and_a_notebook_gets_a_png(tmp_path):
    picture = draw(a_map())
    assert isinstance(picture, Picture)
    picture.savefig(tmp_path / "MAP.SVG")
    assert re.match(r"<\?xml", (tmp_path / "MAP.SVG").read_text())
    assert picture._repr_png_().startswith(SIGNATURES["png"])
