"""Two runs beside each other in a real JupyterLab: one cursor, twin maps, overlaid curves."""

from __future__ import annotations

import random
import re

import pytest
from conftest import Watched, run_in_lab
from playwright.sync_api import expect

COMPARE = """import ipywidgets, numpy as np, rdmviz
a = rdmviz.load_example("grokking")
losses = a.rows(0, 2001)
noise = np.exp(0.05 * np.random.default_rng(0).standard_normal(losses.shape))
b = rdmviz.TrainingRun.from_arrays(
    losses * noise.astype("f4"), a.steps[:2001], name="grokking",
    probe={name: column.values for name, column in a.probe.data_vars.items()})
comparison = rdmviz.explore([a, b], coloring="split")
kernel = ipywidgets.Label().add_class("kernel-says")
selected = ipywidgets.Label().add_class("selected")
def say(_change=None):
    kernel.value = " ".join(str(state.step) for state in comparison.state.states)
    selected.value = " ".join(str(state.selection) for state in comparison.state.states)
for state in comparison.state.states:
    state.observe(say, ["step", "selection"])
say()
display(kernel, selected)
comparison"""

LAST_OF_B = 8000


@pytest.fixture(scope="module")
def watched(browser):
    page = browser.new_page(viewport={"width": 1280, "height": 1000})
    watched = Watched(page)
    watched.watch()
    yield watched
    page.close()


@pytest.fixture(scope="module")
def opened(server, watched):
    page = watched.page
    run_in_lab(page, server, server.write_notebook("compare.ipynb", COMPARE))
    page.wait_for_function(
        "() => document.querySelectorAll('.rdmviz-map-view[data-step]').length === 2", timeout=90_000
    )
    page.wait_for_selector(".rdmviz-curves .plotarea_background", state="attached")
    page.evaluate("() => { window.jupyterapp.commands.execute('application:toggle-left-area') }")
    return watched


@pytest.fixture
def page(opened):
    page = opened.page
    page.get_by_label("Align by").select_option("step")
    page.wait_for_function(
        "() => !/loss|transition/.test(document.querySelector('.rdmviz-readout').innerText)"
    )
    page.locator(".rdmviz-step").focus()
    page.keyboard.press("End")
    settle(page)
    yield page
    opened.assert_clean()


def settle(page):
    """Wait until bar, both maps and the kernel agree, and return the steps on the maps."""
    script = """() => {
        const headings = [...document.querySelectorAll('.rdmviz-run-heading')].map(h => h.dataset.step);
        const maps = [...document.querySelectorAll('.rdmviz-map-view')].map(view => view.dataset.step);
        const kernel = document.querySelector('.kernel-says').innerText.trim();
        return headings.join(' ') === maps.join(' ') && maps.join(' ') === kernel ? maps.map(Number) : null;
    }"""
    return page.wait_for_function(script, timeout=40_000).json_value()


def maps(page):
    return page.evaluate("() => [...document.querySelectorAll('.rdmviz-map')].map(c => c.toDataURL())")


def plot_area(page, figure=0):
    return page.locator(".rdmviz-curves .plotarea_background").nth(figure).bounding_box()


def test_both_maps_follow_one_cursor_by_keyboard(page):
    assert settle(page) == [10_000, LAST_OF_B]
    assert "ends at step 8,000" in page.locator(".rdmviz-run-note").nth(1).inner_text()
    page.keyboard.press("Home")
    for _ in range(60):
        page.keyboard.press("Shift+ArrowRight")
    a, b = settle(page)
    assert a == b == 2400
    assert page.locator(".rdmviz-run-note").nth(1).inner_text() == ""
    before = maps(page)
    for _ in range(25):
        page.keyboard.press("ArrowRight")
    assert settle(page) == [2500, 2500]
    assert page.locator(".rdmviz-step").get_attribute("aria-valuetext") == "step 2,500"
    assert all(old != new for old, new in zip(before, maps(page), strict=True))


