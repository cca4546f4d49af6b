"""The Gaussian 2RDM along a training: the numbers of gaussian_draws at each checkpoint, and no trace."""

from __future__ import annotations

import copy
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from rdmviz import Recorder, TrainingRun, analyze, eigenmodes, gaussian_draws, gaussian_modes, open_run
from rdmviz.checking import check_run
from rdmviz.cli import main
from rdmviz.errors import OptionError, ProbeError, SnapshotError, TruncatedStoreError
from rdmviz.record import GaussianSnapshots, Snapshots
from tests.record.test_gaussian import Counting, Transformer, vectors

N, DRAWS = 30, 24
INPUTS, CLASSES = vectors(N, 6).float(), torch.arange(N) % 3


def perceptron() -> nn.Module:
    return nn.Sequential(
        nn.Linear(6, 16), nn.BatchNorm1d(16), nn.ReLU(inplace=True), nn.Dropout(0.3), nn.Linear(16, 3)
    )


def every(steps: int = 4, **options) -> Snapshots:
    return Snapshots(every=steps, weights=None, gaussian=GaussianSnapshots(**({"draws": DRAWS} | options)))


def train(path=None, snapshots=None, stops=(12,), kept=None, **options) -> tuple[nn.Module, TrainingRun]:
    """Train in one go or several; each recorder goes on where the last one ended."""
    torch.manual_seed(0)
    model = perceptron()
    optimiser = torch.optim.Adam(model.parameters(), lr=0.01)
    begin = 0
    for stop in stops:
        resume = {"resume": True} if begin else {}
        with Recorder(path, (INPUTS, CLASSES), snapshots=snapshots, **resume, **options) as recorder:
            for step in range(begin, stop):
                if kept is not None:
                    kept[step] = copy.deepcopy(model)
                recorder.record(step, model)
                batch = torch.randint(N, (12,))
                optimiser.zero_grad()
                cross_entropy(model(INPUTS[batch]), CLASSES[batch]).backward()
                optimiser.step()
        begin = stop
    return model, recorder.run


def test_a_training_does_not_notice():
    plain, run = train()
    watched, taken = train(snapshots=every())
    for (name, a), (_, b) in zip(plain.state_dict().items(), watched.state_dict().items(), strict=True):
        assert torch.equal(a, b), name
    np.testing.assert_array_equal(run.loss, taken.loss)
    assert taken.snapshot_steps.tolist() == [0, 4, 8]


@pytest.mark.parametrize("build", [Transformer, Counting])
def test_agrees_with_the_draws_around_a_checkpoint(build):
    torch.manual_seed(1)
    model = build().double()
    probe = (
        (torch.arange(5 * N).reshape(N, 5) ** 2 % 11 if build is Transformer else vectors(N, 6)),
        CLASSES,
    )
    options = {"draws": 40, "sigma": 0.1, "seed": 5, "perturb": "*weight"}

    def loss_fn(outputs, targets):
        return cross_entropy(outputs, targets, reduction="none")

    recorder = Recorder(None, probe, loss_fn=loss_fn, dtype=np.float64, snapshots=every(1, **options))
    recorder.record(0, model)
    run = gaussian_draws(model, probe, loss_fn=loss_fn, **options)
    modes = eigenmodes(run, step=39, window=40, detrend="constant")
    found = gaussian_modes(recorder.run).isel(step=0)
    np.testing.assert_allclose(found.eigenvalue, modes.eigenvalue, rtol=1e-10)
    np.testing.assert_allclose(found.explained, modes.explained, rtol=1e-10)
    np.testing.assert_allclose(found.eigenvector, modes.eigenvector, atol=1e-6)
    whole = recorder.run.gaussian.isel(snapshot=0)
    expected = np.linalg.eigvalsh(np.cov(run.loss.to_numpy().T))[::-1]
    np.testing.assert_allclose(whole.eigenvalues, expected, rtol=1e-10, atol=1e-10 * expected[0])
    np.testing.assert_allclose(whole.mean_loss, run.loss.mean("step"), rtol=1e-12)
    scales = run.attrs["scales"]
    sizes = {name: weight.numel() for name, weight in model.named_parameters()}
    length = np.sqrt(sum(scale**2 * sizes[name] for name, scale in scales.items()))
    facts = [float(whole[name]) for name in ("draws", "sigma", "relative", "displacement")]
    assert facts == [40, 0.1, 1, pytest.approx(length, rel=1e-12)]
    curves = analyze(run, window=40, detrend="constant").isel(step=-1)
    for name in (
        "trace",
        "participation_ratio",
        "participation_ratio_unbiased",
        "spectral_heat_capacity",
        "entropy",
    ):
        np.testing.assert_allclose(found[name], curves[name], rtol=1e-10, err_msg=name)


