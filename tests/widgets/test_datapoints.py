"""The table of datapoints through the null frontend: what the browser is sent, what its messages do."""

from __future__ import annotations

import numpy as np
import pytest

import rdmviz
from rdmviz.errors import OptionError
from rdmviz.widgets import DatapointTable, ExplorerState
from rdmviz.widgets.table_columns import VALUES, sorted_places
from rdmviz.widgets.texts import beginning

T, N = 200, 120
RNG = np.random.default_rng(3)
LOSS = 3 + np.cumsum(0.1 * RNG.standard_normal((T, N)), axis=0)
SPLIT = ["train", "test"] * (N // 2)


def make_table(loss=LOSS, step=None, selection=(), **probe):
    probe = {"split": SPLIT, "score": np.arange(N) / 7} | probe if loss.shape[1] == N else probe
    run = rdmviz.TrainingRun.from_arrays(loss, steps=10 * np.arange(len(loss)), probe=probe)
    state = ExplorerState(run, step=step, window=32)
    state.selection = list(selection)
    table = DatapointTable(state)
    table.refresh()
    return table


def shown(table):
    return [row["sample"] for row in table.rows]


def values(table, key):
    return np.frombuffer(table.values, "<f8").reshape(-1, len(VALUES))[:, VALUES.index(key)]


def hear(table, **content):
    table._handle_custom_msg(content, [])


def test_without_a_selection_the_ends_of_the_mode_are_shown():
    table = make_table()
    vector = table.link.frames.path.at(T - 1).vectors[0]
    by_size = np.argsort(-np.abs(vector))
    assert shown(table)[0] == by_size[0], "the stronger end comes first"
    assert set(np.argsort(-vector)[:20]) | set(np.argsort(vector)[:20]) >= set(shown(table))
    assert table.title == "Strongest in mode 1"
    assert "end (20 datapoints): " in table.caption
    np.testing.assert_allclose(values(table, "loading_x"), vector[shown(table)])
    table.state.modes = (3, 1)
    assert table.title == "Strongest in mode 3"


def test_exactly_the_selected_are_shown_with_their_values():
    table = make_table()
    table.state.selection = [7, 99, 3]
    assert (shown(table), table.showing, table.total) == ([7, 99, 3], "selected", 3)
    np.testing.assert_allclose(values(table, "loss"), LOSS[-1, [7, 99, 3]])
    np.testing.assert_allclose(values(table, "share_y"), values(table, "loading_y") ** 2)
    facts = {key: text for key, (text, _) in table.rows[1]["facts"].items()}
    assert facts == {"column:split": "test", "column:score": "14.1"}
    table.state.selection = []
    assert table.showing == "strongest"
    assert make_table(selection=[5]).showing == "selected"


def test_what_is_told_is_about_the_selection():
    table = make_table(selection=range(1, 81, 2))
    assert table.caption.startswith("40 of 40 are split = test (prevalence 50%, q = ")


def test_moving_keeps_the_rows_and_rest_renews_them():
    table = make_table()
    rows, before = shown(table), values(table, "loss")
    hear(table, kind="at", index=100, moving=True)
    assert (shown(table), table.at) == (rows, 100)
    np.testing.assert_allclose(values(table, "loss"), LOSS[100, rows])
    assert not np.array_equal(before, values(table, "loss"))
    hear(table, kind="at", index=100, moving=False)
    assert shown(table) != rows
    hear(table, kind="at", index=10**9)
    assert table.at == 100


def test_what_was_asked_before_the_window_changed_is_not_computed():
    table = make_table(selection=[3, 8])
    epoch = table.link.scene.epoch
    table.state.window = 48
    before = values(table, "loading_x")
    hear(table, kind="at", index=100, epoch=epoch)
    assert table.at == T - 1
    hear(table, kind="at", index=T - 1, epoch=table.link.scene.epoch)
    after = values(table, "loading_x")
    assert not np.array_equal(before, after)
    np.testing.assert_allclose(after, table.link.frames.path.at(T - 1).vectors[0, [3, 8]])


def test_sorting_by_any_column_and_back():
    table = make_table(selection=range(N - 1, -1, -1))
    table.sort = "-loss"
    assert shown(table) == np.argsort(-LOSS[-1], kind="stable")[:50].tolist()
    hear(table, kind="at", index=60)
    assert shown(table) == np.argsort(-LOSS[60], kind="stable")[:50].tolist()
    table.sort = "column:score"
    assert shown(table) == list(range(50))
    table.sort = "-sample"
    assert shown(table)[:2] == [N - 1, N - 2]
    table.sort = "column:split"
    assert {row["facts"]["column:split"][0] for row in table.rows} == {"test"}
    table.sort = ""
    assert shown(table)[0] == N - 1
    with pytest.raises(OptionError, match="choose one of 'sample', 'column:split'"):
        table.sort = "curve"


def test_what_is_not_known_sorts_last_either_way():
    numbers = np.array([2.0, np.nan, 1.0, 2.0, np.inf])
    assert sorted_places(numbers, descending=False).tolist() == [2, 0, 3, 4, 1]
    assert sorted_places(numbers, descending=True).tolist() == [4, 0, 3, 2, 1]
    assert sorted_places(np.array(["b", "A", "a"]), descending=True).tolist() == [0, 1, 2]


def test_pages():
    table = make_table(selection=range(N))
    assert (len(table.rows), table.total) == (50, N)
    table.page = 2
    assert shown(table) == list(range(100, N))
    table.page = 7
    assert table.page == 2
    table.sort = "-sample"
    assert (table.page, shown(table)[0]) == (0, N - 1)
    table.page = 1
    table.state.selection = [4]
    assert (table.page, shown(table)) == (0, [4])


def test_find_select_all_found_and_clear():
    table = make_table()
    table.query = "split:test score>10"
    found = [k for k in range(N) if k % 2 and k / 7 > 10]
    assert (table.showing, table.total, shown(table)) == ("found", len(found), found)
    assert table.counts == {"selected": 0, "found": len(found)}
    hear(table, kind="select_all")
    assert table.state.selection == found
    assert table.showing == "found", "the rows stay where they are"
    hear(table, kind="clear")
    assert (table.query, table.state.selection, table.showing) == ("", [], "strongest")


def test_find_says_what_is_wrong_and_nothing_breaks():
    table = make_table()
    table.query = "colour:red"
    assert "no column 'colour': this probe has 'split', 'score'" in table.note
    assert (table.rows, table.total) == ([], 0)
    table.query = "split:nothing"
    assert table.note == "No datapoint fits."
    table.query = ""
    assert (table.note, table.showing) == ("", "strongest")
    table.showing = "found"
    assert "Write into Find" in table.note


def test_a_row_is_toggled_without_leaving_what_is_shown():
    table = make_table()
    rows = shown(table)
    hear(table, kind="toggle", sample=rows[3])
    hear(table, kind="toggle", sample=rows[5])
    assert table.state.selection == [rows[3], rows[5]]
    assert shown(table) == rows
    hear(table, kind="toggle", sample=rows[3])
    assert table.state.selection == [rows[5]]
    assert table.counts["selected"] == 1
    table.showing = "selected"
    hear(table, kind="toggle", sample=rows[5])
    assert table.showing == "strongest"


def test_tokens_travel_with_their_neighbours_and_their_shades():
    probe = {
        "sequence": np.arange(N) // 40,
        "position": np.arange(N) % 40,
        "token": [f" w{k}" for k in range(N)],
    }
    table = make_table(selection=[60, 41], **probe)
    (row, edge) = table.rows
    assert row["tokens"] == list(range(44, 77))
    assert row["texts"][16] == " w60"
    assert row["cut"] == [True, True]
    assert (edge["tokens"][0], edge["cut"]) == (40, [False, True])
    shades = np.frombuffer(table.shades, np.uint8)
    assert len(shades) == len(row["tokens"]) + len(edge["tokens"])
    losses = LOSS[-1, [*row["tokens"], *edge["tokens"]]]
    in_order = shades[np.argsort(losses)].astype(int)
    assert (np.diff(in_order) >= 0).all(), "the larger the loss, the deeper the shade"
    assert len(set(in_order.tolist())) > 20
    table.sort = "-tokens"
    assert shown(table) == [60, 41]
    assert [c["kind"] for c in table.columns][:2] == ["sample", "tokens"]
    assert "column:token" not in [c["key"] for c in table.columns]


def test_pictures_are_sent_as_pixels_and_missing_ones_as_missing():
    grey = RNG.random((N, 8, 6))
    grey[4] = np.nan
    photo = RNG.integers(0, 256, (N, 200, 100, 3)).astype(np.uint8)
    table = make_table(selection=[4, 9], digit=grey, photo=photo)
    assert [row["images"] for row in table.rows] == [
        [[8, 6, False], [50, 25, True]],
        [[8, 6, True], [50, 25, True]],
    ]
    pixels = np.frombuffer(table.pictures, np.uint8)
    digit, photos = np.split(pixels, [2 * 8 * 6 * 4])
    digit = digit.reshape(2, 8, 6, 4)
    assert not digit[0].any()
    np.testing.assert_array_equal(digit[1, ..., 0], np.rint(255 * grey[9].astype(np.float32)))
    assert (digit[1, ..., 3] == 255).all()
    means = photo[[4, 9]].reshape(2, 50, 4, 25, 4, 3).mean(axis=(2, 4))
    np.testing.assert_allclose(photos.reshape(2, 50, 25, 4)[..., :3], means, atol=0.51)


def test_small_curves_are_those_of_the_rows():
    table = make_table(selection=[8, 2])
    rows = np.frombuffer(table.curve_rows, "<u4")
    curves = np.frombuffer(table.curves, "<f4").reshape(2, len(rows))
    np.testing.assert_allclose(curves, LOSS[np.ix_(rows, [8, 2])].T, rtol=1e-6)


def test_long_texts_are_cut_and_sent_whole_when_asked_for(monkeypatch):
    long = "sentence " * 50_000
    table = make_table(selection=[0], essay=[long] + ["short"] * (N - 1))
    text, length = table.rows[0]["facts"]["column:essay"]
    assert (len(text), length) == (400, len(long))
    sent = []
    monkeypatch.setattr(table, "send", sent.append)
    hear(table, kind="text", sample=0, key="column:essay")
    hear(table, kind="text", sample=0, key="column:nothing")
    hear(table, kind="text", sample=N, key="column:essay")
    (reply,) = sent
    assert reply["text"].startswith(long[:200_000])
    assert "the first 200,000 of 450,000 characters" in reply["text"]


def test_texts_are_not_cut_within_a_character_and_lone_surrogates_can_travel():
    family = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
    assert beginning("x" * 397 + family + "y" * 20) == "x" * 397
    assert beginning("x" * 399 + "e\u0301" + "y" * 20) == "x" * 399
    table = make_table(selection=[0], name=["bad \ud800 half", *["fine"] * (N - 1)])
    assert table.rows[0]["facts"]["column:name"][0] == "bad \ufffd half"


def test_steps_without_modes_show_losses_and_say_why():
    table = make_table(step=50, selection=[1, 2])
    assert "first full at step 310" in table.note
    np.testing.assert_allclose(values(table, "loss"), LOSS[5, [1, 2]])
    assert np.isnan(values(table, "loading_x")).all()
    table.showing = "strongest"
    assert (table.rows, "first full" in table.note) == ([], True)
    still = make_table(loss=np.ones((80, 6)))
    assert still.note.startswith("Nothing fluctuates")
    broken = LOSS.copy()
    broken[150, 3] = np.nan
    assert "NaN or infinite" in make_table(loss=broken, step=1600, selection=[3]).note


def test_a_note_on_a_step_goes_while_time_moves_away_from_it_and_comes_while_it_moves_there():
    table = make_table(step=50, selection=[1, 2])
    assert "first full at step 310" in table.note
    hear(table, kind="at", index=100, moving=True)
    assert table.note == ""
    hear(table, kind="at", index=20, moving=True)
    assert "first full at step 310" in table.note
    table.query = "split:nowhere"
    hear(table, kind="at", index=100, moving=True)
    assert table.note == "No datapoint fits.", "that holds at any step"
    few = make_table(loss=LOSS[:, :3])
    few.state.modes = (5, 1)
    hear(few, kind="at", index=100)
    assert few.note == "mode 5 is not in this window; there are modes 1 to 3."


def test_no_metadata_two_datapoints_and_many_categories():
    bare = make_table(loss=LOSS[:, :2])
    assert bare.total == 2
    assert [c["key"] for c in bare.columns][:2] == ["sample", "curve"]
    bare.state.selection = [1]
    assert bare.caption.startswith("One datapoint")
    many = 6000
    loss = RNG.random((40, many))
    label = [f"class {k % 5000}" for k in range(many)]
    run = rdmviz.TrainingRun.from_arrays(loss, probe={"label": label})
    table = DatapointTable(ExplorerState(run, window=8))
    table.state.selection = list(range(many - 1))
    assert "5000 different values" in table.caption
    assert (len(table.rows), table.total) == (50, many - 1)


def test_more_columns_than_there_is_room_for_are_told():
    table = make_table(**{f"fact {k}": np.arange(N) for k in range(30)})
    assert sum(c["key"].startswith("column:") for c in table.columns) == 16
    assert table.note.startswith("16 more columns")


def test_the_data_are_those_on_the_screen():
    table = make_table(selection=range(60))
    table.sort = "-drift"
    data = table.data()
    assert data["sample"].values[:50].tolist() == shown(table)
    np.testing.assert_allclose(data["drift"][:50], values(table, "drift"))


def test_a_closed_table_hears_no_more():
    table = make_table()
    state = table.state
    table.close()
    state.selection = [1]
    state.modes = (2, 3)
    assert table.showing == "strongest"


def test_a_run_that_vanishes_under_the_table_is_told(tmp_path):
    rng = np.random.default_rng(0)
    run = rdmviz.TrainingRun.from_arrays(1 + rng.random((400, 3000)), probe={"split": ["a", "b"] * 1500})
    state = ExplorerState(rdmviz.open_run(run.save(tmp_path / "run")), window=32)
    table = DatapointTable(state)
    table.refresh()
    (tmp_path / "run").rename(tmp_path / "elsewhere")
    state.run.store._chunks.clear()  # as it is where a run does not fit the cache
    hear(table, kind="at", index=100)
    assert "is gone: it was moved or deleted" in state.troubles["datapoints"]
    (tmp_path / "elsewhere").rename(tmp_path / "run")
    hear(table, kind="at", index=100)
    assert "datapoints" not in state.troubles
    assert table.at == 100