def test_a_drag_over_the_curves_moves_both_maps_forward_and_never_back(page):
    page.keyboard.press("Home")
    settle(page)
    page.evaluate(
        """() => {
        window.seen = [[], []];
        [...document.querySelectorAll('.rdmviz-map-view')].forEach((view, k) => {
            new MutationObserver(() => window.seen[k].push(Number(view.dataset.step)))
                .observe(view, {attributes: true, attributeFilter: ['data-step']});
        });
    }"""
    )
    area = plot_area(page)
    middle = area["y"] + area["height"] / 2
    page.mouse.move(area["x"] + 1, middle)
    page.mouse.down()
    for share in range(5, 76):
        page.mouse.move(area["x"] + share / 100 * area["width"], middle)
        page.wait_for_timeout(20)
        if share % 25 == 0:  # the maps follow with the button down
            a, b = settle(page)
            assert a == b == pytest.approx(100 * share, abs=60)
    page.mouse.up()
    for seen in page.evaluate("() => window.seen"):
        assert seen == sorted(seen), "what the kernel heard late moved a map back"


def test_random_moves_end_in_agreement(page):
    rng = random.Random(3)
    slider = page.locator(".rdmviz-step")
    last = int(slider.get_attribute("max"))
    for _ in range(40):
        act = rng.randrange(3)
        if act == 0:
            slider.fill(str(rng.randrange(last + 1)))
        elif act == 1:
            slider.press(rng.choice(["ArrowLeft", "Shift+ArrowLeft", "ArrowRight", "Home", "PageUp"]))
        else:
            area = plot_area(page, rng.randrange(3))
            page.mouse.click(area["x"] + rng.random() * area["width"], area["y"] + 5)
    a, b = settle(page)
    assert b == min(a, LAST_OF_B)


def test_the_curves_of_both_runs_are_overlaid_in_the_colours_of_the_legend(page):
    strokes = page.evaluate(
        """() => [...document.querySelectorAll('.rdmviz-curves .bqplot')].map(figure =>
            [...figure.querySelectorAll('path.line')].map(line => getComputedStyle(line).stroke))"""
    )
    legend = page.evaluate(
        """() => [...document.querySelectorAll('.rdmviz-run-legend .rdmviz-run-swatch')]
            .map(line => getComputedStyle(line).backgroundColor)"""
    )
    assert len(set(legend)) == 2
    assert strokes[0] == strokes[1] == legend
    assert len(strokes[2]) == 3, "overlap, relabelled, chance"
    names = page.locator(".rdmviz-run-legend").inner_text()
    assert "grokking (2)" in names
    before = page.evaluate("() => document.querySelector('.rdmviz-curves path.line').getAttribute('d')")
    page.get_by_label("Curve", exact=True).select_option("Participation ratio")
    page.wait_for_function(
        "old => document.querySelector('.rdmviz-curves path.line')?.getAttribute('d') !== old", arg=before
    )


