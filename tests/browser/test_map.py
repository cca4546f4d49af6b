"""The datapoint map under a person's hands: what is inside the lasso is selected, and nothing else."""

from __future__ import annotations

import time

import numpy as np
import pytest
from conftest import run_in_lab, tell

from rdmviz.analysis import ModePath
from rdmviz.widgets.arrangement import by_preference
from rdmviz.widgets.frames import FrameSource, choose_shown

WINDOW, ROW = 32, 250
MAKE = """import numpy as np, rdmviz
rng = np.random.default_rng(5)
loss = 5 + np.cumsum(0.1 * rng.standard_normal((400, 60)), axis=0)
names = [f"item {k}" for k in range(59)] + ["\\u0634\\u0628\\u0643\\u0629 \\U0001f9e0"]
score = np.where(np.arange(60) % 4, np.arange(60.0), np.nan)
run = rdmviz.TrainingRun.from_arrays(loss, probe={"name": names, "score": score}, name="hands")
"""
OPEN = (
    MAKE
    + f"""import ipywidgets
from rdmviz.widgets import ExplorerState, Legend
from rdmviz.widgets.datapoint_map import DatapointMap
state = ExplorerState(run, window={WINDOW}, step={ROW}, coloring="loading")
ipywidgets.VBox([Legend(state), DatapointMap(state)])"""
)
MANY = """wide = rdmviz.TrainingRun.from_arrays(rng.standard_normal((40, 20_400)))
many = ExplorerState(wide, window=8)
DatapointMap(many)"""


@pytest.fixture(scope="module")
def page(server, browser):
    page = browser.new_page(viewport={"width": 1280, "height": 1500})
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    run_in_lab(page, server, server.write_notebook("hands.ipynb", OPEN, MANY))
    page.wait_for_function("() => document.querySelectorAll('.rdmviz-map-view[data-step]').length === 2")
    yield page
    assert errors == []
    page.close()


@pytest.fixture(autouse=True)
def afresh(page):
    tell(page, f"state.step = {ROW}; state.plane = 'moving'; state.plane_step = None; state.modes = (1, 2); "
         "state.trails = 0; state.sizing = 'equal'; state.coloring = 'loading'; "
         "state.selection = []; many.selection = []")  # fmt: skip
    page.get_by_label("Reset the zoom").first.click()
    page.mouse.move(2, 2)
    page.wait_for_function(f"() => document.querySelector('.rdmviz-map-view').dataset.step === '{ROW}'")
    page.wait_for_function("() => document.querySelector('.rdmviz-map-view').ariaBusy === 'false'")


def selection(page, state: str = "state", seconds: float = 5) -> list[int]:
    """The kernel's selection, once it is that of the page: their messages travel side by side."""
    place = ("state", "many").index(state)
    words = page.locator(".rdmviz-map-words").nth(place)
    deadline = time.monotonic() + seconds
    while True:
        page.wait_for_timeout(100)
        found = sorted(int(k) for k in tell(page, f"print(*{state}.selection)").split())
        if (words.inner_text().split() or ["0"])[0] == f"{len(found):,}" or time.monotonic() > deadline:
            return found


def comes_true(page, code: str, wanted: str, seconds: float = 5) -> None:
    """Wait until the kernel prints what is wanted."""
    deadline = time.monotonic() + seconds
    while (found := tell(page, f"print({code})")) != wanted:
        assert time.monotonic() < deadline, f"{code} is {found}, not {wanted}"
        page.wait_for_timeout(50)


def packed(row: int = ROW) -> np.ndarray:
    """Shares of the axes at which the datapoints of the test's run are, ``(60, 2)``."""
    scope: dict = {}
    exec(MAKE, scope)
    shown = choose_shown(60)
    source = FrameSource(ModePath(scope["run"], window=WINDOW, modes=8), shown, by_preference(shown, None))
    frame = np.frombuffer(source.pack([row])[0], source.layout.dtype)[0]
    return frame["positions"].reshape(-1, 2) / 65535


def places(page, row: int = ROW) -> np.ndarray:
    """Where the datapoints are on the page, ``(60, 2)``."""
    view = page.locator(".rdmviz-map-view").first
    left, top, width, height = map(float, view.get_attribute("data-plot").split())
    factor, u, v = map(float, view.get_attribute("data-zoom").split())
    box = page.locator(".rdmviz-map").first.bounding_box()
    share = (packed(row) - [u, v]) * factor
    return np.column_stack(
        [box["x"] + left + share[:, 0] * width, box["y"] + top + (1 - share[:, 1]) * height]
    )


def draw_lasso(page, corners: np.ndarray, key: str | None = None) -> None:
    if key:
        page.keyboard.down(key)
    page.mouse.move(*corners[0])
    page.mouse.down()
    for corner in [*corners[1:], corners[0]]:
        page.mouse.move(*corner, steps=5)
    page.mouse.up()
    if key:
        page.keyboard.up(key)


