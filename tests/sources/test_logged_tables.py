"""Tables as loggers write them: other names of columns, JSON, DataFrames, gaps and repeats."""

from __future__ import annotations

import json
from pathlib import Path

import fsspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from rdmviz import TrainingRun, open_run
from rdmviz.errors import (
    DuplicateRowsError,
    LossShapeError,
    MissingRowsError,
    OptionError,
    ProbeError,
    StepsError,
    TruncatedStoreError,
)

STEPS, NAMES = [0, 10, 30], ["cat", "dog", "<i>eel</i>", "fox"]
LOSS = np.random.default_rng(0).normal(size=(3, 4))


def logged(step: str = "step", sample: str = "sample", loss: str = "loss") -> pd.DataFrame:
    return pd.DataFrame(
        [
            {step: s, sample: name, loss: LOSS[i, j], "length": len(name), "lr": 0.1 / (1 + s)}
            for i, s in enumerate(STEPS)
            for j, name in enumerate(NAMES)
        ]
    )


def wandb_table(frame: pd.DataFrame, **more: object) -> dict:
    return {"columns": list(frame.columns), "data": frame.to_numpy(object).tolist(), **more}


def assert_logged(run: TrainingRun) -> None:
    order = [run.probe["label"].to_numpy().tolist().index(name) for name in NAMES]
    np.testing.assert_array_equal(run.loss.to_numpy()[:, order], LOSS)
    assert run.steps.tolist() == STEPS
    assert run.probe["length"].to_numpy()[order].tolist() == [len(name) for name in NAMES]
    np.testing.assert_array_equal(run.metrics["lr"], [0.1 / (1 + step) for step in STEPS])


@pytest.mark.parametrize(
    "names",
    [
        ("_step", "id", "nll"),
        ("global_step", "example_id", "loss"),
        ("Step", "guid", "Loss"),
        ("epoch", "idx", "losses"),
    ],
)
def test_usual_names_are_understood(tmp_path, names):
    frame = logged(*names)
    assert_logged(open_run(frame))
    frame.to_parquet(tmp_path / "table.parquet")
    assert_logged(open_run(tmp_path / "table.parquet"))


def test_other_names_are_told(tmp_path):
    frame = logged("update", "phrase", "surprise").assign(loss=1.0)
    frame.to_csv(tmp_path / "table.csv", index=False)
    run = open_run(tmp_path / "table.csv", step="update", sample="phrase", loss="surprise", drop=["loss"])
    assert_logged(run)
    assert "loss" not in run.probe
    assert run.origin.endswith("table.csv', step='update', sample='phrase', loss='surprise', drop=['loss'])")
    assert_logged(eval(run.origin, {"rdmviz": __import__("rdmviz")}))


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"step": "upd"}, OptionError, r"step='upd'; the table has columns \['step', 'sample'"),
        ({"step": 3}, OptionError, "step=3; expected the name"),
        ({"sample": "step"}, OptionError, "expected three columns"),
        ({"drop": ["prediction"]}, OptionError, "drop='prediction'"),
        ({"drop": "length"}, OptionError, r"such as drop=\['prediction'\]"),
        ({"drop": ["loss"], "sample": "sample"}, LossShapeError, "none is called 'loss'"),
        ({"chunks": "auto"}, OptionError, "only a store"),
    ],
)
def test_options_that_do_not_fit(options, error, says):
    with pytest.raises(error, match=says):
        open_run(logged(), **options)


@pytest.mark.parametrize(
    ("names", "role", "error"),
    [
        (("_step", "sample", "loss"), "step", StepsError),
        (("step", "id", "loss"), "sample", ProbeError),
        (("step", "sample", "nll"), "loss", LossShapeError),
    ],
)
def test_nothing_is_guessed_where_two_columns_fit(names, role, error):
    other = {"step": "global_step", "sample": "guid", "loss": "losses"}[role]
    given = names[("step", "sample", "loss").index(role)]
    frame = logged(*names)
    frame[other] = frame[given]
    with pytest.raises(error, match=f"{role}='{given}'"):
        open_run(frame)
    assert open_run(frame, **{role: given}, drop=[other]).n_steps == 3


