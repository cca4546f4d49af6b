"""Draws around a checkpoint: a closed form, a plain loop, and a model that does not notice."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from rdmviz import analyze, eigenmodes, gaussian_draws, groups
from rdmviz.errors import LossShapeError, OptionError, ProbeError
from rdmviz.record import per_sample_cross_entropy


def cross_entropy(outputs, targets):
    """Per datapoint, in the precision of the model."""
    return functional.cross_entropy(outputs, targets, reduction="none")


class Transformer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(11, 16)
        self.place = nn.Parameter(torch.randn(5, 16) / 4)
        self.norm, self.qkv, self.out = nn.LayerNorm(16), nn.Linear(16, 48), nn.Linear(16, 16)
        self.up, self.down = nn.Linear(16, 32), nn.Linear(32, 16)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x = self.embed(tokens) + self.place
        q, k, v = self.qkv(self.norm(x)).reshape(*tokens.shape, 3, 2, 8).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).reshape(x.shape))
        x = x + self.down(functional.gelu(self.up(x)))
        return (x @ self.embed.weight.T)[:, -1]  # tied


class Counting(nn.Module):
    """Writes into a buffer in every forward pass, and into what passes through."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 3)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        out = self.layer(x)
        scale = torch.ones(3, dtype=x.dtype)
        scale *= out.abs().mean(dim=0)  # in place, on what is not stacked: impossible under vmap
        return out * scale


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gru, self.out = nn.GRU(6, 8, batch_first=True), nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.gru(x)[0][:, -1])


def mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 16), nn.BatchNorm1d(16), nn.Dropout(0.4), nn.GELU(), nn.Linear(16, 3))


def conv() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 3)
    )


def vectors(n: int, *shape: int) -> torch.Tensor:
    return torch.randn(n, *shape, generator=torch.Generator().manual_seed(5), dtype=torch.float64)


CASES = {
    "transformer": (Transformer, lambda n: torch.arange(5 * n).reshape(n, 5) ** 2 % 11),
    "mlp": (mlp, lambda n: vectors(n, 6)),
    "conv": (conv, lambda n: vectors(n, 1, 8, 8)),
}


# room for one copy and some datapoints
TIGHT = {"transformer": 120_000, "mlp": 20_000, "conv": 30_000}


def made(case: str, n: int = 30):
    torch.manual_seed(1)
    build, inputs = CASES[case]
    return build().double(), (inputs(n), torch.arange(n) % 3)


def plain_loop(model, probe, draws, sigma, seed, relative=True, chosen=lambda name: True):
    """One perturbed copy and one forward pass per draw, with the noise as documented."""
    generator = torch.Generator().manual_seed(seed)
    rows = []
    for _ in range(draws):
        moved = copy.deepcopy(model).eval()
        with torch.no_grad():
            for name, weight in moved.named_parameters():
                scale = sigma * (weight.square().mean().sqrt() if relative else 1)
                if chosen(name) and scale > 0:
                    weight += scale * torch.empty_like(weight).normal_(generator=generator)
            rows.append(cross_entropy(moved(probe[0]), probe[1]).numpy())
    return np.array(rows)


def test_linear_regression_has_a_closed_form():
    n, draws, sigma = 40, 2000, 0.3
    x, residual = vectors(n, 5), torch.linspace(-2, 2, n, dtype=torch.float64)
    model = nn.Linear(5, 1, bias=False).double()
    targets = model(x).detach()[:, 0] - residual
    run = gaussian_draws(
        model,
        (x, targets),
        loss_fn=lambda outputs, truth: (outputs[:, 0] - truth).square() / 2,
        draws=draws,
        sigma=sigma,
        relative=False,
    )
    kernel = sigma**2 * x @ x.T
    expected = (torch.outer(residual, residual) * kernel + kernel * kernel / 2).numpy()
    measured = np.cov(run.loss.to_numpy().T)
    assert np.linalg.norm(measured - expected) <= 5 / np.sqrt(draws) * np.linalg.norm(expected)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("tight", [False, True])
