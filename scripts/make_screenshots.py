"""Take the pictures of the README and the docs from the running product: light, dark, and a narrow window."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path

from ensure_chromium import find_chromium
from playwright.sync_api import Page, sync_playwright

from rdmviz.demo import serve

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "browser"))
from conftest import run_in_lab, serving  # it lies beside the browser tests

REPOSITORY = Path(__file__).parents[1]
IMAGES = REPOSITORY / "docs" / "images"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
THEMES = {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}
# The views one by one, and where each is on the page.
VIEWS = {
    "time": ".rdmviz-time",
    "curves": ".rdmviz-curves-column",
    "map": ".rdmviz-map-view",
    "matrix": ".rdmviz-matrix-view",
    "spectrum": ".rdmviz-spectrum-view",
    "strip": ".rdmviz-strip",
    "datapoints": ".rdmviz-datapoints",
}
COMPARE = """import numpy as np, rdmviz
run = rdmviz.load_example("grokking")
rng = np.random.default_rng(0)
other = rdmviz.TrainingRun.from_arrays(
    run.loss.values * np.exp(0.05 * rng.standard_normal(run.loss.shape)), run.steps,
    probe={name: run.probe[name].values for name in run.probe}, name="grokking, 5% noise")
comparison = rdmviz.explore([run, other], coloring="split", map_scale="log", step=5600)
comparison"""

FOLLOW = """import threading, time, rdmviz
recorded = rdmviz.load_example("grokking")
facts = {name: recorded.probe[name].values for name in recorded.probe}
recorder = rdmviz.Recorder("live.rdmviz", metadata=facts, flush_seconds=0.5, name="grokking, live")
def record(rows, pause):
    for row in rows:
        recorder.append(int(recorded.steps[row]), recorded.rows(row, row + 1)[0])
        time.sleep(pause)
record(range(1200), 0)
recorder.flush()
threading.Thread(target=record, args=(range(1200, 2501), 0.02), daemon=True).start()
explorer = rdmviz.explore(rdmviz.open_run("live.rdmviz"), following=True, coloring="split", map_scale="log")
explorer"""

LENS = """import rdmviz
run = rdmviz.load_example("grokking_gaussian")
middle = run.first_step("test_accuracy", at_least=0.1)
explorer = rdmviz.explore(run, step=middle, lens="gaussian", coloring="split", map_scale="log")
explorer"""


def shoot(page: Page, url: str, path: Path) -> None:
    """Open the demo, point at a datapoint, and keep a picture of the explorer."""
    page.goto(url)
    page.wait_for_selector(".rdmviz-map-view[data-step]", timeout=120_000)
    page.wait_for_selector(".rdmviz-curves .plotarea_background", state="attached")
    page.wait_for_timeout(3000)  # frames are fetched ahead; the picture is of a quiet page
    canvas = page.locator(".rdmviz-map")
    box = canvas.bounding_box()
    assert box is not None
    for x in range(4, 20):
        page.mouse.move(box["x"] + x / 24 * box["width"], box["y"] + 0.18 * box["height"])
        page.wait_for_timeout(50)
        if canvas.evaluate("node => getComputedStyle(node).cursor") == "pointer":
            page.mouse.down()
            page.mouse.up()
            break
    page.wait_for_selector(".rdmviz-datapoints[data-rows='1']")  # the selected one; the others say more
    page.locator(".rdmviz-datapoints").get_by_role("button", name="Strongest").click()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] - 200)
    page.wait_for_timeout(800)
    page.locator(".rdmviz-explorer").first.screenshot(path=str(path))


def shoot_views(page: Page, theme: str) -> None:
    """Keep a picture of each view of the explorer that is open."""
    for name, place in VIEWS.items():
        page.locator(place).first.screenshot(path=str(IMAGES / "views" / f"{name}-{theme}.png"))


def shoot_cell(page: Page, cell: str, widget: str, path: Path) -> None:
    """Run a cell in a notebook of its own and keep a picture of its widget."""
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder)) as server:
        page.set_viewport_size({"width": 1620, "height": 1900})  # the host scrolls what does not fit
        run_in_lab(page, server, server.write_notebook("picture.ipynb", cell))
        page.wait_for_selector(".rdmviz-map-view[data-step]", timeout=60_000)
        page.wait_for_timeout(5000)
        page.locator(widget).first.screenshot(path=str(path))


def main() -> None:
    """Write ``explorer.png``, the same dark, narrow and in Voila, and each view in both themes."""
    (IMAGES / "views").mkdir(parents=True, exist_ok=True)
    chromium = find_chromium()
    if chromium is None:
        sys.exit("no Chromium: python scripts/ensure_chromium.py")
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        os.environ["JUPYTERLAB_SETTINGS_DIR"] = folder
        themes = Path(folder) / "@jupyterlab" / "apputils-extension" / "themes.jupyterlab-settings"
        themes.parent.mkdir(parents=True)
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        for name, theme, width, voila in (
            ("explorer", "light", 1280, False),
            ("explorer-dark", "dark", 1280, False),
            ("explorer-narrow", "light", 900, False),
            ("explorer-voila", "light", 1280, True),
        ):
            themes.write_text(json.dumps({"theme": THEMES[theme]}))
            page = browser.new_page(
                viewport={"width": width, "height": 2300 if width < 1000 else 1700}, device_scale_factor=1.25
            )
            with serve(voila=voila) as demo:
                shoot(page, demo.url, IMAGES / f"{name}.png")
                if name in ("explorer", "explorer-dark"):
                    shoot_views(page, theme)
            if name in ("explorer", "explorer-dark"):
                shoot_cell(page, COMPARE, ".rdmviz-comparison", IMAGES / "views" / f"comparison-{theme}.png")
                shoot_cell(page, FOLLOW, ".rdmviz-explorer", IMAGES / "views" / f"following-{theme}.png")
                shoot_cell(page, LENS, ".rdmviz-stage", IMAGES / "views" / f"gaussian-{theme}.png")
            page.close()
        browser.close()


if __name__ == "__main__":
    main()
