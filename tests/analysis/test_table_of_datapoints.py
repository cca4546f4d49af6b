"""The table of datapoints at a step, the ends of a mode, tokens among their neighbours, kinds of columns."""

import numpy as np
import pytest
from toy import LOSSES, STEPS, N, T, make_run

from rdmviz.analysis import ModePath, datapoints, eigenmodes, groups, strongest
from rdmviz.analysis.columns import kind_of_columns
from rdmviz.analysis.datapoints import loss_outlines
from rdmviz.analysis.sequences import sequences_of
from rdmviz.errors import ProbeError, WindowError
from rdmviz.run import TrainingRun


def test_the_table_is_what_the_verbs_say():
    run = make_run()
    step, samples = int(STEPS[200]), [7, 3, 39]
    table = datapoints(run, samples, step, window=32, modes=3)
    found = eigenmodes(run, step, window=32, modes=3)
    np.testing.assert_array_equal(table["sample"], samples)
    np.testing.assert_allclose(table["loss"], LOSSES[200, samples])
    np.testing.assert_allclose(
        np.abs(table["loading"].T), np.abs(found["eigenvector"][:, samples]), atol=1e-10
    )
    np.testing.assert_allclose(table["share"], table["loading"] ** 2)
    np.testing.assert_array_equal(table["group"], groups(run, step, window=32)["group"][samples])
    line = np.polyfit(np.arange(32), LOSSES[169:201, samples], 1)[0]
    np.testing.assert_allclose(table["drift"], 31 * line)


def test_metadata_that_are_called_like_a_computed_column_are_told_apart():
    run = TrainingRun.from_arrays(LOSSES, probe={"loss": np.arange(N), "kind": list("ab") * (N // 2)})
    table = datapoints(run, [5], T - 1)
    assert int(table["loss (metadata)"][0]) == 5
    assert str(table["kind"].values[0]) == "b"
    with pytest.raises(ProbeError, match="datapoint 40"):
        datapoints(run, [40], T - 1)


def test_the_ends_of_a_mode_are_its_largest_entries_by_sign():
    frame = ModePath(make_run(), window=32).at(150)
    positive, negative = strongest(frame, 2, 5)
    vector = frame.vectors[1]
    np.testing.assert_array_equal(vector[positive], np.sort(vector)[::-1][:5])
    np.testing.assert_array_equal(vector[negative], np.sort(vector)[:5])
    everybody = np.concatenate(strongest(frame, 1, N))
    assert sorted(everybody) == list(range(N))
    with pytest.raises(WindowError, match="mode 9"):
        strongest(frame, 9, 5)


def test_outlines_hold_evenly_spread_rows_in_bounded_memory():
    rows, losses = loss_outlines(make_run(), points=50)
    assert (rows[0], rows[-1], losses.shape) == (0, T - 1, (50, N))
    np.testing.assert_allclose(losses, LOSSES[rows], rtol=1e-6)
    large = TrainingRun.from_arrays(np.broadcast_to(np.float32(1), (200, 400_000)))
    assert loss_outlines(large)[1].nbytes <= 32_000_000


def test_tokens_have_the_neighbours_of_their_sequence_in_reading_order():
    sequence = [1, 0, 1, 0, 1, 0, 1]
    position = [3, 0, 1, 2, 0, 1, 2]
    run = TrainingRun.from_arrays(
        np.ones((2, 7)), probe={"sequence": sequence, "position": position, "token": list("abcdefg")}
    )
    around = sequences_of(run).around
    assert around(6, 9).tolist() == [4, 2, 6, 0]
    assert around(6, 1).tolist() == [2, 6, 0]
    assert around(1, 1).tolist() == [1, 5]
    assert sequences_of(run).of(3).tolist() == [1, 5, 3]
    assert kind_of_columns(run) == {"sequence": "number", "position": "number", "token": "token"}
    with pytest.raises(ProbeError, match=r"columns \(none\); expected text 'token'"):
        sequences_of(make_run())


def test_kinds_of_columns():
    run = TrainingRun.from_arrays(
        np.ones((2, 40)),
        probe={
            "split": ["a", "b"] * 20,
            "story": [f"once upon a time there were {k}" for k in range(40)],
            "verdict": ["yes, and here is a long explanation of why that should be so", "no"] * 20,
            "seen": [True, False] * 20,
            "digit": np.arange(40),
            "token": ["x"] * 40,
            "picture": np.zeros((40, 3, 3), np.uint8),
        },
    )
    assert kind_of_columns(run) == {
        "split": "category",
        "story": "text",
        "verdict": "text",
        "seen": "category",
        "digit": "number",
        "token": "category",
        "picture": "image",
    }