def test_agrees_with_a_plain_loop(case, tight):
    model, probe = made(case)
    memory = TIGHT[case] if tight else 2**29
    run = gaussian_draws(model, probe, loss_fn=cross_entropy, draws=24, sigma=0.1, seed=3, memory=memory)
    expected = plain_loop(model, probe, 24, 0.1, 3)
    np.testing.assert_allclose(run.loss, expected, rtol=1e-6)
    assert run.loss.dtype == np.float64
    evaluation = run.attrs["evaluation"]
    # both ways are tried: draws that share kernels, and datapoints in parts
    assert "loop_reason" not in evaluation
    if tight:
        assert evaluation["draws_at_once"] == 1
        assert evaluation["datapoints_at_once"] < 30
    else:
        assert evaluation["draws_at_once"] == 24
        assert evaluation["datapoints_at_once"] == 30


@pytest.mark.parametrize("build", [Counting, Recurrent])
def test_a_model_that_does_not_stack_is_looped_over_and_says_why(build):
    torch.manual_seed(0)
    model = build().double()
    probe = (vectors(20, 4, 6) if build is Recurrent else vectors(20, 6), torch.arange(20) % 3)
    run = gaussian_draws(model, probe, loss_fn=cross_entropy, draws=10)
    np.testing.assert_allclose(run.loss, plain_loop(model, probe, 10, 0.05, 0), rtol=1e-6)
    assert run.attrs["evaluation"]["draws_at_once"] == 1
    assert len(run.attrs["evaluation"]["loop_reason"]) > 20


def test_single_precision_agrees_with_a_plain_loop_within_its_rounding():
    model, probe = made("transformer", 500)
    model.float()
    run = gaussian_draws(model, probe, draws=8)
    assert run.attrs["evaluation"]["draws_at_once"] < 8
    expected = plain_loop(model, probe, 8, 0.05, 0)
    assert run.loss.dtype == np.float32
    assert np.linalg.norm(run.loss - expected) <= 1e-6 * np.linalg.norm(expected)


def test_draws_follow_the_seed_and_nothing_else():
    model, probe = made("transformer", 60)
    runs = {
        memory: gaussian_draws(model, probe, loss_fn=cross_entropy, draws=12, seed=4, memory=memory)
        for memory in (2**29, 3 * 2**20, 2**19)
    }
    ways = {tuple(run.attrs["evaluation"].values()) for run in runs.values()}
    assert len(ways) == 3
    whole = runs[2**29].loss.to_numpy()
    for run in runs.values():
        np.testing.assert_allclose(run.loss, whole, rtol=1e-6)
    torch.manual_seed(99)  # not where the noise comes from
    again = gaussian_draws(model, probe, loss_fn=cross_entropy, draws=12, seed=4)
    np.testing.assert_array_equal(again.loss, whole)
    longer = gaussian_draws(model, probe, loss_fn=cross_entropy, draws=15, seed=4)
    np.testing.assert_allclose(longer.loss[:12], whole, rtol=1e-6)
    other = gaussian_draws(model, probe, loss_fn=cross_entropy, draws=12, seed=5)
    assert np.abs(other.loss.to_numpy() - whole).min() > 0


def state_of(model):
    states = {**{f"p.{k}": v for k, v in model.named_parameters()}, **dict(model.named_buffers())}
    grads = {f"{k}.grad": v.grad for k, v in model.named_parameters()}
    # The old global state of numpy is what a training may use, and must be left alone.
    random_states = {"torch": torch.get_rng_state(), "numpy": torch.tensor(np.random.get_state()[1])}  # noqa: NPY002
    modes = {"modes": torch.tensor([module.training for module in model.modules()])}
    return {
        key: (id(value) if isinstance(value, nn.Parameter) else 0, value.detach().clone())
        for key, value in {**states, **grads, **random_states, **modes}.items()
    }


