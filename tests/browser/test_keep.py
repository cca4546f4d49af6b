"""Keep and share as a person does: a bookmark with a note, a picture, a table, code."""

from __future__ import annotations

import csv
import json
import struct
import xml.etree.ElementTree as ET

import pytest
from conftest import Watched, agree, run_in_lab, wait_drawn

import rdmviz

CELL = """import rdmviz
rdmviz.load_example("linear_network").save("kept.rdmviz", overwrite=True)
explorer = rdmviz.explore(rdmviz.open_run("kept.rdmviz"), coloring="half", selection=[3, 40])
explorer"""
NOTE = 'second item splits <img src=x onerror="window.hacked = 1"> בוקר 🙂'


@pytest.fixture(scope="module")
def opened(browser, server):
    page = browser.new_page(viewport={"width": 1280, "height": 1000})
    watched = Watched(page)
    watched.watch()
    run_in_lab(page, server, server.write_notebook("keep.ipynb", CELL))
    wait_drawn(page)
    yield watched
    watched.assert_clean()
    page.close()


@pytest.fixture
def bar(opened):
    return opened.page.locator(".rdmviz-keep")


def kept(server):
    notes = [json.loads(path.read_text()) for path in (server.root / "kept.rdmviz" / "notes").glob("*.json")]
    return sorted((note["step"], note["note"]) for note in notes)


def at(page, index):
    page.locator(".rdmviz-step").fill(str(index))
    return agree(page)


def press(bar, name):
    button = bar.get_by_role("button", name=name)
    if button.get_attribute("aria-expanded") == "false":
        button.focus()
        bar.page.keyboard.press("Enter")


def download(page, button):
    with page.expect_download() as waiting:
        button.click()
    return waiting.value.suggested_filename, waiting.value.path().read_bytes()


def test_a_bookmark_is_kept_beside_the_run_gone_back_to_and_deleted(opened, bar, server):
    page = opened.page
    first = at(page, 700)
    bar.get_by_label("Note on this step").fill(NOTE)
    page.keyboard.press("Enter")
    bar.get_by_text("Bookmarked step").wait_for()
    later = at(page, 1500)
    bar.get_by_role("button", name="Bookmark", exact=True).click()
    press(bar, "Bookmarks (2)")
    assert kept(server) == [(first, NOTE), (later, "")]
    assert NOTE in bar.locator(".rdmviz-keep-list").inner_text()
    assert "Kept in" in bar.inner_text()

    at(page, 2000)
    bar.get_by_role("button", name=f"step {first:,}", exact=True).click()
    page.wait_for_function(f"() => document.querySelector('.rdmviz-map-view').dataset.step === '{first}'")
    assert agree(page) == first
    bar.get_by_role("button", name="Delete the bookmark at step").last.click()
    bar.get_by_role("button", name="Bookmarks (1)").wait_for()
    assert kept(server) == [(first, NOTE)]
    assert page.evaluate("() => window.hacked") is None
    assert bar.locator("img").count() == 0


def test_a_picture_is_downloaded_and_is_the_one_on_screen(opened, bar, server):
    page = opened.page
    step = at(page, 1000)
    press(bar, "Save picture")
    bar.get_by_label("Picture").select_option("map")
    bar.get_by_label("Format").select_option("svg")
    button = bar.get_by_role("button", name="Download picture")
    name, data = download(page, button)
    assert name == f"deep-linear-network-step-{step}-map.svg"
    shown = {"step": step, "coloring": "half", "selection": [3, 40]}
    run = rdmviz.open_run(server.root / "kept.rdmviz")
    assert data == rdmviz.figure(run, "map", **shown).to_bytes("svg")
    ET.fromstring(data)

    bar.get_by_label("Picture").select_option("curves")
    bar.get_by_label("Format").select_option("png")
    name, data = download(page, button)
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", data[16:24])[0] == 2100, "seven inches at 300 dots"

    at(page, 3)
    bar.get_by_label("Picture").select_option("map")
    button.click()
    trouble = bar.locator(".rdmviz-keep-trouble")
    trouble.wait_for()
    assert "window" in trouble.inner_text(), "there are no modes before the first full window"


def test_a_table_is_downloaded_with_the_selected_datapoints(opened, bar):
    at(opened.page, 1000)
    press(bar, "Save table")
    bar.get_by_label("Table").select_option("selection")
    name, data = download(opened.page, bar.get_by_role("button", name="Download CSV"))
    assert name.endswith("-selection.csv")
    head, *rows = csv.reader(data.decode("utf-8-sig").splitlines())
    assert head[:4] == ["datapoint", "loss", "drift", "group"]
    assert [row[0] for row in rows] == ["3", "40"]


def test_the_code_follows_the_view_and_is_copied_without_permission(opened, bar, server):
    page = opened.page
    step = at(page, 1200)
    press(bar, "Copy code")
    area = bar.get_by_label("Python that opens this view again")
    page.wait_for_function(f"area => area.value.includes('step={step}')", arg=area.element_handle())
    page.get_by_label("Window", exact=True).select_option("32 rows")
    page.wait_for_function("area => area.value.includes('window=32')", arg=area.element_handle())
    code = area.input_value()
    bar.get_by_role("button", name="Copy to clipboard").click()
    bar.get_by_text("Copied").wait_for()
    bar.get_by_label("Note on this step").focus()
    page.keyboard.press("Control+V")
    assert bar.get_by_label("Note on this step").input_value().split() == code.split()

    names = {}
    exec(code, names)
    state = names["explorer"].state
    assert (state.step, state.window, state.selection) == (step, 32, [3, 40])
    assert str(server.root / "kept.rdmviz") in state.run.origin
