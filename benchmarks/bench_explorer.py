"""How fluid the explorer is in a real browser, against a map drawn as SVG by bqplot in the same run.

    python benchmarks/bench_explorer.py                 # 2000 rows of 1,000, 5,000 and 20,000 datapoints
    python benchmarks/bench_explorer.py --sizes 1000

A real JupyterLab serves a real Chromium, headless, that draws in software. One step is the time from a press
of the right arrow to the first animation frame after every picture of the explorer shows the next step; a
scrub holds the key down, which repeats as often as the screen is refreshed: twice as fast as keyboards do.
The page's work is what its main thread is busy for in a scrub, by frame drawn: unlike frames per second it
has no upper limit. Times are of this machine, whatever else it does; the ratios are what to compare.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from playwright.sync_api import Browser, CDPSession, Page, sync_playwright

REPOSITORY = Path(__file__).parents[1]
sys.path[:0] = [str(REPOSITORY / folder) for folder in ("scripts", "tests/browser")]

from conftest import FLAGS, Server, run_in_lab, serving  # noqa: E402  # it lies beside the browser tests
from ensure_chromium import find_chromium  # noqa: E402  # and this beside the scripts

N_ROWS = 2000
FIRST_ROW = 400  # of the first step that is timed
STEPS, SVG_STEPS = 120, 40
SCRUB_KEYS, SVG_SCRUB_KEYS = 200, 60
SCRUBS = 5
SCREEN_HZ = 60
TARGETS = {1000: (50, 45), 5000: (60, 35), 20_000: (120, 20)}  # ms of a step in p95, frames/s of a scrub
SVG_SIZE, LEAST_RATIO = 1000, 8

RUN = """import sys
sys.path[:0] = {paths!r}
import numpy as np, rdmviz
rng = np.random.default_rng(0)
kind = rng.integers(0, 6, {n})
middle = 200 + 250 * kind + rng.normal(0, 30, {n})
waves = np.cumsum(rng.standard_normal(({rows}, 4)), axis=0) @ rng.standard_normal((4, {n}))
loss = 1 / (1 + np.exp((np.arange({rows})[:, None] - middle) / 40)) + 0.004 * np.abs(waves)
loss = (loss + 0.02 * np.abs(rng.standard_normal(loss.shape))).astype("float32")
probe = {{"kind": [f"kind {{k}}" for k in kind]}}
run = rdmviz.TrainingRun.from_arrays(loss, probe=probe, name="{n} datapoints")
"""
EXPLORER = "explorer = rdmviz.explore(run)\nexplorer"
MAP = """from ipywidgets import VBox
from rdmviz.widgets import DatapointMap, ExplorerState, TimeBar
state = ExplorerState(run)
VBox([TimeBar(state), DatapointMap(state)])"""
SVG = "from svg_map import svg_map\nsvg_map(run)"

# Notes when a key goes down and when the picture it asked for has been drawn.
WATCH = """([target, attribute]) => {
    const stage = document.querySelector(target);
    window.pressed = 0;
    window.steps = [];
    window.drawn = [];
    window.watching?.disconnect();
    window.watching = new MutationObserver(() => {
        if (window.noted) return;
        window.noted = true;
        requestAnimationFrame(now => {
            window.noted = false;
            window.drawn.push(performance.now());
            if (window.pressed) window.steps.push(performance.now() - window.pressed);
            window.pressed = 0;
        });
    });
    const subtree = attribute !== 'data-step';
    window.watching.observe(stage, {attributes: true, subtree, attributeFilter: [attribute]});
    if (!window.listening) {
        window.listening = true;
        window.addEventListener('keydown', event => { window.pressed ||= event.timeStamp; }, true);
    }
}"""


@dataclass(frozen=True)
class Measured:
    """Ms of single steps; of each scrub its frames per second, longest pause (ms) and work by frame (ms)."""

    steps: list[float]
    rates: list[float]
    pauses: list[float]
    works: list[float]

    @property
    def p95(self) -> float:
        """Of one step, ms."""
        return float(np.percentile(self.steps, 95))

    @property
    def rate(self) -> float:
        """Frames per second, the median of the scrubs."""
        return statistics.median(self.rates)

    @property
    def work(self) -> float:
        """Of the page's main thread for a frame, ms, the median of the scrubs."""
        return statistics.median(self.works)


def measure(page: Page, watched: list[str], steps: int, keys: int, rest_ms: int) -> Measured:
    """Single steps with a rest after each, then scrubs over steps that were not looked at before."""
    page.evaluate(WATCH, watched)
    for step in range(steps):
        page.keyboard.press("ArrowRight")
        page.wait_for_function("done => window.steps.length > done", arg=step, polling=30)
        page.wait_for_timeout(rest_ms)
    single = page.evaluate("() => window.steps")
    rates, pauses, works = [], [], []
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")
    for _ in range(SCRUBS):
        page.wait_for_timeout(1000)
        page.evaluate(WATCH, watched)
        busy = busy_seconds(session)
        began = time.monotonic()
        for key in range(keys):
            time.sleep(max(0.0, began + key / SCREEN_HZ - time.monotonic()))
            page.keyboard.down("ArrowRight")
        page.keyboard.up("ArrowRight")
        drawn = settled(page)
        works.append(1000 * (busy_seconds(session) - busy) / len(drawn))
        rates.append((len(drawn) - 1) / (drawn[-1] - drawn[0]) * 1000)
        pauses.append(float(np.diff(drawn).max()))
    return Measured(single, rates, pauses, works)


