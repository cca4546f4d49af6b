from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import DETRENDS, reader

from rdmviz.compute.errors import WindowError
from rdmviz.compute.rdm.continuation import KEPT
from rdmviz.compute.rdm.gram import banded_gram
from rdmviz.compute.rdm.mode_tracks import mode_tracks
from rdmviz.compute.rdm.windows import window_spectra, window_traces

N, W = 12, 16


def tracks(losses, window=W, detrend="none", modes=4, each=map):
    rows = reader(losses)
    gram = banded_gram(losses, min(window + 1, len(losses)))
    return mode_tracks(gram, window_traces(gram, window, detrend, rows), rows, modes, each)


def in_turns(amplitudes):
    """Orthogonal patterns that take turns: row t is amplitude[t, t mod m] times pattern t mod m.

    Their courses share no row, so every window has exactly these modes, with the energies of their rows.
    """
    t = np.arange(len(amplitudes))
    losses = np.zeros((len(t), N))
    losses[t, t % amplitudes.shape[1]] = amplitudes[t, t % amplitudes.shape[1]]
    return losses


def energies(losses, window=W):
    """Mean square of each datapoint in every trailing window, from the first full one on."""
    total = np.concatenate([np.zeros((1, N)), np.cumsum(losses**2, axis=0)])
    return (total[window:] - total[:-window]) / window


def walk(seed=2, rows=160, n=N):
    rng = np.random.default_rng(seed)
    return 5 + np.cumsum(0.3 * rng.normal(size=(rows, n)), axis=0) + 0.2 * rng.normal(size=(rows, n))


def test_modes_that_cross_swap_ranks_and_keep_their_identities():
    losses = in_turns(np.column_stack([np.linspace(1, 2, 100), np.linspace(2.03, 1, 100)]))
    found, planted = tracks(losses, modes=2), energies(losses)
    np.testing.assert_allclose(found.eigenvalues[W - 1 :, :2], np.sort(planted[:, :2])[:, ::-1], rtol=1e-12)
    order = np.argsort(-planted[:, :2], axis=1)
    assert {tuple(row) for row in order} == {(0, 1), (1, 0)}
    first = order[0]  # the identity of each pattern is its rank in the first window
    np.testing.assert_array_equal(found.identity[W - 1 :], np.argsort(first)[order])
    assert found.birth.tolist() == [W - 1, W - 1]
    assert found.death.tolist() == [99, 99]
    np.testing.assert_allclose(found.overlap[W:], 1, atol=1e-12)


def test_birth_death_and_peak_of_a_planted_mode_are_at_its_rows():
    start, stop = 40, 60
    amplitudes = np.ones((120, 2))
    amplitudes[:, 1] = 0
    amplitudes[start:stop, 1] = 2  # on odd rows
    amplitudes[100, 0] = 3
    losses = in_turns(amplitudes)
    found = tracks(losses)
    assert found.birth.tolist() == [W - 1, start + 1]
    assert found.death.tolist() == [119, stop - 1 + W - 1]
    assert found.length.tolist() == [120 - W + 1, stop - start + W - 2]
    np.testing.assert_allclose(found.peak_eigenvalue, [1.0, 2.0], rtol=1e-12)
    assert 100 <= found.peak_row[0] < 100 + W
    assert start + W - 1 <= found.peak_row[1] <= stop
    assert found.peak_rank.tolist() == [0, 0]
    assert np.isnan(found.overlap[start + 1]).sum() == 3  # born, and two that are none
    assert found.identity[start, 1] == -1


def dipping(others):
    """The first of ``1 + others`` patterns of equal strength dips for a while."""
    t = np.arange(240)
    amplitudes = np.tile(1 + 0.1 * np.arange(others + 1)[::-1], (len(t), 1))
    amplitudes[80:160, 0] = 0.5
    return in_turns(amplitudes)


def test_a_mode_that_drops_among_the_spare_ones_keeps_its_identity():
    found = tracks(dipping(3), modes=1)
    assert found.identity[[40, 120, 230], 0].tolist() == [0, 1, 0]
    assert len(found.birth) == 2  # those that never lead are not listed
    assert found.length.tolist() == [240 - W + 1] * 2


def test_a_mode_that_drops_below_the_spare_ones_is_born_again():
    found = tracks(dipping(6), window=21, modes=1)
    assert found.identity[[40, 120, 230], 0].tolist() == [0, 1, 2]
    assert found.death[0] < 120 < found.birth[2]


def test_gaps_and_flat_windows_end_all_tracks():
    losses = walk()
    losses[50] = np.inf
    losses[90:120] = losses[90]
    found = tracks(losses, detrend="constant")
    silent, flat = slice(50, 50 + W), slice(90 + W - 1, 120)
    assert np.isnan(found.eigenvalues[silent]).all()
    assert (found.eigenvalues[flat] == 0).all()
    for gap in (silent, flat):
        assert (found.identity[gap] == -1).all()
        assert np.isnan(found.overlap[gap]).all()
        lived = (found.birth < gap.stop) & (found.death >= gap.start)
        assert not lived.any()
    assert (found.identity[[49, 50 + W, 104, 120], 0] >= 0).all()


