import time
from itertools import combinations
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import hypergeom, mannwhitneyu

from rdmviz.compute.errors import ComputeError
from rdmviz.compute.rdm.enrichment import MOST_VALUES, enrichment

RNG = np.random.default_rng(8)


def _one(found, group, column, value):
    mine = (found.group == group) & (found.column == column) & (found.value == value)
    assert mine.sum() == 1
    return np.flatnonzero(mine)[0]


def test_counted_values_by_hand():
    """4 of 10 have the value; all 4 members of one group do: 1 in C(10, 4)."""
    labels = np.array([0] * 4 + [1] * 6)
    found = enrichment(labels, {"kind": np.array(["a"] * 4 + ["b"] * 6)})
    here = _one(found, 0, "kind", "a")
    assert found.p_value[here] == pytest.approx(1 / comb(10, 4))
    assert (found.inside[here], found.outside[here], found.effect[here]) == (1, 0, 1)
    assert found.p_value[_one(found, 0, "kind", "b")] == pytest.approx(1)
    three = enrichment(labels, {"kind": np.array(["a"] * 3 + ["b"] + ["a"] + ["b"] * 5)})
    here = _one(three, 0, "kind", "a")
    assert three.p_value[here] == pytest.approx((4 * 6 + 1) / comb(10, 4))
    assert (three.inside[here], three.outside[here]) == (pytest.approx(3 / 4), pytest.approx(1 / 6))


