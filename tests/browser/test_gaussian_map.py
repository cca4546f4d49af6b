"""The Gaussian 2RDM beside the map in a page: it follows time by snapshots, with one selection and hover."""

from __future__ import annotations

import pytest
from conftest import agree, run_in_lab, tell, wait_drawn

OPEN = """import numpy as np, rdmviz
rng = np.random.default_rng(5)
loss = 5 + np.cumsum(0.1 * rng.standard_normal((300, 40)), axis=0)
bases = np.linalg.qr(rng.standard_normal((3, 40, 2)))[0].transpose(0, 2, 1)
bases[:, :, 30:] = np.nan
gaussian = {"eigenvalues": np.tile([4.0, 2, 1], (3, 1)), "eigenvectors": bases, "draws": np.full(3, 64.0),
            "sigma": np.full(3, 0.05), "relative": np.ones(3)}
run = rdmviz.TrainingRun.from_arrays(loss, snapshot_steps=[100, 150, 250], gaussian=gaussian, name="lens")
explorer = rdmviz.explore(run, window=32, step=170, lens="gaussian", coloring="loss")
explorer"""

LENS, CANVAS = ".rdmviz-lens-view", ".rdmviz-lens-view canvas"
SAYS = """([step, snapshot]) => {
    const lens = document.querySelector('.rdmviz-lens-view');
    return lens?.dataset.step === String(step) && (lens.dataset.snapshot ?? '') === snapshot;
}"""


def shown(page, step: int, snapshot: str) -> str:
    """Wait until the lens shows a snapshot at a step, and return its pixels."""
    page.wait_for_function(SAYS, arg=[step, snapshot], timeout=30_000)
    page.wait_for_timeout(200)
    return str(page.evaluate(f"() => document.querySelector('{CANVAS}').toDataURL()"))


@pytest.fixture
def page(server, watched):
    page = watched.page
    run_in_lab(page, server, server.write_notebook("lens.ipynb", OPEN))
    wait_drawn(page)
    yield page
    watched.assert_clean()


def test_a_lens_follows_time_and_shares_the_hand(page):
    pictures = [shown(page, 170, "150")]
    for step, snapshot in ((120, "100"), (280, "250"), (99, "")):
        tell(page, f"explorer.state.step = {step}")
        assert agree(page) == step
        pictures.append(shown(page, step, snapshot))
    assert len(set(pictures)) == len(pictures)
    note = page.locator(f"{LENS} .rdmviz-note")
    assert note.inner_text() == "The first snapshot is of step 100: move right to see it."
    tell(page, "explorer.state.step = 170")
    assert shown(page, 170, "150") == pictures[0]
    assert not note.is_visible()
    assert "150 · 64 draws of σ 0.05 × size" in page.locator(f"{LENS} .rdmviz-lens-facts").inner_text()

    words = page.locator(f"{LENS} .rdmviz-map-words")
    assert words.inner_text() == "10 datapoints are not in the snapshots"
    tell(page, "explorer.state.selection = [3, 4]")
    page.wait_for_function(
        f"() => document.querySelector('{LENS} .rdmviz-map-words').innerText.startsWith('2 of 40 selected')"
    )
    page.locator(CANVAS).focus()
    page.keyboard.press("PageDown")  # the outermost datapoint
    page.keyboard.press("Enter")
    page.wait_for_function(
        "() => document.querySelector('.rdmviz-map-view .rdmviz-map-words').innerText.startsWith('1 of 40')"
    )
    assert len(tell(page, "print(*explorer.state.selection)").split()) == 1
    assert page.locator(f"{LENS} .rdmviz-card").is_visible()

    beside = page.get_by_label("Beside the map")
    beside.select_option("")
    page.wait_for_selector(LENS, state="detached")
    beside.select_option("gaussian")
    shown(page, 170, "150")
