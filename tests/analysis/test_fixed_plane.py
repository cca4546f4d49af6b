import numpy as np
import pytest
from toy import LOSSES, STEPS, T, make_run

from rdmviz.analysis import FixedPlane, ModePath, eigenmodes, plane_loadings
from rdmviz.errors import FlatWindowError, OptionError, WindowError
from rdmviz.run import TrainingRun

W = 30


def step_of(row):
    return int(STEPS[row])


def test_at_the_planes_own_step_the_loadings_are_those_of_its_modes():
    run = make_run()
    found = plane_loadings(run, step_of(200), step_of(200), window=W, modes=3)
    modes = eigenmodes(run, step_of(200), window=W, modes=3)
    own = np.sqrt(modes["eigenvalue"].values[:, None]) * modes["eigenvector"].values
    np.testing.assert_allclose(found["loading"], own, atol=1e-10 * np.abs(own).max())
    np.testing.assert_allclose(found["variance"], modes["eigenvalue"], rtol=1e-10)
    np.testing.assert_allclose(found["explained"], modes["explained"], rtol=1e-10)


def test_elsewhere_they_are_the_covariance_there_with_the_modes_kept():
    run = make_run()
    found = plane_loadings(run, step_of(120), step_of(200), window=W, detrend="linear", modes=2)
    kept = eigenmodes(run, step_of(200), window=W, detrend="linear", modes=2)["eigenvector"].values
    rows = LOSSES[120 - W + 1 : 121]
    t = np.arange(W)
    x = rows - np.stack([np.polyval(np.polyfit(t, column, 1), t) for column in rows.T], axis=1)
    covariance = x.T @ x / (W - 2)
    variance = np.diag(kept @ covariance @ kept.T)
    np.testing.assert_allclose(found["variance"], variance, rtol=1e-8)
    np.testing.assert_allclose(found["loading"], kept @ covariance / np.sqrt(variance)[:, None], rtol=1e-6)
    assert found.attrs["plane_step"] == step_of(200)
    assert found["loading"].attrs["units"] == "loss"


def test_the_limits_hold_what_is_drawn():
    path = ModePath(make_run(), window=W)
    plane = FixedPlane(path, 200, (1, 3))
    low, high = plane.extent()
    assert (low <= 0).all()
    assert (high >= 0).all()
    looked_at = np.unique(np.linspace(W - 1, T - 1, 48).astype(int))
    drawn = np.stack([plane.at(path.at(int(row)))[0] for row in looked_at])
    np.testing.assert_allclose(low, np.minimum(0, drawn.min(axis=(0, 2))), rtol=1e-9)
    np.testing.assert_allclose(high, np.maximum(0, drawn.max(axis=(0, 2))), rtol=1e-9)


def test_a_mode_that_is_not_there_leaves_its_axis_empty():
    wave = np.outer(np.sin(np.arange(80)), np.linspace(1, 2, 12))
    path = ModePath(TrainingRun.from_arrays(wave), window=20)
    loadings, variances = FixedPlane(path, 50, (1, 2)).at(path.at(70))
    assert variances[0] > 0
    assert variances[1] == 0
    assert (loadings[1] == 0).all()


def test_bad_asks_say_what_to_do():
    run = make_run()
    with pytest.raises(OptionError, match="plane_loadings"):
        plane_loadings(LOSSES, 3, 4)
    with pytest.raises(WindowError, match="no full window"):
        plane_loadings(run, step_of(200), step_of(3), window=W)
    flat = TrainingRun.from_arrays(np.vstack([LOSSES[:100], np.ones((60, LOSSES.shape[1]))]))
    with pytest.raises(FlatWindowError):
        plane_loadings(flat, 50, 150, window=W)
