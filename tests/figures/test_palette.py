"""Figures and browser paint alike."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import rdmviz
from rdmviz.figures.palette import CATEGORIES, DIVERGING, DIVERGING_POINTS, OTHER, SEQUENTIAL, paints, ramp

SCRIPT = (Path(rdmviz.__file__).parent / "widgets" / "static" / "palette.js").read_text()


@pytest.mark.parametrize(
    ("name", "colors"),
    [
        ("CATEGORIES", CATEGORIES),
        ("SEQUENTIAL", SEQUENTIAL),
        ("DIVERGING_LIGHT", DIVERGING),
        ("DIVERGING_POINTS", DIVERGING_POINTS),
    ],
)
def test_the_browser_has_the_same_colours(name, colors):
    listed = re.search(rf"const {name} = .*?\[(.*?)\]", SCRIPT).group(1)
    assert tuple(re.findall(r"#[0-9a-f]{6}", listed)) == colors
    assert f'const OTHER = "{OTHER}"' in SCRIPT


def test_a_ramp_goes_through_its_anchors_in_equal_steps():
    table = ramp(("#000000", "#ff0000", "#ff00ff"))
    assert table.shape == (256, 3)
    np.testing.assert_array_equal(table[[0, 255]], [[0, 0, 0], [255, 0, 255]])
    np.testing.assert_array_equal(table[127], [254, 0, 0])  # 127/255 of two stretches
    assert (np.diff(table.astype(int).sum(axis=1)) >= 1).all()


def test_codes_beyond_the_categories_share_the_neutral_one():
    codes = np.array([0, 7, 8, 255], np.uint8)
    grey = int(OTHER[1:3], 16) / 255
    np.testing.assert_allclose(paints(codes, "categorical")[2:], grey)
    assert paints(codes, "categorical")[1].tolist() == [
        int(CATEGORIES[7][k : k + 2], 16) / 255 for k in (1, 3, 5)
    ]
    np.testing.assert_array_equal(paints(codes, "diverging"), ramp(DIVERGING_POINTS)[codes] / 255)
