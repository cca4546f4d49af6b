"""What `gaussian_draws` costs against a plain loop, and against the arithmetic of its forward passes.

    python benchmarks/bench_gaussian.py                  # 256 draws, 1000 datapoints, about 1e5 parameters
    python benchmarks/bench_gaussian.py --draws 64       # sooner
    python benchmarks/bench_gaussian.py --device cuda

A two-layer transformer (d = 64, 4 heads, 8 tokens of 64 kinds, hidden width 256) that classifies at its last
token. Times are the best of several, taken in turns; the ratios are what to compare.
"""

from __future__ import annotations

import argparse
import copy
import time
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from rdmviz import gaussian_draws

WIDTH, HEADS, LAYERS, TOKENS, KINDS, SAMPLES = 64, 4, 2, 8, 64, 1000
SIGMA, FEW = 0.05, 2


class Block(nn.Module):
    """Attention and a multilayer perceptron, normalised before each."""

    def __init__(self) -> None:
        super().__init__()
        self.norm_1, self.norm_2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.up, self.down = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        """Return (batch, tokens, width)."""
        shape = (*x.shape[:2], 3, HEADS, WIDTH // HEADS)
        q, k, v = self.qkv(self.norm_1(x)).reshape(shape).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).reshape(x.shape))
        return x + self.down(functional.gelu(self.up(self.norm_2(x))))


class Transformer(nn.Module):
    """Token and place embeddings, blocks, logits at the last token."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(KINDS, WIDTH)
        self.place = nn.Parameter(0.02 * torch.randn(TOKENS, WIDTH))
        self.blocks = nn.Sequential(*(Block() for _ in range(LAYERS)))
        self.norm, self.logits = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, KINDS)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return (batch, kinds)."""
        logits: Tensor = self.logits(self.norm(self.blocks(self.embedding(tokens) + self.place))[:, -1])
        return logits


@torch.inference_mode()
def plain_loop(model: nn.Module, inputs: Tensor, targets: Tensor, draws: int, batch: int) -> Tensor:
    """Per draw: a perturbed copy, forward passes of ``batch`` datapoints, a loss per datapoint."""
    generator = torch.Generator(inputs.device).manual_seed(0)
    moved = copy.deepcopy(model).eval()
    scales = [SIGMA * weight.square().mean().sqrt() for weight in model.parameters()]
    rows = []
    for _ in range(draws):
        for weight, mean, scale in zip(moved.parameters(), model.parameters(), scales, strict=True):
            if scale > 0:
                weight.normal_(generator=generator).mul_(scale).add_(mean)
        parts = zip(inputs.split(batch), targets.split(batch), strict=True)
        losses = [functional.cross_entropy(moved(x), y, reduction="none") for x, y in parts]
        rows.append(torch.cat(losses))
    return torch.stack(rows).cpu()


