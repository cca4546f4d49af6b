"""Foreign data: what open_run reads, and what it says of what it cannot read."""

from __future__ import annotations

import builtins
import importlib.util
import io
import pickle
import zipfile

import fsspec
import numpy as np
import pandas as pd
import pytest

from rdmviz import TrainingRun, open_run
from rdmviz.errors import (
    LossShapeError,
    MetricError,
    MissingExtraError,
    OptionError,
    ProbeError,
    RunNotFoundError,
    StepsError,
    TruncatedStoreError,
    UnsafeDataError,
)

LOSS = np.random.default_rng(0).normal(size=(5, 3))
STEPS = np.array([0, 2, 4, 6, 9])
LABELS = np.array(["cat", "<b>dog</b>", "NA"])


class Bomb:
    """Pickled, it would write into a list when loaded."""

    fired: list[int] = []  # noqa: RUF012

    def __reduce__(self):
        return (Bomb.fired.append, (1,))


class TestNotThere:
    def test_lists_what_is_near(self, tmp_path):
        TrainingRun.from_arrays(LOSS).save(tmp_path / "grokking_seed0")
        (tmp_path / "zzz").mkdir()
        with pytest.raises(RunNotFoundError, match="grokking_seed0"):
            open_run(tmp_path / "groking_seed0")

    def test_names_the_folder_that_does_exist(self, tmp_path):
        (tmp_path / "other.csv").touch()
        with pytest.raises(RunNotFoundError, match=r"other\.csv"):
            open_run(tmp_path / "no" / "such" / "folder")

    @pytest.mark.parametrize("name", ["run.npz", "run.csv", "run.parquet", "run.zip"])
    def test_files(self, tmp_path, name):
        with pytest.raises(RunNotFoundError, match="there is no run at"):
            open_run(tmp_path / name)

    def test_an_empty_folder_is_no_run(self, tmp_path):
        with pytest.raises(RunNotFoundError, match="holds no run"):
            open_run(tmp_path)

    def test_a_file_of_unknown_kind(self, tmp_path):
        (tmp_path / "run.xlsx").touch()
        with pytest.raises(RunNotFoundError, match="unknown kind"):
            open_run(tmp_path / "run.xlsx")

    def test_urls(self):
        for url in ("memory://nothing/here", "memory://nothing/here.npz"):
            with pytest.raises(RunNotFoundError, match="nothing/here"):
                open_run(url)

    def test_unknown_protocols(self):
        for url in ("carrier-pigeon://run", "carrier-pigeon://run.csv"):
            with pytest.raises(RunNotFoundError, match="carrier-pigeon"):
                open_run(url)

    def test_places_that_cannot_be(self):
        for place in ("~nosuchuser/run", "http://[bad", "http://[bad.csv"):
            with pytest.raises(RunNotFoundError, match="no path or URL that exists"):
                open_run(place)

    @pytest.mark.parametrize("what", [None, LOSS, 3, b"run"])
    def test_what_is_no_path(self, what):
        with pytest.raises(OptionError, match=rf"a {type(what).__name__}; .*from_arrays"):
            open_run(what)

    def test_a_single_array(self, tmp_path):
        np.save(tmp_path / "loss.npy", LOSS)
        with pytest.raises(RunNotFoundError, match=r"from_arrays\(numpy\.load\(path\)\)"):
            open_run(tmp_path / "loss.npy")

    def test_a_broken_zip(self, tmp_path):
        (tmp_path / "run.zip").write_bytes(b"PK\x03\x04 and no more")
        with pytest.raises(TruncatedStoreError, match="zip"):
            open_run(tmp_path / "run.zip")