def busy_seconds(session: CDPSession) -> float:
    """Return for how long the page's main thread has been busy."""
    metrics = session.send("Performance.getMetrics")["metrics"]
    return float(next(metric["value"] for metric in metrics if metric["name"] == "TaskDuration"))


def settled(page: Page, quiet_ms: int = 1500) -> np.ndarray:
    """Return when frames were drawn, ms, once none has been drawn for a while."""
    before = -1
    while (now := page.evaluate("() => window.drawn.length")) != before or now < 2:
        before = now
        page.wait_for_timeout(quiet_ms)
    return np.array(page.evaluate("() => window.drawn"))


def open_lab(browser: Browser, server: Server, name: str, n: int, cell: str) -> Page:
    """Run a notebook with a generated run and what is to be timed."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    paths = [str(REPOSITORY), str(REPOSITORY / "benchmarks")]
    code = RUN.format(paths=paths, n=n, rows=N_ROWS)
    run_in_lab(page, server, server.write_notebook(f"{name}-{n}.ipynb", code + cell))
    return page


def time_views(browser: Browser, server: Server, n: int, cell: str) -> Measured:
    """Time the whole explorer or some of its views."""
    page = open_lab(browser, server, "views", n, cell)
    page.wait_for_selector(".rdmviz-map-view[data-step]", timeout=180_000)
    if cell == EXPLORER:
        page.wait_for_selector(".rdmviz-curves .plotarea_background", state="attached")
    page.locator(".rdmviz-step").fill(str(FIRST_ROW))
    page.locator(".rdmviz-step").focus()
    page.wait_for_timeout(3000)
    measured = measure(page, [".rdmviz-map-view", "data-step"], STEPS, SCRUB_KEYS, 80)
    page.close()
    return measured


def time_svg(browser: Browser, server: Server, n: int) -> Measured:
    """Time the map alone as bqplot draws it."""
    page = open_lab(browser, server, "svg", n, SVG)
    page.wait_for_selector(".bqplot .dot", state="attached", timeout=180_000)
    page.locator(".noUi-handle").focus()
    page.wait_for_timeout(3000)
    measured = measure(page, [".bqplot", "transform"], SVG_STEPS, SVG_SCRUB_KEYS, 300)
    page.close()
    return measured


def tell(name: str, one: Measured) -> None:
    """Print a row of the table."""
    pauses = ", ".join(f"{pause:.0f}" for pause in one.pauses)
    median = statistics.median(one.steps)
    print(f"{name:<34}{median:>6.0f} ms{one.p95:>5.0f} ms{one.rate:>8.1f} /s", end="")
    print(f"{one.work:>8.1f} ms{pauses:>31} ms", flush=True)


def verdict(met: bool) -> str:
    """Say in a word whether a target is met."""
    return "met" if met else "MISSED"


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description="the explorer in Chromium, against bqplot's SVG")
    parser.add_argument("--sizes", type=int, nargs="+", default=list(TARGETS))
    options = parser.parse_args()
    path = find_chromium()
    if path is None:
        sys.exit("no Chromium: python scripts/ensure_chromium.py")
    began = time.monotonic()
    print(
        f"T={N_ROWS}, window 64, headless Chromium, software drawing; {SCRUBS} scrubs of {SCRUB_KEYS} steps"
    )
    print(
        f"{'':<34}{'step p50':>9}{'p95':>8}{'scrub':>12}{'work':>11}{'longest pause of each scrub':>34}",
        flush=True,
    )
    found = {}
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder)) as server, sync_playwright() as play:
        browser = play.chromium.launch(executable_path=path, headless=True, args=FLAGS)
        for n in options.sizes:
            found[n] = time_views(browser, server, n, EXPLORER)
            tell(f"explorer, {n:,} datapoints", found[n])
        if SVG_SIZE in found:
            alone = time_views(browser, server, SVG_SIZE, MAP)
            tell(f"its map alone, {SVG_SIZE:,} datapoints", alone)
            svg = time_svg(browser, server, SVG_SIZE)
            tell(f"SVG map alone, {SVG_SIZE:,} datapoints", svg)
        browser.close()
    for n, one in found.items():
        if n in TARGETS:
            most, least = TARGETS[n]
            print(f"{n:>6,}: step {one.p95:.0f} of at most {most} ms {verdict(one.p95 <= most)}; ", end="")
            print(f"scrub {one.rate:.0f} of at least {least} frames/s {verdict(one.rate >= least)}")
    if SVG_SIZE in found:
        ratio = found[SVG_SIZE].rate / svg.rate
        print(f"{ratio:.1f} x the frames/s of the SVG map (target {LEAST_RATIO}: ", end="")
        print(
            f"{verdict(ratio >= LEAST_RATIO)}; {SCREEN_HZ / svg.rate:.1f} is all that the screen shows), ",
            end="",
        )
        print(f"{svg.work / found[SVG_SIZE].work:.1f} x less work for a frame ", end="")
        print(f"(map alone {svg.work / alone.work:.1f} x), ", end="")
        print(f"{svg.p95 / found[SVG_SIZE].p95:.1f} x quicker steps")
    print(f"took {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
