"""The same widget in every host people use: Notebook 7, Voila, and the demo's own servers."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest
from conftest import EXPLORE, agree, wait_drawn

import rdmviz
from rdmviz.demo import serve

MOST_SECONDS_TO_DRAW = 5


def open_classic(page, server, name):
    page.goto(server.url(f"notebooks/{name}"))
    page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=60_000)
    page.wait_for_selector(
        ".jp-NotebookKernelStatus, .jp-NotebookKernelLogo", state="attached", timeout=60_000
    )


def run_first_cell(page):
    """Press the keys until the cell is on its way: early ones are lost while Notebook starts."""
    pending = "() => document.querySelector('.jp-InputArea-prompt').innerText.startsWith('[ ]')"
    for _ in range(15):
        page.locator(".jp-Cell .cm-content").first.click()
        page.keyboard.press("Control+Enter")
        page.wait_for_timeout(2000)
        if not page.evaluate(pending):
            return
    raise AssertionError("the cell does not run")


def keep_and_share(page, step, **shown):
    """Bookmark the step on screen, go away and come back, save its picture, copy its code."""
    bar = page.locator(".rdmviz-keep").first
    note = bar.get_by_label("Note on this step")
    note.fill("here")
    page.keyboard.press("Enter")
    bar.get_by_text(f"Bookmarked step {step:,}").wait_for()
    page.locator(".rdmviz-step").first.focus()
    page.keyboard.press("End")
    assert agree(page) > step
    bar.get_by_role("button", name="Bookmarks (1)").click()
    bar.get_by_role("button", name=f"step {step:,}", exact=True).click()
    page.wait_for_function(f"() => document.querySelector('.rdmviz-map-view').dataset.step === '{step}'")
    assert agree(page) == step

    bar.get_by_role("button", name="Save picture").click()
    bar.get_by_label("Picture").select_option("map")
    with page.expect_download() as waiting:
        bar.get_by_role("button", name="Download picture").click()
    assert waiting.value.suggested_filename == f"grokking-step-{step}-map.svg"
    saved = rdmviz.figure(rdmviz.load_example("grokking"), "map", step=step, coloring="split", **shown)
    assert waiting.value.path().read_bytes() == saved.to_bytes("svg")

    bar.get_by_role("button", name="Copy code").click()
    code = bar.get_by_label("Python that opens this view again")
    page.wait_for_function(f"area => area.value.includes('step={step}')", arg=code.element_handle())
    bar.get_by_role("button", name="Copy to clipboard").click()
    bar.get_by_text("Copied").wait_for()
    note.focus()
    page.keyboard.press("Control+V")
    assert note.input_value().split() == code.input_value().split()
    names = {}
    exec(code.input_value(), names)
    assert (names["explorer"].state.step, names["explorer"].state.coloring) == (step, "split")
    names["explorer"].close()


def test_notebook_7(server, watched):
    page = watched.page
    # Notebook 7.6 raises an error of its own on every page; what it does without rdmviz is not counted.
    open_classic(page, server, server.write_notebook("empty.ipynb", "1 + 1"))
    page.wait_for_timeout(3000)
    own = set(watched.errors)
    open_classic(page, server, server.write_notebook("classic.ipynb", EXPLORE))
    run_first_cell(page)
    wait_drawn(page, seconds=60)
    page.locator(".rdmviz-step").focus()
    page.keyboard.press("Home")
    for _ in range(12):
        page.keyboard.press("Shift+ArrowRight")
    keep_and_share(page, agree(page))
    watched.errors = [error for error in watched.errors if error not in own]
    watched.assert_clean()


def test_voila_serves_the_demo_as_an_app(watched):
    page = watched.page
    with serve(voila=True) as demo:
        page.goto(demo.url)
        wait_drawn(page, seconds=90)
        page.locator(".rdmviz-step").focus()
        page.keyboard.press("Home")
        for _ in range(12):
            page.keyboard.press("Shift+ArrowRight")
        keep_and_share(page, agree(page), map_scale="log")
        assert page.locator(".jp-CodeCell .jp-InputArea-editor").count() == 0, "an app shows no code"
    watched.assert_clean()


# The page itself notes when its kernel first says idle, that is, ready.
NOTE_READY = """
const Socket = window.WebSocket;
window.WebSocket = class extends Socket {
    constructor(...args) {
        super(...args);
        this.addEventListener('message', ({data}) => {
            const text = typeof data === 'string' ? data : new TextDecoder().decode(data);
            if (/"execution_state": ?"idle"/.test(text)) window.kernelReady ??= performance.now();
        });
    }
};
"""


def test_demo_puts_the_explorer_on_the_screen_within_five_seconds_of_the_kernel(watched, capsys):
    page = watched.page
    page.add_init_script(NOTE_READY)
    with serve() as demo:
        page.goto(demo.url)
        page.wait_for_selector(".rdmviz-map-view[data-step]", timeout=120_000)
        seconds = page.evaluate("() => (performance.now() - window.kernelReady) / 1000")
        wait_drawn(page)
        with capsys.disabled():
            print(f"\n  demo: the explorer draws {seconds:.1f} s after the kernel is ready")
        assert agree(page) > 0
        page.locator(".rdmviz-step").focus()
        page.keyboard.press("Home")
        agree(page)
    watched.assert_clean()
    assert seconds <= MOST_SECONDS_TO_DRAW


@pytest.mark.parametrize("arguments", [[], ["--voila"]])
def test_demo_command_prints_the_url_and_stops_when_told(arguments):
    process = subprocess.Popen(
        [sys.executable, "-m", "rdmviz.cli", "demo", "--no-browser", *arguments],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        deadline = time.monotonic() + 90
        url = ""
        while "http://127.0.0.1:" not in url and time.monotonic() < deadline:
            url = process.stdout.readline()
        assert "http://127.0.0.1:" in url
    finally:
        process.terminate()
        assert process.wait(timeout=30) == 0
        process.stdout.close()
