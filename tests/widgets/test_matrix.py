"""The matrix at rest, through the null frontend: every pair, its number, what is undefined."""

from __future__ import annotations

import numpy as np
import pytest

import rdmviz
from rdmviz.errors import OptionError
from rdmviz.widgets import ExplorerState, MatrixView


def make_run(n=30, rows=200, seed=0, **options):
    rng = np.random.default_rng(seed)
    loss = 5 + np.cumsum(rng.standard_normal((rows, 2)), axis=0) @ rng.standard_normal((2, n))
    return rdmviz.TrainingRun.from_arrays(loss + 0.1 * rng.standard_normal((rows, n)), **options)


def ask(view, sent, row, **question):
    sent.clear()
    scene = view.link.scene
    content = {"kind": "matrix", "epoch": scene.epoch, "row": row, "key": "mine", **question}
    scene._handle_custom_msg(content, [])
    return sent


@pytest.fixture
def opened(monkeypatch):
    def opened(run, **options):
        view = MatrixView(ExplorerState(run, window=20, **options))
        sent = []
        monkeypatch.setattr(
            view.link.scene, "send", lambda content, buffers=(): sent.append((content, buffers))
        )
        return view, sent

    return opened


@pytest.mark.parametrize(("kind", "expected"), [("covariance", np.cov), ("correlation", np.corrcoef)])
def test_every_pair_has_numpys_number(opened, kind, expected):
    run = make_run()
    view, sent = opened(run)
    ((content, (order, values)),) = ask(view, sent, 90, of=kind)
    assert (content["row"], content["key"]) == (90, "mine")
    order, values = np.frombuffer(order, "<u2"), np.frombuffer(values, "<f4")
    whole = expected(run.rows(71, 91)[:, order].T)
    np.testing.assert_allclose(values, whole[np.tril_indices(30)], rtol=1e-5, atol=1e-6 * np.abs(whole).max())
    assert content["scale"] == pytest.approx(np.abs(whole).max(), rel=1e-9)


def test_correlation_with_a_datapoint_that_does_not_move_is_undefined(opened):
    run = make_run()
    loss = np.array(run.loss.values)
    loss[:, 4] = 1 / 3
    loss[:, 9] = 0.0
    loss[:, 11] = 3.0 + 0.1 * np.arange(200)
    view, sent = opened(rdmviz.TrainingRun.from_arrays(loss), mode_detrend="linear")
    ((_, (order, values)),) = ask(view, sent, 90, of="correlation")
    square = np.zeros((30, 30), "f4")
    square[np.tril_indices(30)] = np.frombuffer(values, "<f4")
    still = np.isin(np.frombuffer(order, "<u2"), [4, 9, 11])  # linear detrending leaves nothing of a line
    expected = np.tril(still[:, None] | still)
    np.testing.assert_array_equal(np.isnan(square), expected)
    frame = np.frombuffer(view.link.frames.pack([90])[0], view.link.frames.layout.dtype)[0]
    np.testing.assert_array_equal(frame["correlation"] == 0, expected[np.tril_indices(30)])


def test_selected_datapoints_are_among_400_of_many(opened):
    view, sent = opened(make_run(n=900))
    ((_, (order, _values)),) = ask(view, sent, 90, of="covariance")
    before = np.frombuffer(order, "<u2")
    lacking = int(np.setdiff1d(np.arange(900), before)[7])
    view.state.selection = [lacking]
    ((_, (order, values)),) = ask(view, sent, 90, of="covariance")
    assert lacking in np.frombuffer(order, "<u2")
    assert (np.frombuffer(order, "<u2") != before).sum() == 1
    assert len(values) == 4 * 400 * 401 // 2


def test_what_is_out_of_date_or_has_no_window_is_not_answered(opened):
    view, sent = opened(make_run())
    assert ask(view, sent, 5, of="covariance") == []
    assert ask(view, sent, 10**6, of="covariance") == []
    assert ask(view, sent, 90, of="covariance", epoch=-1) == []


def test_kinds_are_chosen_by_the_state():
    state = ExplorerState(make_run())
    view = MatrixView(state)
    state.matrix = "correlation"
    assert view.link.scene.matrix == "correlation"
    view.link.scene.matrix = "covariance"
    assert state.matrix == "covariance"
    with pytest.raises(OptionError, match="choose one of covariance, correlation"):
        state.matrix = "distance"


def test_datapoints_are_named_by_their_metadata(opened):
    probe = {"text": ["<b>one</b>\n two"] * 30, "number": np.linspace(0, 1, 30), "kind": ["a"] * 30}
    view, sent = opened(make_run(probe=probe))
    view.link.scene._handle_custom_msg({"kind": "names", "samples": [3, 29, 30, -1]}, [])
    ((content, _),) = sent
    assert content["samples"] == [3, 29]
    assert content["names"] == [
        "text <b>one</b> two · kind a · number 0.103",
        "text <b>one</b> two · kind a · number 1",
    ]
