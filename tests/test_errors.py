"""Errors of bad input in a notebook: the message on its own, and the traceback when it is asked for."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from IPython.core.interactiveshell import InteractiveShell

import rdmviz
from rdmviz import errors

ONE_DATAPOINT = (
    "import numpy, rdmviz\ndef record():\n    return rdmviz.TrainingRun.from_arrays(numpy.ones((9, 1)))"
)


@pytest.fixture
def shell():
    yield InteractiveShell.instance()
    InteractiveShell.clear_instance()


def test_a_cell_shows_the_message_alone_and_tb_the_traceback(shell, capsys):
    shell.run_cell(ONE_DATAPOINT + "\nrecord()")
    said = capsys.readouterr().out
    assert "LossShapeError" in said
    assert "expected at least two" in said
    assert "Traceback" not in said
    assert "from_arrays" not in said
    shell.run_line_magic("tb", "")
    said = capsys.readouterr().out
    assert "Traceback" in said
    assert "in record" in said
    assert "expected at least two" in said


def test_an_error_of_the_program_keeps_its_traceback(shell, capsys):
    shell.run_cell("def wrong():\n    return 1 / 0\nwrong()")
    assert "Traceback" in capsys.readouterr().out


def test_all_errors_but_those_of_other_processes_are_told_plainly():
    classes = {getattr(errors, name) for name in errors.__all__} - {errors.RecordingWarning}
    others = {errors.ChunkError, errors.RankError}
    assert {c for c in classes if not issubclass(c, errors.PlainError)} == others


def test_they_can_be_caught_as_builtin_ones_and_sent_to_another_process():
    with pytest.raises(ValueError, match="at least two") as caught:
        rdmviz.TrainingRun.from_arrays(np.ones((9, 1)))
    again = pickle.loads(pickle.dumps(caught.value))
    assert (type(again), str(again)) == (errors.LossShapeError, str(caught.value))
