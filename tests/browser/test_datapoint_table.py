"""The table of datapoints in a real JupyterLab: what a person reads, sorts, finds, selects and sees drawn."""

from __future__ import annotations

import pytest
from conftest import Watched, run_in_lab, tell

CELL = r"""import numpy as np, rdmviz
from rdmviz.widgets import DatapointMap, DatapointTable, ExplorerState, TimeBar
from ipywidgets import VBox
rng = np.random.default_rng(0)
n = 130
evil = '<img src=x onerror="window.hacked = 1"><script>window.hacked = 2</script>'
t = np.arange(300)[:, None]
loss = np.exp(-t / rng.uniform(40, 200, n)) * rng.uniform(1, 3, n)
loss *= 1 + 0.05 * rng.standard_normal((300, n))
texts = [f"datapoint number {k}" for k in range(n)]
texts[0] = "שלום עולם (1)"
texts[1] = "\U0001f469\u200d\U0001f52c at work \U0001f3f3\ufe0f\u200d\U0001f308"
texts[2] = evil
texts[3] = "verylongword" * 5000
texts[4] = "bad \ud800 half"
digit = np.zeros((n, 8, 8))
digit[:, 2:6, 2:6] = 1
digit[5] = np.nan
words = "the cat sat on the mat and".split()
probe = dict(text=texts, digit=digit, kind=list("ab") * (n // 2), score=rng.normal(size=n))
probe[evil] = [evil] * 10 + ["plain"] * (n - 10)
probe |= dict(sequence=np.arange(n) // 10, position=np.arange(n) % 10)
probe["token"] = [" " + words[k % 7] for k in range(n)]
state = ExplorerState(rdmviz.TrainingRun.from_arrays(loss, probe=probe), window=32)
table = DatapointTable(state)
VBox([TimeBar(state), DatapointMap(state), table])"""

LINES = ".rdmviz-table tbody tr"


@pytest.fixture(scope="module")
def watched(server, browser):
    page = browser.new_page(viewport={"width": 1280, "height": 1000})
    watched = Watched(page)
    watched.watch()
    run_in_lab(page, server, server.write_notebook("datapoints.ipynb", CELL))
    page.wait_for_selector(".rdmviz-datapoints[data-step]", timeout=60_000)
    page.wait_for_selector(".rdmviz-map-view[data-step]", timeout=60_000)
    yield watched
    page.close()


@pytest.fixture
def page(watched):
    """Return the page, with nothing selected, found or sorted."""
    tell(watched.page, "table.clear(); table.sort = ''; state.step = 299")
    watched.page.wait_for_selector(".rdmviz-datapoints[data-step='299']")
    yield watched.page
    watched.assert_clean()


def rows(page) -> list[int]:
    script = (
        "() => [...document.querySelectorAll('.rdmviz-table tbody tr')].map(r => Number(r.dataset.sample))"
    )
    return page.evaluate(script)


def wait_rows(page, expected: list[int]) -> None:
    script = f"""expected => JSON.stringify([...document.querySelectorAll('{LINES}')]
        .map(r => Number(r.dataset.sample))) === JSON.stringify(expected)"""
    page.wait_for_function(script, arg=expected, timeout=10_000)


def column(page, title: str) -> list[str]:
    script = """title => {
        const heads = [...document.querySelectorAll('.rdmviz-table th')];
        const place = heads.findIndex(h => h.textContent.replace(/ [▲▼]$/, '') === title);
        return [...document.querySelectorAll('.rdmviz-table tbody tr')].map(r => r.cells[place].textContent);
    }"""
    return page.evaluate(script, title)


def number(text: str) -> float:
    return float(text.replace("−", "-"))


def test_exactly_the_selected_are_shown_and_a_click_on_the_map_comes_up(page):
    tell(page, "state.selection = [17, 2, 99]")
    wait_rows(page, [17, 2, 99])
    assert "Selected 3" in page.locator(".rdmviz-whose").inner_text()
    canvas = page.locator(".rdmviz-map")
    box = canvas.bounding_box()
    for x, y in [(x / 24, y / 24) for x in range(2, 23) for y in range(2, 23)]:
        page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])
        if page.evaluate("() => getComputedStyle(document.querySelector('.rdmviz-map')).cursor") == "pointer":
            break
    page.mouse.down()
    page.mouse.up()
    page.wait_for_selector(".rdmviz-datapoints[data-rows='1']")
    assert len(rows(page)) == 1


