"""What recording costs a training.

    python benchmarks/bench_recording.py

Each line: what was measured, the target, met or MISSED. Times of a recorded step and of the bare forward pass
are taken in turns, in the middle of a training.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from rdmviz import Recorder

SAMPLES, ROUNDS = 1000, 60
TIMES, PLUS_SECONDS = 1.05, 1e-3


def perceptron() -> tuple[nn.Module, Tensor]:
    """Return a multilayer perceptron of 1.0e6 parameters and its probe inputs."""
    layers = [
        nn.Linear(256, 640),
        nn.ReLU(),
        nn.Linear(640, 1024),
        nn.ReLU(),
        nn.Dropout(0.1),
        nn.Linear(1024, 180),
    ]
    return nn.Sequential(*layers), torch.randn(SAMPLES, 256)


def convolutions() -> tuple[nn.Module, Tensor]:
    """Return a convolutional network with batch norm, of 1.0e6 parameters, and its probe inputs."""

    def block(before: int, after: int) -> list[nn.Module]:
        return [nn.Conv2d(before, after, 3, 2, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]

    blocks = [*block(3, 48), *block(48, 96), *block(96, 144), *block(144, 192), *block(192, 256)]
    return nn.Sequential(*blocks, nn.Flatten(), nn.Dropout(0.1), nn.Linear(256, 10)), torch.randn(
        SAMPLES, 3, 32, 32
    )


def transformer() -> tuple[nn.Module, Tensor]:
    """Return a transformer of 1.0e6 parameters, with a large number of small modules, and its probe inputs."""

    class Last(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x[:, -1]

    layer = nn.TransformerEncoderLayer(128, 4, 384, dropout=0.1, batch_first=True, norm_first=True)
    encoder = nn.TransformerEncoder(layer, 6, enable_nested_tensor=False)
    return nn.Sequential(nn.Embedding(64, 128), encoder, Last(), nn.Linear(128, 64)), torch.randint(
        64, (SAMPLES, 8)
    )


def recorded_step(make: Callable[[], tuple[nn.Module, Tensor]], folder: Path, device: str) -> bool:
    """Compare a recorded step with a bare forward pass of the probe."""
    torch.manual_seed(0)
    model, inputs = make()
    model, here = model.to(device), inputs.to(device)
    targets = torch.randint(10, (SAMPLES,))
    there = targets.to(device)
    optimiser = torch.optim.SGD(model.parameters(), lr=1e-3)

    def wait() -> None:
        if device != "cpu":
            torch.cuda.synchronize()

    def bare() -> np.ndarray:
        with torch.no_grad():
            return cross_entropy(model(here), there, reduction="none").cpu().numpy()

    seconds: dict[str, list[float]] = {"bare": [], "recorded": []}
    with Recorder(folder / make.__name__, (inputs, targets)) as recorder:
        for step in range(ROUNDS):
            model.train()
            cross_entropy(model(here[:64]), there[:64]).backward()
            optimiser.step()  # the gradients stay, as they do where a training step ends
            wait()
            looks = [("bare", bare), ("recorded", lambda step=step: recorder.record(step, model))]
            for name, look in looks if step % 2 else looks[::-1]:
                if name == "bare":
                    model.eval()
                started = time.perf_counter()
                look()
                wait()
                seconds[name].append(time.perf_counter() - started)
                model.train()
            optimiser.zero_grad()
    bare_s, recorded_s = (float(np.median(seconds[name][5:])) for name in ("bare", "recorded"))
    parameters = sum(weight.numel() for weight in model.parameters())
    modules = sum(1 for _ in model.modules())
    print(
        f"recorded step, {make.__name__} ({parameters:.2e} parameters, {modules} modules, {SAMPLES} datapoints, "
        f"{device}): {1e3 * recorded_s:.2f} ms; bare forward {1e3 * bare_s:.2f} ms, "
        f"{1e3 * (recorded_s - bare_s):+.2f} ms"
    )
    return told("of it", recorded_s, TIMES * bare_s + PLUS_SECONDS)


def told(what: str, seconds: float, target: float) -> bool:
    """Print a time beside its target, and return whether it is met."""
    met = seconds <= target
    print(f"    {what}: {1e3 * seconds:.2f} ms, target {1e3 * target:.2f} ms: {'met' if met else 'MISSED'}")
    return met


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    device = parser.parse_args().device
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads")
    with tempfile.TemporaryDirectory() as folder:
        for make in (perceptron, convolutions, transformer):
            recorded_step(make, Path(folder), device)


if __name__ == "__main__":
    main()
