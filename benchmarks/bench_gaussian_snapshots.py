"""What a Gaussian snapshot costs: the 2RDM around a checkpoint, taken in the middle of a training.

    python benchmarks/bench_gaussian_snapshots.py

A multilayer perceptron of about 20,000 parameters, a probe of 600 datapoints, 256 draws: a recorded step with
such a snapshot should take less than a second on one core. Beside it a step without one, the draws by
themselves (gaussian_draws), and reading the modes of 60 such snapshots from a store. The least of several
(what else the machine does only adds), and processor time; the first snapshot of a process also loads parts
of torch and is shown by itself.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from rdmviz import Recorder, gaussian_draws, gaussian_modes, open_run
from rdmviz.record import GaussianSnapshots, Snapshots

SAMPLES, FEATURES, DRAWS, TURNS, STORED, TARGET = 600, 40, 256, 7, 60, 1.0


def network() -> nn.Module:
    """Return two hidden layers."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(FEATURES, 128), nn.ReLU(), nn.Linear(128, 100), nn.ReLU(), nn.Linear(100, 10)
    )


def seconds(act: Callable[[], object]) -> float:
    """Return how long something takes."""
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def main() -> None:
    """Print the figures."""
    torch.set_num_threads(1)
    model, probe = network(), (torch.randn(SAMPLES, FEATURES), torch.arange(SAMPLES) % 10)
    parameters = sum(weight.numel() for weight in model.parameters())
    print(f"{parameters:,} parameters, {SAMPLES} datapoints, {DRAWS} draws")
    taken = Snapshots(every=1, weights=None, gaussian=GaussianSnapshots(draws=DRAWS))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run"
        bare = Recorder(None, probe)
        with Recorder(path, probe, snapshots=taken) as recorder:
            first = seconds(lambda: recorder.record(0, model))
            print(f"first snapshot of the process: {first:.2f} s")
            began = time.process_time()
            steps = [seconds(lambda at=at: recorder.record(at, model)) for at in range(1, TURNS)]
            busy = (time.process_time() - began) / len(steps)
            plain = [seconds(lambda at=at: bare.record(at, model)) for at in range(TURNS)]
            drawn = [seconds(lambda: gaussian_draws(model, probe, draws=DRAWS)) for _ in range(TURNS)]
            for at in range(TURNS, STORED):
                recorder.record(at, model)
        measured = min(steps)
        verdict = "met" if measured < TARGET else "MISSED"
        print(f"a step with a snapshot: {measured:.3f} s, target {TARGET:g} s: {verdict}")
        print(f"  of the processor: {busy:.3f} s on average")
        print(f"a step without one: {1e3 * min(plain):.2f} ms")
        print(f"the draws by themselves: {min(drawn):.3f} s")
        size = sum(file.stat().st_size for file in (path / "snapshots").rglob("*") if file.is_file())
        print(f"{STORED} snapshots: {size / STORED / 1024:.0f} KiB each on disk")
        reading = seconds(lambda: gaussian_modes(open_run(path)))
        print(f"modes of {STORED} snapshots: opened, read and oriented in {1e3 * reading:.0f} ms")


if __name__ == "__main__":
    main()