def test_options_for_tables_are_refused_by_what_is_none(tmp_path):
    np.savez(tmp_path / "run.npz", loss=LOSS)
    TrainingRun.from_arrays(LOSS).save(tmp_path / "run.rdmviz")
    for name in ("run.npz", "run.rdmviz"):
        with pytest.raises(OptionError, match="incomplete='drop_steps' is for tables"):
            open_run(tmp_path / name, incomplete="drop_steps")


class TestJson:
    @pytest.mark.parametrize("more", [{}, {"ncols": 5, "nrows": 12, "_type": "table", "column_types": {}}])
    def test_a_weights_and_biases_table(self, tmp_path, more):
        path = tmp_path / "losses_30_0a1b2c.table.json"
        path.write_text(json.dumps(wandb_table(logged("_step", "id"), **more)))
        run = open_run(path)
        assert_logged(run)
        assert run.name == "losses_30_0a1b2c"

    def test_nan_in_every_spelling(self, tmp_path):
        rows = [[0, "a", float("nan")], [0, "b", "NaN"], [1, "a", "Infinity"], [1, "b", None]]
        (tmp_path / "t.json").write_text(json.dumps({"columns": ["step", "id", "loss"], "data": rows}))
        np.testing.assert_array_equal(
            open_run(tmp_path / "t.json").loss, [[np.nan, np.nan], [np.inf, np.nan]]
        )

    @pytest.mark.parametrize("orient", ["records", "split"])
    def test_what_pandas_writes(self, tmp_path, orient):
        logged().to_json(tmp_path / "table.json", orient=orient, double_precision=15)
        np.testing.assert_allclose(open_run(tmp_path / "table.json").loss.sum(), LOSS.sum(), rtol=1e-12)

    def test_lines(self, tmp_path):
        logged().to_json(tmp_path / "log.jsonl", orient="records", lines=True, double_precision=15)
        np.testing.assert_allclose(open_run(tmp_path / "log.jsonl").loss.sum(), LOSS.sum(), rtol=1e-12)
        with (tmp_path / "log.jsonl").open("a") as file:
            file.write('\n{"step": 40, "sam')
        with pytest.raises(TruncatedStoreError, match=r"line 14 of .*log\.jsonl is no JSON.*delete the line"):
            open_run(tmp_path / "log.jsonl")

    @pytest.mark.parametrize(
        ("text", "error", "says"),
        [
            ("", TruncatedStoreError, "no JSON"),
            ('{"columns": ["step", "id", "loss"], "data": [[0, ', TruncatedStoreError, "no JSON"),
            ("[" * 100_000, TruncatedStoreError, "no JSON"),
            ("1" * 10_000, TruncatedStoreError, "no JSON"),
            ("3", LossShapeError, "of type int; expected an object with 'columns'"),
            ('{"step": {"0": 1}}', LossShapeError, r"\['step'\]; expected an object with 'columns'"),
            (
                '{"_type": "table-file", "path": "media/table/losses_0_ab.table.json", "nrows": 3}',
                LossShapeError,
                r"refers to one, 'media/table/losses_0_ab\.table\.json'. Download that file",
            ),
            ('{"columns": [[1]], "data": []}', LossShapeError, r"a column called \[1\]"),
            ('{"columns": ["step", "a"], "data": [[0, 1], [1]]}', TruncatedStoreError, r"row 1 .* is \[1\]"),
            (
                '{"columns": ["step", "a"], "data": [[0, 1]], "nrows": 4}',
                TruncatedStoreError,
                "nrows=4 and hol",
            ),
            ('{"columns": ["step", "a"], "data": []}', LossShapeError, "no rows"),
            ('[{"step": 1, "a": 2}, {"step": 2}]', LossShapeError, r"record 1 .*lacks \['a'\]"),
            ("[1]", LossShapeError, "record 0 .* is 1; expected an object"),
            ("[]", StepsError, "expected one called 'step'"),
            (
                '{"columns": ["step", "id", "loss"], "data": [[0, [1], 2], [0, "b", 2]]}',
                ProbeError,
                "is a list",
            ),
            (
                '{"columns": ["step", "id", "loss"], "data": [[0, "a", 1e999], [0, "b", {"_type": "i"}]]}',
                LossShapeError,
                "row 1 of column 'loss' is {'_type': 'i'}",
            ),
            (
                '{"columns": ["step", "id", "loss"], "data": [[1' + "0" * 400 + ', "a", 1], [0, "b", 2]]}',
                StepsError,
                "does not hold integers",
            ),
            (
                '{"columns": ["step", "id", "loss"], "data": [[1, "a", 1' + "0" * 400 + '], [1, "b", 2]]}',
                LossShapeError,
                "row 0 of column 'loss' is 1000",
            ),
        ],
    )
    def test_refuses(self, tmp_path, text, error, says):
        (tmp_path / "table.json").write_text(text)
        with pytest.raises(error, match=says):
            open_run(tmp_path / "table.json")