@settings(max_examples=30, deadline=None)
@given(st.integers(6, 60), st.integers(1, 4), st.integers(2, 5), st.integers(0, 10**6))
def test_counted_values_against_scipy(n, n_groups, n_values, seed):
    rng = np.random.default_rng(seed)
    labels, values = rng.integers(0, n_groups, n), rng.integers(0, n_values, n) % (n // 2)
    found = enrichment(labels, {"x": values})
    for k in range(len(found.p_value)):
        mine, has = labels == found.group[k], values == int(found.value[k])
        expected = hypergeom.sf((mine & has).sum() - 1, n, has.sum(), mine.sum())
        assert found.p_value[k] == pytest.approx(expected, rel=1e-9)
        assert found.effect[k] == pytest.approx(has[mine].mean() - has[~mine].mean())
    groups, distinct = len(set(labels.tolist())), len(set(values.tolist()))
    assert len(found.p_value) == (groups * distinct if groups > 1 and distinct > 1 else 0)


@pytest.mark.parametrize("ties", [False, True])
def test_ranked_columns_against_scipy(ties):
    labels = RNG.integers(-1, 3, 90)
    values = RNG.normal(size=90) + 0.3 * labels
    if ties:
        values = np.round(values, 1)
    values[[3, 50]] = np.nan
    found = enrichment(labels, {"x": values})
    assert found.ranked.all()
    assert sorted(found.group) == [0, 1, 2]
    for k, group in enumerate(found.group):
        inside = values[(labels == group) & ~np.isnan(values)]
        outside = values[(labels != group) & ~np.isnan(values)]
        expected = mannwhitneyu(inside, outside, method="asymptotic")
        assert found.p_value[k] == pytest.approx(expected.pvalue, rel=1e-9)
        pairs = np.sign(inside[:, None] - outside[None])
        assert found.effect[k] == pytest.approx(pairs.mean())
        assert found.value[k] == ("higher" if pairs.mean() > 0 else "lower")
        assert (found.inside[k], found.outside[k]) == (
            pytest.approx(np.median(inside)),
            pytest.approx(np.median(outside)),
        )


@pytest.mark.parametrize(("n", "m"), [(9, 4), (10, 5), (12, 2), (20, 2), (60, 1)])
def test_small_groups_err_on_the_safe_side_where_it_matters(n, m):
    sizes = []
    for members in combinations(range(n), m):
        exact = mannwhitneyu(members, sorted({*range(n)} - {*members}), method="exact").pvalue
        if exact <= 0.05:
            found = enrichment(np.isin(np.arange(n), members).astype(int), {"x": np.linspace(0, 1, n) ** 2})
            assert found.p_value[0] >= exact
            sizes.append(np.abs(found.effect[0]))
    assert max(sizes) == pytest.approx(1)


def test_benjamini_hochberg_by_hand_over_all_tests_of_the_call():
    labels = RNG.integers(0, 3, 80)
    found = enrichment(
        labels,
        {"a": labels + 0.8 * RNG.normal(size=80), "b": RNG.random(80) < 0.3, "c": RNG.integers(0, 4, 80)},
    )
    m = len(found.p_value)
    assert m == 3 + 3 * 2 + 3 * 4
    p = np.sort(found.p_value)
    steps = [min(1.0, min(p[j] * m / (j + 1) for j in range(i, m))) for i in range(m)]
    np.testing.assert_allclose(found.q_value, steps, rtol=1e-12)
    assert (np.diff(found.q_value) >= 0).all()


@pytest.mark.parametrize(
    ("values", "how"),
    [
        (np.arange(100) % 32, "counted"),
        (np.arange(100) % 33, "ranked"),
        (np.arange(100) % 5 / 1.0, "counted"),
        (np.arange(100) % 5 / 2.0, "ranked"),
        (np.where(np.arange(100) < 90, np.arange(100) % 3, np.nan), "counted"),
        (np.where(np.arange(100) < 90, np.arange(100) % 3, np.inf), "ranked"),
        (np.arange(100) < 7, "counted"),
        (np.array(["x", "y"] * 50), "counted"),
        (np.array([f"t{i % 32}" for i in range(100)]), "counted"),
        (np.array([f"t{i % 33}" for i in range(100)]), "text with 33 different values, more than 32"),
        (np.array([f"t{i}" for i in range(100)]), "text with 100 different values, more than 32"),
        (np.ones(100), "all datapoints agree"),
        (np.array([""] * 100), "all datapoints agree"),
        (np.full(100, np.nan), "no value is known"),
        ((np.arange(100) % 7).astype(np.uint8), "counted"),
        (np.linspace(0, 1, 100).astype(np.float16), "ranked"),
    ],
)
def test_how_columns_are_read(values, how):
    found = enrichment(np.arange(100) // 50, {"column": values})
    if how in ("counted", "ranked"):
        assert found.skipped == {}
        assert set(found.ranked.tolist()) == {how == "ranked"}
        if how == "counted":
            known = values[~np.isnan(values)] if values.dtype.kind == "f" else values
            expected = {str(int(v) if values.dtype.kind in "fu" else v) for v in known.tolist()}
            assert set(found.value.tolist()) == expected
    else:
        assert found.skipped == {"column": how}
        assert len(found.p_value) == 0


def test_few_datapoints_have_fewer_values_that_can_be_counted():
    labels = np.array([0, 0, 0, 1, 1, 1])
    found = enrichment(labels, {"name": np.array(list("abcdef")), "rank": np.arange(6)})
    assert found.skipped == {"name": "text with 6 different values, more than 3"}
    assert found.ranked.all()
    assert MOST_VALUES == 32


def test_datapoints_in_no_group_belong_to_the_rest_and_are_not_tested():
    labels = np.array([0, 0, 1, 1, -1, -1, -1, -1])
    found = enrichment(labels, {"x": np.array(list("aabbbbbb"))})
    assert set(found.group.tolist()) == {0, 1}
    assert found.p_value[_one(found, 0, "x", "a")] == pytest.approx(1 / comb(8, 2))
    assert len(enrichment(np.full(8, -1), {"x": np.array(list("aabbbbbb"))}).p_value) == 0


def test_without_a_rest_or_without_columns_there_is_nothing_to_test():
    for found in (
        enrichment(np.zeros(6, int), {"x": np.array(list("aabbbb"))}),
        enrichment(np.arange(6) // 3, {}),
    ):
        assert len(found.p_value) == len(found.column) == len(found.group) == 0
        assert found.skipped == {}


def test_a_group_whose_values_are_all_unknown_is_not_tested():
    found = enrichment(np.arange(9) // 3, {"x": np.array([0.5, 1.5, 2.5, 3.5, 4.5, 5.5, *[np.nan] * 3])})
    assert sorted(found.group) == [0, 1]


def test_numbers_at_the_ends_of_the_range():
    values = np.array([-np.inf, -1e308, -1e308, 1e308, 1e308, np.inf])
    found = enrichment(np.arange(6) // 3, {"x": values})
    assert found.inside.tolist() == [-1e308, 1e308] or found.inside.tolist() == [1e308, -1e308]
    assert np.abs(found.effect).tolist() == [1, 1]


def test_order_of_datapoints_and_text_that_looks_like_markup_change_nothing():
    labels = np.repeat([0, 1, 2], 20)
    columns = {"<b>x</b>": np.array(["<script>", "&amp;"] * 30), "y": RNG.normal(size=60)}
    order = RNG.permutation(60)
    here = enrichment(labels, columns)
    there = enrichment(labels[order], {name: values[order] for name, values in columns.items()})
    for field in ("group", "column", "value", "p_value", "q_value", "effect"):
        assert (getattr(here, field) == getattr(there, field)).all()
    assert {"<script>", "&amp;"} < set(here.value.tolist())


def test_a_column_of_another_length_is_named():
    with pytest.raises(ComputeError, match=r"column 'x' has shape \(3,\); expected \(4,\)"):
        enrichment(np.zeros(4, int), {"x": np.zeros(3)})


def test_chance_is_seldom_called_a_finding():
    """Shuffled metadata: at q < .05 at most one call in twenty finds anything (and three standard errors)."""
    rng = np.random.default_rng(0)
    labels = rng.choice(4, 80, p=[0.5, 0.3, 0.15, 0.05])
    calls = 300
    false = sum(
        enrichment(
            labels,
            {"split": rng.random(80) < 0.5, "kind": rng.integers(0, 6, 80), "x": rng.normal(size=80)},
        ).q_value[0]
        < 0.05
        for _ in range(calls)
    )
    assert false / calls <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / calls)


def test_two_thousand_datapoints_in_a_fraction_of_a_second():
    n = 2000
    labels = RNG.integers(0, 6, n)
    columns = {f"number {k}": RNG.normal(size=n) for k in range(4)}
    columns |= {f"label {k}": RNG.integers(0, 30, n) for k in range(4)}
    columns |= {"text": np.array([f"domain {i % 12}" for i in range(n)]), "flag": RNG.random(n) < 0.1}
    took = []
    for _ in range(3):
        began = time.perf_counter()
        enrichment(labels, columns)
        took.append(time.perf_counter() - began)
    assert min(took) < 0.2
