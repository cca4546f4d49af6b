"""Kernels die and runs vanish while a page is open: the page says so and stays usable."""

from __future__ import annotations

from conftest import EXPLORE, agree, run_in_lab, wait_drawn

# 96 MB, of which 64 MB are kept once they are read.
GONE = """import numpy as np, rdmviz
rng = np.random.default_rng(0)
rdmviz.TrainingRun.from_arrays(1 + rng.random((1500, 8000))).save("gone.rdmviz", overwrite=True)
explorer = rdmviz.explore(rdmviz.open_run("gone.rdmviz"))
explorer"""


def test_a_kernel_that_is_restarted_is_told_and_what_is_drawn_stays(server, watched):
    page = watched.page
    run_in_lab(page, server, server.write_notebook("restarted.ipynb", EXPLORE))
    wait_drawn(page)
    page.wait_for_timeout(3000)
    step = agree(page)
    page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()")
    page.wait_for_selector(".rdmviz-troubles p", timeout=20_000)
    assert "kernel" in page.locator(".rdmviz-troubles").inner_text()
    page.locator(".rdmviz-step").focus()
    page.keyboard.press("ArrowRight")
    assert agree(page) > step, "frames that are held can still be looked at"
    page.evaluate("() => { window.jupyterapp.commands.execute('notebook:run-all-cells') }")
    page.wait_for_function("() => !document.querySelector('.rdmviz-troubles p')", timeout=60_000)
    wait_drawn(page)
    watched.assert_clean()


def test_a_run_that_vanishes_is_told_in_the_page_and_not_as_a_traceback(server, watched):
    page = watched.page
    run_in_lab(page, server, server.write_notebook("gone.ipynb", GONE))
    wait_drawn(page)
    page.wait_for_timeout(500)
    run, aside = server.root / "gone.rdmviz", server.root / "aside.rdmviz"
    run.rename(aside)
    slider = page.locator(".rdmviz-step")
    for index in ("150", "250", "350"):
        slider.fill(index)
        page.wait_for_timeout(300)
    page.wait_for_selector(".rdmviz-troubles p", timeout=20_000)
    assert "gone.rdmviz" in page.locator(".rdmviz-troubles").inner_text()
    assert page.locator(".jp-RenderedText[data-mime-type='application/vnd.jupyter.stderr']").count() == 0
    aside.rename(run)  # the disk is there again: what is asked for next is answered
    page.get_by_label("Window").select_option("32 rows")
    page.wait_for_function("() => !document.querySelector('.rdmviz-troubles p')", timeout=60_000)
    page.wait_for_selector(".rdmviz-map-view[data-step='350'][aria-busy='false']", timeout=60_000)
    watched.assert_clean()


def test_a_run_of_one_datapoint_is_refused_in_one_line(server, watched):
    page = watched.page
    cell = "import numpy, rdmviz\nrdmviz.explore(rdmviz.TrainingRun.from_arrays(numpy.ones((900, 1))))"
    run_in_lab(page, server, server.write_notebook("one.ipynb", cell))
    told = page.locator(".jp-OutputArea-output").first
    told.wait_for(timeout=60_000)
    lines = told.inner_text().splitlines()
    assert "LossShapeError: loss has shape (900, 1)" in lines[0]
    assert "expected at least two" in lines[0]
    assert lines[1:] == ["(%tb shows where this was raised.)"]
    page.evaluate("""() => {
        const notebook = window.jupyterapp.shell.currentWidget.content;
        notebook.activeCell.model.sharedModel.setSource('%tb');
        window.jupyterapp.commands.execute('notebook:run-cell');
    }""")
    whole = page.locator(".jp-OutputArea-output", has_text="Traceback")
    whole.wait_for(timeout=20_000)
    assert "from_arrays" in whole.inner_text()