def test_linear_regression_has_a_closed_form():
    n, draws, sigma = 40, 2000, 0.3
    x, residual = vectors(n, 5), torch.linspace(-2, 2, n, dtype=torch.float64)
    model = nn.Linear(5, 1, bias=False).double()
    probe = (x, model(x).detach()[:, 0] - residual)

    def loss_fn(outputs, truth):
        return (outputs[:, 0] - truth).square() / 2

    snapshots = every(1, draws=draws, sigma=sigma, relative=False, modes=n)
    recorder = Recorder(None, probe, loss_fn=loss_fn, snapshots=snapshots)
    recorder.record(0, model)
    found = recorder.run.gaussian.isel(snapshot=0)
    basis = found.eigenvectors.to_numpy().astype(float)
    there = np.isfinite(basis[:, 0])
    measured = (basis[there].T * found.eigenvalues.to_numpy()[: len(basis)][there]) @ basis[there]
    kernel = sigma**2 * x @ x.T
    expected = (torch.outer(residual, residual) * kernel + kernel * kernel / 2).numpy()
    assert np.linalg.norm(measured - expected) <= 5 / np.sqrt(draws) * np.linalg.norm(expected)


def test_each_snapshot_is_of_the_model_as_it_was_along_the_same_directions(tmp_path):
    models: dict[int, nn.Module] = {}
    _, run = train(tmp_path / "run", every(), kept=models)
    for index, step in enumerate(run.snapshot_steps.tolist()):
        draws = gaussian_draws(models[step], (INPUTS, CLASSES), draws=DRAWS)
        expected = np.linalg.eigvalsh(np.cov(draws.loss.to_numpy().astype(float).T))[::-1][: DRAWS - 1]
        np.testing.assert_allclose(run.gaussian.eigenvalues[index], expected, rtol=1e-9)


def test_some_datapoints_alone():
    samples = np.array([1, 4, 5, 20, 29])
    _, run = train(snapshots=every(samples=samples))
    _, whole = train(snapshots=every())
    found = run.gaussian
    assert found.eigenvalues.shape == (3, 5)
    assert found.eigenvectors.shape == (3, 5, N)
    assert np.flatnonzero(np.isfinite(found.eigenvectors[0, 0])).tolist() == samples.tolist()
    np.testing.assert_allclose(found.mean_loss[:, samples], whole.gaussian.mean_loss[:, samples], rtol=1e-6)
    curves = gaussian_modes(run)
    np.testing.assert_allclose(
        curves.spectral_heat_capacity, found.eigenvalues.var("mode"), rtol=1e-12
    )  # over the five
    np.testing.assert_allclose(curves.mean_loss, found.mean_loss[:, samples].mean("sample"), rtol=1e-12)