class TestNpz:
    def test_reads_all_of_it(self, tmp_path):
        arrays = {"metrics/acc": np.arange(5.0), "label": LABELS, "id": np.arange(3)}
        np.savez(tmp_path / "toy.npz", loss=LOSS, steps=STEPS, **arrays)
        run = open_run(tmp_path / "toy.npz")
        np.testing.assert_array_equal(run.loss, LOSS)
        np.testing.assert_array_equal(run.steps, STEPS)
        assert run.probe["label"].to_numpy().tolist() == LABELS.tolist()
        assert list(run.probe) == ["label", "id"]
        np.testing.assert_array_equal(run.metrics["acc"], np.arange(5.0))
        assert run.name == "toy"

    def test_by_url(self):
        buffer = io.BytesIO()
        np.savez(buffer, loss=LOSS)
        with fsspec.open("memory://folder/toy.npz", "wb") as file:
            file.write(buffer.getvalue())
        np.testing.assert_array_equal(open_run("memory://folder/toy.npz").loss, LOSS)

    @pytest.mark.parametrize(
        "arrays",
        [
            {"loss": LOSS, "label": np.array([Bomb(), Bomb(), Bomb()], dtype=object)},
            {"loss": np.array([[Bomb(), Bomb()]], dtype=object)},
        ],
    )
    def test_never_unpickles(self, tmp_path, arrays):
        np.savez(tmp_path / "evil.npz", **arrays)
        with pytest.raises(UnsafeDataError, match="pickled objects"):
            open_run(tmp_path / "evil.npz")
        (tmp_path / "raw.npz").write_bytes(pickle.dumps(Bomb()))
        with pytest.raises(UnsafeDataError, match="pickle"):
            open_run(tmp_path / "raw.npz")
        assert Bomb.fired == []

    def test_damage(self, tmp_path):
        np.savez(tmp_path / "toy.npz", loss=LOSS)
        whole = (tmp_path / "toy.npz").read_bytes()
        for content in (b"", b"PK\x03\x04", whole[: len(whole) // 2]):
            (tmp_path / "toy.npz").write_bytes(content)
            with pytest.raises(TruncatedStoreError, match=r"toy\.npz"):
                open_run(tmp_path / "toy.npz")
        np.save(tmp_path / "one.npy", LOSS)
        (tmp_path / "one.npy").rename(tmp_path / "one.npz")
        with pytest.raises(TruncatedStoreError, match="single array"):
            open_run(tmp_path / "one.npz")

    @pytest.mark.parametrize(
        ("content", "says"),
        [
            (b"hello", "'loss.txt' of .* is no array"),
            (b"hello", "'loss' of .* cannot be read"),
            (b"\x93NUMPY\x01\x00\x10\x00{'shape': nonsense", "'loss' of .* cannot be read"),
            (
                b"\x93NUMPY\x01\x00\x56\x00"
                + b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000, 3), }".ljust(85)
                + b"\n",
                r"claims shape \(1000000000000, 3\) but holds 0 bytes",
            ),
        ],
    )
    def test_members_that_are_no_arrays(self, tmp_path, content, says):
        with zipfile.ZipFile(tmp_path / "odd.npz", "w") as archive:
            archive.writestr("loss.txt" if "txt" in says else "loss.npy", content)
        with pytest.raises(TruncatedStoreError, match=says):
            open_run(tmp_path / "odd.npz")

    @pytest.mark.parametrize(
        ("offset", "value", "says"), [(8, 1, "is encrypted"), (10, 97, "cannot be read.*compression")]
    )
    def test_what_zip_cannot_unpack(self, tmp_path, offset, value, says):
        np.savez(tmp_path / "odd.npz", loss=LOSS)
        content = bytearray((tmp_path / "odd.npz").read_bytes())
        content[content.index(b"PK\x01\x02") + offset] = value
        content[offset - 2] = value
        (tmp_path / "odd.npz").write_bytes(content)
        with pytest.raises(TruncatedStoreError, match=says):
            open_run(tmp_path / "odd.npz")

    def test_says_which_array_may_be_the_loss(self, tmp_path):
        np.savez(tmp_path / "toy.npz", LOSS)
        with pytest.raises(LossShapeError, match=r"'arr_0', of shape \(5, 3\).*loss="):
            open_run(tmp_path / "toy.npz")

    @pytest.mark.parametrize(
        ("arrays", "error", "says"),
        [
            ({"losses": LOSS}, LossShapeError, r"\['losses'\]; expected an array called 'loss'"),
            ({"loss": LOSS[0]}, LossShapeError, "two dimensions"),
            ({"loss": LOSS, "steps": STEPS[::-1]}, StepsError, "must increase"),
            ({"loss": LOSS, "acc": np.arange(5.0)}, ProbeError, "save it as 'metrics/acc'"),
            ({"loss": LOSS, "metrics/acc": np.arange(3.0)}, MetricError, r"expected \(5,\)"),
            ({"loss": LOSS, "embedding": np.zeros((3, 2))}, ProbeError, r"shape \(3, 2\)"),
        ],
    )
    def test_refuses(self, tmp_path, arrays, error, says):
        np.savez(tmp_path / "toy.npz", **arrays)
        with pytest.raises(error, match=says):
            open_run(tmp_path / "toy.npz")


