import numpy as np

from rdmviz.widgets.categories import few_values, ranked


def test_few_values_are_found_and_many_are_not_counted_to_the_end():
    assert few_values(np.array(["a", "b", "a"]), 2) == {"a", "b"}
    assert few_values(np.arange(10_000), 8) is None
    assert few_values(np.array([True, False]), 8) == {True, False}


def test_ranks_go_by_frequency_and_then_by_name():
    codes, names = ranked(np.array(["z", "b", "b", "a"]))
    assert names == ("b", "a", "z")
    assert codes.tolist() == [2, 0, 0, 1]