def test_sorting_by_click_and_by_key(page):
    tell(page, "state.selection = list(range(40))")
    page.wait_for_selector(".rdmviz-datapoints[data-rows='40']")
    page.get_by_role("button", name="loss here").click()
    page.wait_for_selector("th[aria-sort='descending']")
    losses = [number(text) for text in column(page, "loss here")]
    assert losses == sorted(losses, reverse=True)
    assert len(set(losses)) > 20
    page.keyboard.press("Enter")
    page.wait_for_selector("th[aria-sort='ascending']")
    losses = [number(text) for text in column(page, "loss here")]
    assert losses == sorted(losses)
    page.keyboard.press("Enter")
    wait_rows(page, list(range(40)))


def test_values_follow_time_and_the_mark_stands_at_the_step(page):
    tell(page, "state.selection = [11, 12]")
    wait_rows(page, [11, 12])
    before = column(page, "loss here")
    page.locator(".rdmviz-step").fill("100")
    page.wait_for_selector(".rdmviz-datapoints[data-step='100']")
    assert column(page, "loss here") != before
    place = """() => {
        const mark = document.querySelector('.rdmviz-curve-mark').getBoundingClientRect();
        const curve = document.querySelector('.rdmviz-small-curve').getBoundingClientRect();
        return (mark.left - curve.left) / curve.width;
    }"""
    assert page.evaluate(place) == pytest.approx(100 / 299, abs=0.02)


def test_find_pages_select_all_and_clear(page):
    find = page.get_by_role("searchbox", name="Find datapoints by text or metadata")
    find.fill("kind:a")
    page.wait_for_selector(".rdmviz-datapoints[data-rows='65']")
    assert rows(page) == list(range(0, 100, 2))
    assert "Showing 1–50 of 65" in page.locator(".rdmviz-pager").inner_text()
    page.get_by_role("button", name="Next").click()
    wait_rows(page, list(range(100, 130, 2)))
    assert "65 of 65 are kind = a (prevalence 50%" in page.locator(".rdmviz-table-caption").inner_text()
    page.get_by_role("button", name="Select all 65").click()
    page.get_by_text("Selected 65").wait_for()
    page.get_by_role("button", name="Clear").click()
    page.get_by_text("Selected 0").wait_for()
    assert find.input_value() == ""

    find.fill("colour:red")
    page.locator(".rdmviz-table-note", has_text="there is no column 'colour'").wait_for()
    find.fill("שלום")
    wait_rows(page, [0])
    find.fill("")
    page.wait_for_selector(".rdmviz-whose button[aria-pressed='true']:has-text('Strongest')")


def test_rows_are_pointed_at_and_chosen_by_mouse_and_by_key(page):
    tell(page, "table.query = 'datapoint<6'")
    wait_rows(page, [0, 1, 2, 3, 4, 5])
    page.locator("tr[data-sample='3'] td").first.hover()
    page.wait_for_selector("tr[data-sample='3'].rdmviz-hovered")
    page.locator("tr[data-sample='3'] td").first.click()
    page.wait_for_selector("tr[data-sample='3'][aria-selected='true']")
    page.locator("tr[data-sample='3']").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_selector("tr[data-sample='4'][aria-selected='true']")
    assert page.locator("tr[aria-selected='true']").count() == 2
    assert rows(page) == [0, 1, 2, 3, 4, 5]
    page.keyboard.press("Home")
    assert page.evaluate("() => document.activeElement.dataset.sample") == "0"


