"""Training dynamics as Dataset Cartography logs them: losses from logits, and every gap told by file and "
"line."""

from __future__ import annotations

import json
from pathlib import Path

import fsspec
import numpy as np
import pandas as pd
import pytest
from scipy.special import log_softmax

from rdmviz import open_run
from rdmviz.errors import (
    DuplicateRowsError,
    LossShapeError,
    MissingRowsError,
    OptionError,
    ProbeError,
    RunNotFoundError,
    StepsError,
    TruncatedStoreError,
)
from rdmviz.sources.cartography import _losses

EPOCHS, N, CLASSES = 4, 6, 3
RNG = np.random.default_rng(0)
LOGITS = RNG.normal(size=(EPOCHS, N, CLASSES)) * 4
GOLD = RNG.integers(0, CLASSES, N)
GUIDS = [2115631346111, 263237638210, 7, 8, 9, 10]


def records(epoch: int) -> list[dict]:
    order = np.random.default_rng(epoch).permutation(N)  # as a loader that shuffles draws them
    return [
        {"guid": GUIDS[i], f"logits_epoch_{epoch}": LOGITS[epoch, i].tolist(), "gold": int(GOLD[i])}
        for i in order
    ]


def write(folder: Path, epoch: int, lines: list) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"dynamics_epoch_{epoch}.jsonl"
    path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
    return path


@pytest.fixture
def folder(tmp_path) -> Path:
    for epoch in range(EPOCHS):
        write(tmp_path / "roberta" / "training_dynamics", epoch, records(epoch))
    return tmp_path / "roberta" / "training_dynamics"


def test_losses_are_cross_entropies_of_the_right_datapoints(folder):
    run = open_run(folder)
    guids = run.probe["guid"].to_numpy().tolist()
    assert sorted(guids) == sorted(GUIDS)
    order = [GUIDS.index(guid) for guid in guids]
    expected = -np.take_along_axis(log_softmax(LOGITS, axis=2), GOLD[None, :, None], axis=2)[..., 0]
    np.testing.assert_allclose(run.loss, expected[:, order], rtol=1e-12)
    np.testing.assert_array_equal(run.steps, range(EPOCHS))
    np.testing.assert_array_equal(run.probe["gold"], GOLD[order])
    np.testing.assert_allclose(run.metrics["accuracy"], (LOGITS.argmax(2) == GOLD).mean(1))
    assert run.name == "roberta"


def test_the_folder_above_and_a_url_are_the_same(folder):
    run = open_run(folder.parent)
    np.testing.assert_array_equal(run.loss, open_run(folder).loss)
    memory = fsspec.filesystem("memory")
    for path in folder.iterdir():
        memory.pipe_file(f"/cartography/training_dynamics/{path.name}", path.read_bytes())
    for url in ("memory://cartography", "memory://cartography/training_dynamics/"):
        np.testing.assert_array_equal(open_run(url).loss, run.loss)
    assert eval(open_run(folder).origin, {"rdmviz": __import__("rdmviz")}).n_steps == EPOCHS


def test_files_that_pandas_wrote(tmp_path):
    logits = LOGITS[0].tolist()
    logits[2] = [np.nan] * CLASSES  # a model that diverged on one datapoint: pandas writes null
    frame = pd.DataFrame({"guid": [f"<b>{g}</b>" for g in GUIDS], "logits_epoch_0": logits, "gold": GOLD})
    frame.to_json(tmp_path / "dynamics_epoch_0.jsonl", orient="records", lines=True)
    run = open_run(tmp_path)
    assert np.flatnonzero(np.isnan(run.loss[0])).tolist() == [2]
    assert run.probe["guid"].to_numpy()[0] == "<b>2115631346111</b>"
    assert run.name == tmp_path.name


def test_losses_lose_no_digits_at_either_end():
    loss, right = _losses(np.array([[40.0, 0.0], [0.0, 1e4], [-1e300, 1e300]]), np.array([0, 0, 0]))
    np.testing.assert_allclose(loss, [np.exp(-40.0), 1e4, 2e300], rtol=1e-12)
    assert right.tolist() == [True, False, False]
    loss, right = _losses(np.array([[np.inf, np.inf], [np.nan, 0.0]]), np.array([0, 0]))
    assert np.isnan(loss).all()
    assert not right.any()


def test_epochs_may_count_from_one_and_guids_may_be_larger_than_64_bits(tmp_path):
    for epoch in (1, 2):
        write(
            tmp_path,
            epoch,
            [{"guid": 2**70 + i, f"logits_epoch_{epoch}": [0.0, 1.0], "gold": 0} for i in (0, 1)],
        )
    run = open_run(tmp_path)
    assert run.steps.tolist() == [1, 2]
    assert run.probe["guid"].to_numpy().tolist() == [str(2**70), str(2**70 + 1)]


