"""One huge row, or a loss that drops, must not blur the windows beside it."""

import numpy as np
import pytest
from oracles import reader, traces

from rdmviz.compute.rdm import windows
from rdmviz.compute.rdm.gram import banded_gram
from rdmviz.compute.rdm.windows import window_spectra, window_traces

RNG = np.random.default_rng(5)
T, W = 200, 16
NOISE = RNG.normal(size=(T, 4))
STEP = np.arange(T)[:, None]

RUNS = {
    "spike of 1e10 times the noise": np.where(STEP == 77, 1e4, 1e-6 * NOISE),
    "spike of 1e8": np.where(STEP == 77, 1e8, NOISE),
    "spike of 1e8 on a mean": np.where(STEP == 77, 1e8, 1 + 1e-3 * NOISE),
    "drop of 1e7": np.where(STEP > 100, 1e-7, 1.0) * (1 + 0.1 * NOISE),
    "drop of 1e10": np.where(STEP > 100, 1e-10, 1.0) * (1 + 0.1 * NOISE),
    "fall to a floor of 1e-8": np.exp(-STEP / 4) * RNG.uniform(1, 1.3, 4) + 1e-8 * (1 + 0.1 * NOISE),
}


@pytest.mark.parametrize("detrend", ["none", "constant", "linear", "quadratic"])
@pytest.mark.parametrize("max_window", [16, 64, 200])
@pytest.mark.parametrize("kind", RUNS)
def test_no_window_is_blurred_by_its_neighbours(kind, max_window, detrend):
    losses = RUNS[kind]
    gram = banded_gram(losses, max_window)
    found = window_traces(gram, W, detrend, reader(losses))
    trace, square, top = traces(losses, W, detrend)
    assert (found.trace[W - 1 :] > 0).all()
    np.testing.assert_allclose(found.trace, trace, rtol=1e-10)
    np.testing.assert_allclose(found.purity, square / trace**2, rtol=1e-10)
    spectra = window_spectra(gram, found, np.arange(T), reader(losses))
    np.testing.assert_allclose(spectra[:, 0], top, rtol=1e-10)


def test_wide_spectra_beside_a_spike_come_from_their_rows():
    losses = np.where(STEP == 77, 1e7, 1e-3 * RNG.normal(size=(T, 30)))
    gram = banded_gram(losses, 64)
    found = window_traces(gram, W, "linear", reader(losses))
    spectra = window_spectra(gram, found, np.arange(T), reader(losses))
    np.testing.assert_allclose(spectra[:, 0], traces(losses, W, "linear")[2], rtol=1e-10)


def test_flat_stretches_are_not_read_window_by_window(monkeypatch):
    losses = 1.0 + 1e-3 * RNG.normal(size=(T, 20))
    losses[60:160] = losses[60] * (1 + 1e-3 * STEP[60:160])
    alone = []
    read = windows.read_window
    monkeypatch.setattr(windows, "read_window", lambda *a: alone.append(a[1]) or read(*a))
    found = window_traces(banded_gram(losses, W), W, "linear", reader(losses))
    assert (found.trace[75:160] == 0).all()
    assert len([end for end in alone if 91 <= end < 144]) == 0
