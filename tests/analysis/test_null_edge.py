"""Nulls of a run's windows, labelled."""

import numpy as np
import pytest
from toy import STEPS, N, T, make_run

from rdmviz import eigenmodes, null_edge
from rdmviz.compute.rdm.nulls import marchenko_pastur_edge
from rdmviz.errors import (
    DetrendError,
    FlatWindowError,
    NullError,
    OptionError,
    StepNotFoundError,
    WindowError,
)

RNG = np.random.default_rng(2)
METHODS = ("marchenko-pastur", "shuffle", "shift", "ar1")
NOISE = RNG.normal(size=(T, N)) + 3 * np.exp(-np.arange(T) / 40)[:, None]
MODES = RNG.normal(size=(T, 2)) @ (3 * np.repeat(np.eye(2), N // 2, axis=1))


@pytest.mark.parametrize("method", METHODS)
def test_noise_about_a_falling_loss_has_no_modes_and_planted_ones_are_counted(method):
    detrend = "constant" if method == "shift" else "linear"
    for losses, expected in ((NOISE, 0), (NOISE + MODES, 2)):
        found = null_edge(make_run(losses), int(STEPS[-1]), 60, detrend, method, draws=39)
        assert int(found.n_above) == expected
        assert found.above.values[:3].tolist() == [expected > 0, expected > 1, False]
        assert ((found.eigenvalue > found.edge) == found.above).all()
        assert len(found.mode) == N
        assert found.attrs["step"] == STEPS[-1]
        assert (found.attrs["window"], found.attrs["detrend"]) == (60, detrend)
        assert (found.attrs["method"], found.attrs["level"]) == (method, 0.95)
        assert "noise is independent between" in found.attrs["assumes"]
        if method == "marchenko-pastur":
            assert "p_value" not in found
            assert float(found.noise) == pytest.approx(1, rel=0.1)
        else:
            assert (found.attrs["draws"], found.attrs["seed"]) == (39, 0)
            assert ((found.p_value <= 0.05) == found.above).all()
            assert float(found.noise) == pytest.approx(float(found.eigenvalue.sum()) / N)
        assert all("long_name" in found[name].attrs for name in found.data_vars)


def test_eigenvalues_are_those_of_eigenmodes_and_the_edge_that_of_the_arrays():
    run, step = make_run(NOISE), int(STEPS[200])
    for window in (30, 60):
        found = null_edge(run, step, window, method="marchenko-pastur", level=0.99)
        modes = eigenmodes(run, step, window, "linear", 5)
        np.testing.assert_allclose(found.eigenvalue[:5], modes.eigenvalue, rtol=1e-12)
        nu = modes.attrs["degrees_of_freedom"]
        assert len(found.mode) == min(N, nu)
        direct = marchenko_pastur_edge(found.eigenvalue.values, N, nu, level=0.99)
        assert float(found.edge) == direct.edge
    drawn = [float(null_edge(run, step, 30, method="ar1", draws=19, seed=s).edge) for s in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_what_it_cannot_do_is_said():
    run, step = make_run(NOISE), int(STEPS[100])
    with pytest.raises(OptionError, match="'ar1', 'shift', 'shuffle', 'marchenko-pastur'"):
        null_edge(run, step, method="random")
    with pytest.raises(OptionError, match="takes a TrainingRun"):
        null_edge(NOISE, step)
    with pytest.raises(StepNotFoundError):
        null_edge(run, -1)
    with pytest.raises(WindowError, match="no full window"):
        null_edge(run, int(STEPS[3]))
    with pytest.raises(NullError, match="choose a longer window"):
        null_edge(run, step, 8, method="marchenko-pastur")
    with pytest.raises(OptionError, match="use detrend='constant', or method='ar1'"):
        null_edge(run, step, method="shift")
    uneven = make_run(NOISE * np.exp(np.random.default_rng(5).normal(size=N) * 2))
    with pytest.raises(NullError, match=r"half of the 40 eigenvalues stand above.*use method='ar1'"):
        null_edge(uneven, step, 60, method="marchenko-pastur")
    with pytest.raises(DetrendError, match="choose 'constant'"):
        null_edge(run, step, detrend="none", method="shuffle")
    with pytest.raises(NullError, match="take 19 or more"):
        null_edge(run, step, method="shuffle", draws=5)
    still = NOISE.copy()
    still[:] = still[0]
    with pytest.raises(FlatWindowError):
        null_edge(make_run(still), step)
