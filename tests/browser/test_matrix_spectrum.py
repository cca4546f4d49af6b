"""Matrix, spectrum and strip as a person has them: read a pair, toggle, select, put a mode on the map."""

from __future__ import annotations

import re

import numpy as np
import pytest
from conftest import run_in_lab

RUN = """import numpy as np, rdmviz
rng = np.random.default_rng(0)
n, rows, window = 120, 160, 64
side = np.where(np.arange(n) < 60, 1.0, -1.0)
wave = np.cumsum(rng.standard_normal((rows, 1)), axis=0)
loss = 50 + wave * side + 0.7 * rng.standard_normal((rows, n))
loss[:, 7] = 3.0
"""
CELLS = (
    RUN
    + """import ipywidgets
from rdmviz.widgets import ExplorerState, MatrixView, ModeStrip, SpectrumView
run = rdmviz.TrainingRun.from_arrays(loss, probe={"side": np.where(side > 0, "left", "right")})
state = ExplorerState(run, window=window, step=149)
told = ipywidgets.Label().add_class("told")
def tell(change):
    told.value = f"{state.modes} {state.matrix} {state.selection}"
state.observe(tell)
ipywidgets.VBox([MatrixView(state), SpectrumView(state), ModeStrip(state), told])"""
)
PIXEL = """([selector, x, y]) => {
    const canvas = document.querySelector(selector);
    const ratio = canvas.width / canvas.clientWidth;
    return [...canvas.getContext('2d').getImageData(Math.round(x * ratio), Math.round(y * ratio), 1, 1).data];
}"""


@pytest.fixture(scope="module")
def losses():
    scope: dict[str, object] = {}
    exec(RUN.replace(", rdmviz", ""), scope)
    return np.asarray(scope["loss"])[150 - 64 : 150]


@pytest.fixture(scope="module")
def page(server, browser):
    page = browser.new_page(viewport={"width": 1280, "height": 1400})
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    run_in_lab(page, server, server.write_notebook("matrix.ipynb", CELLS))
    page.wait_for_selector(".rdmviz-matrix-view[data-step='149']", timeout=30_000)
    page.wait_for_selector(".rdmviz-strip[data-step='149']", timeout=30_000)
    yield page
    page.close()
    assert errors == []


def at_cell(page, row, column, size=120):
    """Where a cell is, in CSS pixels of the canvas."""
    box = page.locator(".rdmviz-matrix").bounding_box()
    side = min(box["width"] - 7 - 3 - 66, box["height"] - 7 - 19)
    return 10 + (column + 0.5) / size * side, 10 + (row + 0.5) / size * side


def wait_told(page, words):
    """Wait until the state in the kernel, which a label tells, has what was done in the browser."""
    page.wait_for_function("words => document.querySelector('.told').textContent.includes(words)", arg=words)


def read_pair(page, row, column):
    """Point at a cell, and return what the line says: the number as text, and the datapoints."""
    x, y = at_cell(page, row, column)
    page.locator(".rdmviz-matrix").hover(position={"x": x, "y": y})
    line = page.locator(".rdmviz-matrix-reading")
    page.wait_for_function(
        "() => /datapoint/.test(document.querySelector('.rdmviz-matrix-reading').textContent)"
        " && !/…/.test(document.querySelector('.rdmviz-matrix-reading').textContent)",
        timeout=10_000,
    )
    words = line.inner_text()
    number = re.search(r"(?:covariance|variance|correlation) (\S+)", words)
    samples = [int(found) for found in re.findall(r"datapoint (\d+)", words)]
    return number.group(1).replace("−", "-").strip(","), samples


def color(page, row, column):
    page.mouse.move(5, 5)
    page.wait_for_timeout(500)
    return page.evaluate(PIXEL, [".rdmviz-matrix", *at_cell(page, row, column)])[:3]


CELLS_READ = [(3, 30), (40, 20), (10, 100), (90, 100), (25, 80), (70, 5)]


def test_a_pair_has_numpys_covariance_and_the_colour_of_its_sign(page, losses):
    covariance = np.cov(losses.T)
    signs = set()
    for row, column in CELLS_READ:
        number, samples = read_pair(page, row, column)
        a, b = samples[0], samples[-1]
        assert float(number) == pytest.approx(covariance[a, b], rel=6e-3)
        red, _green, blue = color(page, row, column)
        assert (red > blue) == (covariance[a, b] > 0)
        signs.add(covariance[a, b] > 0)
    assert signs == {True, False}
    words = page.locator(".rdmviz-matrix-reading")
    read_pair(page, 3, 100)
    page.wait_for_function(
        "() => /side left/.test(document.querySelector('.rdmviz-matrix-reading').textContent)"
    )
    assert "side right" in words.inner_text()


