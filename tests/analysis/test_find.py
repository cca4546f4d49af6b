"""Find: words in texts, values of columns, comparisons, and words for what cannot be found."""

import numpy as np
import pytest

from rdmviz.analysis import find
from rdmviz.errors import OptionError, ProbeError
from rdmviz.run import TrainingRun

TEXTS = [
    "The cat sat",
    "a CAT and a dog",
    "Straße nach Köln",
    "ﬁle: 12:30",
    "שלום עולם",
    "👩‍🔬 at work",
    "",
    "dog",
]
RUN = TrainingRun.from_arrays(
    np.random.default_rng(0).random((20, 8)),
    probe={
        "text": TEXTS,
        "split": ["train", "test"] * 4,
        "sex": ["male", "female"] * 4,
        "seen": [True, True, False, False] * 2,
        "digit": [0, 1, 2, 3, 4, 5, 6, 7],
        "score": [0.5, np.nan, -1.0, 2.0, np.inf, 0.0, 1e-3, 3.0],
        "two words": list("abcdabcd"),
    },
)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("cat", [0, 1]),
        ("CAT dog", [1]),
        ('"cat sat"', [0]),
        ('"sat cat"', []),
        ("strasse", [2]),
        ("KO\u0308LN", [2]),  # o and a combining diaeresis find the composed letter
        ("file", [3]),  # a ligature is its letters
        ('"12:30"', [3]),
        ("שלום", [4]),
        ("👩‍🔬", [5]),
        ("split:test", [1, 3, 5, 7]),
        ("SPLIT:Test", [1, 3, 5, 7]),
        ("split:t", list(range(8))),
        ("sex:male", list(range(8))),
        ("sex=male", [0, 2, 4, 6]),
        ("sex!=male", [1, 3, 5, 7]),
        ("seen:true", [0, 1, 4, 5]),
        ("seen=False", [2, 3, 6, 7]),
        ("digit>5", [6, 7]),
        ("digit >= 5 digit<=6", [5, 6]),
        ("digit:3", [3]),
        ("score>-1", [0, 3, 4, 5, 6, 7]),
        ("score!=0.5", [2, 3, 4, 5, 6, 7]),
        ("score<1e-2", [2, 5, 6]),
        ('"two words":b', [1, 5]),
        ("datapoint>6", [7]),
        ("dog split:test digit<5", [1]),
        ("text:dog", [1, 7]),
        ("nothing", []),
    ],
)
def test_finds_exactly_what_fits(query, found):
    np.testing.assert_array_equal(find(RUN, query), found)


@pytest.mark.parametrize(
    ("query", "error", "says"),
    [
        ("colour:red", ProbeError, "no column 'colour': this probe has 'text', 'split'"),
        ("colour:red", ProbeError, 'quote it: "colour:red"'),
        ("split>3", ProbeError, "holds text"),
        ("digit:many", ProbeError, "holds numbers, and 'many' is none"),
        ("seen:perhaps", ProbeError, "true or false"),
        ("", OptionError, "no term"),
        ("   ", OptionError, "no term"),
        ('""', OptionError, "no term"),
        ('say "hello', OptionError, "not closed"),
        ("digit>", OptionError, "nothing after its sign"),
        (">3", OptionError, "nothing before '>'"),
        (3, OptionError, "query is a int"),
    ],
)
def test_says_what_is_wrong_and_which_columns_there_are(query, error, says):
    with pytest.raises(error, match=says):
        find(RUN, query)


def test_a_probe_without_metadata_still_knows_its_numbers():
    run = TrainingRun.from_arrays(np.ones((3, 5)))
    np.testing.assert_array_equal(find(run, "datapoint<2"), [0, 1])
    np.testing.assert_array_equal(find(run, "word"), [])
    with pytest.raises(ProbeError, match="this probe has none"):
        find(run, "split:test")


def test_a_column_of_many_categories_and_very_long_texts_are_searched():
    names = [f"class {k:05d}" for k in range(5000)]
    texts = ["x" * 100_000 + " needle" if k == 17 else "hay" for k in range(5000)]
    run = TrainingRun.from_arrays(np.ones((2, 5000)), probe={"label": names, "text": texts})
    np.testing.assert_array_equal(find(run, 'label="class 04321"'), [4321])
    np.testing.assert_array_equal(find(run, "needle"), [17])


def test_only_runs_are_searched():
    with pytest.raises(OptionError, match="open_run"):
        find("a/path", "x")
