"""The labelled data model: what it keeps, and what it refuses."""

from __future__ import annotations

import json
import math
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from rdmviz import TrainingRun
from rdmviz.errors import (
    LossShapeError,
    MetricError,
    OptionError,
    ProbeError,
    StepNotFoundError,
    StepsError,
    WindowError,
)


@pytest.fixture
def loss() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)


def test_keeps_what_it_is_given(loss):
    run = TrainingRun.from_arrays(
        loss,
        [0, 5, 7, 10, 20, 40],
        probe={"label": ["a", "b", "a", "ü\u2028"], "id": [3, 1, 2, 0], "held": [True, False, True, False]},
        metrics={"val/acc": np.linspace(0, 1, 6)},
        name="toy",
        attrs={"lr": np.float32(0.5), "modes": np.arange(3), "nested": {"a": [1, None]}},
    )
    assert (run.n_steps, run.n_samples, run.name) == (6, 4, "toy")
    assert run.loss.dims == ("step", "sample")
    assert run.loss.dtype == np.float32
    np.testing.assert_array_equal(run.loss, loss)
    assert run.steps.dtype == np.int64
    np.testing.assert_array_equal(run.loss["step"], [0, 5, 7, 10, 20, 40])
    assert [run.probe[key].dtype.kind for key in ("label", "id", "held")] == ["U", "i", "b"]
    assert run.probe["label"].dims == ("sample",)
    assert run.probe["label"].to_numpy()[3] == "ü\u2028"
    assert run.metrics["val/acc"].dims == ("step",)
    assert run.attrs == {"lr": 0.5, "modes": [0, 1, 2], "nested": {"a": [1, None]}}
    json.dumps(run.attrs)


def test_steps_default_to_rows(loss):
    np.testing.assert_array_equal(TrainingRun.from_arrays(loss).steps, np.arange(6))


def test_integer_losses_become_float64():
    run = TrainingRun.from_arrays([[1, 2], [3, 4]])
    assert run.loss.dtype == np.float64


def test_losses_cannot_be_changed_behind_the_back_of_a_cache(loss):
    run = TrainingRun.from_arrays(loss)
    with pytest.raises(ValueError, match="read-only"):
        run.rows(0, 1)[0, 0] = 1
    with pytest.raises(ValueError, match="read-only"):
        run.steps[0] = 9


def test_tree_holds_everything_and_renames_slashes(loss):
    run = TrainingRun.from_arrays(
        loss, probe={"label": list("abcd")}, metrics={"val/acc": range(6)}, name="t"
    )
    tree = run.tree
    assert isinstance(tree, xr.DataTree)
    assert set(tree.children) == {"probe", "metrics"}
    np.testing.assert_array_equal(tree["loss"], loss)
    assert tree["metrics/val.acc"].shape == (6,)
    assert tree.attrs["name"] == "t"


def test_tree_refuses_names_that_would_clash(loss):
    run = TrainingRun.from_arrays(loss, metrics={"a/b": range(6), "a.b": range(6)})
    with pytest.raises(MetricError, match="a/b"):
        _ = run.tree


def test_dataframe_probe(loss):
    frame = pd.DataFrame(
        {"text": ["x", "y", "z", ""], "n": [1, 2, 3, 4], "kind": pd.Categorical(list("abab"))}
    )
    run = TrainingRun.from_arrays(loss, probe=frame)
    assert run.probe["text"].to_numpy().tolist() == ["x", "y", "z", ""]
    assert run.probe["kind"].to_numpy().tolist() == list("abab")


def test_non_finite_losses_are_kept_and_named(loss):
    loss[2, 1], loss[4, 0] = np.nan, np.inf
    run = TrainingRun.from_arrays(loss)
    assert math.isnan(run.loss.to_numpy()[2, 1])
    assert run.loss.to_numpy()[4, 0] == math.inf
    assert run.finite_rows().tolist() == [True, True, False, True, False, True]


def test_rows_and_their_limits(loss):
    run = TrainingRun.from_arrays(loss)
    np.testing.assert_array_equal(run.rows(2, 5), loss[2:5])
    assert run.rows(3, 3).shape == (0, 4)
    for start, stop in [(-1, 2), (0, 7), (4, 3)]:
        with pytest.raises(WindowError, match="expected 0 <= start <= stop <= 6"):
            run.rows(start, stop)


def test_index_of_names_the_nearest_steps(loss):
    run = TrainingRun.from_arrays(loss, np.arange(6) * 10)
    assert run.index_of(30) == 3
    assert run.index_of(np.int32(50)) == 5
    with pytest.raises(StepNotFoundError, match="nearest recorded: 20 and 30"):
        run.index_of(25)
    with pytest.raises(StepNotFoundError, match="nearest recorded: 50 "):
        run.index_of(999)
    with pytest.raises(StepNotFoundError, match="nearest recorded: 0 "):
        run.index_of(-3)
    for odd in (2.5, math.nan, math.inf, "10", None, True, np.True_):
        with pytest.raises(StepNotFoundError):
            run.index_of(odd)


