import itertools
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from rdmviz.analysis import ModePath, eigenmodes, groups, ordering
from rdmviz.errors import (
    ComputeError,
    DetrendError,
    FlatWindowError,
    NonFiniteLossError,
    StepNotFoundError,
    WindowError,
)
from rdmviz.run import TrainingRun

RNG = np.random.default_rng(33)
T, N = 260, 60
TRUTH = np.repeat([0, 1, 2], N // 3)


def _losses():
    """Three groups that fall one after another, with noise of their own."""
    t = np.arange(T)[:, None]
    middle = np.array([70, 130, 190])[TRUTH]
    shared = 0.2 * RNG.normal(size=(T, 3))[:, TRUTH]
    return 2 + 2 / (1 + np.exp((t - middle) / 6)) + shared + 0.02 * RNG.normal(size=(T, N))


LOSSES = _losses()


def _run(losses=LOSSES):
    return TrainingRun.from_arrays(losses, steps=10 * np.arange(len(losses)), name="steps")


@pytest.mark.parametrize("detrend", ["none", "constant", "linear", "quadratic"])
def test_frames_are_the_eigenproblem_of_their_window(detrend):
    path = ModePath(_run(), window=40, detrend=detrend, modes=3)
    frame = path.at(120)
    assert (frame.index, frame.step, path.first) == (120, 1200, 39)
    covariance = frame.fluctuations().T @ frame.fluctuations() / frame.nu
    np.testing.assert_allclose(
        covariance @ frame.vectors.T, frame.vectors.T * frame.eigenvalues[:3], atol=1e-10 * frame.trace
    )
    np.testing.assert_allclose(frame.vectors @ frame.vectors.T, np.eye(3), atol=1e-10)
    assert (np.diff(frame.eigenvalues) <= 0).all()
    assert (frame.eigenvalues >= 0).all()
    assert frame.trace == pytest.approx(np.trace(covariance))
    if detrend == "constant":
        rows = LOSSES[81:121]
        np.testing.assert_allclose(covariance, np.cov(rows.T), atol=1e-12)
        t = np.arange(40) - 19.5
        line = t @ rows / (t @ t) * 39
        np.testing.assert_allclose(frame.drift, frame.vectors @ line, atol=1e-10)


def test_pictures_never_flip_along_the_run():
    path = ModePath(_run(), window=32, modes=4)
    frames = [path.at(i) for i in range(31, T)]
    overlaps = np.array(
        [np.abs(a.vectors @ b.vectors.T).argmax(axis=1) for a, b in itertools.pairwise(frames)]
    )
    signed = np.array(
        [
            (a.vectors @ b.vectors[best[:, None], :][:, 0, :].T).diagonal()
            for (a, b), best in zip(itertools.pairwise(frames), overlaps, strict=True)
        ]
    )
    strong = np.abs(signed) > 0.8
    assert strong[:, 0].mean() > 0.9
    assert (signed[strong] > 0).all()


def test_answers_do_not_depend_on_the_path():
    rows = np.arange(31, T, 7)
    found = []
    for order in (rows, rows[::-1], RNG.permutation(rows)):
        path = ModePath(_run(), window=32, modes=4)
        frames = {int(i): (path.at(i), path.groups_at(i)) for i in order}
        found.append([frames[int(i)] for i in rows])
    for other in found[1:]:
        for (a, ga), (b, gb) in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(a.vectors, b.vectors)
            np.testing.assert_array_equal(a.drift, b.drift)
            np.testing.assert_array_equal(ga, gb)


def test_threads_get_the_same_answers():
    alone, shared = ModePath(_run(), window=32), ModePath(_run(), window=32)
    rows = RNG.permutation(np.arange(31, T, 11))
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(shared.at, rows))
    for row, frame in zip(rows, found, strict=True):
        np.testing.assert_allclose(frame.vectors, alone.at(row).vectors, atol=1e-12)


def test_flat_and_bad_windows_break_the_chain_and_are_named():
    losses = LOSSES.copy()
    losses[60:120] = losses[60]
    losses[160, 3] = np.nan
    path = ModePath(_run(losses), window=20)
    with pytest.raises(FlatWindowError, match="ends at row 100"):
        path.at(100)
    with pytest.raises(FlatWindowError, match="ends at row 100"):
        path.groups_at(100)
    with pytest.raises(NonFiniteLossError, match="first at row 160"):
        path.at(170)
    assert path.at(T - 1).vectors.shape == (8, N)
    assert path.groups_at(T - 1).shape == (N,)