def write(frame: pd.DataFrame, path) -> None:
    if path.suffix == ".csv":
        frame.to_csv(path, index=False)
    else:
        frame.to_parquet(path, index=False)


@pytest.fixture(params=["csv", "parquet"])
def table(request, tmp_path):
    return tmp_path / f"toy.{request.param}"


def long_table() -> pd.DataFrame:
    step, sample = np.meshgrid(STEPS, LABELS, indexing="ij")
    kinds = dict(zip(LABELS, ["pet", "pet", "none"], strict=True))
    return pd.DataFrame(
        {
            "step": step.ravel(),
            "sample": sample.ravel(),
            "loss": LOSS.ravel(),
            "kind": [kinds[label] for label in sample.ravel()],
            "code": np.tile(["007", "010", "1"], 5),
            "acc": step.ravel() / 10,
        }
    )


class TestTables:
    def test_wide(self, table):
        frame = pd.DataFrame({"step": STEPS, "metrics/acc": np.arange(5.0)})
        for index, label in enumerate(LABELS):
            frame[label] = LOSS[:, index]
        write(frame, table)
        run = open_run(table)
        np.testing.assert_allclose(run.loss, LOSS, rtol=1e-15)
        np.testing.assert_array_equal(run.steps, STEPS)
        assert run.probe["column"].to_numpy().tolist() == LABELS.tolist()
        np.testing.assert_array_equal(run.metrics["acc"], np.arange(5.0))

    def test_wide_with_counted_columns_has_no_labels(self, table):
        write(pd.DataFrame({"step": STEPS, "0": LOSS[:, 0], "1": LOSS[:, 1]}), table)
        assert list(open_run(table).probe) == []

    def test_long_in_any_order(self, table):
        write(long_table().sample(frac=1, random_state=3), table)
        run = open_run(table)
        names = run.probe["label"].to_numpy().tolist()
        assert sorted(names) == sorted(LABELS)
        order = [names.index(label) for label in LABELS]
        np.testing.assert_allclose(run.loss.to_numpy()[:, order], LOSS, rtol=1e-15)
        np.testing.assert_array_equal(run.steps, STEPS)
        assert run.probe["kind"].to_numpy()[order].tolist() == ["pet", "pet", "none"]
        assert run.probe["code"].to_numpy()[order].tolist() == ["007", "010", "1"]
        np.testing.assert_allclose(run.metrics["acc"], STEPS / 10)

    def test_long_with_numbered_samples_keeps_their_order(self, table):
        frame = long_table()
        frame["sample"] = frame["sample"].map({label: index for index, label in enumerate(LABELS)})
        write(frame, table)
        run = open_run(table)
        assert "label" not in run.probe
        np.testing.assert_allclose(run.loss, LOSS, rtol=1e-15)

    def test_nan_and_infinity_are_losses(self, tmp_path):
        (tmp_path / "toy.csv").write_text("step,0,1\n0,nan,1\n1,inf,-2.5e-3\n")
        np.testing.assert_array_equal(open_run(tmp_path / "toy.csv").loss, [[np.nan, 1], [np.inf, -2.5e-3]])

    @pytest.mark.parametrize(
        ("change", "error", "says"),
        [
            (lambda f: f.drop(columns="step"), StepsError, "expected one called 'step'"),
            (lambda f: f.iloc[:0], LossShapeError, "no rows"),
            (lambda f: f.iloc[1:], LossShapeError, "step 0 has 0 losses for sample 'cat'"),
            (lambda f: pd.concat([f, f.iloc[:1]]), LossShapeError, "has 2 losses"),
            (lambda f: f.assign(loss="much"), LossShapeError, "row 0 of column 'loss' is 'much'"),
            (lambda f: f.assign(loss=""), LossShapeError, "write nan"),
            (lambda f: f.assign(step=f["step"] + 0.5), StepsError, "does not hold integers"),
            (lambda f: f.assign(step="early"), StepsError, "does not hold integers"),
            (
                lambda f: f.assign(note=np.arange(len(f))),
                ProbeError,
                "changes within samples and within steps",
            ),
            (lambda f: f[["step"]], LossShapeError, "no datapoint columns"),
            (lambda f: f[["step", "loss"]].drop_duplicates("step"), LossShapeError, "at least two"),
        ],
    )
    def test_refuses(self, table, change, error, says):
        write(change(long_table()), table)
        with pytest.raises(error, match=says):
            open_run(table)

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("step,a,b\n0,1,2,3\n1,4,5,6\n", "more fields than its header has names"),
            ("step,a,a\n0,1,2\n", r"repeats columns \['a'\]"),
            ("step,0,0,0.1\n0,1,2,3\n", r"repeats columns \['0'\]"),
            (",step,a,b\n0,0,1,2\n", "column 1 of the table has no name.*index=False"),
            ("step;a;b\n0;1,5;2,5\n", "separated by ';'; expected commas"),
            ("step\ta\tb\n0\t1\t2\n", r"separated by '\\t'"),
            ("step,a,b\n0,1_5,2\n", "row 0 of column 'a' is '1_5'"),
            ("step,a,b\n0,1,\n", "row 0 of column 'b' is ''"),
            ("step,a,b\n0,1\n", "row 0 of column 'b' is "),
        ],
    )
    def test_refuses_csv(self, tmp_path, text, says):
        (tmp_path / "toy.csv").write_text(text)
        with pytest.raises(LossShapeError, match=says):
            open_run(tmp_path / "toy.csv")

    def test_a_step_is_no_grouped_number(self, tmp_path):
        (tmp_path / "toy.csv").write_text("step,a,b\n1_0,1,2\n")
        with pytest.raises(StepsError, match="'1_0' is no integer"):
            open_run(tmp_path / "toy.csv")

    def test_a_byte_order_mark_is_no_part_of_the_header(self, tmp_path):
        (tmp_path / "toy.csv").write_bytes(b"\xef\xbb\xbf" + b"\r\nstep,a,b\r\n0,1,2\r\n")
        assert open_run(tmp_path / "toy.csv").loss.to_numpy().tolist() == [[1, 2]]

    def test_csv_by_url_without_a_folder(self):
        with fsspec.open("memory://toy.csv", "wb") as file:
            file.write(b"step,a,b\n0,1,2\n")
        assert open_run("memory://toy.csv").n_samples == 2

    @pytest.mark.parametrize(
        "names", [["3_17", "4_17"], ["1.10", "1.1"], ["12e3", "12000"], ["nan", "inf"], [str(2**70), "1"]]
    )
    def test_names_of_samples_stay_as_they_are_written(self, tmp_path, names):
        lines = [f"{step},{name},1,{name}" for step in (0, 1) for name in names]
        (tmp_path / "toy.csv").write_text("\n".join(["step,sample,loss,fact", *lines]))
        run = open_run(tmp_path / "toy.csv")
        assert sorted(run.probe["label"].to_numpy().tolist()) == sorted(names)
        assert sorted(run.probe["fact"].to_numpy().tolist()) == sorted(names)

    @pytest.mark.parametrize(
        ("texts", "values"),
        [(["0.5", "1e-05"], [0.5, 1e-5]), (["1", "2.5"], [1, 2.5]), (["-3", "nan"], [-3, np.nan])],
    )
    def test_facts_that_are_numbers(self, tmp_path, texts, values):
        lines = [f"{step},{index},1,{text}" for step in (0, 1) for index, text in enumerate(texts)]
        (tmp_path / "toy.csv").write_text("\n".join(["step,sample,loss,fact", *lines]))
        np.testing.assert_array_equal(open_run(tmp_path / "toy.csv").probe["fact"], values)

    def test_metrics_of_a_long_table_are_numbers(self, tmp_path):
        lines = ["0,a,1,0.50", "0,b,1,0.50", "1,a,1,0.75", "1,b,1,0.75"]
        (tmp_path / "toy.csv").write_text("\n".join(["step,sample,loss,acc", *lines]))
        assert open_run(tmp_path / "toy.csv").metrics["acc"].to_numpy().tolist() == [0.5, 0.75]
        (tmp_path / "toy.csv").write_text("\n".join(["step,sample,loss,acc", *lines]).replace("0.75", "high"))
        with pytest.raises(MetricError, match="'acc' is 'high'"):
            open_run(tmp_path / "toy.csv")

    def test_a_missing_pair_of_numbered_samples(self, table):
        frame = pd.DataFrame({"step": [0, 0, 1], "sample": [3, 4, 3], "loss": [1.0, 2.0, 3.0]})
        write(frame, table)
        with pytest.raises(LossShapeError, match="step 1 has 0 losses for sample 4; "):
            open_run(table)

    def test_a_sparse_long_table_is_told_in_little_memory(self, tmp_path):
        count = 200_000  # a count for each pair would take 320 GB
        path = tmp_path / "sparse.parquet"
        write(pd.DataFrame({"step": range(count), "sample": range(count), "loss": 1.0}), path)
        with pytest.raises(LossShapeError, match="step 0 has 0 losses for sample 1; "):
            open_run(path)

    def test_damage(self, table):
        for content in (b"", b"\xff\xfe\x00\x80,\n\xff"):
            table.write_bytes(content)
            with pytest.raises(TruncatedStoreError, match="cannot be read"):
                open_run(table)