@pytest.mark.parametrize("batched", [False, True])
def test_tokens_as_datapoints(batched):
    class PerToken(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.head = nn.Embedding(7, 8), nn.Linear(8, 7)

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
            return self.head(self.embed(input_ids).cumsum(dim=1))

    torch.manual_seed(0)
    model, ids = PerToken(), torch.arange(40).reshape(8, 5) ** 2 % 7
    mask = torch.ones_like(ids)
    mask[2, 3:] = 0
    probe = {"input_ids": ids, "attention_mask": mask}
    samples = np.array([0, 9, 10, 24])  # of 30 tokens that are predicted
    options = {"batch_size": 3} if batched else {}
    runs = []
    for chosen in (None, samples):
        recorder = Recorder(None, probe, per="token", snapshots=every(samples=chosen), **options)
        recorder.record(0, model)
        runs.append(recorder.run.gaussian)
    assert runs[0].sizes["sample"] == recorder.run.n_samples == 30
    np.testing.assert_allclose(runs[1].mean_loss[0, samples], runs[0].mean_loss[0, samples], rtol=1e-6)


def test_resumed_dropped_saved_and_opened(tmp_path):
    _, whole = train(tmp_path / "whole", every())
    _, parts = train(tmp_path / "parts", every(), (2, 6, 12))
    assert parts.gaussian.sizes == whole.gaussian.sizes
    with Recorder(
        tmp_path / "parts", (INPUTS, CLASSES), snapshots=every(), resume=True, drop_after=5
    ) as recorder:
        recorder.record(8, perceptron())
    assert open_run(tmp_path / "parts").gaussian.step.values.tolist() == [0, 4, 8]
    for name in ("saved", "saved.zip"):
        opened = open_run(whole.save(tmp_path / name))
        assert opened.gaussian.identical(whole.gaussian)
        assert opened.tree["gaussian/eigenvalues"].shape == (3, DRAWS - 1)
    given = {str(name): values.to_numpy() for name, values in whole.gaussian.data_vars.items()}
    made = TrainingRun.from_arrays(whole.loss, snapshot_steps=whole.snapshot_steps, gaussian=given)
    assert made.gaussian.identical(whole.gaussian.load())


def test_a_recording_goes_on_with_the_displacements_that_it_began_with(tmp_path):
    train(tmp_path / "run", every())
    for options in ({"sigma": 0.1}, {"draws": 30}, {"seed": 1}, {"perturb": "0.*"}, {"samples": [0, 1]}):
        with pytest.raises(ProbeError, match="was recorded with another gaussian"):
            Recorder(tmp_path / "run", (INPUTS, CLASSES), snapshots=every(**options), resume=True)
    Recorder(tmp_path / "run", (INPUTS, CLASSES), resume=True).close()  # without any it goes on, too


def test_what_is_in_it_and_that_it_is_whole(tmp_path, capsys):
    train(tmp_path / "run", every(samples=[3, 5, 7]))
    report = check_run(tmp_path / "run")
    assert report.whole
    assert not any("not finite" in note or "not of the run" in note for note in report.notes)
    assert report.contents["snapshots"]["gaussian"] == {"draws": 24, "sigma": 0.05, "relative": 1, "modes": 3}
    assert main(["info", str(tmp_path / "run")]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "24 draws of sigma 0.05 times the size of each tensor; all eigenvalues and 3 eigenvectors" in said
    (tmp_path / "run" / "snapshots" / "gaussian" / "eigenvectors" / "c" / "1" / "0" / "0").unlink()
    assert any(
        "eigenvectors of the Gaussian 2RDM cannot be read" in w for w in check_run(tmp_path / "run").wrong
    )


def test_a_training_that_is_lost_goes_on_being_recorded(tmp_path):
    model = perceptron()
    recorder = Recorder(tmp_path / "run", (INPUTS, CLASSES), snapshots=every(1))
    recorder.record(0, model)
    with torch.no_grad():
        model[0].weight[0, 0] = float("nan")
    with pytest.warns(RuntimeWarning, match="is NaN at step 1"):
        recorder.record(1, model)
    with torch.no_grad():
        for weight in model.parameters():
            weight.zero_()
    recorder.record(2, model)
    run = recorder.close()
    assert np.isnan(run.gaussian.eigenvalues[1]).all()
    assert (run.gaussian.eigenvalues[2] == 0).all()
    assert np.isnan(run.gaussian.eigenvectors[1:]).all()
    np.testing.assert_allclose(run.gaussian.mean_loss[2], np.log(3), rtol=1e-6)
    curves = gaussian_modes(run)
    assert np.isnan(curves.participation_ratio).values.tolist() == [False, True, True]
    assert np.isnan(curves.trace).values.tolist() == [False, True, False]
    assert (
        check_run(tmp_path / "run")
        .notes[0]
        .startswith("eigenvalues of the Gaussian 2RDM are not finite in 1 of")
    )


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"draws": 1}, "draws=1; expected an integer, at least 2"),
        ({"sigma": 0}, "sigma=0; expected a positive number"),
        ({"modes": 0}, "modes=0; expected how many"),
        ({"samples": [3]}, "expected numbers of two datapoints or more"),
        ({"samples": [3, 3]}, "that increase"),
        ({"samples": [-1, 3]}, "from 0 on"),
        ({"samples": [0.5, 1.0]}, "expected numbers of two"),
    ],
)
def test_options_without_a_meaning(options, says):
    with pytest.raises(OptionError, match=says):
        GaussianSnapshots(**options)