@pytest.mark.parametrize("failing", [False, True])
@pytest.mark.parametrize("build", [mlp, Counting])
def test_nothing_of_the_model_changes(build, failing):
    model = build().train()
    list(model.children())[-1].eval()
    inputs, classes = vectors(4000, 6).float(), torch.arange(4000) % 3
    cross_entropy(model(inputs), classes).mean().backward()
    before, attributes = state_of(model), [set(vars(module)) for module in model.modules()]
    calls = []

    def loss_fn(outputs, targets):
        calls.append(len(targets))
        if failing and len(calls) > 4:
            raise RuntimeError("no loss today")
        return per_sample_cross_entropy(outputs, targets)

    if failing:
        with pytest.raises(RuntimeError, match="no loss today"):
            gaussian_draws(model, (inputs, classes), loss_fn=loss_fn, draws=40)
    else:
        gaussian_draws(model, (inputs, classes), loss_fn=loss_fn, draws=40)
    after = state_of(model)
    assert before.keys() == after.keys()
    for key, (identity, value) in before.items():
        assert identity == after[key][0], key
        assert torch.equal(value, after[key][1]), key
    assert attributes == [set(vars(module)) for module in model.modules()]


@pytest.mark.parametrize(
    ("perturb", "expected"),
    [
        ("0.*", ["0.weight", "0.bias"]),
        (["4.bias", "0.w*"], ["0.weight", "4.bias"]),
        (lambda name, tensor: tensor.ndim == 2, ["0.weight", "4.weight"]),
        (None, ["1.weight", "1.bias", "4.weight", "4.bias"]),
    ],
)
def test_only_what_is_chosen_moves(perturb, expected):
    model, probe = made("mlp")
    nn.init.constant_(model[1].bias, 0.5)  # zero when fresh
    model[0].requires_grad_(perturb is not None)
    run = gaussian_draws(model, probe, loss_fn=cross_entropy, draws=6, perturb=perturb)
    assert list(run.attrs["scales"]) == expected
    loop = plain_loop(model, probe, 6, 0.05, 0, chosen=set(expected).__contains__)
    np.testing.assert_allclose(run.loss, loop, rtol=1e-6)


def test_scales_are_relative_to_each_tensor_unless_they_are_not():
    model, probe = made("mlp")
    run = gaussian_draws(model, probe, draws=2, sigma=0.2)
    assert run.attrs["unperturbed"] == ["1.bias"]
    weight = model[0].weight.detach().numpy()
    assert run.attrs["scales"]["0.weight"] == pytest.approx(0.2 * np.sqrt(np.mean(weight**2)), rel=1e-12)
    absolute = gaussian_draws(model, probe, loss_fn=cross_entropy, draws=4, sigma=0.2, relative=False)
    assert absolute.attrs["unperturbed"] == []
    assert set(absolute.attrs["scales"].values()) == {0.2}
    np.testing.assert_allclose(absolute.loss, plain_loop(model, probe, 4, 0.2, 0, relative=False), rtol=1e-6)


def test_the_run_says_what_it_is_and_is_analysed_like_any_other(tmp_path, capfd):
    model, probe = made("mlp", 60)
    run = gaussian_draws(
        model, probe, draws=64, sigma=0.1, seed=2, metadata={"class": probe[1]}, name="here", progress=True
    )
    assert "64/64" in capfd.readouterr().err
    assert (run.name, run.steps.tolist()) == ("here", list(range(64)))
    facts = {key: run.attrs[key] for key in ("rows", "sigma", "relative", "seed")}
    assert facts == {"rows": "draws", "sigma": 0.1, "relative": True, "seed": 2}
    assert run.probe["class"].to_numpy().tolist() == probe[1].tolist()
    run.save(tmp_path / "draws")
    modes = eigenmodes(run, step=63, window=64)
    covariance = np.cov(run.loss.to_numpy().astype(float).T)
    np.testing.assert_allclose(modes["eigenvalue"], np.linalg.eigvalsh(covariance)[::-1][:8], rtol=1e-5)
    assert groups(run, 63, window=64)["size"].sum() == 60
    curves = analyze(run, window=64, detrend="constant")
    np.testing.assert_allclose(curves["trace"][-1], np.trace(covariance), rtol=1e-5)


