import builtins
import gc
import itertools
import weakref

import numpy as np
import pytest
from sklearn.cluster import HDBSCAN
from sklearn.metrics import adjusted_rand_score

import rdmviz
from rdmviz.analysis import ModePath, group_path, groups
from rdmviz.analysis.group_path import groups_along
from rdmviz.errors import ComputeError, MissingExtraError, OptionError, WindowError
from rdmviz.run import TrainingRun

RNG = np.random.default_rng(40)
T, N, W = 160, 90, 24
TRUTH = np.repeat([0, 1, 2], N // 3)
PROBE = {
    "kind": np.array(["<b>fast</b>", "slow & late", "slow & late"])[TRUTH],
    "difficulty": TRUTH + RNG.normal(size=N),
    "name": np.array([f"point {i}" for i in range(N)]),
    "constant": np.ones(N, int),
}


def _losses():
    """Three groups that fall one after another, each with noise of its own."""
    t = np.arange(T)[:, None]
    middle = np.array([50, 80, 110])[TRUTH]
    shared = 0.1 * RNG.normal(size=(T, 3))[:, TRUTH]
    return 2 + 2 / (1 + np.exp((t - middle) / 5)) + shared + 0.02 * RNG.normal(size=(T, N))


LOSSES = _losses()


def _run(losses=LOSSES, probe=PROBE):
    return TrainingRun.from_arrays(losses, steps=10 * np.arange(len(losses)), probe=probe, name="three")


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"count": 4},
        {"scale": "direction"},
        {"scale": "linear", "method": "hdbscan"},
        {"detrend": "linear"},
    ],
    ids=str,
)
def test_labels_do_not_depend_on_the_path(settings):
    rows = np.arange(W - 1, T, 9)
    found = []
    for order in (rows, rows[::-1], RNG.permutation(rows)):
        run = _run()
        answers = {row: groups(run, 10 * int(row), window=W, **settings) for row in order}
        found.append([answers[row] for row in rows])
    for one, *others in zip(*found, strict=True):
        for other in others:
            assert one.identical(other)


def test_labels_are_those_of_the_explorer():
    run, path = _run(), ModePath(_run(), window=W, modes=4)
    for row in range(W - 1, T, 3):
        assert (groups(run, 10 * row, window=W)["group"] == path.groups_at(row)).all()


def test_labels_stay_while_groups_do():
    run = _run()
    labels = np.array([groups(run, 10 * row, window=W, count=3)["group"] for row in range(70, 110)])
    changed = (labels[1:] != labels[:-1]).mean(axis=1)
    assert np.mean(changed > 0.2) <= 0.1


