"""For everyone: names and keys for every control, text that can be read in both themes, nothing cut off."""

from __future__ import annotations

import pytest
from conftest import EXPLORE, run_in_lab, wait_drawn

LEAST_CONTRAST = 4.5

# Every visible text of the explorer, with the contrast (WCAG 2.1) of its colour to what lies behind it.
CONTRASTS = """() => {
    const channels = text => (text.match(/[\\d.]+/g) ?? []).map(Number);
    const linear = c => { c /= 255; return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4; };
    const light = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
    const behind = node => {
        for (let at = node; at; at = at.parentElement) {
            const [r, g, b, a = 1] = channels(getComputedStyle(at).backgroundColor);
            if (a > 0.95) return [r, g, b];
        }
        return [255, 255, 255];
    };
    const found = [];
    const root = document.querySelector('.rdmviz-explorer');
    const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const node = walker.currentNode.parentElement;
        const text = walker.currentNode.textContent.trim();
        const box = node.getBoundingClientRect();
        if (!text || !box.width || !box.height || getComputedStyle(node).visibility === 'hidden') continue;
        const style = getComputedStyle(node);
        const ink = channels(node.closest('svg') ? style.fill : style.color).slice(0, 3);
        const pair = [light(ink), light(behind(node))].sort((a, b) => b - a);
        const contrast = (pair[0] + 0.05) / (pair[1] + 0.05);
        found.push([text.slice(0, 60), node.className.baseVal ?? node.className, contrast]);
    }
    return found;
}"""

# The controls on the screen that keys can reach.
CONTROLS = """[...document.querySelectorAll('.rdmviz-explorer *')]
    .filter(node => node.matches('button, select, input, textarea, [tabindex="0"]'))
    .filter(node => node.offsetParent !== null && !node.disabled && node.tabIndex >= 0)"""

UNNAMED = f"""() => {CONTROLS}
    .filter(node => !(node.getAttribute('aria-label') || node.getAttribute('aria-labelledby') || node.title
        || node.labels?.length || node.textContent.trim()))
    .map(node => node.outerHTML.slice(0, 160))"""

UNVISITED = f"""() => {CONTROLS}
    .filter(node => !window.visited.has(node))
    .map(node => node.outerHTML.slice(0, 160))"""


def use_theme(page, theme: str) -> None:
    page.evaluate("theme => window.jupyterapp.commands.execute('apputils:change-theme', {theme})", theme)
    page.wait_for_function(
        "dark => (document.body.dataset.jpThemeLight === 'false') === dark",
        arg="Dark" in theme,
        timeout=20_000,
    )
    page.wait_for_timeout(1000)


@pytest.fixture(scope="module")
def opened(server, browser):
    page = browser.new_page(viewport={"width": 1280, "height": 1400})
    run_in_lab(page, server, server.write_notebook("access.ipynb", EXPLORE))
    wait_drawn(page)
    yield page
    page.close()


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_every_text_can_be_read(opened, theme):
    use_theme(opened, theme)
    for button in opened.locator(".rdmviz-explain").all():
        button.click()
    texts = opened.evaluate(CONTRASTS)
    for button in opened.locator(".rdmviz-explain").all():
        button.click()
    assert len(texts) > 30
    assert [text for text in texts if text[2] < LEAST_CONTRAST] == []


def test_every_control_has_a_name(opened):
    assert opened.evaluate(UNNAMED) == []


def test_tab_reaches_every_control_and_shows_where_it_is(opened):
    opened.locator(".rdmviz-head").click()
    expected = opened.evaluate(f"() => {CONTROLS}.length")
    opened.evaluate("() => { window.visited = new Set(); window.unseen = []; }")
    opened.locator(".rdmviz-explorer :is(button, select, input)").first.focus()
    opened.keyboard.press("Shift+Tab")
    for _ in range(3 * expected):
        opened.keyboard.press("Tab")
        inside = opened.evaluate("""() => {
            const node = document.activeElement;
            if (!node.closest('.rdmviz-explorer')) return false;
            window.visited.add(node);
            const style = getComputedStyle(node);
            const seen = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0
                || style.boxShadow !== 'none' || node.type === 'range';
            if (!seen) window.unseen.push(node.outerHTML.slice(0, 120));
            return true;
        }""")
        if not inside and opened.evaluate("() => window.visited.size") > 0:
            break
    assert opened.evaluate(UNVISITED) == []
    assert opened.evaluate("() => window.unseen") == []


@pytest.mark.parametrize("width", [1280, 900, 620])
def test_nothing_is_wider_than_its_place(opened, width):
    opened.set_viewport_size({"width": width, "height": 1400})
    opened.wait_for_timeout(600)
    wider = opened.evaluate("""() => {
        const explorer = document.querySelector('.rdmviz-explorer');
        const root = explorer.getBoundingClientRect();
        const scrolls = node => /auto|scroll/.test(getComputedStyle(node).overflowX);
        const scrolled = node => { // what a person can scroll to, or is cut on purpose, is not lost
            let at = node.parentElement;
            while (at !== explorer && !scrolls(at)) at = at.parentElement;
            return at !== explorer;
        };
        return [...document.querySelectorAll('.rdmviz-explorer *')]
            .filter(node => node.offsetParent && !node.closest('svg') && !scrolled(node))
            .map(node => [node.className, Math.round(node.getBoundingClientRect().right - root.right)])
            .filter(([, over]) => over > 2);
    }""")
    assert wider == []