class TestMissingExtras:
    def test_parquet_without_pyarrow(self, tmp_path, monkeypatch):
        write(long_table(), tmp_path / "toy.parquet")
        real = builtins.__import__

        def without(name, *args, **kwargs):
            if name.partition(".")[0] == "pyarrow":
                raise ImportError(name)
            return real(name, *args, **kwargs)

        monkeypatch.setattr(builtins, "__import__", without)
        with pytest.raises(MissingExtraError, match=r'pip install "rdmviz\[tables\]"'):
            open_run(tmp_path / "toy.parquet")

    @pytest.mark.parametrize("url", ["memory://a/run", "memory://a/run.npz"])
    def test_urls_without_fsspec(self, monkeypatch, url):
        real = importlib.util.find_spec
        monkeypatch.setattr(
            importlib.util, "find_spec", lambda name, *args: None if name == "fsspec" else real(name, *args)
        )
        with pytest.raises(MissingExtraError, match=r'pip install "rdmviz\[remote\]"'):
            open_run(url)

    def test_a_protocol_that_needs_another_package(self):
        if importlib.util.find_spec("gcsfs"):
            pytest.skip("gcsfs is installed")
        for url in ("gs://bucket/run", "gs://bucket/run.npz"):
            with pytest.raises(MissingExtraError, match="gcsfs"):
                open_run(url)
