"""Time as a person uses it: curves clicked and brushed, marks by keyboard, a span that all follow."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import Watched, agree, run_in_lab, wait_drawn

import rdmviz

CELL = """import rdmviz
explorer = rdmviz.explore(
    rdmviz.load_example("grokking"), coloring="split", step=5000,
    marks=[{"step": 1720, "kind": "transition", "text": "memorised <b>all</b>"},
           {"step": 4400, "kind": "alarm", "text": "SHC"},
           {"step": 7780, "kind": "transition", "text": "90%"}],
    bookmarks=[{"step": 3000, "note": "look here"}, {"step": 3000, "note": "twice"}])
explorer"""
SURFACE = ".rdmviz-cursor-surface"


@pytest.fixture(scope="module")
def page(server, browser):
    page = browser.new_page(viewport={"width": 1280, "height": 1600})
    watched = Watched(page)
    watched.watch()
    run_in_lab(page, server, server.write_notebook("time.ipynb", CELL))
    wait_drawn(page)
    yield page
    watched.assert_clean()
    page.close()


@pytest.fixture
def whole(page):
    """The page with the whole run on screen, at step 5,000."""
    page.locator(".rdmviz-step").focus()
    page.keyboard.press("0")
    page.locator(".rdmviz-step").fill("1250")
    axes_span(page, 0, 10_000)
    assert agree(page) == 5000
    return page


@pytest.fixture(scope="module")
def curves():
    return rdmviz.analyze(rdmviz.load_example("grokking"))


AXES = """([low, high]) => {
    const number = (text) => Number(text.replace(/[^0-9.-]/g, ''));
    const slider = document.querySelector('.rdmviz-step');
    const ends = [...document.querySelectorAll('.rdmviz-end')].map((field) => number(field.value));
    const told = slider.min * 4 === low && slider.max * 4 === high && ends[0] === low && ends[1] === high;
    return told && [...document.querySelectorAll('.rdmviz-curves .bqplot')].every((figure) => {
        const area = figure.querySelector('.plotarea_background').getBoundingClientRect();
        const labels = [...figure.querySelectorAll('.tick text')]
            .map((text) => [number(text.textContent), text.getBoundingClientRect()])
            .filter(([, box]) => box.top > area.bottom - 2);
        return labels.length >= 2 && labels.every(([step, box]) => {
            const share = ((box.left + box.right) / 2 - area.left) / area.width;
            return Math.abs(share - (step - low) / (high - low)) < 0.02;
        });
    });
}"""


def axes_span(page, low, high):
    """Wait until slider, fields and the time axis of every panel show this span; steps are four apart."""
    page.wait_for_function(AXES, arg=[low, high], timeout=10_000)


def plot(page, place=0):
    return page.locator(".rdmviz-curves .plotarea_background").nth(place).bounding_box()


def panels(page, count):
    script = "n => document.querySelectorAll('.rdmviz-curves .plotarea_background').length === n"
    page.wait_for_function(script, arg=count)


def at(page, share, place=0):
    box = plot(page, place)
    return box["x"] + share * box["width"], box["y"] + box["height"] / 2


def said(page):
    """Step and values that the heads of the panels show."""
    page.wait_for_timeout(600)
    overlay = page.locator(".rdmviz-cursor")
    values = {}
    for panel in overlay.get_attribute("data-values").split("; "):
        title, value = panel.rsplit(": ", 1)
        values[title] = value
    return int(overlay.get_attribute("data-step")), values


def test_a_click_on_any_curve_lands_on_that_step_and_a_drag_follows(whole):
    page = whole
    for place, share in ((0, 0.25), (1, 0.6), (2, 0.9)):
        page.mouse.click(*at(page, share, place))
        page.wait_for_function(
            "at => Math.abs(document.querySelector('.rdmviz-map-view').dataset.step - at) <= 40",
            arg=10_000 * share,
        )
        agree(page)
    page.mouse.move(*at(page, 0.2))
    page.mouse.down()
    page.mouse.move(*at(page, 0.5), steps=4)
    page.mouse.up()
    assert agree(page) == pytest.approx(5000, abs=40)
    axes_span(page, 0, 10_000)


def test_the_values_are_those_under_the_pointer_else_those_at_the_cursor(whole, curves):
    page = whole
    page.mouse.move(5, 5)
    step, values = said(page)
    assert step == 5000
    shc = float(curves["spectral_heat_capacity"].sel(step=5000))
    assert float(values["Spectral heat capacity"].replace("−", "-")) == pytest.approx(shc, rel=0.05)
    assert float(values["Participation ratio"]) == pytest.approx(
        float(curves["participation_ratio"].sel(step=5000)), rel=0.005
    )
    page.mouse.move(*at(page, 0.8, 1))
    step, values = said(page)
    assert step == pytest.approx(8000, abs=40)
    assert float(values["Participation ratio"]) == pytest.approx(
        float(curves["participation_ratio"].sel(step=step)), rel=0.005
    )
    assert agree(page) == 5000, "looking is not moving"


def test_brushing_zooms_everything_and_the_whole_run_comes_back(whole):
    page = whole
    line = "() => document.querySelector('.rdmviz-curves .bqplot .line').getAttribute('d')"
    before = page.evaluate(line)
    page.keyboard.down("Shift")
    page.mouse.move(*at(page, 0.6))
    page.mouse.down()
    page.mouse.move(*at(page, 0.8), steps=4)
    page.mouse.up()
    page.keyboard.up("Shift")
    page.wait_for_function("() => document.querySelector('.rdmviz-step').min !== '0'")
    low, high = (4 * int(page.locator(".rdmviz-step").get_attribute(end)) for end in ("min", "max"))
    assert (low, high) == (pytest.approx(6000, abs=40), pytest.approx(8000, abs=40))
    axes_span(page, low, high)
    assert page.evaluate(line) != before
    assert agree(page) == low, "the step moves in"
    page.locator(".rdmviz-step").focus()
    page.keyboard.press("End")
    assert agree(page) == high
    page.keyboard.press("ArrowRight")
    assert agree(page) == high, "the slider ends at the span"
    strip = page.locator(".rdmviz-overview").bounding_box()
    span = page.locator(".rdmviz-overview-span").bounding_box()
    assert (span["x"] - strip["x"]) / strip["width"] == pytest.approx(low / 10_000, abs=0.01)
    assert span["width"] / strip["width"] == pytest.approx((high - low) / 10_000, abs=0.01)
    page.locator(".rdmviz-whole-run").click()
    axes_span(page, 0, 10_000)


def test_a_span_is_typed_and_dragged_and_zoomed_by_keys(whole):
    page = whole
    page.get_by_label("From step").fill("2,001")
    page.keyboard.press("Enter")
    axes_span(page, 2000, 10_000)
    page.get_by_label("To step").fill("1000")
    page.keyboard.press("Enter")
    assert page.get_by_label("To step").get_attribute("aria-invalid") == "true"
    page.keyboard.press("Escape")
    axes_span(page, 2000, 10_000)
    page.get_by_label("Last step of the span").focus()
    page.keyboard.press("Shift+ArrowLeft")
    axes_span(page, 2000, 9960)
    page.locator(SURFACE).focus()
    page.keyboard.press("+")
    page.wait_for_function(
        "() => document.querySelector('.rdmviz-step').max - document.querySelector('.rdmviz-step').min < 1000"
    )
    assert agree(page) == 5000
    page.keyboard.press("0")
    axes_span(page, 0, 10_000)


def test_marks_are_reached_by_keyboard_and_say_what_they_are(whole):
    page = whole
    page.locator(".rdmviz-step").focus()
    page.keyboard.press("Home")
    assert agree(page) == 0
    for step in (1720, 3000, 4400, 7780):
        page.keyboard.press("]")
        assert agree(page) == step
    page.keyboard.press("[")
    assert agree(page) == 4400
    page.keyboard.press("Shift+Tab")
    tip = page.locator(".rdmviz-tip")
    assert tip.inner_text() == "transition at step 1,720: memorised <b>all</b>"
    page.keyboard.press("ArrowRight")
    assert tip.inner_text() == "bookmark at step 3,000: look here"
    assert agree(page) == 3000
    page.keyboard.press("ArrowRight")
    assert tip.inner_text() == "bookmark at step 3,000: twice"
    page.keyboard.press("+")
    page.wait_for_function("() => document.querySelector('.rdmviz-step').max < 2500")
    assert tip.inner_text() == "bookmark at step 3,000: twice", "of two at one step it is still the second"
    page.keyboard.press("0")
    page.wait_for_function("() => document.querySelector('.rdmviz-step').max === '2500'")
    shapes = page.evaluate(
        "() => [...document.querySelectorAll('.rdmviz-mark path')].map((p) => p.getAttribute('d'))"
    )
    assert len(set(shapes)) == 3, "three kinds, three shapes"
    assert "2 transitions" in page.locator(".rdmviz-marks-legend").inner_text()
    page.locator(".rdmviz-mark-alarm").click()
    assert agree(page) == 4400


def test_play_stays_in_the_span_and_loops(whole):
    page = whole
    page.get_by_label("From step").fill("4000")
    page.keyboard.press("Enter")
    page.get_by_label("To step").fill("4080")
    page.keyboard.press("Enter")
    axes_span(page, 4000, 4080)
    page.evaluate(
        """() => {
            window.seen = [];
            const stage = document.querySelector('.rdmviz-map-view');
            window.looking = new MutationObserver(() => window.seen.push(Number(stage.dataset.step)));
            window.looking.observe(stage, {attributes: true, attributeFilter: ['data-step']});
        }"""
    )
    page.get_by_role("button", name="Loop").click()
    page.get_by_role("button", name="Play").click()
    page.wait_for_function(
        "() => window.seen.some((step, k) => k > 0 && step < window.seen[k - 1])", timeout=10_000
    )
    page.get_by_role("button", name="Loop").click()
    page.wait_for_selector("button[aria-label=Play]")
    assert agree(page) == 4080
    seen = page.evaluate("() => window.seen")
    assert min(seen) >= 4000
    assert max(seen) == 4080


def test_curves_are_chosen_and_their_plain_baseline_is_one_click_away(whole):
    page = whole
    page.locator(".rdmviz-beside").first.click()
    page.wait_for_function(
        "() => document.querySelectorAll('.rdmviz-curves .plotarea_background').length === 4"
    )
    page.wait_for_timeout(1000)
    assert list(said(page)[1])[1] == "Variance of the mean loss"
    page.locator(".rdmviz-chooser summary").click()
    page.get_by_label("Von Neumann entropy").check()
    page.wait_for_function(
        "() => document.querySelectorAll('.rdmviz-curves .plotarea_background').length === 5"
    )
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Spectral").click()
    page.wait_for_function(
        "() => document.querySelectorAll('.rdmviz-curves .plotarea_background').length === 3"
    )
    page.wait_for_timeout(1000)
    assert list(said(page)[1]) == ["Spectral heat capacity", "Participation ratio", "Mean loss by split"]
    assert np.isfinite(float(said(page)[1]["Participation ratio"]))


def test_the_explanation_of_the_curves_is_one_click_away(whole):
    page = whole
    page.get_by_label("Explain the curves").click()
    text = page.locator(".rdmviz-curves-column .rdmviz-explanation")
    assert "What can fool it?" in text.inner_text()
    pictures = page.locator(".rdmviz-curves").bounding_box()
    below = pictures["y"] + pictures["height"]
    box, view = text.bounding_box(), page.locator(".rdmviz-curves-column").bounding_box()
    assert box["height"] > 100
    assert box["y"] >= below
    assert box["x"] + box["width"] <= view["x"] + view["width"] + 1
    page.get_by_label("Explain the curves").click()
    assert not text.is_visible()