def test_texts_of_any_script_and_length_keep_to_their_cells_and_stay_text(page):
    tell(page, "state.selection = [0, 1, 2, 3, 4]")
    wait_rows(page, [0, 1, 2, 3, 4])
    texts = column(page, "text")
    assert texts[0] == "שלום עולם (1)"
    assert texts[1].startswith("\U0001f469\u200d\U0001f52c at work")
    assert texts[2].startswith('<img src=x onerror="window.hacked = 1">')
    assert texts[4] == "bad \ufffd half"
    cells = page.locator(".rdmviz-table td.rdmviz-text-column .rdmviz-text")
    direction = "node => getComputedStyle(node).direction"
    assert [cells.nth(k).evaluate(direction) for k in range(2)] == ["rtl", "ltr"]
    assert page.evaluate("() => window.hacked") is None
    assert page.locator(".rdmviz-datapoints img:not(.rdmviz-thumbnail)").count() == 0
    heights = page.evaluate(f"() => [...document.querySelectorAll('{LINES}')].map(r => r.clientHeight)")
    assert max(heights) < 110, "a very long text does not take the page"
    page.get_by_role("button", name="Show all 60,000 characters").click()
    whole = "() => document.querySelector(\"tr[data-sample='3'] .rdmviz-text\").textContent.length"
    page.wait_for_function(f"{whole.removeprefix('() => ')} === 60000")
    view = page.locator(".rdmviz-datapoints").bounding_box()
    table = page.locator(".rdmviz-table-box").bounding_box()
    assert table["width"] <= view["width"] + 1
    assert table["height"] <= 384
    page.get_by_role("button", name="Show less").click()


def test_pictures_are_drawn_and_a_missing_one_is_labelled(page):
    tell(page, "state.selection = [5, 6]")
    wait_rows(page, [5, 6])
    assert page.locator("tr[data-sample='5'] .rdmviz-no-picture").inner_text() == "no picture"
    levels = page.locator("tr[data-sample='6'] .rdmviz-thumbnail").evaluate(
        """async picture => {
            await picture.decode();
            const context = document.createElement('canvas').getContext('2d');
            context.drawImage(picture, 0, 0);
            return [...context.getImageData(0, 0, 8, 8).data].filter((_, k) => k % 4 === 0);
        }"""
    )
    assert [levels[0], levels[3 * 8 + 3], levels[63]] == [0, 255, 0]


def test_tokens_are_shaded_by_their_loss_and_choose_each_other(page):
    tell(page, "state.selection = [23]")
    wait_rows(page, [23])
    tokens = page.locator("tr[data-sample='23'] .rdmviz-token")
    assert tokens.count() == 10
    assert page.locator("tr[data-sample='23'] .rdmviz-itself").get_attribute("data-sample") == "23"
    shade = "node => getComputedStyle(node).backgroundColor"
    assert len({tokens.nth(k).evaluate(shade) for k in range(10)}) > 5
    before = tokens.first.evaluate(shade)
    page.locator(".rdmviz-step").fill("20")
    page.wait_for_selector(".rdmviz-datapoints[data-step='20']")
    assert tokens.first.evaluate(shade) != before
    tokens.first.click()
    wait_rows(page, [23, 20])


# The text that is hardest to read: its contrast by WCAG 2, through whatever shades it, and what it says.
CONTRAST = """() => {
    const channels = (color) => color.match(/[\\d.]+/g).map(Number);
    const over = (top, below) => below.map((v, k) => (top[3] ?? 1) * top[k] + (1 - (top[3] ?? 1)) * v);
    const linear = (v) => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
    const level = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
    const behind = (node) => {
        if (!node) return [255, 255, 255];
        return over(channels(getComputedStyle(node).backgroundColor), behind(node.parentElement));
    };
    let worst = [99, ""];
    for (const node of document.querySelectorAll(".rdmviz-datapoints *")) {
        const told = [...node.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim());
        if (!told || node.disabled || !node.checkVisibility()) continue;
        const below = behind(node);
        const ink = level(over(channels(getComputedStyle(node).color), below));
        const ratio = (Math.max(ink, level(below)) + 0.05) / (Math.min(ink, level(below)) + 0.05);
        if (ratio < worst[0]) worst = [ratio, `${node.className}: ${node.textContent.slice(0, 30)}`];
    }
    return worst;
}"""


@pytest.mark.parametrize("theme", ["JupyterLab Dark", "JupyterLab Light"])
def test_every_text_can_be_read_in_both_themes(page, theme):
    tell(page, "state.selection = list(range(60))")
    page.wait_for_selector(".rdmviz-datapoints[data-rows='60']")
    page.evaluate("t => window.jupyterapp.commands.execute('apputils:change-theme', {theme: t})", theme)
    page.wait_for_selector(f"body[data-jp-theme-name='{theme}']", state="attached")
    page.wait_for_timeout(600)  # the stylesheet follows the name
    ratio, where = page.evaluate(CONTRAST)
    assert ratio >= 4.5, where