class TestFrames:
    def test_an_index_that_has_a_name_is_a_column(self):
        assert_logged(open_run(logged().set_index(["step", "sample"])))
        wide = pd.DataFrame(LOSS, index=pd.Index(STEPS, name="step"), columns=NAMES)
        run = open_run(wide)
        np.testing.assert_array_equal(run.loss, LOSS)
        assert run.probe["column"].to_numpy().tolist() == NAMES
        assert run.origin == ""

    def test_what_turns_into_a_frame_of_pandas_is_one(self):
        assert_logged(open_run(pa.Table.from_pandas(logged())))
        losses = TrainingRun.from_arrays(LOSS, STEPS).loss
        np.testing.assert_array_equal(open_run(losses).loss, LOSS)  # a DataArray (step, sample)
        with pytest.raises(OptionError, match="path is a Series"):
            open_run(logged()["loss"])

    def test_steps_that_became_floats(self):
        assert open_run(logged().astype({"step": float})).steps.tolist() == STEPS
        text = logged().astype({"step": float}).astype({"step": str})
        assert text["step"][4] == "10.0"
        assert open_run(text).steps.tolist() == STEPS
        for odd in (np.nan, 0.5, 2.0**60, np.inf):
            frame = logged().astype({"step": float})
            frame.loc[3, "step"] = odd
            with pytest.raises(StepsError, match="row 3 is"):
                open_run(frame)

    def test_columns_of_pandas_own_kinds(self):
        frame = logged().astype({"step": "Int64", "sample": "category", "loss": "Float64", "length": "Int32"})
        assert_logged(open_run(frame))
        frame["split"] = pd.array(["train", pd.NA, "test", pd.NA] * 3, dtype="string")
        with pytest.raises(ProbeError, match=r"'split' .* holds None"):
            open_run(frame)

    def test_wide_columns_that_a_logger_adds_are_metrics(self):
        frame = pd.DataFrame(
            {"_step": STEPS, "_runtime": [1.0, 2, 3], "loss/cat": LOSS[:, 0], "loss/dog": LOSS[:, 1]}
        )
        run = open_run(frame)
        assert list(run.metrics) == ["_runtime"]
        assert list(open_run(frame.assign(step=STEPS)).metrics) == ["_step", "_runtime"]
        assert run.probe["column"].to_numpy().tolist() == ["loss/cat", "loss/dog"]

    def test_an_index_without_a_name_is_no_datapoint(self, tmp_path):
        wide = pd.DataFrame({"step": STEPS, "a": LOSS[:, 0], "b": LOSS[:, 1]}, index=[3, 1, 2])
        wide.to_parquet(tmp_path / "wide.parquet")
        for run in (open_run(wide), open_run(tmp_path / "wide.parquet")):
            np.testing.assert_array_equal(run.loss, LOSS[:, :2])

    def test_cells_that_hold_more_than_one_value(self):
        frame = logged()
        frame["logits"] = [[1.0, 2.0]] * len(frame)
        with pytest.raises(ProbeError, match=r"row 0 of column 'logits' is a list.*drop=\['logits'\]"):
            open_run(frame)
        assert_logged(open_run(frame, drop=["logits"]))


