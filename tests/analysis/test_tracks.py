import itertools

import numpy as np
import pytest

import rdmviz
from rdmviz.analysis import ModePath, mode_tracks
from rdmviz.errors import DetrendError, OptionError, WindowError
from rdmviz.run import TrainingRun

RNG = np.random.default_rng(8)
T, N = 240, 30
LOSSES = 4 + np.cumsum(0.2 * RNG.normal(size=(T, N)), axis=0) + 0.1 * RNG.normal(size=(T, N))


def make_run(losses=LOSSES):
    return TrainingRun.from_arrays(losses, steps=10 * np.arange(len(losses)), name="walk")


def degenerate_run(third=0.1, period=16):
    """Two patterns that swing a quarter period apart: equal eigenvalues in every window of whole periods."""
    patterns = np.linalg.qr(RNG.normal(size=(N, 3)))[0].T
    phase = 2 * np.pi * np.arange(T) / period
    courses = np.column_stack([np.cos(phase), np.sin(phase), third * np.cos(2 * phase)])
    return make_run(5 + courses @ patterns), patterns


@pytest.mark.parametrize("detrend", ["none", "constant", "linear", "quadratic"])
@pytest.mark.parametrize("window", [24, 80])
def test_tracks_are_those_of_the_vectors_that_are_shown(window, detrend):
    found = mode_tracks(make_run(), window=window, detrend=detrend, modes=4)
    path = ModePath(make_run(), window=window, detrend=detrend, modes=4)
    identity, overlap = found["identity"].values, found["overlap"].values
    continues, before = 0, None
    for row in range(window - 1, T):
        frame = path.at(row)
        np.testing.assert_allclose(found["eigenvalue"][row], frame.eigenvalues[:4], rtol=1e-9)
        np.testing.assert_allclose(found["explained"][row], frame.eigenvalues[:4] / frame.trace, rtol=1e-9)
        if before is not None:
            same = identity[row][:, None] == identity[row - 1]
            met = frame.vectors @ before.vectors.T
            assert (met[same] > np.sqrt(0.5)).all()  # never turned
            ranks = np.flatnonzero(same.any(axis=1))
            np.testing.assert_allclose(met[same], overlap[row][ranks], atol=1e-6)
            assert (np.abs(met[:, ~same.any(axis=0)][~same.any(axis=1)]) ** 2 < 0.5).all()
            continues += same.sum()
        before = frame
    assert continues > 2.5 * (T - window)


def frames(path, rows):
    return {int(row): path.at(int(row)).vectors for row in rows}


@pytest.mark.parametrize("window", [32, 96])
def test_modes_with_equal_eigenvalues_stay_what_they_are(window):
    run, patterns = degenerate_run()
    path = ModePath(run, window=window, modes=2)
    rows = np.arange(window - 1, T)
    found = np.array([path.at(int(row)).vectors for row in rows])
    values = np.array([path.at(int(row)).eigenvalues[:2] for row in rows])
    assert np.ptp(values, axis=1).max() < 1e-12  # equal, indeed
    np.testing.assert_allclose(np.linalg.norm(found @ patterns[:2].T, axis=2), 1, atol=1e-12)
    np.testing.assert_allclose((found[1:] * found[:-1]).sum(axis=2), 1, atol=1e-9)
    np.testing.assert_allclose((found[-1] * found[0]).sum(axis=1), 1, atol=1e-6)
    tracks = mode_tracks(run, window=window, modes=2)
    assert (tracks["identity"].values[window - 1 :] == [0, 1]).all()
    assert float(tracks["overlap"].min()) > 1 - 1e-9


@pytest.mark.parametrize("window", [32, 96])
def test_an_equal_pair_that_rotates_is_followed_as_closely_as_it_can_be(window):
    """Linear detrending takes its share of one of three equal modes, in turns: the others are the pair."""
    run, _ = degenerate_run(third=1.0)
    path = ModePath(run, window=window, detrend="linear", modes=3)
    found = [path.at(row) for row in range(window - 1, T)]
    values = np.array([frame.eigenvalues[:3] for frame in found])
    assert np.ptp(values[:, :2], axis=1).max() < 1e-12 < 1e-3 < (values[:, 1] - values[:, 2]).min()
    for before, after in itertools.pairwise(found):
        met = after.vectors[:2] @ before.vectors[:2].T
        np.testing.assert_allclose(met, met.T, atol=1e-6)  # the nearest rotation leaves a symmetric rest
        assert np.linalg.eigvalsh(met).min() > 0.8
        assert after.vectors[2] @ before.vectors[2] > 0.8


@pytest.mark.parametrize("window", [32, 96])
def test_what_rounding_left_of_a_drift_is_no_mode_and_turns_none(window):
    patterns = np.linalg.qr(RNG.normal(size=(N, 3)))[0].T
    phase = 2 * np.pi * np.arange(T) / 16
    for drift in 10.0 ** np.arange(7):
        courses = np.column_stack([np.cos(phase), np.sin(phase), drift * np.arange(T) / T])
        path = ModePath(make_run(5 + courses @ patterns), window=window, detrend="linear")
        found = np.array([path.at(row).vectors[:2] for row in range(window - 1, T)])
        assert (found[1:] * found[:-1]).sum(axis=2).min() > 0.9


