"""The Gaussian 2RDM beside the map, through the null frontend: what the browser is sent, and when."""

from __future__ import annotations

import numpy as np
import pytest

import rdmviz
from rdmviz.errors import OptionError, SnapshotError
from rdmviz.store import RunWriter
from rdmviz.widgets import ExplorerState, GaussianMap, WarningCurves
from rdmviz.widgets.signals import GAUSSIAN, offered, presets
from rdmviz.widgets.tables import table_csv

ROWS, N, LEFT_OUT = 200, 12, 3
SNAPSHOTS = [50, 600, 1_500]


def make_run(**options) -> rdmviz.TrainingRun:
    rng = np.random.default_rng(0)
    vectors = np.full((3, 2, N), np.nan)
    vectors[:, :, LEFT_OUT:] = np.linalg.qr(rng.normal(size=(3, N - LEFT_OUT, 2)))[0].transpose(0, 2, 1)
    gaussian = {
        "eigenvalues": np.array([[4.0, 2, 1, 1], [9, 1, 0, 0], [np.nan] * 4]),
        "eigenvectors": np.where([[[True]], [[True]], [[False]]], vectors, np.nan),
        "draws": np.full(3, 65.0),
        "sigma": np.full(3, 0.05),
        "relative": np.ones(3),
    }
    loss = 2 + np.cumsum(0.1 * rng.standard_normal((ROWS, N)), axis=0)
    kept = {"snapshot_steps": SNAPSHOTS, "gaussian": gaussian}
    return rdmviz.TrainingRun.from_arrays(loss, 10 * np.arange(ROWS), name="a run", **(kept | options))


PLAIN = {"snapshot_steps": None, "gaussian": None}


def asked(view: GaussianMap, monkeypatch, snapshots) -> list[np.ndarray]:
    """Return numbers and places that the browser gets for snapshots, by snapshot."""
    sent = []
    monkeypatch.setattr(view, "send", lambda content, buffers=None: sent.append((content, buffers)))
    view._handle_custom_msg({"kind": "snapshots", "snapshots": snapshots}, [])
    ((content, [packed]),) = sent
    assert content["map_scale"] == view.state.map_scale
    size = len(packed) // len(content["snapshots"])
    return [(k, packed[i * size : (i + 1) * size]) for i, k in enumerate(content["snapshots"])]


@pytest.mark.parametrize("map_scale", ["linear", "log"])
def test_places_are_the_loadings_of_each_snapshot(monkeypatch, map_scale):
    run = make_run()
    view = GaussianMap(ExplorerState(run, map_scale=map_scale))
    assert np.frombuffer(view.steps, "<f8").tolist() == SNAPSHOTS
    assert np.frombuffer(view.there, "u1").tolist() == [0] * LEFT_OUT + [1] * (N - LEFT_OUT)
    found = rdmviz.gaussian_modes(run)
    for snapshot, packed in asked(view, monkeypatch, [1, 0, 99, -1]):
        numbers = np.frombuffer(packed[:48], "<f4")
        places = np.frombuffer(packed[48:], "<u2").reshape(N, 2)[LEFT_OUT:] / 65535
        state, trace, *ends = numbers[:6]
        assert (state, trace) == (0, [8, 10][snapshot])
        loadings = np.sqrt(found.eigenvalue[snapshot]) * found.eigenvector[snapshot]
        expected = loadings.transpose("sample", "mode").to_numpy()[LEFT_OUT:]
        low, high = np.array(ends).reshape(2, 2).T
        at = low + places * (high - low)
        if map_scale == "linear":
            np.testing.assert_allclose(at, expected, atol=1e-3)
        else:
            largest = numbers[8:10]
            decades = np.sign(expected) * np.log10(np.maximum(np.abs(expected) / largest, 1e-6) / 1e-6)
            np.testing.assert_allclose(at, decades, atol=1e-3)
        np.testing.assert_allclose(numbers[6:8], found.eigenvalue[snapshot], rtol=1e-6)


def test_it_says_what_it_is_and_why_there_is_no_picture():
    view = GaussianMap(ExplorerState(make_run()))
    assert view.facts[0] == "step 50 · 65 draws of σ 0.05 × size · 75% of Tr C"
    assert view.facts[2] == "step 1,500 · 65 draws of σ 0.05 × size"
    assert view.notes[:2] == ["", ""]
    assert "not finite" in view.notes[2]