def inside(points: np.ndarray, corners: np.ndarray) -> list[int]:
    """Points within a convex polygon: on one side of all its edges."""
    edges = np.roll(corners, -1, axis=0) - corners
    side = [np.sign(edge[0] * (points - c)[:, 1] - edge[1] * (points - c)[:, 0])
            for edge, c in zip(edges, corners, strict=True)]  # fmt: skip
    return np.flatnonzero(np.abs(np.sum(side, axis=0)) == len(corners)).tolist()


def triangle_around(points: np.ndarray, centre: np.ndarray, size: float) -> np.ndarray:
    """A triangle that keeps two pixels away from every datapoint, so that rounding decides nothing."""
    for turn in np.linspace(0, 2, 80):
        angles = turn + np.array([0, 2.1, 4.2])
        corners = centre + size * np.column_stack([np.cos(angles), np.sin(angles)])
        edges = np.roll(corners, -1, axis=0) - corners
        away = [np.abs(e[0] * (points - c)[:, 1] - e[1] * (points - c)[:, 0]) / np.hypot(*e)
                for e, c in zip(edges, corners, strict=True)]  # fmt: skip
        if np.min(away) > 2 and 3 <= len(inside(points, corners)) < 40:
            return corners
    raise AssertionError("no such triangle: choose another place")


def test_a_lasso_selects_exactly_what_is_inside(page):
    points = places(page)
    middle = points.mean(axis=0)
    first = triangle_around(points, np.add(middle, [40, 0]), 90)
    draw_lasso(page, first)
    expected = inside(points, first)
    assert selection(page) == expected
    assert page.locator(".rdmviz-map-words").first.inner_text() == f"{len(expected)} of 60 selected"

    second = triangle_around(points, middle - [50, 20], 80)
    draw_lasso(page, second, "Shift")
    both = sorted({*expected, *inside(points, second)})
    assert selection(page) == both
    draw_lasso(page, first, "Alt")
    assert selection(page) == sorted({*both} - {*expected})
    page.keyboard.press("Escape")
    assert selection(page) == []


def test_a_click_selects_a_shift_click_adds_and_the_selection_stays_when_time_moves(page):
    points = places(page)
    apart = np.hypot(*(points[:, None] - points[None]).transpose(2, 0, 1)) + 1e3 * np.eye(60)
    one, other = np.argsort(-apart.min(axis=1))[:2].tolist()
    page.mouse.click(*points[one])
    assert selection(page) == [one]
    page.keyboard.down("Shift")
    page.mouse.click(*points[other])
    assert selection(page) == sorted([one, other])
    page.mouse.click(*points[one])
    page.keyboard.up("Shift")
    assert selection(page) == [other]
    before = page.evaluate("() => document.querySelector('.rdmviz-map').toDataURL()")
    tell(page, "state.step = 300")
    page.wait_for_function("() => document.querySelector('.rdmviz-map-view').dataset.step === '300'")
    assert selection(page) == [other]
    assert page.evaluate("() => document.querySelector('.rdmviz-map').toDataURL()") != before
    assert page.locator(".rdmviz-map-words").first.inner_text() == "1 of 60 selected"


def zoom_of(page) -> list[float]:
    page.wait_for_timeout(120)
    return [float(x) for x in page.locator(".rdmviz-map-view").first.get_attribute("data-zoom").split()]


def test_zoom_and_pan_by_wheel_drag_and_buttons_and_a_lasso_sees_what_is_on_the_screen(page):
    page.locator(".jp-Notebook .jp-InputArea").first.click()
    points = places(page)
    target = points[np.argmin(np.hypot(*(points - points.mean(axis=0)).T))]
    page.mouse.move(*target)
    page.mouse.wheel(0, -1)
    assert zoom_of(page)[0] == 1, "a page is scrolled past a map that was not chosen"
    assert "hold Ctrl" in page.locator(".rdmviz-map-words").first.inner_text()
    page.locator(".rdmviz-map").first.focus()
    points = places(page)
    target = points[np.argmin(np.hypot(*(points - points.mean(axis=0)).T))]
    page.mouse.move(*target)
    page.mouse.wheel(0, -500)
    assert zoom_of(page)[0] > 2
    zoomed = places(page)
    assert np.abs(zoomed[np.argmin(np.hypot(*(points - target).T))] - target).max() < 1.5, "it stays put"

    page.keyboard.down("Space")
    page.mouse.down()
    page.mouse.move(target[0] + 40, target[1] + 25, steps=4)
    page.mouse.up()
    page.keyboard.up("Space")
    zoom_of(page)
    np.testing.assert_allclose(places(page) - zoomed, [[40, 25]] * 60, atol=1.5)
    assert selection(page) == [], "what pans selects nothing"

    view = page.locator(".rdmviz-map-view").first
    left, top, width, height = map(float, view.get_attribute("data-plot").split())
    box = page.locator(".rdmviz-map").first.bounding_box()
    corner = np.array([box["x"] + left, box["y"] + top])
    window = corner + np.array([[1, 1], [width - 1, 1], [width - 1, height - 1], [1, height - 1]])
    draw_lasso(page, window)
    on_screen = inside(places(page), window)
    assert 0 < len(on_screen) < 60
    assert selection(page) == on_screen

    page.get_by_label("Reset the zoom").first.click()
    assert zoom_of(page) == [1, 0, 0]
    page.get_by_role("button", name="Pan").first.click()
    page.get_by_label("Zoom in").first.click()
    page.mouse.move(*target)
    page.mouse.down()
    page.mouse.move(target[0] - 50, target[1], steps=4)
    page.mouse.up()
    assert zoom_of(page)[1] > 0.17
    page.get_by_role("button", name="Pan").first.click()