class TestGaps:
    def test_repeated_rows_are_refused_by_name(self):
        frame = pd.concat([logged(), logged().iloc[[5]]], ignore_index=True)
        with pytest.raises(
            DuplicateRowsError, match=r"step 10 has 2 losses for sample 'dog' \(rows 5 and 12"
        ):
            open_run(frame)
        for incomplete in ("drop_samples", "drop_steps"):  # they are no gaps
            with pytest.raises(DuplicateRowsError):
                open_run(frame, incomplete=incomplete)

    def test_repeated_steps_of_a_wide_table(self):
        frame = pd.DataFrame({"step": [0, 3, 1, 3], "a": 1.0, "b": 2.0})
        with pytest.raises(DuplicateRowsError, match=r"rows 1 and 3 .* step 3; .*sample='\.\.\.'"):
            open_run(frame)

    def test_what_is_not_whole_is_left_out_when_asked(self):
        frame = logged().drop(index=[2, 6])  # the eel, at steps 0 and 10
        with pytest.raises(MissingRowsError, match=r"2 of 12 missing.*'drop_samples'.*'drop_steps'"):
            open_run(frame)
        run = open_run(frame, incomplete="drop_samples")
        assert run.probe["label"].to_numpy().tolist() == ["cat", "dog", "fox"]
        np.testing.assert_array_equal(run.loss, LOSS[:, [0, 1, 3]])
        assert run.attrs == {"dropped_samples": 1}
        run = open_run(frame, incomplete="drop_steps")
        assert run.steps.tolist() == [30]
        assert run.attrs == {"dropped_steps": 2}

    def test_nothing_is_whole(self):
        frame = logged().drop(index=[0, 5, 10, 3])
        with pytest.raises(MissingRowsError, match=r"none of the 3 steps is whole.*'drop_samples'"):
            open_run(frame, incomplete="drop_steps")
        with pytest.raises(MissingRowsError, match="none of the 4 samples is whole"):
            open_run(frame, incomplete="drop_samples")


class TestFoldersOfTables:
    def log(self, folder: Path, name: str, frame: pd.DataFrame) -> None:
        (folder / "media" / "table").mkdir(parents=True, exist_ok=True)
        (folder / "media" / "table" / name).write_text(json.dumps(wandb_table(frame)))

    def test_one_at_every_step(self, tmp_path):
        for step, digest in zip(STEPS, ("0a1b2c", "ffff00", "123456"), strict=True):
            rows = logged().query(f"step == {step}").drop(columns="step")
            self.log(tmp_path, f"eval_losses_{step}_{digest}.table.json", rows)
        for place in (tmp_path, tmp_path / "media" / "table"):
            run = open_run(place)
            assert_logged(run)
            assert run.name == "eval_losses"

    def test_increments(self, tmp_path):
        for number, step in enumerate(STEPS):
            name = f"{number}-176400000000{number}.losses.table.json"
            self.log(tmp_path, name, logged("_step").query(f"_step == {step}"))
        assert_logged(open_run(tmp_path))
        for path in (tmp_path / "media" / "table").iterdir():
            fsspec.filesystem("memory").pipe_file(f"/increments/{path.name}", path.read_bytes())
        assert_logged(open_run("memory://increments"))

    def test_a_table_that_was_logged_again_while_it_grew(self, tmp_path):
        for step in STEPS:
            self.log(tmp_path, f"losses_{step}_ab.table.json", logged().query(f"step <= {step}"))
        with pytest.raises(DuplicateRowsError, match=r"open the last by its name: losses_30_ab\.table\.json"):
            open_run(tmp_path)
        assert_logged(open_run(tmp_path / "media" / "table" / "losses_30_ab.table.json"))

    def test_tables_that_do_not_belong_together(self, tmp_path):
        self.log(tmp_path, "losses_0_ab.table.json", logged())
        self.log(tmp_path, "losses_1_cd.table.json", logged().drop(columns="lr"))
        with pytest.raises(LossShapeError, match=r"losses_1_cd\.table\.json has columns \['step', 'sample'"):
            open_run(tmp_path)
        self.log(tmp_path, "other_0_ab.table.json", logged())
        with pytest.raises(OptionError, match=r"tables of \['losses', 'other'\]"):
            open_run(tmp_path)
        with pytest.raises(OptionError, match="only a store"):
            open_run(tmp_path, chunks="auto")
