"""Colour codes and legends."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_hex

import rdmviz
from rdmviz.figures.palette import NO_VALUE, OTHER, paints
from rdmviz.widgets.colors import CATEGORIES, classes, color_by


def make_run(**columns):
    n = len(next(iter(columns.values())))
    return rdmviz.TrainingRun.from_arrays(np.random.default_rng(0).random((10, n)), probe=columns)


def test_few_categories_are_coded_by_frequency():
    run = make_run(kind=["b", "a", "b", "b"])
    chosen = color_by(run, "kind", 3, (0, 1, False))
    assert (chosen.kind, chosen.labels) == ("categorical", ("b", "a"))
    assert chosen.codes.tolist() == [0, 1, 0, 0]
    assert classes(run, "kind")[1] == ("b", "a")


def test_many_categories_share_the_neutral_colour():
    run = make_run(word=[f"w{k % 20:02}" for k in range(60)])
    chosen = color_by(run, "word", 3, (0, 1, False))
    assert chosen.labels[-1] == "12 more"
    assert chosen.codes.max() == len(CATEGORIES)


def test_numbers_are_a_ramp_and_a_constant_is_no_trouble():
    chosen = color_by(make_run(x=[1.0, 2.0, np.inf, 5.0]), "x", 3, (0, 1, False))
    assert (chosen.kind, chosen.labels) == ("sequential", ("1", "5"))
    assert chosen.codes.tolist() == [0, 64, 255, 255]
    assert color_by(make_run(x=[2.0, 2.0]), "x", 3, (0, 1, False)).codes.tolist() == [0, 0]


def test_what_has_no_value_has_a_neutral_colour_that_no_value_has():
    chosen = color_by(make_run(x=[1.0, 2.0, np.nan, 5.0]), "x", 3, (0, 1, False))
    assert (chosen.kind, chosen.labels) == ("gapped", ("1", "5", "no value"))
    assert chosen.codes.tolist() == [0, 64, 255, 254]
    colors = paints(chosen.codes, chosen.kind)
    assert to_hex(colors[2]) == OTHER
    assert not (colors[[0, 1, 3]] == colors[2]).all(axis=1).any()
    nothing = color_by(make_run(x=[np.nan, np.nan]), "x", 3, (0, 1, False))
    assert nothing.labels == ("", "", "no value")
    assert nothing.codes.tolist() == [255, 255]


@pytest.mark.parametrize(
    ("values", "kind"), [(range(5), "categorical"), (range(50), "sequential"), ([True, False], "categorical")]
)
def test_whole_numbers_are_categories_when_they_are_few(values, kind):
    assert color_by(make_run(x=list(values)), "x", 3, (0, 1, False)).kind == kind


def test_loss_and_group_are_carried_by_the_frames():
    run = make_run(x=[1.0, 2.0])
    assert color_by(run, "loss", 3, (-3.0, 0.0, True)).labels == ("0.001", "1")
    assert color_by(run, "group", 3, (0, 1, False)).labels == ("1", "2", "3")
    assert color_by(run, "loading", 3, (0, 1, False)).kind == "sequential"


def test_drift_diverges_about_zero_and_its_ends_are_told():
    chosen = color_by(make_run(x=[1.0, 2.0]), "drift", 3, (0, 1, False), drift_scale=0.25)
    assert (chosen.source, chosen.kind) == ("drift", "diverging")
    assert chosen.labels == ("falls by 0.25", "0", "rises by 0.25")


def test_python_and_browser_use_the_same_colours():
    script = (Path(rdmviz.__file__).parent / "widgets" / "static" / "palette.js").read_text()
    listed = re.search(r"CATEGORIES = \[(.*?)\]", script).group(1)
    assert tuple(re.findall(r"#[0-9a-f]{6}", listed)) == CATEGORIES
    assert f'const OTHER = "{OTHER}"' in script
    assert f"const NO_VALUE = {NO_VALUE};" in script


def test_a_column_called_like_a_computed_coloring_can_be_chosen_too():
    run = make_run(loss=["a", "b", "b"])
    state = rdmviz.widgets.ExplorerState(run)
    assert state.colorings == ("group", "loss", "loading", "drift", "loss (metadata)")
    assert color_by(run, "loss (metadata)", 3, (0, 1, False)).labels == ("b", "a")
    assert color_by(run, "loss", 3, (0, 1, False)).source == "loss"