def test_two_fingers_zoom_and_one_draws(page):
    points = places(page)
    middle = points.mean(axis=0)
    fingers = page.context.new_cdp_session(page)

    def touch(kind, *at):
        places = [{"x": x, "y": y, "id": k} for k, (x, y) in enumerate(at)]
        fingers.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": places})

    touch("touchStart", middle - [30, 0])
    touch("touchStart", middle - [30, 0], np.add(middle, [30, 0]))
    for spread in (40, 60, 90):
        touch("touchMove", middle - [spread, 0], np.add(middle, [spread, 0]))
    touch("touchEnd")
    assert zoom_of(page)[0] == pytest.approx(3, rel=0.05)
    assert selection(page) == []
    page.get_by_label("Reset the zoom").first.click()
    zoom_of(page)
    corners = triangle_around(points, np.add(middle, [40, 0]), 90)
    touch("touchStart", corners[0])
    for start, end in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        for share in (0.25, 0.5, 0.75, 1):
            touch("touchMove", start + share * (end - start))
    touch("touchEnd")
    assert selection(page) == inside(points, corners)


def test_keys_alone_zoom_point_select_and_choose_modes(page):
    page.locator(".rdmviz-map").first.focus()
    for key in ("+", "+", "ArrowRight", "ArrowUp"):
        page.keyboard.press(key)
    factor, left, bottom = zoom_of(page)
    assert factor == pytest.approx(1.25**2)
    assert left > (1 - 1 / factor) / 2
    assert bottom > (1 - 1 / factor) / 2
    page.keyboard.press("-")
    assert zoom_of(page)[0] == pytest.approx(1.25)
    page.keyboard.press("0")
    assert zoom_of(page) == [1, 0, 0]

    tell(
        page,
        f"""import numpy as np
frame = state.link.frames.path.at({ROW})
size = np.hypot(*(np.sqrt(frame.eigenvalues[:2, None]) * frame.vectors[:2]))""",
    )
    outermost = [int(k) for k in tell(page, "print(*np.argsort(-size)[:6])").split()]
    page.keyboard.press("PageDown")
    page.keyboard.press("Enter")
    page.keyboard.press("PageDown")
    page.keyboard.press("Shift+Enter")
    assert len(chosen := selection(page)) == 2
    assert outermost[0] in chosen
    assert {*chosen} <= {*outermost}
    page.keyboard.press("Escape")
    assert selection(page) == []
    assert tell(page, "print(state.step)") == str(ROW), "none of the keys was the notebook's or the slider's"

    page.get_by_label("Mode across").first.focus()
    page.keyboard.press("ArrowDown")  # mode 2, which is up: they change places
    comes_true(page, "state.modes", "(2, 1)")
    page.keyboard.press("ArrowDown")
    comes_true(page, "state.modes", "(3, 1)")


def test_the_card_beside_a_datapoint_says_what_it_is(page):
    points = places(page)
    apart = np.hypot(*(points[:, None] - points[None]).transpose(2, 0, 1)) + 1e3 * np.eye(60)
    lonely = int(np.argmax(apart.min(axis=1)))
    card = page.locator(".rdmviz-card").first
    assert not card.is_visible()
    for sample in (lonely, 59):
        page.mouse.move(*points[sample])
        page.wait_for_function("() => document.querySelector('.rdmviz-card').innerText.includes('loss here')")
        words = card.inner_text().split("\n")
        assert words[words.index("datapoint") + 1] == str(sample)
        comes_true(page, "state.hovered", f"[{sample}]")
        name = tell(page, f"print(run.probe['name'].values[{sample}])")
        assert name in card.inner_text()
        place, shown = points[sample], card.bounding_box()
        beside = shown["x"] - place[0], place[0] - shown["x"] - shown["width"]
        assert 0 < max(beside) < 40
        page.mouse.move(2, 2)
        card.wait_for(state="hidden")
    assert "\U0001f9e0" in name


