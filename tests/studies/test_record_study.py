"""Studies by name, as the command line asks for them."""

from __future__ import annotations

import pytest

from rdmviz import open_run
from rdmviz.errors import OptionError
from rdmviz.studies import STUDIES, record


@pytest.mark.parametrize("name", sorted(STUDIES))
def test_records_to_a_path(tmp_path, name):
    record(name, tmp_path / name, progress=False, steps=8, every=4, seed=3)
    run = open_run(tmp_path / name)
    assert run.attrs["study"] == name
    assert run.attrs["seed"] == 3
    assert run.steps.tolist() == [0, 4, 8]


def test_names_the_studies_and_options_there_are():
    with pytest.raises(OptionError, match="there are " + ", ".join(sorted(STUDIES))):
        record("groking")
    with pytest.raises(OptionError, match=r"grokking has no option lr; it has .*learning_rate"):
        record("grokking", progress=False, lr=1)