def by_hand(losses, window, detrend, modes):
    """Identities and overlaps from n-dimensional eigenvectors, and nothing of the package."""
    degree = DETRENDS.index(detrend) - 1
    time = np.vander(np.linspace(-1, 1, window), max(degree, 0) + 1)
    identity = np.full((len(losses), modes), -1)
    overlap = np.full((len(losses), modes), np.nan)
    values, before, known = np.full((len(losses), modes), np.nan), None, 0
    for end in range(window - 1, len(losses)):
        x = losses[end - window + 1 : end + 1]
        if degree > 0:
            x = x - time @ np.linalg.lstsq(time, x, rcond=None)[0]
        covariance = (
            x.T @ x / window if detrend == "none" else np.cov(x.T) * (window - 1) / (window - degree - 1)
        )
        solved, vectors = np.linalg.eigh(covariance)
        values[end], vectors = solved[::-1][:modes], vectors[:, ::-1][:, :modes]
        for k in range(modes):
            shared = np.zeros(modes) if before is None else np.abs(before.T @ vectors[:, k])
            if shared.max() ** 2 > KEPT:
                identity[end, k], overlap[end, k] = identity[end - 1, shared.argmax()], shared.max()
            else:
                identity[end, k], known = known, known + 1
        before = vectors
    return values, identity, overlap


@pytest.mark.parametrize("detrend", DETRENDS)
def test_everything_agrees_with_eigenvectors_of_the_covariance(detrend):
    losses = walk(rows=90)
    found = tracks(losses, window=20, detrend=detrend, modes=4)
    values, identity, overlap = by_hand(losses, 20, detrend, 8)
    np.testing.assert_allclose(found.eigenvalues[:, :4], values[:, :4], rtol=1e-9)
    np.testing.assert_allclose(found.overlap, overlap[:, :4], atol=1e-7)
    listed = np.unique(identity[:, :4][identity[:, :4] >= 0])
    number = np.full(identity.max() + 2, -1)
    number[listed] = np.arange(len(listed))
    np.testing.assert_array_equal(found.identity, number[identity[:, :4]])
    for track, theirs in enumerate(listed):
        row, rank = np.nonzero(identity == theirs)
        assert (found.birth[track], found.death[track]) == (row.min(), row.max())
        peak = values[row, rank].argmax()
        assert (found.peak_row[track], found.peak_rank[track]) == (row[peak], rank[peak])
    assert 10 < len(listed) < 200


@pytest.mark.parametrize(("window", "n"), [(20, 50), (20, 7)])
@pytest.mark.parametrize("detrend", DETRENDS)
def test_spectra_come_along(window, n, detrend):
    losses = walk(rows=80, n=n)
    losses[:30] += 1e7 * np.arange(30)[:, None]  # the Gram loses its digits
    rows, gram = reader(losses), banded_gram(losses, window + 1)
    traces = window_traces(gram, window, detrend, rows)
    assert traces.from_rows.any() or detrend in ("none", "constant")
    found = mode_tracks(gram, traces, rows, 3)
    expected = window_spectra(gram, traces, np.arange(80), rows)
    np.testing.assert_allclose(
        found.eigenvalues / traces.trace[:, None], expected / traces.trace[:, None], atol=1e-10
    )


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(-1e3, 1e3), st.sampled_from([1e-100, 1e-3, 1e4, 1e100]))
def test_order_offsets_and_units_of_the_datapoints_do_not_matter(seed, offset, unit):
    rng, losses = np.random.default_rng(seed), walk(seed, rows=60)
    plain = tracks(losses, detrend="constant")
    other = tracks(unit * (losses[:, rng.permutation(N)] + offset * rng.normal(size=N)), detrend="constant")
    np.testing.assert_allclose(
        other.eigenvalues[W - 1 :, :8] / unit / unit, plain.eigenvalues[W - 1 :, :8], rtol=1e-8
    )
    near = (np.abs(plain.overlap**2 - KEPT) < 1e-6).any()
    assert near or (other.identity == plain.identity).all()


def test_a_pool_of_threads_changes_nothing():
    losses = walk(rows=400)
    with ThreadPoolExecutor(4) as pool:
        shared, alone = tracks(losses, each=pool.map), tracks(losses)
    np.testing.assert_array_equal(shared.identity, alone.identity)
    np.testing.assert_array_equal(shared.overlap, alone.overlap)


def test_one_window_and_more_modes_than_rows():
    found = tracks(walk(rows=W), detrend="constant", modes=40)
    assert found.identity.shape == (W, W)
    assert found.identity[-1].tolist() == [*range(N), *[-1] * (W - N)]
    assert found.birth.tolist() == [W - 1] * N


def test_a_run_without_a_mode_has_no_tracks():
    found = tracks(np.ones((30, N)), detrend="constant")
    assert (found.identity == -1).all()
    assert len(found.birth) == len(found.peak_row) == 0


def test_what_does_not_fit_is_refused():
    losses = walk()
    gram = banded_gram(losses, W)
    traces = window_traces(gram, W, "constant")
    with pytest.raises(WindowError, match=f"max_window={W + 1}"):
        mode_tracks(gram, traces, reader(losses), 4)
    for modes in (0, 2.5, True):
        with pytest.raises(WindowError, match=f"modes={modes}"):
            tracks(losses, modes=modes)
