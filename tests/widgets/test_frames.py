"""Packed frames say what eigenmodes says, and the same whatever was asked before."""

from __future__ import annotations

import numpy as np
import pytest

import rdmviz
from rdmviz.analysis import ModePath
from rdmviz.widgets.arrangement import by_preference
from rdmviz.widgets.frames import FrameSource, FrameState, choose_shown
from rdmviz.widgets.positions import MapAxes


def make_run(rows=120, n=30, seed=0):
    rng = np.random.default_rng(seed)
    wave = np.cumsum(rng.standard_normal((rows, 2)), axis=0) @ rng.standard_normal((2, n))
    return rdmviz.TrainingRun.from_arrays(50 + wave + 0.1 * rng.standard_normal((rows, n)))


def make_source(run, window=20):
    shown = choose_shown(run.n_samples)
    return FrameSource(ModePath(run, window=window), shown, by_preference(shown, None))


def unpack(source, index):
    return np.frombuffer(source.pack([index])[0], source.layout.dtype)[0]


def test_a_frame_holds_the_modes_the_matrix_and_the_spectrum():
    run = make_run()
    source = make_source(run)
    frame = unpack(source, 70)
    rows = run.rows(51, 71)
    covariance = np.cov(rows.T)
    values = np.linalg.eigvalsh(covariance)[::-1]
    modes = rdmviz.eigenmodes(run, int(run.steps[70]), window=20, modes=2)

    state, trace, ratio, *ends, scale = frame["header"]
    assert state == FrameState.SHOWN
    assert trace == pytest.approx(np.trace(covariance), rel=1e-6)
    assert ratio == pytest.approx(np.trace(covariance) ** 2 / (covariance**2).sum(), rel=1e-6)
    np.testing.assert_allclose(frame["eigenvalues"][:5], values[:5], rtol=1e-5)

    low, high = np.array(ends).reshape(2, 2).T
    where = low + frame["positions"].reshape(-1, 2) / 65535 * (high - low)
    expected = np.sqrt(values[:2, None]) * modes["eigenvector"].values
    for axis, wanted in zip(where.T, expected, strict=True):
        np.testing.assert_allclose(axis * np.sign(axis @ wanted), wanted, atol=1e-4 * np.abs(wanted).max())

    order = frame["order"]
    assert sorted(order) == list(range(30))
    assert scale == pytest.approx(np.diag(covariance).max(), rel=1e-6)
    share = covariance[np.ix_(order, order)] / scale
    lower = np.tril_indices(30)
    drawn = (frame["covariance"] - 128.0) / 127
    np.testing.assert_allclose(drawn, (np.sign(share) * np.sqrt(np.abs(share)))[lower], atol=0.6 / 127)
    drawn = (frame["correlation"] - 128.0) / 127
    np.testing.assert_allclose(drawn, np.corrcoef(rows.T[order])[lower], atol=0.6 / 127)


def test_a_logarithmic_map_keeps_signs_and_spreads_decades():
    run = make_run()
    shown = choose_shown(30)
    path = ModePath(run, window=20)
    source = FrameSource(path, shown, by_preference(shown, None), MapAxes(shown, map_scale="log"))
    frame = unpack(source, 70)
    low, high = np.array(frame["header"][3:7]).reshape(2, 2).T
    where = (low + frame["positions"].reshape(-1, 2) / 65535 * (high - low))[:, 0]
    loading = source.path.at(70).vectors[0]
    expected = np.sign(loading) * (6 + np.log10(np.abs(loading) / np.abs(loading).max()))
    np.testing.assert_allclose(where, expected, atol=2e-3)


def test_the_drift_of_each_datapoint_is_coded_about_zero():
    rows = np.zeros((60, 4))
    rows[:] = [1.0, 2.0, 3.0, 4.0]
    rows += np.arange(60)[:, None] * np.array([0.1, -0.1, 0.025, 0.0])
    source = make_source(rdmviz.TrainingRun.from_arrays(rows))
    assert source.drift_scale == pytest.approx(1.9)
    codes = unpack(source, 40)["drift"].astype(float)
    np.testing.assert_allclose((codes - 127.5) / 127.5, [1, -1, 0.5, 0], atol=1 / 255)


def test_frames_on_other_axes_are_packed_anew():
    run = make_run()
    source = make_source(run)
    leading = unpack(source, 70)
    source.turn_to(MapAxes(source.shown, (2, 1)))
    swapped = unpack(source, 70)
    np.testing.assert_array_equal(swapped["positions"][::2], leading["positions"][1::2])
    np.testing.assert_array_equal(swapped["axes"][:4], leading["axes"][[1, 0, 3, 2]])
    np.testing.assert_array_equal(swapped["covariance"], leading["covariance"])
    source.turn_to(None)
    assert unpack(source, 70)["header"][0] == FrameState.NO_PLANE


def test_frames_do_not_depend_on_the_path_to_them():
    run = make_run()
    forward, jumping = make_source(run), make_source(run)
    straight = [forward.pack([i]) for i in range(120)]
    for index in np.random.default_rng(1).permutation(120):
        assert jumping.pack([int(index)]) == straight[index]


def test_frames_without_a_picture_say_why():
    loss = np.random.default_rng(0).random((200, 8))
    loss[60:100] = 0.5
    loss[150, 3] = np.nan
    source = make_source(rdmviz.TrainingRun.from_arrays(loss))
    states = [int(unpack(source, index)["header"][0]) for index in (5, 40, 85, 149, 155, 170)]
    assert states == [
        FrameState.NO_WINDOW,
        FrameState.SHOWN,
        FrameState.FLAT,
        FrameState.SHOWN,
        FrameState.NON_FINITE,
        FrameState.SHOWN,
    ]


def test_a_run_of_two_datapoints_has_frames():
    source = make_source(make_run(n=2))
    assert unpack(source, 100)["header"][0] == FrameState.SHOWN


def test_a_large_matrix_is_carried_as_means_over_blocks_of_pairs():
    run = make_run(n=500)
    source = make_source(run)
    frame = unpack(source, 70)
    assert source.layout.dtype.itemsize < 9_000
    starts, order = frame["starts"].astype(int), frame["order"].astype(int)
    assert len(order) == 400
    assert len(starts) == 64
    assert (np.diff(frame["group"][order].astype(int)) >= 0).all(), "groups are together"
    borders = np.flatnonzero(np.diff(frame["group"][order])) + 1
    assert np.isin(borders, starts).all(), "no block reaches over a border"
    for name, values in (("covariance", np.cov), ("correlation", np.corrcoef)):
        whole = values(run.rows(51, 71)[:, order].T)
        means = np.add.reduceat(np.add.reduceat(whole, starts, axis=0), starts, axis=1)
        sizes = np.diff(starts, append=400)
        means /= np.outer(sizes, sizes)
        if name == "covariance":
            means = np.sign(means) * np.sqrt(np.abs(means) / np.diag(whole).max())
        drawn = (frame[name] - 128.0) / 127
        np.testing.assert_allclose(drawn, means[np.tril_indices(64)], atol=0.6 / 127)


def test_the_map_is_thinned():
    shown = choose_shown(200_000)
    assert len(shown) == 20_000
    assert shown[0] == 0
    assert shown[-1] == 199_999


def test_a_slow_answer_is_cut_short_but_never_empty():
    source = make_source(make_run())
    assert len(source.pack(range(100), seconds=0)) == 1
    assert len(source.pack(range(100))) == 100