def test_trails_lead_back_to_where_a_datapoint_was(page):
    page.get_by_role("button", name="Fix the plane").first.click()
    page.wait_for_function("() => document.querySelector('.rdmviz-map-view').ariaBusy === 'false'")
    page.wait_for_timeout(800)
    comes_true(page, "(state.plane, state.plane_step)", f"('fixed', {ROW})")
    was = tell(
        page,
        f"""
layout, frames = state.link.frames.layout, state.link.frames
shares = [np.frombuffer(frames.pack([row])[0], layout.dtype)[0]["positions"].reshape(-1, 2) / 65535
          for row in range({ROW - 30}, {ROW + 1})]
travelled = np.hypot(*(shares[0] - shares[-1]).T)
k = int(travelled.argmax())
print(k, *[x for share in shares for x in share[k]])""",
    ).split()
    sample, shares = int(was[0]), np.array(was[1:], float).reshape(-1, 2)
    view = page.locator(".rdmviz-map-view").first
    left, top, width, height = map(float, view.get_attribute("data-plot").split())
    spots = np.column_stack([left + shares[:, 0] * width, top + (1 - shares[:, 1]) * height]).tolist()
    read = """spots => {
        const canvas = document.querySelector('.rdmviz-map');
        const context = canvas.getContext('2d');
        const pixel = (x, y) => context.getImageData(Math.floor(x), Math.floor(y), 1, 1).data;
        return spots.map(([x, y]) => [...pixel(x, y)].join());
    }"""
    tell(page, f"state.selection = [{sample}]")
    page.wait_for_timeout(300)
    plain = page.evaluate(read, spots[:25])
    page.get_by_label("Trails").first.select_option("30")
    page.wait_for_timeout(600)
    trailed = page.evaluate(read, spots[:25])
    comes_true(page, "state.trails", "30")
    changed = [a != b for a, b in zip(plain, trailed, strict=True)]
    assert sum(changed) >= 20, "the trail passes where the datapoint was"
    words = page.locator(".rdmviz-map-words").first
    assert "lack" not in words.inner_text()


GREYS = """spots => {
    const canvas = document.querySelector('.rdmviz-map');
    const box = canvas.getBoundingClientRect();
    const [context, floor] = [canvas.getContext('2d'), Math.floor];
    const pixel = ([x, y]) => context.getImageData(floor(x - box.x), floor(y - box.y), 1, 1).data;
    return spots.map((spot) => [...pixel(spot)].slice(0, 3).join() === '138,138,138');
}"""


def test_what_has_no_value_is_grey_and_the_legend_says_so(page):
    tell(page, "state.coloring = 'score'")
    legend = page.locator(".rdmviz-legend")
    legend.get_by_text("no value").wait_for()
    assert legend.inner_text().split() == ["score", "1", "59", "no", "value"]
    dot = legend.locator(".rdmviz-dot").evaluate("dot => getComputedStyle(dot).backgroundColor")
    assert dot == "rgb(138, 138, 138)"
    for first, grey in ((0, True), (1, False)):  # those selected lie on top, in full colour
        chosen = list(range(first, 60, 4))
        tell(page, f"state.selection = {chosen}")
        page.wait_for_timeout(300)
        assert page.evaluate(GREYS, places(page)[chosen].tolist()) == [grey] * len(chosen)


def test_points_grow_with_their_loading(page):
    count = """() => {
        const canvas = document.querySelector('.rdmviz-map');
        const { data } = canvas.getContext('2d').getImageData(40, 12, canvas.width - 60, canvas.height - 60);
        let inked = 0;
        for (let k = 0; k < data.length; k += 4) inked += data[k] + data[k + 1] + data[k + 2] < 600;
        return inked;
    }"""
    before = page.evaluate(count)
    page.get_by_label("Size of the points").first.select_option("loading")
    page.wait_for_timeout(400)
    comes_true(page, "state.sizing", "loading")
    assert page.evaluate(count) != before


def test_a_thinned_map_says_that_a_lasso_sees_what_is_drawn(page):
    canvas = page.locator(".rdmviz-map").nth(1)
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    corners = np.array([[0.4, 0.3], [0.7, 0.3], [0.7, 0.7], [0.4, 0.7]])
    draw_lasso(page, [box["x"], box["y"]] + corners * [box["width"], box["height"]])
    chosen = selection(page, "many")
    assert len(chosen) > 100
    words = page.locator(".rdmviz-map-words").nth(1).inner_text()
    assert words == f"{len(chosen):,} among the 20,000 drawn of 20,400 selected"
