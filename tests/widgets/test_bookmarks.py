"""Bookmarks are kept beside the run, whoever else writes there."""

from __future__ import annotations

import json
import threading

import numpy as np
import pytest

import rdmviz
from rdmviz.analysis import grown
from rdmviz.errors import OptionError, StepNotFoundError, StoreExistsError
from rdmviz.store import RunWriter
from rdmviz.store.notes import kept_notes
from rdmviz.widgets import ExplorerState

LOSS = 1 + np.random.default_rng(0).random((300, 12))
STEPS = np.arange(300) * 4


@pytest.fixture
def place(tmp_path):
    rdmviz.TrainingRun.from_arrays(LOSS, steps=STEPS, name="a run").save(tmp_path / "run")
    return tmp_path / "run"


def opened(place):
    return ExplorerState(rdmviz.open_run(place))


def notes(state):
    return [(mark["step"], mark["note"]) for mark in state.bookmarks]


def test_a_bookmark_is_there_when_the_run_is_opened_again(place):
    state = opened(place)
    state.step = 400
    state.add_bookmark("the map splits: <b>בוקר</b> 🙂 \ud800")
    state.add_bookmark(step=8)
    assert notes(opened(place)) == [(8, ""), (400, "the map splits: <b>בוקר</b> 🙂 \ud800")]
    assert str(place / "notes") in state.bookmarks_kept
    state.remove_bookmark(step=8)
    assert notes(opened(place)) == [(400, "the map splits: <b>בוקר</b> 🙂 \ud800")]


def test_what_is_set_as_a_trait_is_kept_too(place):
    state = opened(place)
    state.bookmarks = [{"step": 400, "note": "b"}, {"step": 8, "note": "a"}, {"step": 400, "note": "b"}]
    assert notes(state) == notes(opened(place)) == [(8, "a"), (400, "b")]
    state.bookmarks = []
    assert notes(opened(place)) == []


def test_two_explorers_do_not_undo_each_other(place):
    one, two = opened(place), opened(place)
    one.add_bookmark("one", 8)
    two.add_bookmark("two", 400)
    assert notes(two) == [(8, "one"), (400, "two")], "what others wrote is taken in"
    one.remove_bookmark("one", 8)
    assert notes(one) == [(400, "two")]
    two.add_bookmark("more", 800)
    assert notes(two) == notes(opened(place)) == [(400, "two"), (800, "more")], (
        "what others removed stays removed"
    )


def test_many_explorers_at_once_lose_nothing(place):
    states = [opened(place) for _ in range(4)]

    def write(number):
        for k in range(20):
            states[number].add_bookmark(f"{number}", int(STEPS[20 * number + k]))

    threads = [threading.Thread(target=write, args=[number]) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(notes(opened(place))) == 80
    assert [path for path in (place / "notes").iterdir() if path.suffix != ".json"] == []


def test_a_run_that_cannot_be_written_to_keeps_them_for_now_and_says_so(place):
    (place / "notes").write_text("a file where the folder would be")
    state = opened(place)
    state.add_bookmark("for now", 400)
    assert notes(state) == [(400, "for now")]
    assert "Kept until this kernel stops" in state.bookmarks_kept
    assert str(place) in state.bookmarks_kept
    (place / "notes").unlink()
    state.add_bookmark("and now", 800)
    assert notes(opened(place)) == [(400, "for now"), (800, "and now")], (
        "what could not be written then is now"
    )
    assert "Kept in" in state.bookmarks_kept


def test_a_run_that_is_gone_keeps_them_for_now(place):
    state = opened(place)
    place.rename(place.with_name("moved"))
    state.add_bookmark("late", 400)
    assert notes(state) == [(400, "late")]
    assert "Kept until this kernel stops" in state.bookmarks_kept


def test_runs_that_are_no_folder_keep_them_for_now_and_say_why(tmp_path, place):
    in_memory = ExplorerState(rdmviz.TrainingRun.from_arrays(LOSS))
    assert "lies in memory" in in_memory.bookmarks_kept
    rdmviz.open_run(place).save(tmp_path / "run.zip")
    zipped = opened(tmp_path / "run.zip")
    assert "single file" in zipped.bookmarks_kept
    for state in (in_memory, zipped):
        state.add_bookmark("x")
        assert len(state.bookmarks) == 1
        assert "run.save(folder)" in state.bookmarks_kept


def test_files_that_are_no_notes_are_passed_over(place):
    opened(place).add_bookmark("good", 400)
    folder = place / "notes"
    for name, text in {
        "a.json": "{",
        "b.json": "[1]",
        "c.json": json.dumps({"format": 2, "step": 4, "note": ""}),
        "d.json": json.dumps({"format": 1, "step": True, "note": ""}),
        "e.json": json.dumps({"format": 1, "step": 4, "note": ["x"]}),
        "f.json": json.dumps({"format": 1, "step": 5, "note": "a step that the run does not have"}),
        "0.json": "[" * 200_000,
        "1.json": json.dumps({"format": 1, "step": 4, "note": "x" * (1 << 20)}),
    }.items():
        (folder / name).write_text(text)
    (folder / "2.json").write_bytes(b"\xff\xfe")
    (folder / "3.json").mkdir()
    assert notes(opened(place)) == [(400, "good")]


def test_notes_are_of_the_run_when_it_is_replaced_and_other_files_are_not(place):
    opened(place).add_bookmark("x", 400)
    rdmviz.TrainingRun.from_arrays(LOSS).save(place, overwrite=True)
    assert not (place / "notes").exists()
    (place / "notes").mkdir()
    (place / "notes" / "thesis.md").write_text("mine")
    with pytest.raises(StoreExistsError, match=r"notes/thesis\.md"):
        rdmviz.TrainingRun.from_arrays(LOSS).save(place, overwrite=True)


def test_a_bookmark_at_a_step_recorded_later_appears_with_it(tmp_path):
    writer = RunWriter(tmp_path / "run", 12)
    for step in range(50):
        writer.append(step, LOSS[step])
    writer.flush()
    state = opened(tmp_path / "run")
    for step in range(50, 60):
        writer.append(step, LOSS[step])
    writer.close()
    opened(tmp_path / "run").add_bookmark("ahead", 55)
    state.add_bookmark("here", 40)
    assert notes(state) == [(40, "here")]
    state.grow(grown(state.run))
    assert notes(state) == [(40, "here"), (55, "ahead")]
    assert len(kept_notes(state.run.store)) == 2


def test_what_is_no_bookmark_is_refused(place):
    state = opened(place)
    with pytest.raises(StepNotFoundError, match="4 and 8"):
        state.add_bookmark("x", 5)
    with pytest.raises(OptionError, match="'x' at step 8; there are: none"):
        state.remove_bookmark("x", 8)
    with pytest.raises(OptionError, match="a step and a note"):
        state.bookmarks = [{"step": 4, "color": "red"}]
    assert notes(state) == []
    assert not (place / "notes").exists()
