"""What `separation` says of runs whose classes are known."""

from __future__ import annotations

import numpy as np
import pytest

from rdmviz import TrainingRun, eigenmodes, separation
from rdmviz.errors import OptionError, ProbeError, StepNotFoundError, WindowError

RNG = np.random.default_rng(7)
KIND = np.repeat(["falls", "rests", "rises"], [6, 12, 6])


def run_of(kind=KIND, **columns):
    """Losses of three kinds over 40 rows: some fall, some rise, the others hardly move."""
    way = np.select([KIND == "falls", KIND == "rises"], [-1.0, 1.0], 1e-4 * RNG.normal(size=24))
    loss = 2 + np.linspace(0, 1, 40)[:, None] * way + 1e-5 * RNG.normal(size=(40, 24))
    return TrainingRun.from_arrays(loss, probe={"kind": kind, **columns})


def test_tells_who_moves_and_which_way():
    found = separation(run_of(), 39, "kind", window=40)
    assert found["value"].values.tolist() == ["falls", "rests", "rises"]
    assert found["size"].values.tolist() == [6, 12, 6]
    np.testing.assert_allclose(found["mass"], [0.5, 0, 0.5], atol=1e-5)  # noise of 1e-5
    np.testing.assert_allclose(found["drift"], [-1, 0, 1], atol=1e-3)
    assert found["falling"].sel(value="falls") == 1
    assert found["falling"].sel(value="rises") == 0
    assert found["auc"].sel(value="rests") == 0
    assert found["ari_groups"] == 1
    assert found["explained"] > 0.999
    assert found.attrs == {
        "run": "",
        "step": 39,
        "column": "kind",
        "window": 40,
        "detrend": "constant",
        "mode": 0,
    }


def test_sign_and_size_tell_what_they_can():
    by_sign = separation(run_of(side=np.where(KIND == "falls", "a", "b")), 39, "side", window=40)
    moves = separation(run_of(moves=KIND != "rests"), 39, "moves", window=40)
    assert moves["ari_magnitude"] == 1
    assert moves["auc"].sel(value=True) == 1
    assert moves["mass"].sum() == pytest.approx(1)
    assert by_sign["ari_sign"] < 1  # those that rest have a sign by chance


def test_is_about_the_mode_that_is_asked_for():
    run = run_of()
    second = separation(run, 39, "kind", window=40, mode=1)
    modes = eigenmodes(run, 39, window=40, modes=2)
    member = second["value"].values[:, None] == KIND
    np.testing.assert_allclose(second["mass"], member @ modes["eigenvector"].values[1] ** 2, rtol=1e-9)
    assert second["explained"] == pytest.approx(float(modes["explained"][1]))


def test_refuses_what_has_no_meaning():
    run = run_of(gap=np.where(KIND == "falls", np.nan, 1.0), name=np.arange(24) + 0.5, same=np.ones(24))
    with pytest.raises(ProbeError, match="no column 'sort'; it has 'kind', 'gap'"):
        separation(run, 39, "sort")
    with pytest.raises(ProbeError, match="'gap' has gaps"):
        separation(run, 39, "gap")
    with pytest.raises(ProbeError, match="'same' has 1 different values; expected 2 to 32"):
        separation(run, 39, "same")
    with pytest.raises(OptionError, match="mode=-1"):
        separation(run, 39, "kind", window=40, mode=-1)
    with pytest.raises(OptionError, match="mode=30; the window has"):
        separation(run, 39, "kind", window=24, mode=30)
    with pytest.raises(OptionError, match="separation\\(\\) takes a TrainingRun"):
        separation(np.ones((3, 3)), 39, "kind")
    with pytest.raises(StepNotFoundError):
        separation(run, 99, "kind")
    with pytest.raises(WindowError):
        separation(run, 39, "kind", window=64)