def test_index_of_tells_large_steps_apart(loss):
    run = TrainingRun.from_arrays(loss, 2**53 + np.arange(6))
    assert run.index_of(2**53 + 1) == 1
    assert run.index_of(float(2**53)) == 0
    for beyond in (10**400, -(10**400), 2**63):
        with pytest.raises(StepNotFoundError, match="bits; the nearest recorded"):
            run.index_of(beyond)
    ending = TrainingRun.from_arrays(loss[:2], [0, 2**63 - 1])
    assert ending.index_of(2**63 - 1) == 1
    with pytest.raises(StepNotFoundError, match="of 64 bits"):
        ending.index_of(2**63)


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (np.zeros(5), r"shape \(5,\)"),
        (np.zeros((2, 3, 4)), r"shape \(2, 3, 4\)"),
        (np.float64(1.0), r"shape \(\)"),
        (np.zeros((0, 4)), "no recorded step"),
        (np.zeros((4, 0)), "at least two"),
        (np.zeros((4, 1)), "at least two"),
        (np.zeros((2, 2), dtype=complex), "complex"),
        (np.zeros((2, 2), dtype=object), "object"),
        (np.array([["1", "2"], ["3", "4"]]), "<U1"),
        (np.zeros((2, 2), dtype="datetime64[s]"), "datetime64"),
        ([[1, 2], [3]], "could not be read"),
        (np.ma.masked_array(np.zeros((2, 2)), mask=np.eye(2)), "filled"),
        (None, "dtype object"),
    ],
)
def test_refuses_losses(bad, says):
    with pytest.raises(LossShapeError, match=says):
        TrainingRun.from_arrays(bad)


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ([0, 1, 2], r"shape \(3,\); expected \(6,\)"),
        ([0, 1, 2, 3, 3, 4], "row 3 is step 3 and row 4 is step 3"),
        ([5, 4, 3, 2, 1, 0], "row 0 is step 5 and row 1 is step 4"),
        (np.arange(6) * 1.0, "float64; expected integers"),
        (list("abcdef"), "expected integers"),
        ([[0], [1], [2], [3], [4], [5]], r"shape \(6, 1\)"),
        (np.arange(6, dtype=np.uint64) + np.uint64(2**63), "below"),
        (np.arange(6) > 2, "bool"),
    ],
)
def test_refuses_steps(loss, bad, says):
    with pytest.raises(StepsError, match=says):
        TrainingRun.from_arrays(loss, bad)


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ({"a": [1, 2, 3]}, r"'a' has shape \(3,\); expected \(4,\)"),
        ({"a": np.zeros((4, 2))}, r"shape \(4, 2\)"),
        ({"a": [1, "x", None, 2]}, "expected all numbers"),
        ({"a": ["x", None, "y", "z"]}, "holds None"),
        ({"a": np.zeros(4, dtype=complex)}, "complex"),
        ({"a": np.zeros(4, dtype="datetime64[s]")}, "datetime"),
        ({"a": [b"x"] * 4}, "dtype |S1"),
        ({"a": [{}, {}, {}, {}]}, "object"),
        ({"sample": range(4)}, "names a dimension"),
        ({"step": range(4)}, "names a dimension"),
        ({3: range(4)}, "non-empty text"),
        ({"": range(4)}, "non-empty text"),
        ([1, 2, 3, 4], "expected a mapping"),
    ],
)
def test_refuses_probe_columns(loss, bad, says):
    with pytest.raises(ProbeError, match=says):
        TrainingRun.from_arrays(loss, probe=bad)


def test_refuses_repeated_dataframe_columns(loss):
    frame = pd.DataFrame(np.zeros((4, 2)), columns=["a", "a"])
    with pytest.raises(ProbeError, match="repeated columns"):
        TrainingRun.from_arrays(loss, probe=frame)


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ({"a": [1, 2]}, r"'a' has shape \(2,\); expected \(6,\)"),
        ({"a": list("abcdef")}, "expected real numbers"),
        ({"a": [None] * 6}, "expected real numbers"),
        ({"step": range(6)}, "names a dimension"),
        (7, "expected a mapping"),
    ],
)
def test_refuses_metrics(loss, bad, says):
    with pytest.raises(MetricError, match=says):
        TrainingRun.from_arrays(loss, metrics=bad)


def test_refuses_attrs_that_json_cannot_hold(loss):
    with pytest.raises(OptionError, match="JSON"):
        TrainingRun.from_arrays(loss, attrs={"model": object()})


def test_reprs_are_readable_and_escaped(loss):
    evil = "<script>alert(1)</script>"
    run = TrainingRun.from_arrays(
        loss, probe={evil: [evil] * 4}, metrics={evil: range(6)}, name=evil, attrs={evil: evil}
    )
    page = run._repr_html_()
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "6 rows (steps 0 to 5) × 4 datapoints, float32" in page
    assert "6 rows (steps 0 to 5) × 4 datapoints, float32" in repr(run)


def test_making_a_run_brings_no_torch_and_no_widgets():
    code = (
        "import sys, rdmviz; rdmviz.TrainingRun.from_arrays([[1., 2.]]);"
        "print([m for m in ('torch', 'bqplot', 'ipywidgets', 'sklearn') if m in sys.modules])"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert printed.stdout.strip() == "[]"
