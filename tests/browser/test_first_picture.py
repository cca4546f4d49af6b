"""From running the cell to the first complete picture, for a run of 2,500 rows of 1,400 datapoints."""

from __future__ import annotations

from conftest import run_in_lab

MOST_SECONDS = {"cold": 4.0, "warm": 2.0}
STORE = """import numpy as np, rdmviz
rng = np.random.default_rng(0)
loss = 3 * np.exp(-np.arange(2500) / 600)[:, None] + 0.1 * rng.random((2500, 1400))
probe = {"kind": ["seen", "unseen"] * 700}
rdmviz.TrainingRun.from_arrays(loss, probe=probe, name="first").save("first.rdmviz", overwrite=True)
run = rdmviz.open_run("first.rdmviz")"""
OPEN = "explorer = rdmviz.explore(run)\nexplorer"

# Runs the cell below the last one that was run, and returns the seconds until everything is drawn.
TIMED = """async () => {
    const complete = () => ['map', 'matrix', 'spectrum'].every(name => {
        const views = document.querySelectorAll(`.rdmviz-${name}-view[data-step]`);
        return views.length > window.complete;
    }) && document.querySelectorAll('.rdmviz-curves .bqplot .line').length > 3 * window.complete
        && document.querySelectorAll('.rdmviz-cursor canvas').length > window.complete;
    const began = performance.now();
    window.jupyterapp.commands.execute('notebook:run-cell-and-select-next');
    while (!complete()) await new Promise(requestAnimationFrame);
    window.complete += 1;
    return (performance.now() - began) / 1000;
}"""


def test_the_first_complete_picture_comes_soon(server, watched, capsys):
    page = watched.page
    page.set_viewport_size({"width": 1280, "height": 2400})
    run_in_lab(page, server, server.write_notebook("first.ipynb", STORE))
    kernel_idle = """() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.status
        === 'idle' && document.querySelector('.jp-InputArea-prompt')?.innerText.includes('[1]')"""
    page.wait_for_function(kernel_idle, timeout=60_000)
    add = """source => {
        const notebook = window.jupyterapp.shell.currentWidget.content;
        notebook.activeCellIndex = notebook.widgets.length - 1;
        notebook.activeCell.model.sharedModel.setSource(source);
    }"""
    page.evaluate("() => { window.complete = 0; }")
    seconds = {}
    for name in ("cold", "warm"):
        page.evaluate("() => window.jupyterapp.commands.execute('notebook:insert-cell-below')")
        page.evaluate(add, OPEN)
        seconds[name] = page.evaluate(TIMED)
    with capsys.disabled():
        told = ", ".join(f"{name} {taken:.1f} s" for name, taken in seconds.items())
        print(f"\n  first complete picture of 2,500 rows of 1,400 datapoints: {told}")
    for name, taken in seconds.items():
        assert taken <= MOST_SECONDS[name], name
    watched.assert_clean()