def test_what_does_not_fit_the_probe_or_the_model():
    with pytest.raises(OptionError, match="samples has datapoint 30, and the probe 30 datapoints"):
        Recorder(None, (INPUTS, CLASSES), snapshots=every(samples=[0, 30]))
    recorder = Recorder(None, (INPUTS, CLASSES), snapshots=every(perturb="layers.*"))
    with pytest.raises(OptionError, match=r"perturb='layers\.\*' matches no parameter"):
        recorder.record(1, perceptron())  # before the first snapshot is due
    with pytest.raises(OptionError, match=r"gaussian=True; expected None or record\.Gauss"):
        Snapshots(gaussian=True)


def test_a_run_without_one_says_how():
    with pytest.raises(SnapshotError, match=r"gaussian=record.GaussianSnapshots\(\)"):
        _ = train()[1].gaussian


def test_arrays_that_are_no_gaussian_2rdm(tmp_path):
    good = {
        "eigenvalues": np.ones((2, 3)),
        "eigenvectors": np.ones((2, 1, 4)),
        "draws": np.full(2, 9),
    }
    kept = {"loss": np.ones((5, 4)), "snapshot_steps": [0, 3]}
    run = TrainingRun.from_arrays(**kept, gaussian=good)
    for wrong, says in (
        ({**good, "spins": np.ones((2, 3))}, "spins"),
        ({"eigenvalues": good["eigenvalues"]}, "expected eigenvalues, eigenvectors, draws"),
        ({**good, "eigenvectors": np.ones((2, 1, 5))}, "4 datapoints"),
    ):
        with pytest.raises(SnapshotError, match=says):
            TrainingRun.from_arrays(**kept, gaussian=wrong)
    run.save(tmp_path / "run")
    header = tmp_path / "run" / "zarr.json"
    text = header.read_text()
    header.write_text(text.replace('"draws"', '"of_a_newer_rdmviz"'))
    with pytest.raises(TruncatedStoreError, match="expected eigenvalues, eigenvectors, draws"):
        _ = open_run(tmp_path / "run").gaussian


def test_the_first_snapshot_does_not_load_the_compiler():
    code = (
        "import sys, torch\n"
        "from rdmviz import Recorder\n"
        "from rdmviz.record import GaussianSnapshots, Snapshots\n"
        "probe = torch.randn(6, 3), torch.arange(6) % 2\n"
        "snapshots = Snapshots(every=1, weights=None, gaussian=GaussianSnapshots(draws=4))\n"
        "recorder = Recorder(None, probe, snapshots=snapshots)\n"
        "recorder.record(0, torch.nn.Linear(3, 2))\n"
        "assert recorder.run.gaussian.sizes['mode'] == 3\n"
        "assert 'torch._dynamo' not in sys.modules, 'seconds of importing in the middle of a training'\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