def test_without_turning_equal_modes_would_swing():
    run, _ = degenerate_run()
    found = [np.linalg.eigh(np.cov(run.rows(end - 31, end + 1).T))[1][:, -2:] for end in range(31, T)]
    met = np.array([(b.T @ a) for a, b in itertools.pairwise(found)])
    assert np.abs(met).max(axis=2).min() < 0.9


@pytest.mark.parametrize("window", [32, 80])
@pytest.mark.parametrize("degenerate", [False, True])
def test_the_answer_does_not_depend_on_the_path(window, degenerate):
    losses = (degenerate_run()[0] if degenerate else make_run()).rows(0, T).copy()
    losses[100, 3] = np.nan
    rows = np.concatenate([np.arange(window - 1, 100), np.arange(100 + window, T)])
    straight = frames(ModePath(make_run(losses), window=window, modes=3), rows)
    jumps = [100 + window, *RNG.permutation(rows)[:60], 100 + window]  # right after the gap, first
    for order in (jumps, rows[::-5]):
        for row, vectors in frames(ModePath(make_run(losses), window=window, modes=3), order).items():
            np.testing.assert_array_equal(vectors, straight[row])


@pytest.mark.parametrize(("name", "rows"), [("linear_network", 1200), ("grokking", 800)])
def test_no_mode_that_continues_turns_along_a_shipped_run(name, rows):
    run, window = rdmviz.load_example(name), 48
    identity = mode_tracks(run, window=window)["identity"].values
    path = ModePath(run, window=window)
    before, continues = path.at(window - 1).vectors, 0
    for row in range(window, rows):
        vectors = path.at(row).vectors
        same = identity[row][:, None] == identity[row - 1]
        assert ((vectors @ before.T)[same] > np.sqrt(0.5)).all()
        continues, before = continues + int(same.sum()), vectors
    assert continues > 7 * (rows - window)


def test_one_track_carries_the_modes_of_the_linear_network_one_after_the_other():
    """Identity is continuity: the leading vector turns from each mode's items to the next mode's.

    Losses see the squares of the modes. Modes 0 and 1 have the same square, that of all items; the last one
    is covered by mode 3.
    """
    run, window = rdmviz.load_example("linear_network"), 32
    patterns = np.array([run.probe[f"loading_{k}"].values ** 2 for k in range(8)])
    patterns /= np.linalg.norm(patterns, axis=1)[:, None]
    ends = [int(np.searchsorted(run.steps, half)) + window // 2 for half in run.attrs["half_times"]]
    path = ModePath(run, window=window)
    leading = np.array([path.at(end).vectors[0] for end in ends])
    closest_at = np.abs(leading @ patterns.T).argmax(axis=0)
    assert closest_at[:7].tolist() == [0, 0, 2, 3, 4, 5, 6]
    assert len(set(mode_tracks(run, window=window)["identity"].values[ends, 0].tolist())) == 1


def test_the_dataset_is_labelled():
    losses = LOSSES.copy()
    losses[60] = np.nan
    found = mode_tracks(make_run(losses), window=24, modes=3)
    assert dict(found.sizes) == {"step": T, "mode": 3, "track": len(found["track"])}
    assert all({"units", "long_name"} <= variable.attrs.keys() for variable in found.data_vars.values())
    assert {"run": "walk", "window": 24, "detrend": "constant"}.items() <= found.attrs.items()
    silent = found.sel(step=slice(600, 830))
    assert silent["eigenvalue"].isnull().all()
    assert silent["explained"].isnull().all()
    assert (silent["identity"] == -1).all()
    speaks = found["identity"].sel(step=slice(840, None))
    assert (speaks >= 0).all()
    track = found["identity"].sel(step=840, mode=0).item()
    assert found["birth"][track].item() == 840
    for name in ("birth", "death", "peak_step"):
        assert np.isin(found[name], found["step"]).all()
    assert (found["length"] == (found["death"] - found["birth"]) // 10 + 1).all()
    listed = found["identity"].values
    assert set(listed[listed >= 0].tolist()) == set(found["track"].values.tolist())
    mine = found["eigenvalue"].where(found["identity"] == track)
    assert float(mine.max()) == pytest.approx(float(found["peak_eigenvalue"][track]))
    assert int(mine.max("mode").idxmax("step")) == int(found["peak_step"][track])


def test_a_run_that_stands_still_has_no_tracks():
    found = mode_tracks(make_run(np.ones((40, 3))), window=10)
    assert found.sizes["track"] == 0
    assert (found["eigenvalue"].values[9:] == 0).all()
    assert np.isnan(found["explained"]).all()


def test_what_does_not_fit_is_refused():
    with pytest.raises(OptionError, match=r"mode_tracks\(\) takes a TrainingRun"):
        mode_tracks(LOSSES)
    with pytest.raises(WindowError, match="longer than the 240"):
        mode_tracks(make_run(), window=241)
    with pytest.raises(DetrendError, match="'cubic'"):
        mode_tracks(make_run(), detrend="cubic")
    with pytest.raises(WindowError, match="modes=0"):
        mode_tracks(make_run(), modes=0)
