"""What a selection has in common: the tests, and the words for them."""

import numpy as np
import pytest
from scipy.stats import hypergeom

from rdmviz.analysis import enriched, tell
from rdmviz.errors import ProbeError
from rdmviz.run import TrainingRun

N = 80
RNG = np.random.default_rng(4)
SPLIT = np.array(["train", "test"] * (N // 2))
LENGTH = RNG.normal(size=N)


def run_with(**probe):
    return TrainingRun.from_arrays(np.zeros((2, N)), probe=probe)


def test_counts_and_prevalence_are_those_of_the_selection():
    run = run_with(split=SPLIT, length=LENGTH)
    selection = [*range(1, 77, 2), 0, 2]  # 38 of test, 2 of train
    found = enriched(run, selection)
    first = found.isel(finding=0)
    assert (str(first["column"].values), str(first["value"].values)) == ("split", "test")
    assert (int(first["count"]), int(first["known"]), float(first["prevalence"])) == (38, 40, 0.5)
    assert float(first["p_value"]) == pytest.approx(hypergeom.sf(37, N, 40, 40), rel=1e-9)
    assert found.attrs["size"] == 40
    words = tell(found)
    assert words.startswith("38 of 40 are split = test (prevalence 50%, q = ")
    assert words.count("split") == 1, "one sentence per column"


def test_a_datapoint_given_twice_counts_once():
    run = run_with(split=SPLIT)
    twice, once = enriched(run, [1, 3, 5, 3, 1]), enriched(run, [1, 3, 5])
    assert twice.identical(once)


def test_numbers_are_told_by_their_medians():
    run = run_with(length=LENGTH)
    words = tell(enriched(run, np.argsort(LENGTH)[-20:]))
    assert words.startswith("length is higher: median ")
    assert ", of the rest " in words


def test_missing_numbers_are_not_counted():
    digit = np.where(np.arange(N) < 40, 3.0, 7.0)
    digit[:10] = np.nan
    found = enriched(run_with(digit=digit), np.arange(20))
    first = found.isel(finding=0)
    assert (int(first["count"]), int(first["known"])) == (10, 10)
    assert float(first["prevalence"]) == pytest.approx(30 / 70)


@pytest.mark.parametrize(
    ("selection", "says"),
    [
        ([], ""),
        ([3], "One datapoint"),
        (range(N), "no rest to compare"),
        ([0, 1, 2, 3], "No column of the metadata tells these 4 datapoints from the rest (nearest: split"),
    ],
)
def test_what_cannot_be_told_is_said(selection, says):
    words = tell(enriched(run_with(split=SPLIT), np.array(selection, int)))
    assert says in words
    assert bool(words) == bool(says)


def test_without_metadata_or_with_too_many_categories():
    none = TrainingRun.from_arrays(np.zeros((2, N)))
    assert "the probe has none" in tell(enriched(none, [1, 2]))
    many = run_with(label=[f"class {k}" for k in range(N)])
    assert f"text with {N} different values" in tell(enriched(many, [1, 2]))


def test_long_texts_are_cut():
    evil = "<img src=x>" * 50
    run = run_with(kind=np.where(np.arange(N) < 20, evil, "plain"))
    words = tell(enriched(run, np.arange(20)))
    assert "…" in words
    assert len(words) < 200


@pytest.mark.parametrize("bad", [[-1], [N], [0.5], [[1, 2]]])
def test_what_is_not_in_the_probe_is_refused(bad):
    with pytest.raises(ProbeError, match="datapoint"):
        enriched(run_with(split=SPLIT), bad)
