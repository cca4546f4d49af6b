"""What snapshots cost: steps without one, steps with each kind of them, and reading them again.

    python benchmarks/bench_snapshots.py

A multilayer perceptron of about 1e6 parameters (5 matrices), a probe of 1000 datapoints. A step with a
snapshot is shown against a bare forward pass of the probe; beside it, what the singular values alone need.
Times are the median of several, taken in turns.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn

from rdmviz import Recorder, open_run
from rdmviz.record import Snapshots

WIDTH, SAMPLES, TURNS, STORED = 500, 1000, 15, 200
LAYERS = ["0", "2", "4", "6"]


def network() -> nn.Module:
    """Return four hidden layers."""
    torch.manual_seed(0)
    hidden = [part for _ in LAYERS for part in (nn.Linear(WIDTH, WIDTH), nn.ReLU())]
    return nn.Sequential(*hidden, nn.Linear(WIDTH, 10))


def seconds(act: Callable[[], object]) -> float:
    """Return how long something takes."""
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def main() -> None:
    """Print the figures."""
    torch.set_num_threads(1)
    model, inputs, classes = network(), torch.randn(SAMPLES, WIDTH), torch.arange(SAMPLES) % 10
    matrices = [weight.detach() for weight in model.parameters() if weight.ndim == 2]
    kinds = {
        "none": None,
        "full": Snapshots(every=1, weights="full"),
        "spectra": Snapshots(every=1, weights="spectra"),
        "representations": Snapshots(every=1, weights=None, representations=LAYERS),
        "the same as float16": Snapshots(every=1, weights=None, representations=LAYERS, dtype=np.float16),
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        recorders = {
            name: Recorder(path / name, (inputs, classes), snapshots=snapshots)
            for name, snapshots in kinds.items()
        }
        took: dict[str, list[float]] = {name: [] for name in (*kinds, "forward", "svd")}
        for step in range(TURNS):
            with torch.no_grad():
                took["forward"].append(seconds(lambda: model(inputs)))
            for name, recorder in recorders.items():
                took[name].append(seconds(lambda r=recorder, step=step: r.record(step, model)))
            took["svd"].append(seconds(lambda: [torch.linalg.svdvals(m.double()) for m in matrices]))
        times = {name: 1e3 * statistics.median(values[1:]) for name, values in took.items()}
        size = {
            name: sum(f.stat().st_size for f in (path / name).rglob("*") if f.is_file()) for name in kinds
        }
        print(f"{sum(m.numel() for m in matrices)} weights, n = {SAMPLES}; forward {times['forward']:.2f} ms")
        print(f"svdvals of the matrices {times['svd']:.2f} ms")
        for name in kinds:
            ratio, room = times[name] / times["forward"], size[name] / TURNS / 2**20
            print(
                f"  snapshots {name:20} {times[name]:8.2f} ms a step, {ratio:5.2f} x forward, {room:5.2f} MiB"
            )
        sparse = Snapshots(every=10**9, representations=LAYERS)
        idle = Recorder(None, (inputs, classes), every=10**9, snapshots=sparse)
        idle.record(1, model)
        asked = min(seconds(lambda step=step: idle.record(step, model)) for step in range(2, 100))
        print(f"a step at which nothing is due: {1e6 * asked:.1f} microseconds")
        many = Recorder(path / "many", (inputs, classes), snapshots=kinds["full"])
        for step in range(STORED):
            many.record(step, model)
        many.close()
        opening = min(seconds(lambda: open_run(path / "many")) for _ in range(5))
        listing = min(seconds(lambda: open_run(path / "many").weights) for _ in range(5))
        layers = [open_run(path / "many").weights["2.weight"] for _ in range(5)]
        reading = min(seconds(lambda layer=layer: layer[150].to_numpy()) for layer in layers)
        print(
            f"{STORED} snapshots: opened in {1e3 * opening:.1f} ms, weights listed in {1e3 * listing:.1f} "
            f"ms, one layer of one snapshot read in {1e3 * reading:.1f} ms"
        )


if __name__ == "__main__":
    main()
