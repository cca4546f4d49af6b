"""The map's axes, its plane, and what it tells of a datapoint, without a browser."""

from __future__ import annotations

import numpy as np
import pytest

import rdmviz
from rdmviz.errors import OptionError
from rdmviz.widgets import ExplorerState
from rdmviz.widgets.datapoint_map import DatapointMap
from rdmviz.widgets.frames import FrameState


def make_run(rows=160, n=40, seed=0, **chosen):
    rng = np.random.default_rng(seed)
    wave = np.cumsum(rng.standard_normal((rows, 4)), axis=0) @ rng.standard_normal((4, n))
    return rdmviz.TrainingRun.from_arrays(50 + wave + 0.1 * rng.standard_normal((rows, n)), **chosen)


def opened(run=None, **chosen):
    return DatapointMap(ExplorerState(run or make_run(), window=20, **chosen))


def drawn(view, row):
    """Coordinates ``(2, n)`` and the packed frame."""
    frames = view.link.frames
    frame = np.frombuffer(frames.pack([row])[0], frames.layout.dtype)[0]
    low, high = frame["header"][3:7].reshape(2, 2).T
    return (low + frame["positions"].reshape(-1, 2) / 65535 * (high - low)).T, frame


@pytest.mark.parametrize("modes", [(1, 2), (3, 1), (8, 2)])
def test_any_two_modes_are_on_the_map(modes):
    view = opened(modes=modes)
    where, frame = drawn(view, 100)
    found = rdmviz.eigenmodes(view.state.run, 100, window=20, modes=8)
    for axis, mode in enumerate(modes):
        own = found.isel(mode=mode - 1)
        wanted = np.sqrt(float(own["eigenvalue"])) * own["eigenvector"].values
        sign = np.sign(where[axis] @ wanted)
        np.testing.assert_allclose(where[axis] * sign, wanted, atol=2e-4 * np.abs(wanted).max())
        assert frame["axes"][axis] == pytest.approx(float(own["eigenvalue"]), rel=1e-5)


def test_choosing_modes_lays_the_map_out_anew():
    view = opened()
    epoch = view.scene.epoch
    view.state.modes = (2, 4)
    assert view.scene.modes == [2, 4]
    assert view.scene.epoch == epoch + 1
    view.scene.modes = [1, 3]  # as the browser does
    assert view.state.modes == (1, 3)
    assert view.link.frames.axes.modes == (1, 3)
    assert view.scene.most_modes == 8


def test_a_fixed_plane_keeps_the_modes_of_its_step_and_one_scale():
    view = opened(step=100)
    view.state.plane = "fixed"
    assert view.state.plane_step == 100, "the step on screen when it was fixed"
    ends = drawn(view, 60)[1]["header"][3:7]
    for row in (60, 100, 150):
        where, frame = drawn(view, row)
        np.testing.assert_array_equal(frame["header"][3:7], ends)
        wanted = rdmviz.plane_loadings(view.state.run, row, 100, window=20)
        kept = rdmviz.eigenmodes(view.state.run, 100, window=20, modes=2)["eigenvector"].values
        path = view.link.frames.path.at(100).vectors[:2]
        signs = np.sign((kept * path).sum(axis=1))[:, None]
        np.testing.assert_allclose(where, signs * wanted["loading"], atol=1e-4 * (ends[1] - ends[0]))
        np.testing.assert_allclose(frame["axes"][:2], wanted["variance"], rtol=1e-5)
    view.state.step = 150
    assert view.state.plane_step == 100, "time moves, the plane does not"


def test_one_change_of_the_plane_lays_the_map_out_once():
    view = opened(step=100)
    epoch = view.scene.epoch
    view.scene.set_state({"plane_step": 90, "plane": "fixed"})  # one message of the browser
    assert (view.state.plane, view.state.plane_step) == ("fixed", 90)
    assert view.scene.epoch == epoch + 1
    view.state.plane = "moving"
    view.state.plane_step = 120
    assert view.scene.epoch == epoch + 2, "the step of a plane that is not in use changes nothing"


def test_a_plane_without_modes_is_told_and_mended():
    view = opened(step=100, plane="fixed", plane_step=5)
    assert drawn(view, 100)[1]["header"][0] == FrameState.NO_PLANE
    assert "step 5, which has no modes" in view.scene.notes[str(FrameState.NO_PLANE.value)]
    view.state.plane_step = 60
    assert drawn(view, 100)[1]["header"][0] == FrameState.SHOWN
    assert str(FrameState.NO_PLANE.value) not in view.scene.notes


def test_a_fixed_plane_on_a_logarithmic_map_has_one_scale_too():
    view = opened(step=100, plane="fixed", map_scale="log")
    where, frame = drawn(view, 140)
    assert frame["axes"][4] == 1
    view.state.map_scale = "linear"
    linear, _ = drawn(view, 140)
    largest = frame["axes"][2:4, None]
    big = np.abs(linear) > 0.05 * largest
    decades = np.sign(linear) * (6 + np.log10(np.maximum(np.abs(linear), 1e-30) / largest))
    np.testing.assert_allclose(where[big], decades[big], atol=2e-3)


def test_a_probe_of_two_datapoints_and_modes_that_are_not_there():
    view = opened(make_run(n=2), modes=(1, 3))
    assert view.scene.most_modes == 2
    where, frame = drawn(view, 100)
    assert frame["header"][0] == FrameState.SHOWN
    np.testing.assert_allclose(where[1], 0, atol=1e-4)


@pytest.mark.parametrize(
    "bad", [{"modes": (1, 1)}, {"modes": (0, 2)}, {"modes": (1, 9)}, {"plane": "tilted"}]
)
def test_what_cannot_be_drawn_is_refused(bad):
    with pytest.raises(OptionError, match=next(iter(bad))):
        opened(**bad)


def test_a_map_says_what_a_datapoint_is(monkeypatch):
    run = make_run(probe={"kind": ["a", "b"] * 20})
    view = opened(run, modes=(1, 3))
    said = []
    monkeypatch.setattr(view, "send", said.append)
    view._handle_msg({"content": {"data": {"method": "custom", "content": ASKED}}, "buffers": []})
    assert [said[0][name] for name in ("kind", "sample", "row")] == ["card", 7, 100]
    facts = dict(said[0]["facts"])
    assert facts["datapoint"] == "7"
    assert facts["kind"] == "b"
    assert float(facts["loss here"]) == pytest.approx(run.rows(100, 101)[0, 7], rel=5e-3)
    weight = view.link.frames.path.at(100).vectors[2, 7]
    assert facts["mode 3: v, share"].startswith(f"{weight:+.2g}")
    for bad in ({"sample": 40}, {"row": -1}, {"kind": "other"}):
        view._handle_msg(
            {"content": {"data": {"method": "custom", "content": {**ASKED, **bad}}}, "buffers": []}
        )
    assert len(said) == 1


ASKED = {"kind": "card", "sample": 7, "row": 100}