def test_aligned_by_loss_the_runs_stand_at_the_same_loss(page):
    page.get_by_label("Align by").select_option("lowest loss so far")
    page.wait_for_function(
        "() => document.querySelector('.rdmviz-step').getAttribute('aria-valuetext').includes('loss')"
    )
    slider = page.locator(".rdmviz-step")
    slider.fill(str(int(slider.get_attribute("max")) // 2))
    a, b = settle(page)
    assert a == pytest.approx(b, abs=40)  # the noise is in the losses of single datapoints, not in their mean
    area = plot_area(page)
    page.mouse.click(area["x"] + area["width"] - 2, area["y"] + 20)
    a, b = settle(page)
    assert a > 9900
    assert b <= LAST_OF_B
    note = page.locator(".rdmviz-run-note").nth(1)
    assert "never gets below a mean loss of" in note.inner_text()
    assert note.is_visible()


def test_marking_a_step_of_each_run_aligns_them_by_transition(page):
    area = plot_area(page)
    for run, share in ((0, 0.5), (1, 0.6)):
        page.mouse.click(area["x"] + share * area["width"], area["y"] + 20)
        settle(page)
        page.locator(".rdmviz-run-flag").nth(run).click()
    page.wait_for_function(
        "() => document.querySelector('.rdmviz-step').getAttribute('aria-valuetext').includes('transition')"
    )
    a, b = settle(page)
    assert b - a == pytest.approx(1000, abs=60)
    expect(page.get_by_label("Align by")).to_have_value("transition")


def test_a_click_selects_the_same_datapoint_in_both_maps(page):
    page.keyboard.press("Home")
    for _ in range(60):
        page.keyboard.press("Shift+ArrowRight")
    settle(page)
    before = maps(page)
    canvas = page.locator(".rdmviz-map").first
    box = canvas.bounding_box()
    for spot in ((x / 24, y / 24) for x in range(3, 22) for y in range(3, 20)):
        page.mouse.move(box["x"] + spot[0] * box["width"], box["y"] + spot[1] * box["height"])
        if page.evaluate("() => getComputedStyle(document.querySelector('.rdmviz-map')).cursor") == "pointer":
            break
    page.mouse.down()
    page.mouse.up()
    expect(page.locator(".selected")).to_have_text(re.compile(r"^\[(\d+)\] \[\1\]$"))
    page.mouse.move(box["x"] + 2, box["y"] - 80)
    page.wait_for_function(
        "old => [...document.querySelectorAll('.rdmviz-map')].every((map, k) => map.toDataURL() !== old[k])",
        arg=before,
    )


def test_everything_is_reached_and_named_by_keyboard(page):
    page.locator(".rdmviz-comparison select").first.focus()
    names = []
    for _ in range(45):
        names.append(
            page.evaluate(
                """() => {
                const at = document.activeElement;
                const label = at.labels?.[0]?.innerText ?? '';
                return at.getAttribute('aria-label') || label || at.innerText || at.title;
            }"""
            )
        )
        page.keyboard.press("Tab")
    wanted = ["Curve", "Scale", "Align by", "Window", "Colour by", "Overlap of modes", "Play", "Place on"]
    wanted += ["Explain the comparison", "Mark the step on screen as the transition of grokking (2)"]
    for words in wanted:
        assert any(words in name for name in names), f"{words!r} is not among {names}"
    page.locator(".rdmviz-step").focus()
    page.keyboard.press("Home")
    first = settle(page)
    page.keyboard.press(" ")
    page.wait_for_timeout(600)
    page.keyboard.press(" ")
    assert settle(page) > first


def test_figures_narrower_than_their_titles_go_on_following(page):
    before = page.viewport_size
    page.set_viewport_size({"width": 340, "height": 1000})
    page.wait_for_function("() => document.querySelector('.rdmviz-curves').clientWidth < 250", timeout=10_000)
    page.locator(".rdmviz-step").focus()
    page.keyboard.press("Home")
    assert settle(page) == [0, 0]
    page.set_viewport_size(before)


CONTRAST = """selectors => {
    const rgb = text => text.match(/[\\d.]+/g).map(Number);
    const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
        .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
        .reduce((sum, v, k) => sum + v * [0.2126, 0.7152, 0.0722][k], 0);
    const behind = node => {
        for (; node; node = node.parentElement) {
            const color = rgb(getComputedStyle(node).backgroundColor);
            if ((color[3] ?? 1) > 0.99) return color;
        }
        return [255, 255, 255];
    };
    return Object.fromEntries(selectors.map(s => {
        const node = document.querySelector(s);
        const [a, b] = [light(rgb(getComputedStyle(node).color)), light(behind(node))];
        return [s, (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)];
    }));
}"""
TEXTS = [
    ".rdmviz-run-name",
    ".rdmviz-run-step",
    ".rdmviz-run-flag",
    ".rdmviz-run-note",
    ".rdmviz-run-legend",
    ".rdmviz-comparison .rdmviz-readout",
    ".rdmviz-comparison .rdmviz-caption .widget-html-content",
]


@pytest.mark.parametrize("theme", ["JupyterLab Dark", "JupyterLab Light"])
def test_texts_are_readable_in_every_theme(page, theme):
    change = "theme => { window.jupyterapp.commands.execute('apputils:change-theme', {theme}) }"
    page.evaluate(change, theme)
    page.wait_for_function("theme => document.body.dataset.jpThemeName === theme", arg=theme)
    page.wait_for_timeout(600)  # the stylesheet comes after the name
    found = page.evaluate(CONTRAST, TEXTS)
    assert {name: ratio for name, ratio in found.items() if ratio < 4.5} == {}
