"""Tables as CSV: the numbers of the analysis, to the last digit, and texts that no spreadsheet runs."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest

import rdmviz
from rdmviz.errors import OptionError, WindowError
from rdmviz.widgets import ExplorerState
from rdmviz.widgets.tables import TABLES, encoded, save_table, table_csv

RNG = np.random.default_rng(0)
N = 12
TEXTS = [
    "=1+1",
    "+x",
    "-3",
    "@SUM(A1)",
    "\t=1",
    "\n=1",
    "＝1",
    'say "hi", then\ngo',
    "plain",
    "a=b",
    "",
    "🙂",
]


def make_run():
    loss = 2 + np.cumsum(0.1 * RNG.standard_normal((300, N)), axis=0)
    probe = {"text": TEXTS, "size": np.linspace(-1, 1, N), "loss": ["p", "q"] * (N // 2)}
    return rdmviz.TrainingRun.from_arrays(
        loss, steps=np.arange(300) * 4, probe=probe, metrics={"=acc": np.arange(300) / 7}, name="r"
    )


STATE = ExplorerState(make_run(), step=800, window=32, detrend="quadratic")


def read(table, state=STATE):
    head, *rows = csv.reader(io.StringIO(table_csv(state, table), newline=""))
    return {name: list(column) for name, column in zip(head, zip(*rows, strict=True), strict=True)}


def floats(column):
    return np.array([float(cell) if cell else np.nan for cell in column])


def test_curves_are_those_of_the_window_and_detrending_on_screen_in_full():
    table = read("curves")
    expected = rdmviz.analyze(STATE.run, window=32, detrend="quadratic")
    assert [int(step) for step in table["step"]] == STATE.run.steps.tolist()
    for name in ("trace", "participation_ratio", "spectral_heat_capacity", "mean_loss_variance", "mean_loss"):
        np.testing.assert_array_equal(floats(table[name]), expected[name].values)
    assert table["trace"][0] == "", "no window, no number"
    np.testing.assert_array_equal(floats(table["metrics/=acc"]), STATE.run.metrics["=acc"].values)
    assert "entropy" not in table


def test_curves_that_are_dear_are_there_when_they_are_on_screen():
    state = ExplorerState(STATE.run, window=32, signals=("entropy", "heat_capacity_capacity"))
    expected, table = rdmviz.analyze(STATE.run, window=32, shc="capacity"), read("curves", state)
    np.testing.assert_array_equal(floats(table["entropy"]), expected["entropy"].values)
    capacity = expected["spectral_heat_capacity"].values
    np.testing.assert_array_equal(floats(table["heat_capacity_capacity"]), capacity)
    total = rdmviz.analyze(STATE.run, window=32, shc="total")["spectral_heat_capacity"].values
    np.testing.assert_array_equal(floats(table["heat_capacity_total"]), total)


def test_the_spectrum_and_the_modes_are_those_of_the_step():
    modes = rdmviz.eigenmodes(STATE.run, 800, window=32, modes=4)
    spectrum, table = read("spectrum"), read("modes")
    np.testing.assert_allclose(floats(spectrum["eigenvalue"])[:4], modes["eigenvalue"], rtol=1e-12)
    assert floats(spectrum["explained"]).sum() == pytest.approx(1)
    for k in range(4):
        column, vector = floats(table[f"mode {k + 1}"]), modes["eigenvector"].values[k]
        np.testing.assert_allclose(column * np.sign(column @ vector), vector, atol=1e-9)
    np.testing.assert_array_equal(floats(table["loss"]), STATE.run.rows(200, 201)[0])
    np.testing.assert_array_equal(floats(table["size"]), STATE.run.probe["size"].values)
    assert table["loss (metadata)"] == ["p", "q"] * (N // 2)


def test_the_selection_comes_in_its_order():
    state = ExplorerState(STATE.run, step=800, window=32, selection=[7, 2])
    every, table = read("modes"), read("selection", state)
    assert table["datapoint"] == ["7", "2"]
    drift, all_drifts = floats(table.pop("drift")), floats(every["drift"])
    np.testing.assert_allclose(
        drift, all_drifts[[7, 2]], rtol=1e-12
    )  # a fit to fewer columns rounds otherwise
    for name, column in table.items():
        assert column == [every[name][7], every[name][2]]
    with pytest.raises(OptionError, match="nothing is selected"):
        table_csv(STATE, "selection")


def test_groups_have_a_row_each():
    found = rdmviz.groups(STATE.run, 800, window=32)
    table = read("groups")
    assert [int(label) for label in table["label"]] == found["label"].values.tolist()
    np.testing.assert_array_equal(floats(table["mass"]), found["mass"].values)
    assert table["description"] == found["description"].values.tolist()


def test_texts_come_through_and_none_is_a_formula():
    column = read("modes")["text"]
    assert column == [f"'{text}" if k < 7 else text for k, text in enumerate(TEXTS)]
    for line in csv.reader(io.StringIO(table_csv(STATE, "modes"), newline="")):
        for cell in line:
            assert not cell.startswith(("=", "+", "@", "\t", "\r", "\n", "＝"))
            if cell.startswith("-"):
                float(cell)  # a number, and no text, may


def test_a_file_is_utf_8_that_spreadsheets_know(tmp_path):
    save_table(STATE, tmp_path / "modes.csv", "modes")
    data = (tmp_path / "modes.csv").read_bytes()
    assert data.startswith(b"\xef\xbb\xbfdatapoint,")
    assert data.decode("utf-8-sig") == table_csv(STATE, "modes")
    assert encoded("a\ud800") == b"\xef\xbb\xbfa?"


def test_what_there_is_no_table_of_is_refused():
    with pytest.raises(OptionError, match="'curves', 'spectrum'"):
        table_csv(STATE, "loss")
    early = ExplorerState(STATE.run, step=0, window=32)
    for table in set(TABLES) - {"curves", "selection"}:
        with pytest.raises(WindowError):
            table_csv(early, table)