def test_a_second_look_solves_one_window(monkeypatch):
    run, solved = _run(), []
    solve = group_path.modes_of
    monkeypatch.setattr(group_path, "modes_of", lambda *a, **k: solved.append(a[1]) or solve(*a, **k))
    groups(run, 1000, window=W)
    assert len(solved) == 1 + len(range(W - 1, 101, W // 4))
    solved.clear()
    groups(run, 1000, window=W)
    groups(run, 990, window=W)
    assert solved == [100, 99]


def test_the_chain_dies_with_its_run():
    run = _run()
    groups(run, 1000, window=W)
    chain, run_is = weakref.ref(groups_along(run, W, "constant")), weakref.ref(run)
    del run
    gc.collect()
    assert run_is() is None
    assert chain() is None


def test_chains_are_few(monkeypatch):
    monkeypatch.setattr(group_path, "_KEPT", 2)
    run = _run()
    first = groups_along(run, W, "constant", 4, 2)
    groups_along(run, W, "constant", 4, 3)
    assert groups_along(run, W, "constant", 4, 2) is first
    groups_along(run, W, "constant", 4, 4)
    groups_along(run, W, "constant", 4, 5)
    assert groups_along(run, W, "constant", 4, 2) is not first


@pytest.mark.parametrize("scale", ["auto", "linear", "magnitude", "direction"])
def test_order_units_and_constants_of_datapoints_change_nothing(scale):
    here = groups(_run(), 800, window=W, scale=scale)
    order = RNG.permutation(N)
    there = groups(
        _run(LOSSES[:, order], {name: values[order] for name, values in PROBE.items()}),
        800,
        window=W,
        scale=scale,
    )
    assert (there["group"] == here["group"].values[order]).all()
    assert there["description"].values.tolist() == here["description"].values.tolist()
    scaled = groups(_run(1024 * LOSSES), 800, window=W, scale=scale)
    assert (scaled["group"] == here["group"]).all()
    np.testing.assert_allclose(scaled["drift"], 1024 * here["drift"])
    np.testing.assert_allclose(scaled["mass"], here["mass"])
    shifted = groups(_run(LOSSES + RNG.uniform(0, 5, N)), 800, window=W, scale=scale)
    assert (shifted["group"] == here["group"]).all()


def test_what_is_told_of_each_group():
    found = groups(_run(), 800, window=W, count=2)  # the second group falls
    labels = found["group"].values
    mover = found.sel(label=labels[N // 2])
    assert (labels == np.where(TRUTH == 1, labels[N // 2], labels[0])).all()
    assert int(mover["size"]) == N // 3
    assert found["size"].sum() == N
    assert float(found["mass"].sum()) == pytest.approx(1)
    np.testing.assert_allclose(found["mode_mass"].sum("group"), 1)
    modes = rdmviz.eigenmodes(_run(), 800, window=W, modes=4)
    mine = modes["eigenvector"].values[:, TRUTH == 1]
    np.testing.assert_allclose(mover["mode_mass"], (mine**2).sum(axis=1))
    weights = modes["eigenvalue"] / modes["eigenvalue"].sum()
    assert float(mover["mass"]) == pytest.approx(float(weights @ mover["mode_mass"]))
    assert float(mover["mean_loss"]) == pytest.approx(LOSSES[80, TRUTH == 1].mean())
    t = np.arange(W) - (W - 1) / 2
    line = t @ LOSSES[80 - W + 1 : 81] / (t @ t) * (W - 1)
    assert float(mover["drift"]) == pytest.approx(line[TRUTH == 1].mean())
    assert float(mover["falling"]) == 1
    assert str(mover["drift_direction"].values) == "falls"
    assert {
        "scale": "auto",
        "scale_used": "linear",
        "method": "ward",
        "count": 2,
    }.items() <= found.attrs.items()
    assert found.attrs["silhouette"] > 0.7
    assert found.attrs["skipped_columns"] == (
        "name: text with 90 different values, more than 32; constant: all datapoints agree"
    )


def test_directions_in_words():
    ramp = np.linspace(0, 1, 40)[:, None]
    slopes = np.array([-1.0] * 10 + [1.0] * 10)
    still = np.full((40, 10), 3.0)
    found = groups(_run(np.hstack([ramp * slopes, still]), None), 390, window=40, count=3)
    assert dict(zip(found["size"].values.tolist(), found["drift_direction"].values.tolist(), strict=True))
    by_first = {int(found["group"][k]): k for k in (0, 10, 20)}
    words = {k: str(found.sel(label=label)["drift_direction"].values) for label, k in by_first.items()}
    assert words == {0: "falls", 10: "rises", 20: "still"}
    told = {k: str(found.sel(label=label)["description"].values) for label, k in by_first.items()}
    assert told == {
        0: "10 datapoints, 50% of the mass; losses fell by 1",
        10: "10 datapoints, 50% of the mass; losses rose by 1",
        20: "10 datapoints, 0% of the mass; losses stand still",
    }
    both = groups(_run(np.hstack([ramp * slopes, still]), None), 390, window=40, count=1)
    assert str(both["drift_direction"].values[0]) == "mixed"
    assert "33% of them fell" in str(both["description"].values[0])


def test_findings_are_sorted_and_sentences_hold_them_as_they_are():
    found = groups(_run(), 500, window=W, count=2)  # the first group falls: the fast one
    label = found["group"].values[0]
    assert (np.diff(found["q_value"]) >= 0).all()
    top = found.isel(finding=0)
    assert (str(top["finding_column"].values), float(top["inside"])) in {("kind", 1.0)}
    mine = (found["finding_group"] == label) & (found["finding_column"] == "kind")
    fast = found.isel(finding=int(np.flatnonzero(mine & (found["finding_value"] == "<b>fast</b>"))[0]))
    assert (float(fast["inside"]), float(fast["outside"]), float(fast["effect"])) == (1, 0, 1)
    assert float(fast["q_value"]) < 1e-15
    sentence = str(found.sel(label=label)["description"].values)
    assert sentence.startswith("30 datapoints, ")
    assert "; losses fell by " in sentence
    assert "; 100% are kind=<b>fast</b> (0% of the rest, q=" in sentence
    assert "; difficulty is lower (median " in sentence
    assert set(np.unique(found["finding_column"])) == {"kind", "difficulty"}
    assert set(np.unique(found["finding_kind"])) == {"share", "median"}


def test_long_texts_are_cut_in_sentences_only():
    long = np.array(["x" * 200, "y" * 200])[(TRUTH == 1).astype(int)]
    found = groups(_run(probe={"text": long}), 800, window=W, count=2)
    assert "y" * 200 in set(found["finding_value"].values.tolist())
    assert max(map(len, found["description"].values.tolist())) < 200


@pytest.mark.parametrize("probe", [None, {"name": PROBE["name"]}, {"chance": RNG.random(N)}])
def test_nothing_to_find(probe):
    found = groups(_run(probe=probe), 800, window=W, count=2)
    told = " ".join(found["description"].values.tolist())
    assert ("no column of the metadata tells it from the rest" in told) == bool(probe and "chance" in probe)
    assert found.sizes["finding"] == (2 if probe and "chance" in probe else 0)


@pytest.mark.parametrize(("method", "labels"), [("ward", [0]), ("hdbscan", [-1])])
def test_datapoints_that_do_not_differ(method, labels):
    found = groups(_run(np.repeat(LOSSES[:, :1], 12, axis=1), None), 800, window=W, method=method)
    assert found["label"].values.tolist() == labels
    assert found["size"].values.tolist() == [12]
    assert float(found["mass"][0]) == pytest.approx(1)
    assert found.attrs["silhouette"] == -1
    assert ("unassigned" in str(found["description"].values[0])) == (method == "hdbscan")


@pytest.mark.parametrize("method", ["ward", "hdbscan"])
def test_two_datapoints(method):
    found = groups(_run(LOSSES[:, [0, -1]], None), 800, window=W, method=method)
    assert found["size"].sum() == 2


def test_hdbscan_finds_dense_groups_and_leaves_the_others_unassigned():
    truth = np.concatenate([TRUTH, np.full(40, -1)])
    loadings = RNG.uniform(-1.5, 1.5, size=(len(truth), 3))
    loadings[:N] = np.eye(3)[TRUTH] + 0.03 * RNG.normal(size=(N, 3))
    losses = 5 + RNG.normal(size=(40, 3)) @ loadings.T
    probe = {"lone": truth < 0}
    found = groups(_run(losses, probe), 390, window=40, scale="linear", method="hdbscan")
    labels = found["group"].values
    assert found["label"].values.tolist() == [0, 1, 2, -1]
    assert adjusted_rand_score(TRUTH, labels[:N]) == 1
    assert (labels[N:] == -1).mean() > 0.5  # those on the fringe of a group join it
    oracle = HDBSCAN(min_cluster_size=5, copy=True)
    path = ModePath(_run(losses, probe), window=40, modes=3).at(39)
    alone = oracle.fit_predict((np.sqrt(path.eigenvalues[:3])[:, None] * path.vectors).T)
    assert adjusted_rand_score(alone, labels) == 1
    assert ((alone == -1) == (labels == -1)).all()
    assert found["size"].sum() == len(truth)
    assert float(found["mass"].sum()) == pytest.approx(1)
    assert str(found.sel(label=-1)["description"].values).startswith("unassigned: ")
    assert set(found["finding_group"].values.tolist()) == {0, 1, 2}
    assert {"method": "hdbscan", "count": "by density"}.items() <= found.attrs.items()


def test_hdbscan_of_many_datapoints_asks_the_nearest(monkeypatch):
    from rdmviz.analysis import density

    whole = groups(_run(), 800, window=W, method="hdbscan")["group"].values
    monkeypatch.setattr(density, "_SAMPLED", 45)
    sampled = groups(_run(), 800, window=W, method="hdbscan")["group"].values
    assert adjusted_rand_score(whole, sampled) > 0.9


def test_hdbscan_without_scikit_learn(monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.partition(".")[0] == "sklearn":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    assert groups(_run(), 800, window=W)["size"].sum() == N
    with pytest.raises(MissingExtraError, match=r'pip install "rdmviz\[cluster\]"'):
        groups(_run(), 800, window=W, method="hdbscan")


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"method": "kmeans"}, OptionError, "method='kmeans' is unknown; choose one of 'ward', 'hdbscan'"),
        ({"method": "hdbscan", "count": 3}, OptionError, "count=3 .*leave count out"),
        ({"scale": "sqrt"}, ComputeError, "scale='sqrt' is unknown; choose one of 'auto', 'linear'"),
        ({"count": 0}, ComputeError, "count=0: expected 1 to 90"),
        ({"count": 91}, ComputeError, "count=91: expected 1 to 90"),
        ({"count": 2.5}, ComputeError, "count=2.5: expected"),
        ({"count": True}, ComputeError, "count=True: expected"),
    ],
    ids=str,
)
def test_bad_settings(settings, error, message):
    with pytest.raises(error, match=message):
        groups(_run(), 800, window=W, **settings)


def test_what_is_no_count_of_modes_is_refused_whatever_was_asked_before():
    run = _run()
    for modes in (1, 2):
        groups(run, 800, window=W, modes=modes)
    for modes in (True, 2.0):
        with pytest.raises(WindowError, match=f"modes={modes}.*whole number"):
            groups(run, 800, window=W, modes=modes)


def test_training_and_held_out_pairs_of_the_grokking_example_part():
    """Raw loadings do not see the split once the held-out losses span decades; the size of loadings does."""
    run = rdmviz.load_example("grokking")
    split = run.probe["split"].values
    agreement = {
        (step, scale): adjusted_rand_score(split, groups(run, step, scale=scale)["group"])
        for step in (400, 2000, 3000, 4600, 6000)
        for scale in ("auto", "linear")
    }
    assert min(agreement[step, "auto"] for step in (400, 2000, 3000, 4600, 6000)) > 0.9, agreement
    assert max(agreement[step, "linear"] for step in (2000, 3000, 4600, 6000)) < 0.6, agreement


@pytest.mark.parametrize(("name", "changes"), [("grokking", 1), ("linear_network", 0)])
def test_the_scale_does_not_flicker(name, changes):
    run = rdmviz.load_example(name)
    path = groups_along(run, 64, "constant")
    scales = [path.at(row).scale for row in range(63, run.n_steps, 32)]
    assert sum(a != b for a, b in itertools.pairwise(scales)) == changes


def test_the_items_of_a_rising_mode_are_a_group():
    run = rdmviz.load_example("linear_network")
    row = int(np.searchsorted(run.steps, run.attrs["half_times"][2])) + 16
    found = groups(run, int(run.steps[row]), window=32)
    learns = run.probe["loading_2"].values ** 2 > 0.1
    assert adjusted_rand_score(learns, found["group"]) == 1