class TestWhatIsMissing:
    @pytest.mark.parametrize(
        ("lost", "says"), [([2], "epoch 2 is missing"), ([0, 1], "epoch 0 to 1 is miss")]
    )
    def test_epochs(self, folder, lost, says):
        for epoch in lost:
            (folder / f"dynamics_epoch_{epoch}.jsonl").unlink()
        with pytest.raises(MissingRowsError, match=says):
            open_run(folder)
        run = open_run(folder, incomplete="drop_steps")
        assert run.steps.tolist() == [epoch for epoch in range(EPOCHS) if epoch not in lost]

    def test_an_epoch_number_that_is_huge_is_no_work(self, folder):
        write(folder, 10**17, [])
        with pytest.raises(MissingRowsError, match=f"epoch 4 to {10**17 - 1} is missing"):
            open_run(folder)

    @pytest.mark.parametrize("epoch", [0, 2])
    def test_datapoints_of_an_epoch(self, folder, epoch):
        lines = [line for line in records(epoch) if line["guid"] not in (7, 9)]
        write(folder, epoch, lines)
        with pytest.raises(
            MissingRowsError,
            match=rf"dynamics_epoch_{epoch}\.jsonl has no line for guid [79] \(nor for 1 more",
        ):
            open_run(folder)
        run = open_run(folder, incomplete="drop_samples")
        assert sorted(run.probe["guid"].to_numpy()) == sorted(set(GUIDS) - {7, 9})
        assert run.attrs["dropped_samples"] == 2
        run = open_run(folder, incomplete="drop_steps")
        assert run.steps.tolist() == [other for other in range(EPOCHS) if other != epoch]
        assert run.attrs["dropped_steps"] == 1
        assert len(run.probe["guid"]) == N

    def test_everything(self, tmp_path):
        for epoch in (0, 1):
            write(tmp_path, epoch, [{"guid": epoch, f"logits_epoch_{epoch}": [0.0, 1.0], "gold": 0}])
        for incomplete in ("refuse", "drop_samples", "drop_steps"):
            with pytest.raises(MissingRowsError, match="0 are in every epoch"):
                open_run(tmp_path, incomplete=incomplete)
        with pytest.raises(OptionError, match="'drop_samples'"):
            open_run(tmp_path, incomplete="ignore")

    def test_a_file(self, tmp_path):
        write(tmp_path, 0, [])
        with pytest.raises(TruncatedStoreError, match=r"dynamics_epoch_0\.jsonl is empty"):
            open_run(tmp_path)

    def test_a_folder_of_something_else(self, tmp_path):
        (tmp_path / "dynamics_epoch_x.jsonl").touch()
        with pytest.raises(RunNotFoundError, match=r"there is dynamics_epoch_x\.jsonl"):
            open_run(tmp_path)


LINE = {"guid": 1, "logits_epoch_1": [0.0, 1.0, 2.0], "gold": 1}


@pytest.mark.parametrize(
    ("line", "error", "says"),
    [
        ('{"guid": 1, "logits_ep', TruncatedStoreError, r"line 7 of dynamics_epoch_1\.jsonl is no JSON"),
        ("[" * 100_000, TruncatedStoreError, "line 7 .* is no JSON"),
        ("9" * 10_000, TruncatedStoreError, "line 7 .* is no JSON"),
        ([1, 2], LossShapeError, "line 7 .* has a list; expected 'guid'"),
        ({"guid": 1, "gold": 0}, StepsError, "line 7 .* has no logits"),
        ({"guid": 1, "gold": 0, "logits_epoch_3": []}, StepsError, "has 'logits_epoch_3'; .*Rename"),
        ({**LINE, "guid": None}, ProbeError, "line 7 .* has guid None"),
        ({**LINE, "guid": 10}, DuplicateRowsError, r"lines \d and 7 of dynamics_epoch_1\.jsonl .* guid 10"),
        ({**LINE, "gold": 3}, ProbeError, "line 7 .* gold label 3; .* from 0 to 2"),
        ({**LINE, "gold": True}, ProbeError, "gold label True"),
        ({**LINE, "gold": "cat"}, ProbeError, "gold label 'cat'"),
        ({**LINE, "logits_epoch_1": [0.0, 1.0]}, LossShapeError, "line 7 .* has 2 logits, and line 1 has 3"),
        ({**LINE, "logits_epoch_1": [0.0]}, LossShapeError, "two or more"),
        ({**LINE, "logits_epoch_1": [0, 1, "2"]}, LossShapeError, "expected real numbers"),
        ({**LINE, "logits_epoch_1": [0, 1, 10**400]}, LossShapeError, "expected real numbers"),
    ],
)
def test_bad_lines_are_named(folder, line, error, says):
    write(folder, 1, [*records(1), line])
    with pytest.raises(error, match=says):
        open_run(folder)


def test_a_gold_label_that_changed(folder):
    lines = records(2)
    lines[3]["gold"] = (lines[3]["gold"] + 1) % CLASSES
    write(folder, 2, lines)
    with pytest.raises(
        ProbeError, match=r"in line 4 of dynamics_epoch_2\.jsonl, and \d in line \d of .*_0\.jsonl"
    ):
        open_run(folder)


def test_logits_of_another_model(folder):
    lines = records(3)
    for line in lines:
        line["logits_epoch_3"] += [0.0]
    write(folder, 3, lines)
    with pytest.raises(LossShapeError, match=r"dynamics_epoch_3\.jsonl has 4 logits per line"):
        open_run(folder)


def test_two_files_of_one_epoch(folder):
    write(folder, 1, records(1)).rename(folder / "dynamics_epoch_01.json")
    write(folder, 1, records(1))
    with pytest.raises(DuplicateRowsError, match="both of epoch 1"):
        open_run(folder)


def test_options_that_are_for_tables(folder):
    with pytest.raises(OptionError, match="step='a' is for tables"):
        open_run(folder, step="a")
    with pytest.raises(OptionError, match="only a store is read chunk by chunk"):
        open_run(folder, chunks="auto")
