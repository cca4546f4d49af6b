"""An explorer opens where the run has most to tell."""

from __future__ import annotations

import numpy as np

import rdmviz


def burst(rows=400, n=12, middle=250):
    """Losses that fall slowly, and fluctuate together around one row."""
    rng = np.random.default_rng(0)
    together = np.exp(-(((np.arange(rows) - middle) / 12.0) ** 2)) * rng.standard_normal(rows)
    loss = 2 - np.linspace(0, 0.5, rows)[:, None] + together[:, None] + 0.01 * rng.standard_normal((rows, n))
    return rdmviz.TrainingRun.from_arrays(loss, steps=10 * np.arange(rows))


def test_an_explorer_opens_while_the_window_holds_what_moved():
    run = burst()
    explorer = rdmviz.explore(run, window=32)
    assert 240 <= explorer.state.index <= 290
    assert explorer.scene.index == explorer.state.index
    curves = rdmviz.analyze(run, window=32)["spectral_heat_capacity"].values
    assert curves[explorer.state.index] == np.nanmax(curves)
    explorer.close()


def test_what_was_chosen_is_kept():
    run = burst()
    for options, step in [({"step": 500}, 500), ({"span": (0, 1000)}, None)]:
        explorer = rdmviz.explore(run, window=32, **options)
        assert explorer.state.span == options.get("span", (0, 3990))
        assert explorer.state.step == (step or explorer.state.step) <= explorer.state.span[1]
        explorer.close()
    fixed = rdmviz.explore(run, window=32, plane="fixed")
    assert fixed.state.plane_step == fixed.state.step < 3990
    fixed.close()
    fixed = rdmviz.explore(run, window=32, plane="fixed", plane_step=700)
    assert (fixed.state.plane_step, fixed.state.step < 3990) == (700, True)
    fixed.close()


def test_nothing_to_tell_and_a_run_that_is_followed_open_at_the_newest_step(tmp_path):
    still = rdmviz.explore(rdmviz.TrainingRun.from_arrays(np.ones((100, 3))))
    assert still.state.step == 99
    still.close()
    burst().save(tmp_path / "run")
    followed = rdmviz.explore(rdmviz.open_run(tmp_path / "run"), following=True)
    assert followed.state.step == 3990
    followed.close()
