"""A day of scrubbing: neither kernel nor page grows."""

from __future__ import annotations

import time

import psutil
from conftest import agree, run_in_lab, wait_drawn

SCRUBS = 5000
MOST_KERNEL_MB, MOST_HEAP_MB = 20, 10
OPEN = """import os, rdmviz
explorer = rdmviz.explore(rdmviz.load_example("grokking"), coloring="split")
open("kernel.pid", "w").write(str(os.getpid()))
explorer"""

# Moves the slider once per screen refresh, back and forth over the run.
SCRUB = """count => new Promise(resolve => {
    const slider = document.querySelector('.rdmviz-step');
    const last = Number(slider.max);
    let done = 0;
    const move = () => {
        const place = (done * 7) % (2 * last);
        slider.value = String(place <= last ? place : 2 * last - place);
        slider.dispatchEvent(new Event('input'));
        done += 1;
        if (done < count) requestAnimationFrame(move);
        else resolve(done);
    };
    move();
})"""


def test_scrubbing_leaves_memory_and_page_as_they_were(server, watched, capsys):
    page = watched.page
    run_in_lab(page, server, server.write_notebook("memory.ipynb", OPEN))
    wait_drawn(page)
    kernel = psutil.Process(int((server.root / "kernel.pid").read_text()))
    devtools = page.context.new_cdp_session(page)
    devtools.send("Performance.enable")

    def measure() -> tuple[float, float, float]:
        devtools.send("HeapProfiler.collectGarbage")
        found = {
            entry["name"]: entry["value"] for entry in devtools.send("Performance.getMetrics")["metrics"]
        }
        return kernel.memory_info().rss / 1e6, found["JSHeapUsedSize"] / 1e6, found["Nodes"]

    page.evaluate(SCRUB, 300)  # frames are held up to their budget, code is compiled
    agree(page)
    page.wait_for_timeout(3000)
    before = measure()
    began = time.monotonic()
    page.evaluate(SCRUB, SCRUBS)
    seconds = time.monotonic() - began
    agree(page)
    page.wait_for_timeout(1000)
    after = measure()
    grown = [b - a for a, b in zip(before, after, strict=True)]
    with capsys.disabled():
        print(
            f"\n  {SCRUBS} scrubs in {seconds:.0f} s: kernel {grown[0]:+.1f} MB, "
            f"page's heap {grown[1]:+.1f} MB, DOM nodes {grown[2]:+.0f}"
        )
    assert grown[0] < MOST_KERNEL_MB
    assert grown[1] < MOST_HEAP_MB
    assert grown[2] <= 0
    watched.assert_clean()