class Pair(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 3)

    def forward(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        return self.layer(left * right)


def test_a_probe_may_be_what_a_recorder_takes():
    x, classes = vectors(9, 6).float().numpy(), np.arange(9) % 3
    model = Pair()
    by_place = gaussian_draws(model, ((x, x), classes), draws=3)
    by_name = gaussian_draws(model, ({"left": x, "right": x}, classes), draws=3)
    np.testing.assert_array_equal(by_place.loss, by_name.loss)
    listed = gaussian_draws(
        model, ((x, x), list(classes)), draws=3, loss_fn=lambda o, t: cross_entropy(o, torch.tensor(t))
    )
    np.testing.assert_allclose(listed.loss, by_name.loss, rtol=1e-6)


def test_half_precision_models_give_losses_in_single():
    model, (inputs, classes) = made("mlp")
    run = gaussian_draws(
        model.bfloat16(), (inputs.bfloat16(), classes), draws=3, loss_fn=lambda o, t: o.abs().mean(dim=1)
    )
    assert run.loss.dtype.kind == "f"
    assert np.ptp(run.loss.to_numpy(), axis=0).min() > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sigma": 0}, "sigma=0; expected a positive number"),
        ({"sigma": float("nan")}, "sigma=nan"),
        ({"sigma": True}, "sigma=True"),
        ({"draws": 1}, "draws=1; expected an integer, at least 2"),
        ({"draws": 2.5}, "draws=2.5"),
        ({"seed": -1}, "seed=-1"),
        ({"seed": 2**63}, "below"),
        ({"memory": 0}, "memory=0"),
        ({"memory": 100}, "memory=100 bytes; one perturbed copy and one datapoint need up to"),
        ({"perturb": "0.wieght"}, r"perturb='0.wieght' matches no parameter; near it: '0.weight'"),
        ({"perturb": ["0.*", "9.*"]}, r"perturb='9\.\*' matches no parameter"),
        ({"perturb": []}, "nothing to perturb: perturb is empty"),
        ({"perturb": 3}, "perturb=3; expected None, a pattern"),
        ({"perturb": lambda name, tensor: False}, "holds for none of them. There are '0.weight'"),
        ({"perturb": "1.bias"}, "'1.bias' are zero, .* pass relative=False"),
    ],
)
def test_bad_options_are_named(options, message):
    model, probe = made("mlp")
    with pytest.raises(OptionError, match=message):
        gaussian_draws(model, probe, **options)


def test_bad_models_and_probes_are_named():
    model, (inputs, classes) = made("mlp")
    with pytest.raises(OptionError, match=r"expected a torch\.nn\.Module"):
        gaussian_draws(lambda x: x, (inputs, classes))
    with pytest.raises(OptionError, match="no real parameters"):
        gaussian_draws(nn.ReLU(), (inputs, classes))
    with pytest.raises(OptionError, match="none of them is trainable"):
        gaussian_draws(copy.deepcopy(model).requires_grad_(False), (inputs, classes))
    with pytest.raises(ProbeError, match="29 datapoints and targets 30"):
        gaussian_draws(model, (inputs[:29], classes))
    with pytest.raises(ProbeError, match="'label' has shape"):
        gaussian_draws(model, (inputs, classes), metadata={"label": [1, 2]})
    with pytest.raises(LossShapeError, match="expected one real number each"):
        gaussian_draws(model, (inputs, classes), loss_fn=lambda o, t: o.mean())
    nn.init.constant_(model[0].weight, float("nan"))
    with pytest.raises(OptionError, match=r"'0\.weight' holds NaN"):
        gaussian_draws(model, (inputs, classes))
