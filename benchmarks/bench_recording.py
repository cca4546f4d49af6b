"""What recording costs a training.

    python benchmarks/bench_recording.py
    python benchmarks/bench_recording.py --device cuda

Each number stands beside its target, met or MISSED. Recorded steps and bare forward passes of the probe, in
evaluation mode and without gradients, are taken in turns in the middle of a training, and each is compared
with its neighbour; the median counts. About once a second what was recorded is committed to disk, which the
means show.

The part about the store appends rows of 10,000 losses to it in a loop that sleeps between them, opens one of
10,000 such rows, and reads windows of it that nothing has read before.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from rdmviz import Recorder, open_run
from rdmviz.store import RunWriter

SAMPLES, ROUNDS, WARM_UP = 1000, 60, 5
TIMES, PLUS_SECONDS = 1.05, 1e-3

Case = tuple[nn.Module, Tensor]


def perceptron() -> Case:
    """Return a multilayer perceptron of about 1e6 parameters and its probe inputs."""
    hidden = nn.Linear(256, 640), nn.ReLU(), nn.Linear(640, 1024), nn.ReLU(), nn.Dropout(0.1)
    return nn.Sequential(*hidden, nn.Linear(1024, 180)), torch.randn(SAMPLES, 256)


def convolutions() -> Case:
    """Return a convolutional network with batch norm of about 1e6 parameters and its probe inputs."""
    widths = (3, 48, 96, 160, 212, 264)
    blocks = [
        nn.Sequential(nn.Conv2d(one, other, 3, 2, 1, bias=False), nn.BatchNorm2d(other), nn.ReLU())
        for one, other in pairwise(widths)
    ]
    head = nn.Flatten(), nn.Dropout(0.1), nn.Linear(widths[-1], 10)
    return nn.Sequential(*blocks, *head), torch.randn(SAMPLES, 3, 32, 32)


def transformer() -> Case:
    """Return a transformer of about 1e6 parameters, of many small modules, and its probe inputs."""
    layer = nn.TransformerEncoderLayer(128, 4, 384, dropout=0.1, batch_first=True, norm_first=True)
    encoder = nn.TransformerEncoder(layer, 6, enable_nested_tensor=False)
    model = nn.Sequential(nn.Embedding(64, 128), encoder, nn.Flatten(), nn.Linear(8 * 128, 64))
    return model, torch.randint(64, (SAMPLES, 8))


def recorded_step(make: Callable[[], Case], folder: Path, device: str) -> bool:
    """Compare a recorded step with a bare forward pass of the probe."""
    torch.manual_seed(0)
    model, inputs = make()
    targets = torch.randint(10, (SAMPLES,))
    model, x, y = model.to(device), inputs.to(device), targets.to(device)
    optimiser = torch.optim.SGD(model.parameters(), lr=1e-3)

    def train() -> None:
        optimiser.zero_grad()
        cross_entropy(model(x[:64]), y[:64]).backward()
        optimiser.step()

    def bare() -> np.ndarray:
        with torch.no_grad():
            losses: np.ndarray = cross_entropy(model(x), y, reduction="none").cpu().numpy()
        return losses

    def seconds(look: Callable[[], object]) -> float:
        if device != "cpu":
            torch.cuda.synchronize()
        started = time.perf_counter()
        look()
        return time.perf_counter() - started

    alone, recorded = [], []
    with Recorder(folder / make.__name__, (inputs, targets)) as recorder:
        for step in range(ROUNDS):
            train()
            recorded.append(seconds(lambda step=step: recorder.record(step, model)))  # type: ignore[misc]  # no type for a default
            train()
            model.eval()
            alone.append(seconds(bare))
            model.train()
    there, here = np.array(alone[WARM_UP:]), np.array(recorded[WARM_UP:])
    sizes = [weight.numel() for weight in model.parameters()]
    print(f"{make.__name__}: {sum(sizes):.2e} parameters, {len(list(model.modules()))} modules, on {device}")
    for what, times in (("bare forward", there), ("recorded step", here)):
        print(f"    {what}: median {1e3 * np.median(times):.2f} ms, mean {1e3 * times.mean():.2f} ms")
    beyond = float(np.median(here - TIMES * there))  # neighbours in time: a busy machine slows both down
    return told(f"recorded step beyond {TIMES} times the bare forward beside it", beyond, PLUS_SECONDS)


def timed(task: Callable[[], Any]) -> float:
    """Wall-clock time of one call in seconds."""
    start = time.perf_counter()
    task()
    return time.perf_counter() - start


def losses(rows: int, samples: int) -> Iterator[np.ndarray]:
    """Rows of losses that move slowly, each by its own noise."""
    rng = np.random.default_rng(0)
    row = rng.gamma(2, size=samples).astype(np.float32)
    for _ in range(rows):
        row = row * np.float32(0.99) + np.float32(0.01) * rng.standard_normal(samples, dtype=np.float32) ** 2
        yield row


def appending(folder: Path, rows: int, samples: int, pause: float, flush_seconds: float) -> np.ndarray:
    """Seconds of each append of a training that does something else for `pause` seconds a step."""
    writer = RunWriter(folder, samples, flush_seconds=flush_seconds, overwrite=folder.exists())
    taken = []
    for step, row in enumerate(losses(rows, samples)):
        taken.append(timed(lambda step=step, row=row: writer.append(step, row, {"lr": 0.1})))
        time.sleep(pause)
    writer.close()
    return np.array(taken)


def store_part(folder: Path, rows: int = 10_000, samples: int = 10_000) -> None:
    """Append to a store, open it, and read a window."""
    print(f"a store of {samples} datapoints")
    kinds = (
        ("without flushes (100 rows)", 100, 0.005, 1e9),
        ("flushed every second, 200 rows a second", 1200, 0.005, 1.0),
        ("flushed every second, a row every 1.1 seconds", 12, 1.1, 1.0),
    )
    for kind, count, pause, flush_seconds in kinds:
        taken = appending(folder / "appended", count, samples, pause, flush_seconds)
        for name, value in (("mean", taken.mean()), ("95th percentile", np.quantile(taken, 0.95))):
            told(f"append {samples} losses, {kind}, {name}", float(value), 2e-3)
        print(f"{'':<4}its slowest {1e3 * taken.max():.1f} ms")
    path, began = folder / "whole", time.perf_counter()
    writer = RunWriter(path, samples, probe={"id": np.arange(samples)})
    for step, row in enumerate(losses(rows, samples)):
        writer.append(step, row, {"lr": 0.1})
    writer.close()
    seconds = time.perf_counter() - began
    size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) / 1e6
    print(f"{'':<4}{rows} rows as fast as they can be written: {seconds:.1f} s, {size:.0f} MB")
    told(f"open {rows} rows of {samples} losses", min(timed(lambda: open_run(path)) for _ in range(5)), 0.5)
    starts = np.linspace(0, rows - 64, 9).astype(int)
    reads = [timed(lambda start=start: open_run(path).rows(start, start + 64)) for start in starts]
    runs = [open_run(path) for _ in starts]
    alone = [
        timed(lambda run=run, at=at: run.rows(at, at + 64)) for run, at in zip(runs, starts, strict=True)
    ]
    told("read a window of 64 rows, median of 9 places, nothing kept", float(np.median(alone)), 50e-3)
    print(f"{'':<4}its slowest {1e3 * max(alone):.1f} ms; opened before it {1e3 * np.median(reads):.1f} ms")


def told(what: str, seconds: float, target: float) -> bool:
    """Print a time beside its target, and return whether it is met."""
    met = seconds <= target
    print(f"    {what}: {1e3 * seconds:.2f} ms, target {1e3 * target:.2f} ms: {'met' if met else 'MISSED'}")
    return met


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--device", default="cpu")
    device = parser.parse_args().device
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads")
    with tempfile.TemporaryDirectory() as folder:
        store_part(Path(folder))
        for make in (perceptron, convolutions, transformer):
            recorded_step(make, Path(folder), device)


if __name__ == "__main__":
    main()