def test_correlation_is_a_choice_at_the_picture_and_undefined_where_nothing_moves(page, losses):
    before = page.evaluate("() => document.querySelector('.rdmviz-matrix').toDataURL()")
    page.get_by_label("What the matrix shows").select_option("correlation")
    wait_told(page, "correlation")
    with np.errstate(invalid="ignore"):
        correlation = np.corrcoef(losses.T)
    for row, column in CELLS_READ[:4]:
        number, samples = read_pair(page, row, column)
        assert float(number) == pytest.approx(correlation[samples[0], samples[-1]], rel=6e-3)
    assert page.evaluate("() => document.querySelector('.rdmviz-matrix').toDataURL()") != before
    # By keyboard: the datapoint that does not move is the last of its group.
    matrix = page.locator(".rdmviz-matrix")
    matrix.focus()
    page.keyboard.press("Escape")
    found = None
    for _ in range(120):
        page.keyboard.press("ArrowDown")
        words = page.locator(".rdmviz-matrix-reading").inner_text()
        if re.search(r"datapoint 7\b", words):
            found = words
            break
    assert found is not None
    assert "correlation undefined, one does not move" in found
    page.keyboard.press("Escape")
    page.get_by_label("What the matrix shows").select_option("covariance")
    wait_told(page, "covariance")


def test_a_click_selects_the_pair_and_outlines_it(page):
    _, samples = read_pair(page, 20, 90)
    x, y = at_cell(page, 20, 90)
    page.locator(".rdmviz-matrix").click(position={"x": x, "y": y})
    wait_told(page, f"[{samples[0]}, {samples[-1]}]")
    page.mouse.move(5, 5)
    middle = at_cell(page, 0, 45)[0]
    rows = [at_cell(page, row, 45)[1] for row in range(10, 31)]
    places = [[middle, y] for y in rows]  # cells thinner than an outline have a line through them
    # Dark rows, ones that the pointer has left: what it points at is outlined in another colour.
    outlined = """places => {
        const canvas = document.querySelector('.rdmviz-matrix');
        const ratio = canvas.width / canvas.clientWidth;
        const context = canvas.getContext('2d');
        const dark = places.map(([x, y]) => [-0.5, 0.5].some(d => {
            const pixel = context.getImageData(Math.round(x * ratio), Math.round((y + d) * ratio), 1, 1).data;
            return Math.max(pixel[0], pixel[1], pixel[2]) < 110;
        }));
        return dark[10] && dark.every((is, k) => !is || (k >= 9 && k <= 11));
    }"""
    page.wait_for_function(outlined, arg=places, timeout=10_000)


def bar(page, mode, size=24):
    box = page.locator(".rdmviz-spectrum").bounding_box()
    step = (box["width"] - 46) / size
    return 40 + (mode - 0.5) * step, box["height"] - 28 - 3


def test_a_click_on_a_bar_puts_its_mode_on_the_map_and_marks_it(page):
    spectrum = page.locator(".rdmviz-spectrum")
    blue, orange = [31, 131, 198], [230, 159, 0]
    shown = {mode: page.evaluate(PIXEL, [".rdmviz-spectrum", *bar(page, mode)])[:3] for mode in (1, 2, 3)}
    assert (shown[1], shown[2]) == (blue, orange)
    assert shown[3] not in (blue, orange)
    x, y = bar(page, 3)
    spectrum.click(position={"x": x, "y": y})
    wait_told(page, "(3, 2)")
    spectrum.click(position={"x": bar(page, 4)[0], "y": y}, modifiers=["Shift"])
    wait_told(page, "(3, 4)")
    page.mouse.move(5, 5)
    page.wait_for_timeout(1000)
    shown = {mode: page.evaluate(PIXEL, [".rdmviz-spectrum", *bar(page, mode)])[:3] for mode in (1, 3, 4)}
    assert (shown[3], shown[4]) == (blue, orange)
    assert shown[1] not in (blue, orange)
    page.wait_for_function(
        "() => document.querySelector('.rdmviz-strip option').textContent === 'mode 3, across the map'"
    )
    spectrum.click(position={"x": bar(page, 20)[0], "y": y})
    assert re.search(r"only modes 1–\d+ can be put", page.locator(".rdmviz-spectrum-reading").inner_text())
    wait_told(page, "(3, 4)")
    page.keyboard.press("Home")
    page.keyboard.press("Enter")
    wait_told(page, "(1, 4)")
    page.keyboard.press("Shift+Enter")
    wait_told(page, "(4, 1)")


def test_the_null_edge_arrives_and_is_told(page):
    page.mouse.move(5, 5)
    page.locator(".rdmviz-strip select").focus()
    page.wait_for_selector(".rdmviz-spectrum-view[data-null-edge='known']", timeout=30_000)
    assert re.match(
        r"\d+ modes? above the null \(95%, AR\(1\) surrogates\)",
        page.locator(".rdmviz-spectrum-reading").inner_text(),
    )


def test_the_strip_points_and_selects(page):
    page.wait_for_selector(".rdmviz-strip:not(.rdmviz-stale)")
    first = page.locator(".rdmviz-strip button").first
    sample = first.get_attribute("data-sample")
    first.hover()
    page.wait_for_function(
        "() => document.querySelector('.rdmviz-strip button').classList.contains('rdmviz-pointed')"
    )
    first.click()
    wait_told(page, f"[{sample}]")
    assert first.get_attribute("aria-pressed") == "true"
    assert f"{sample}: side" in first.inner_text()
