"""Runs of the results page: trained once, used again, and trained anew where their recipe changed."""

from __future__ import annotations

import dataclasses

from results.running import measured_run
from results.setting import Setting

from rdmviz import open_run
from rdmviz.studies import grokking

SHORT = Setting(
    grokking,
    "Short",
    "",
    lambda run: {"rows": run.n_steps, "seed": run.attrs["seed"]},
    [],
    lambda figures: [],
    options={"steps": 8, "modulus": 5, "probe_size": 4},
)


def test_a_run_is_trained_once_and_measured_as_often_as_asked(tmp_path):
    first = measured_run(SHORT, "shuffled_labels", 3, tmp_path)
    assert first.figures == {"rows": 3.0, "seed": 3.0}
    assert first.transition["end"] is None
    assert first.seconds > 0
    assert first.megabytes > 50
    path = tmp_path / "grokking" / "shuffled_labels-3.rdmviz.zip"
    assert open_run(path).attrs["shuffle_labels"]
    written = path.stat().st_mtime_ns
    assert measured_run(SHORT, "shuffled_labels", 3, tmp_path) == first
    assert path.stat().st_mtime_ns == written
    longer = dataclasses.replace(SHORT, options=SHORT.options | {"steps": 12})
    assert measured_run(longer, "shuffled_labels", 3, tmp_path).figures["rows"] == 4
    assert path.stat().st_mtime_ns > written
