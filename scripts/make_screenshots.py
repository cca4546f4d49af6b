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

IMAGES = Path(__file__).parents[1] / "docs" / "images"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
THEMES = {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}


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
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] - 200)
    page.wait_for_timeout(800)
    page.locator(".rdmviz-explorer").first.screenshot(path=str(path))


def main() -> None:
    """Write ``explorer.png``, ``explorer-dark.png``, ``explorer-narrow.png`` and ``explorer-voila.png``."""
    IMAGES.mkdir(parents=True, exist_ok=True)
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
                viewport={"width": width, "height": 1400 if width < 1000 else 1000}, device_scale_factor=1.5
            )
            with serve(voila=voila) as demo:
                shoot(page, demo.url, IMAGES / f"{name}.png")
            page.close()
        browser.close()


if __name__ == "__main__":
    main()
