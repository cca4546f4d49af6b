"""Two explorers of one state: whatever is done in either, or from Python, they show the same."""

from __future__ import annotations

import pytest
from conftest import run_in_lab, tell
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

ACTIONS = 200
OPEN = """import numpy as np, rdmviz
rng = np.random.default_rng(0)
loss = 2 + np.cumsum(0.1 * rng.standard_normal((400, 60)), axis=0)
run = rdmviz.TrainingRun.from_arrays(loss, probe={"kind": ["seen", "unseen", "new"] * 20}, name="two")
state = rdmviz.widgets.ExplorerState(run, window=32)
rdmviz.widgets.Explorer(state)"""
TWO = (OPEN, "rdmviz.widgets.Explorer(state)")

# What an explorer shows: steps, texts, and the pixels of its pictures.
SHOWN = """() => [...document.querySelectorAll('.rdmviz-explorer')].map(one => ({
    busy: one.querySelector('[aria-busy="true"]') !== null,
    step: one.querySelector('.rdmviz-step').getAttribute('aria-valuetext'),
    drawn: [...one.querySelectorAll('[data-step]')].map(view => view.dataset.step).join(),
    legend: one.querySelector('.rdmviz-legend').innerText,
    chosen: [...one.querySelectorAll('select')].map(box => box.value).join(),
    map: one.querySelector('.rdmviz-map').toDataURL(),
    matrix: one.querySelector('.rdmviz-matrix').toDataURL(),
    spectrum: one.querySelector('.rdmviz-spectrum').toDataURL(),
}))"""

AGREED = f"""() => {{
    const [one, other] = ({SHOWN})();
    const said = one.step.replace(/[^0-9]/g, '');
    return !one.busy && one.drawn.split(',').every(step => step === said)
        && Object.keys(one).every(key => one[key] === other[key]);
}}"""

either = st.integers(0, 1)


@pytest.fixture(scope="module")
def two(server, browser):
    page = browser.new_page(viewport={"width": 1280, "height": 2200})
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    run_in_lab(page, server, server.write_notebook("linked.ipynb", *TWO))
    page.wait_for_function("() => document.querySelectorAll('.rdmviz-map-view[data-step]').length === 2")
    yield page
    assert errors == []
    page.close()


def test_two_linked_explorers_never_disagree(two):
    done = []

    class Linked(RuleBasedStateMachine):
        @rule(
            which=either, key=st.sampled_from(["ArrowLeft", "ArrowRight", "Shift+ArrowLeft", "Home", "End"])
        )
        def press(self, which, key):
            done.append("key")
            two.locator(".rdmviz-step").nth(which).focus()
            two.keyboard.press(key)

        @rule(which=either, row=st.integers(0, 399))
        def drag(self, which, row):
            done.append("slider")
            two.locator(".rdmviz-step").nth(which).fill(str(row))

        @rule(which=either, x=st.floats(0.1, 0.9), y=st.floats(0.1, 0.9), more=st.booleans())
        def click_on_the_map(self, which, x, y, more):
            done.append("click")
            canvas = two.locator(".rdmviz-map").nth(which)
            box = canvas.bounding_box()
            canvas.click(
                position={"x": x * box["width"], "y": y * box["height"]}, modifiers=["Shift"] if more else []
            )

        @rule(which=either, x=st.floats(0.1, 0.9), y=st.floats(0.1, 0.9))
        def point_at_the_matrix(self, which, x, y):
            done.append("point")
            canvas = two.locator(".rdmviz-matrix").nth(which)
            box = canvas.bounding_box()
            canvas.hover(position={"x": x * box["width"], "y": y * box["height"]})

        @rule(which=either, rows=st.sampled_from([16, 32, 64]))
        def change_the_window(self, which, rows):
            done.append("window")
            two.get_by_label("Window").nth(which).select_option(f"{rows} rows")

        @rule(which=either, name=st.sampled_from(["group", "loss", "kind"]))
        def recolor(self, which, name):
            done.append("coloring")
            two.get_by_label("Colour by").nth(which).select_option(name)

        @rule(which=either, name=st.sampled_from(["linear", "log"]))
        def rescale(self, which, name):
            done.append("scale")
            two.get_by_label("Map", exact=True).nth(which).select_option(name)

        @rule(row=st.integers(0, 399), chosen=st.lists(st.integers(0, 59), max_size=5))
        def drive_from_python(self, row, chosen):
            done.append("python")
            tell(two, f"state.step = {row}; state.selection = {chosen}")

        @invariant()
        def they_agree(self):
            try:
                two.wait_for_function(AGREED, timeout=15_000)
            except Exception as error:
                shown = two.evaluate(SHOWN)
                different = {k: (shown[0][k], shown[1][k]) for k in shown[0] if shown[0][k] != shown[1][k]}
                raise AssertionError(f"after {done[-3:]} they differ in {different!r:.800}") from error

    run_state_machine_as_test(
        Linked,
        settings=settings(
            max_examples=1,
            stateful_step_count=ACTIONS,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    assert len(done) >= ACTIONS
    told = tell(two, "print(state.step, sorted(state.selection))")
    said = two.locator(".rdmviz-step").first.get_attribute("aria-valuetext").replace(",", "")
    assert said == f"step {told.split()[0]}", "and the kernel's state is what they show"