def test_a_run_without_snapshots_says_how_to_record_them():
    run = make_run(**PLAIN)
    state = ExplorerState(run)
    for ask in (
        lambda: GaussianMap(state),
        lambda: setattr(state, "lens", "gaussian"),
        lambda: setattr(state, "signals", (GAUSSIAN[0].name,)),
        lambda: rdmviz.explore(run, lens="gaussian"),
    ):
        with pytest.raises(SnapshotError, match=r"gaussian=record\.GaussianSnapshots"):
            ask()
    assert state.lens == ""
    with pytest.raises(OptionError, match="lens='spins': choose one of '', 'gaussian'"):
        state.lens = "spins"


def test_it_is_offered_where_there_is_something_to_show():
    assert rdmviz.explore(make_run(**PLAIN)).scene.lenses == []
    explorer = rdmviz.explore(make_run())
    assert explorer.scene.lenses == [["gaussian", "Gaussian 2RDM"]]
    plain = explorer.pictures.children
    assert explorer.lens is None
    explorer.scene.lens = "gaussian"  # chosen in the browser
    assert explorer.state.lens == "gaussian"
    lens = explorer.lens
    assert explorer.pictures.children == (plain[0], lens, *plain[1:])
    assert lens.scene is explorer.scene
    explorer.state.lens = ""
    assert explorer.pictures.children == plain
    assert lens.comm is None
    assert "lens='gaussian'" in rdmviz.explore(make_run(), lens="gaussian").state.code()
    explorer.state.lens = "gaussian"
    explorer.close()
    assert explorer.lens.comm is None
    explorer.state.lens = ""  # and nobody hears of it


def test_a_card_is_answered_as_on_the_map(monkeypatch):
    view = GaussianMap(ExplorerState(make_run()))
    sent = []
    monkeypatch.setattr(view, "send", lambda content, buffers=None: sent.append(content))
    view._handle_custom_msg({"kind": "card", "sample": 4, "row": 150}, [])
    assert sent[0]["facts"][0] == ["datapoint", "4"]


def test_its_curves_are_drawn_from_snapshot_to_snapshot():
    run = make_run()
    assert [name for name in offered(run) if name.startswith("gaussian/")] == [s.name for s in GAUSSIAN]
    assert not set(offered(make_run(**PLAIN))) & {s.name for s in GAUSSIAN}
    assert "Gaussian" not in presets(make_run(**PLAIN))
    curves = WarningCurves(ExplorerState(run, signals=presets(run)["Gaussian"], curve_scale="linear"))
    assert "newest snapshot" in curves.caption.value
    head = curves.cursor.panels[0]
    assert head["title"] == "Gaussian participation ratio, unbiased"
    values = np.frombuffer(curves.cursor.values, "<f4").reshape(-1, ROWS)[0]
    expected = rdmviz.gaussian_modes(run).participation_ratio_unbiased.values
    assert np.isnan(values[:5]).all()
    np.testing.assert_allclose(values[5:60], expected[0], rtol=1e-6)
    np.testing.assert_allclose(values[60:150], expected[1], rtol=1e-6)
    assert np.isnan(values[150:]).all()
    table = table_csv(curves.state, "curves").splitlines()
    place = table[0].split(",").index("gaussian/trace")
    assert [row.split(",")[place] for row in (table[1], table[6], table[61], table[-1])] == [
        "",
        "8.0",
        "10.0",
        "",
    ]
    rdmviz.figure(curves.state, "curves")
    other = make_run(**PLAIN)
    comparison = rdmviz.explore([run, other], signal="gaussian/trace")
    assert comparison.state.signal == "gaussian/trace"


def test_a_run_that_is_followed_brings_its_snapshots(tmp_path):
    rng = np.random.default_rng(1)
    losses = 2 + np.cumsum(0.1 * rng.standard_normal((60, 5)), axis=0)
    writer = RunWriter(tmp_path / "run", 5)
    vectors = np.linalg.qr(rng.normal(size=(5, 2)))[0].T

    def write(start: int, stop: int) -> None:
        for step in range(start, stop):
            drawn = {"eigenvalues": np.ones(4), "eigenvectors": vectors, "draws": np.array(9.0)}
            writer.append(step, losses[step], snapshot=None if step % 20 else {"gaussian": drawn})
        writer.flush()

    write(0, 30)
    view = GaussianMap(ExplorerState(rdmviz.open_run(tmp_path / "run"), following=True))
    assert np.frombuffer(view.steps, "<f8").tolist() == [0, 20]
    write(30, 60)
    view.link.following.look()
    assert np.frombuffer(view.steps, "<f8").tolist() == [0, 20, 40]
    assert len(view.facts) == 3
    view.close()
    writer.close()
