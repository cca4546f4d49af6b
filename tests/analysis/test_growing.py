"""A run that grows answers as the whole run does."""

import shutil

import numpy as np
import pytest

from rdmviz import open_run
from rdmviz.analysis import ModePath, analyze, grown
from rdmviz.errors import OptionError, RunNotFoundError
from rdmviz.run import TrainingRun
from rdmviz.store import RunWriter

RNG = np.random.default_rng(4)
LOSSES = 3 * np.exp(-np.arange(300) / 60)[:, None] + 0.1 * np.abs(RNG.normal(size=(300, 9)))


def recording(path, rows):
    writer = RunWriter(path, 9, probe={"id": np.arange(9)}, name="live", dtype="float64")
    record(writer, 0, rows)
    return writer


def record(writer, begin, end):
    for row in range(begin, end):
        writer.append(row, LOSSES[row])
    writer.flush()


@pytest.mark.parametrize("window", [16, 80])
@pytest.mark.parametrize("begin", [100, 20])
def test_what_was_computed_goes_on(tmp_path, window, begin):
    begin = max(begin, window + 1)
    with_more = recording(tmp_path / "run", begin)
    run = open_run(tmp_path / "run")
    path = ModePath(run, window, modes=4)
    before = [path.at(row).vectors for row in range(path.first, begin, 7)]
    labels = [path.groups_at(row) for row in range(path.first, begin, 7)]
    for rows in (begin + 1, 240, 300):
        record(with_more, run.n_steps, rows)
        run = grown(run)
        path.go_on_in(run)
    with_more.close()
    assert grown(run) is None
    whole = open_run(tmp_path / "run")
    fresh = ModePath(whole, window, modes=4)
    for row in range(path.first, 300, 13):
        np.testing.assert_allclose(path.at(row).vectors, fresh.at(row).vectors, rtol=1e-6, atol=1e-8)
        np.testing.assert_array_equal(path.groups_at(row), fresh.groups_at(row))
    for at, row in enumerate(range(path.first, begin, 7)):
        np.testing.assert_allclose(path.at(row).vectors, before[at], rtol=1e-6, atol=1e-8)
        np.testing.assert_array_equal(path.groups_at(row), labels[at])
    for name, curve in analyze(whole, window).data_vars.items():
        np.testing.assert_allclose(analyze(run, window)[name], curve, rtol=1e-9, atol=1e-14, err_msg=name)


def test_what_cannot_grow_says_so_and_what_is_gone_too(tmp_path):
    with pytest.raises(OptionError, match="open_run"):
        grown(TrainingRun.from_arrays(LOSSES, name="in memory"))
    recording(tmp_path / "run", 100).close()
    run = open_run(tmp_path / "run")
    shutil.rmtree(tmp_path / "run")
    with pytest.raises(RunNotFoundError):
        grown(run)
