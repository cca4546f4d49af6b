"""What verbs say to what they cannot take."""

import pytest
from toy import LOSSES, STEPS, make_run

from rdmviz.analysis import analyze, eigenmodes, groups
from rdmviz.errors import OptionError, WindowError


@pytest.mark.parametrize(
    "verb",
    [analyze, lambda run: eigenmodes(run, 5), lambda run: groups(run, 5)],
    ids=["analyze", "modes", "groups"],
)
@pytest.mark.parametrize("given", [LOSSES, "runs/mine", None], ids=["array", "path", "None"])
def test_what_is_not_a_run_is_told_how_to_become_one(verb, given):
    with pytest.raises(OptionError, match=r"\(\) takes a TrainingRun, not .*open_run\(path\).*from_arrays"):
        verb(given)


@pytest.mark.parametrize("verb", [eigenmodes, groups])
def test_a_step_before_the_first_full_window_is_told_the_first(verb):
    with pytest.raises(WindowError, match=rf"step {STEPS[10]} \(row 10\).* row 63, step {STEPS[63]}:"):
        verb(make_run(), int(STEPS[10]))
    for modes in (2.5, True, 0):
        with pytest.raises(WindowError, match=f"modes={modes}.*whole number"):
            verb(make_run(), int(STEPS[-1]), modes=modes)