def test_places_and_settings_that_do_not_fit():
    path = ModePath(_run(), window=32)
    for index in (30, -1, T):
        with pytest.raises(WindowError, match="the first ends at row 31, the last at row 259"):
            path.at(index)
    with pytest.raises(WindowError, match="longer than the 260"):
        ModePath(_run(), window=261)
    with pytest.raises(DetrendError, match="'cubic'"):
        ModePath(_run(), detrend="cubic")
    with pytest.raises(WindowError, match="modes=0"):
        ModePath(_run(), modes=0)


def test_groups_are_the_ones_that_were_planted_and_keep_their_labels():
    path = ModePath(_run(), window=32)
    at_middles = [path.groups_at(i) for i in (80, 140, 200)]
    for labels in at_middles:
        for group in range(3):
            assert len(set(labels[group == TRUTH].tolist())) == 1
    labels = np.array([path.groups_at(i) for i in range(80, 200)])
    changed = (labels[1:] != labels[:-1]).any(axis=1)
    assert changed.mean() < 0.1


def test_ordering_shows_the_groups_as_blocks():
    path = ModePath(_run(), window=32)
    samples = RNG.permutation(N)[:30]
    labels = path.groups_at(140)
    order = ordering(path.at(140), samples, labels)
    assert sorted(order.tolist()) == sorted(samples.tolist())
    assert (np.diff(labels[order]) >= 0).all()
    assert (np.diff(TRUTH[order]) != 0).sum() == 2


def test_eigenmodes_dataset():
    found = eigenmodes(_run(), 1400, window=32, modes=5)
    frame = ModePath(_run(), window=32, modes=5).at(140)
    np.testing.assert_allclose(found.eigenvalue, frame.eigenvalues[:5], rtol=1e-12)
    np.testing.assert_allclose(np.abs(found.eigenvector), np.abs(frame.vectors), atol=1e-12)
    np.testing.assert_allclose(found.explained, frame.eigenvalues[:5] / frame.trace, rtol=1e-12)
    np.testing.assert_allclose(np.abs(found.drift), np.abs(frame.drift), atol=1e-12)
    assert dict(found.sizes) == {"mode": 5, "sample": N}
    assert {"step": 1400, "window": 32, "detrend": "constant"}.items() <= found.attrs.items()
    assert all("units" in variable.attrs for variable in found.data_vars.values())
    # The second group falls: it is the positive side, and the drift says which way it went.
    leading = found.eigenvector.values[0]
    assert leading[TRUTH == 1].min() > np.abs(leading[TRUTH != 1]).max()
    assert float(found.drift[0]) < -1


def test_groups_dataset():
    found = groups(_run(), 1400, window=32)
    labels = found["group"].values
    assert len(set(labels[TRUTH == 1].tolist())) == 1
    assert float(found["mass"].sum()) == pytest.approx(1)
    assert int(found["size"].sum()) == N
    assert (labels == ModePath(_run(), window=32).groups_at(140)).all()
    mover = list(found["label"]).index(labels[TRUTH == 1][0])
    assert mover == found["mass"].values.argmax()
    assert float(found["mean_loss"][mover]) == pytest.approx(
        LOSSES[140, labels == labels[TRUTH == 1][0]].mean()
    )
    assert float(found["drift"][mover]) < -0.5
    strongest = found["strongest"].values
    assert (TRUTH[strongest[mover]] == 1).all()
    assert groups(_run(), 1400, window=32, count=4).sizes["group"] == 4


def test_groups_pad_the_strongest_members_of_small_groups():
    losses = RNG.normal(size=(60, 20)) * 0.01
    losses[:, 0] += np.linspace(0, 5, 60)
    found = groups(_run(losses), 590, window=40, count=2)
    assert found["size"].values.tolist() == [1, 19]
    assert found["strongest"].values[0].tolist() == [0] + [-1] * 9


@pytest.mark.parametrize("verb", [eigenmodes, groups])
def test_steps_and_windows_that_are_not_there(verb):
    with pytest.raises(StepNotFoundError, match="1405"):
        verb(_run(), 1405)
    with pytest.raises(WindowError, match="the first ends at row 63"):
        verb(_run(), 100)


def test_bad_group_settings():
    with pytest.raises(ComputeError, match="count=0"):
        groups(_run(), 1400, count=0)
    with pytest.raises(ComputeError, match="scale='sqrt'"):
        groups(_run(), 1400, scale="sqrt")
