"""Following a run that another process is recording: rows arrive in the page while the person looks on."""

from __future__ import annotations

import subprocess
import sys

import pytest
from conftest import run_in_lab, wait_drawn

RECORD = """
import sys, time
import numpy as np
from rdmviz.store import RunWriter
rng = np.random.default_rng(0)
probe = {"kind": np.array(["seen", "unseen"] * 20)}
writer = RunWriter(sys.argv[1], 40, probe=probe, name="live", dtype="float64")
for step in range(2000):
    writer.append(step, 1 + rng.random(40), {"accuracy": step / 2000})
    if step < 200:
        continue
    if step % 20 == 0:
        writer.flush()
    time.sleep(0.01)
writer.close()
"""
OPEN = """import time, rdmviz
while True:
    try:
        run = rdmviz.open_run("live.rdmviz")
        if run.n_steps >= 200:
            break
    except (rdmviz.errors.RunNotFoundError, rdmviz.errors.NoRowsYetError):
        pass
    time.sleep(0.1)
explorer = rdmviz.explore(run, window=32)
explorer"""


@pytest.fixture
def recording(server):
    process = subprocess.Popen([sys.executable, "-c", RECORD, str(server.root / "live.rdmviz")])
    yield process
    process.kill()
    process.wait()


def test_rows_arrive_while_one_looks_on_and_a_step_that_is_looked_at_stays(server, watched, recording):
    page = watched.page
    run_in_lab(page, server, server.write_notebook("live.ipynb", OPEN))
    wait_drawn(page, seconds=60)
    last = "() => Number(document.querySelector('.rdmviz-map-view').dataset.step)"
    before = page.evaluate(last)
    curve = "() => document.querySelector('.rdmviz-curves .bqplot .line').getAttribute('d')"
    drawn = page.evaluate(curve)
    page.locator(".rdmviz-step").focus()
    page.keyboard.press("End")
    page.get_by_role("button", name="Follow").click()
    page.wait_for_function(f"before => ({last})() >= before + 100", arg=before, timeout=60_000)
    assert "keeping to it" in page.locator(".rdmviz-following").inner_text()
    page.wait_for_function(f"old => ({curve})() !== old", arg=drawn, timeout=20_000)

    page.locator(".rdmviz-step").focus()
    page.keyboard.press("Home")
    for _ in range(8):
        page.keyboard.press("Shift+ArrowRight")
    page.wait_for_function(f"() => ({last})() === 80", timeout=20_000)
    rows = page.locator(".rdmviz-following").inner_text()
    page.wait_for_function(
        "old => document.querySelector('.rdmviz-following').innerText !== old", arg=rows, timeout=60_000
    )
    assert page.evaluate(last) == 80
    assert "staying here" in page.locator(".rdmviz-following").inner_text()
    page.get_by_role("button", name="Follow").click()
    watched.assert_clean()
