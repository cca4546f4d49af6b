"""What a person looks at stays in view and in its place."""

from __future__ import annotations

import pytest
from conftest import agree, run_in_lab, wait_drawn

CELL = """import rdmviz
rdmviz.load_example("grokking").save("layout.rdmviz", overwrite=True)
explorer = rdmviz.explore(rdmviz.open_run("layout.rdmviz"), coloring="group")
explorer"""
WIDTHS = [1280, 900, 620]
PLACES = """() => {
    const top = document.querySelector('.rdmviz-explorer').getBoundingClientRect().top;
    const places = {};
    for (const part of ['explorer', 'time', 'curves', 'map', 'strip', 'table-box', 'keep']) {
        const box = document.querySelector(`.rdmviz-${part}`).getBoundingClientRect();
        places[part] = [Math.round(box.top - top), Math.round(box.bottom - top)];
    }
    return places;
}"""
BOXES = """([one, other]) => [one, other].map(selector => {
    const { left, right, top, bottom } = document.querySelector(selector).getBoundingClientRect();
    return { left, right, top, bottom };
})"""
PICTURES = {
    "map": ".rdmviz-map",
    "matrix": ".rdmviz-matrix",
    "spectrum": ".rdmviz-spectrum",
    "curves": ".rdmviz-curves",
    "datapoints": ".rdmviz-table-box",
}


@pytest.fixture(scope="module")
def opened(browser, server):
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    run_in_lab(page, server, server.write_notebook("layout.ipynb", CELL))
    page.evaluate("() => window.jupyterapp.shell.collapseLeft()")
    wait_drawn(page)
    page.wait_for_selector(".rdmviz-table tbody tr")
    page.wait_for_timeout(2000)
    yield page
    page.close()


def resize(page, width):
    page.set_viewport_size({"width": width, "height": 900})
    page.wait_for_timeout(600)


def overlap(one, other):
    across = min(one["right"], other["right"]) - max(one["left"], other["left"])
    down = min(one["bottom"], other["bottom"]) - max(one["top"], other["top"])
    return max(0, across) * max(0, down)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", list(PICTURES))
def test_an_explanation_never_covers_its_picture(opened, width, name):
    resize(opened, width)
    button = opened.locator(f".rdmviz-explorer [aria-label='Explain the {name}']")
    button.focus()
    opened.keyboard.press("Enter")
    for other in PICTURES.values():
        explanation, picture = opened.evaluate(BOXES, [".rdmviz-explanation", other])
        assert overlap(explanation, picture) == 0, other
    assert explanation["right"] - explanation["left"] > 200
    assert 0 <= explanation["top"] < explanation["bottom"] <= 900, "it is in view"
    button.focus()
    opened.keyboard.press("Escape")
    assert opened.locator(".rdmviz-explanation").count() == 0


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", ["Bookmarks", "Save picture", "Save table", "Copy code"])
def test_what_a_button_of_the_keep_bar_opens_stands_right_above_it(opened, width, name):
    resize(opened, width)
    button = opened.locator(".rdmviz-keep").get_by_role("button", name=name)
    button.scroll_into_view_if_needed()
    before = opened.evaluate(PLACES)
    button.click()
    opened.wait_for_timeout(200)
    panel, row = opened.evaluate(BOXES, [".rdmviz-keep-panel:not([hidden])", ".rdmviz-keep-row"])
    assert 0 <= row["top"] - panel["bottom"] < 8
    assert panel["top"] >= 0
    assert row["bottom"] <= 900
    middle = [(panel["left"] + panel["right"]) / 2, (panel["top"] + panel["bottom"]) / 2]
    seen = "([x, y]) => Boolean(document.elementFromPoint(x, y).closest('.rdmviz-keep-panel'))"
    assert opened.evaluate(seen, middle), "nothing lies over it"
    assert opened.evaluate(PLACES) == before
    button.press("Escape")


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_moves_while_one_looks_at_other_steps_selects_and_bookmarks(opened, width):
    resize(opened, width)
    places = {"at first": opened.evaluate(PLACES)}
    slider = opened.locator(".rdmviz-step")
    for row in (0, 30, 63, 1000, 2500):
        slider.fill(str(row))
        agree(opened)
        opened.wait_for_function(
            "row => document.querySelector('.rdmviz-datapoints').dataset.step === row",
            arg=str(4 * row),
            timeout=10_000,
        )
        places[f"at row {row}"] = opened.evaluate(PLACES)
    opened.locator(".rdmviz-datapoints").get_by_role("button", name="Selected").click()
    opened.wait_for_timeout(500)
    places["nothing selected"] = opened.evaluate(PLACES)
    opened.locator(".rdmviz-datapoints").get_by_role("button", name="Strongest").click()
    keep = opened.locator(".rdmviz-keep")
    keep.get_by_role("button", name="Bookmark", exact=True).click()
    opened.wait_for_selector(".rdmviz-mark-bookmark")
    places["bookmarked"] = opened.evaluate(PLACES)
    keep.get_by_role("button", name="Bookmarks").click()
    keep.get_by_role("button", name="Delete the bookmark").first.click()
    opened.wait_for_selector(".rdmviz-mark-bookmark", state="detached")
    keep.get_by_role("button", name="Bookmarks").press("Escape")
    assert {when: place for when, place in places.items() if place != places["at first"]} == {}


def test_beside_the_pictures_the_curves_leave_no_void(opened):
    resize(opened, 1280)
    curves, stage = opened.evaluate(BOXES, [".rdmviz-curves-column > :last-child", ".rdmviz-stage"])
    assert abs(stage["bottom"] - curves["bottom"]) < 50


def test_the_legend_names_the_groups_that_there_are(opened):
    resize(opened, 1280)
    shown = """() => [...document.querySelectorAll('.rdmviz-legend-entry')]
        .filter(entry => getComputedStyle(entry).visibility === 'visible')
        .map(entry => entry.innerText.trim())"""
    groups = """() => [...document.querySelectorAll('.rdmviz-table tbody tr td:last-child')]
        .map(cell => cell.innerText.trim())"""
    for row in (300, 1035, 2500):
        opened.locator(".rdmviz-step").fill(str(row))
        agree(opened)
        opened.wait_for_timeout(700)
        in_table = opened.evaluate(groups)
        named = opened.evaluate(shown)
        assert named == [str(k + 1) for k in range(len(named))]
        assert 1 <= len(named) < 6
        assert set(in_table) <= set(named)


def test_a_fixed_plane_says_where_one_mode_holds_nearly_all(opened):
    resize(opened, 1280)
    opened.locator(".rdmviz-step").fill("1035")
    agree(opened)
    words = opened.locator(".rdmviz-map-words")
    assert "of the trace" not in words.inner_text()
    opened.get_by_role("button", name="Fix the plane").click()
    told = "/^mode 1 holds 9\\d% of the trace here/"
    opened.wait_for_function(f"() => {told}.test(document.querySelector('.rdmviz-map-words').innerText)")
    opened.get_by_role("button", name="Plane of step").click()
    opened.wait_for_function("() => !document.querySelector('.rdmviz-map-words').innerText")