class Products:
    """The matrix products of forward passes of ``batch`` datapoints, into tensors that are there already."""

    def __init__(self, batch: int, device: str) -> None:
        def some(*shape: int) -> Tensor:
            return torch.randn(*shape, device=device)

        rows, head = batch * TOKENS, WIDTH // HEADS
        self._batch = batch
        self._dense = [
            *LAYERS
            * [
                (some(rows, wide), some(wide, out), some(rows, out))
                for wide, out in ((64, 3 * 64), (64, 64), (64, 4 * 64), (4 * 64, 64))
            ],
            (some(batch, WIDTH), some(WIDTH, KINDS), some(batch, KINDS)),
        ]
        attended = some(batch * HEADS, TOKENS, TOKENS)
        self._batched = LAYERS * [
            (some(batch * HEADS, TOKENS, head), some(batch * HEADS, head, TOKENS), attended),
            (attended, some(batch * HEADS, TOKENS, head), some(batch * HEADS, TOKENS, head)),
        ]
        self.flops = sum(2 * a.numel() * b.shape[-1] for a, b, _ in [*self._dense, *self._batched]) / batch

    @torch.inference_mode()
    def run(self, draws: int) -> None:
        """Do those of so many draws."""
        for _ in range(draws * SAMPLES // self._batch):
            for left, right, out in self._dense:
                torch.mm(left, right, out=out)
            for left, right, out in self._batched:
                torch.bmm(left, right, out=out)

    @torch.inference_mode()
    def run_in_onednn(self, draws: int) -> None:
        """Do the same with the dense products in oneDNN, weights as a linear layer has them."""
        for _ in range(draws * SAMPLES // self._batch):
            for left, right, _ in self._dense:
                torch.ops.mkldnn._linear_pointwise(left, right.view(right.shape[::-1]), None, "none", [], "")
            for left, right, out in self._batched:
                torch.bmm(left, right, out=out)


def best(tasks: dict[str, Callable[[], object]], repeats: int, device: str) -> dict[str, float]:
    """Shortest wall-clock time of each in seconds, taken in turns so that a busy moment hits all alike."""
    times: dict[str, list[float]] = {name: [] for name in tasks}
    for _ in range(repeats):
        for name, task in tasks.items():
            start = time.perf_counter()
            task()
            if device == "cuda":
                torch.cuda.synchronize()
            times[name].append(time.perf_counter() - start)
    return {name: min(taken) for name, taken in times.items()}


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description="gaussian_draws against a plain loop and bare products")
    parser.add_argument("--draws", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    options = parser.parse_args()
    device, draws = options.device, options.draws
    torch.manual_seed(0)
    model = Transformer().to(device).eval()
    inputs = torch.randint(KINDS, (SAMPLES, TOKENS), device=device)
    targets = torch.randint(KINDS, (SAMPLES,), device=device)
    parameters, threads = sum(weight.numel() for weight in model.parameters()), torch.get_num_threads()
    print(f"{draws} draws, {SAMPLES} datapoints, {parameters} parameters, {device}, {threads} threads")

    def plain(batch: int, draws: int = draws) -> Callable[[], Tensor]:
        return lambda: plain_loop(model, inputs, targets, draws, batch)

    # Before the first call of ours, which leaves the allocator better for all that follows.
    alone = "plain loop, 1000 datapoints at a time, in a fresh process"
    taken = best({alone: plain(SAMPLES)}, options.repeats, device)
    run = gaussian_draws(model, (inputs, targets), draws=8, sigma=SIGMA)
    expected = plain(SAMPLES, 8)().double()
    apart = torch.linalg.norm(torch.as_tensor(run.loss.to_numpy().astype(float)) - expected) / expected.norm()
    print(f"evaluation: {run.attrs['evaluation']}; relative distance from the plain loop: {apart:.1e}")

    ours = "gaussian_draws"
    tasks: dict[str, Callable[[], object]] = {
        ours: lambda: gaussian_draws(model, (inputs, targets), draws=draws, sigma=SIGMA)
    }
    tasks |= {f"plain loop, {batch} datapoints at a time": plain(batch) for batch in (SAMPLES, 250, 32)}
    products = {batch: Products(batch, device) for batch in (SAMPLES, 250)}
    for batch, some in products.items():
        tasks[f"products, {batch} at a time"] = partial(some.run, draws)
        if device == "cpu":
            tasks[f"products, {batch} at a time, in oneDNN"] = partial(some.run_in_onednn, draws)
    taken |= best(tasks, options.repeats, device)
    single = f"plain loop, one datapoint at a time, extrapolated from {FEW} draws"
    taken[single] = best({single: plain(1, FEW)}, 1, device)[single] * draws / FEW
    arithmetic = min(taken[f"products, {batch} at a time"] for batch in products)
    flops = products[SAMPLES].flops * SAMPLES * draws
    print(
        f"arithmetic: {flops / 1e9:.0f} Gflop at {flops / arithmetic / 1e9:.0f} Gflop/s in torch.mm and bmm"
    )
    print(f"{'':<68}{'seconds':>9}{'/ ours':>9}{'/ arithmetic':>14}")
    for name, seconds in taken.items():
        print(f"{name:<68}{seconds:>9.2f}{seconds / taken[ours]:>9.2f}{seconds / arithmetic:>14.2f}")
    print("targets: plain loop, 1000 at a time / ours at least 3; ours / arithmetic at most 1.5")


if __name__ == "__main__":
    main()
