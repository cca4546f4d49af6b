"""A million datapoints: time per datapoint and peak memory, on one machine and on a local Dask cluster.

    python benchmarks/bench_out_of_core.py             # 1e4, 1e5 and 1e6 datapoints, 2000 rows, float32
    python benchmarks/bench_out_of_core.py --samples 10000 100000

Losses are generated chunk by chunk (2000 rows x 5000 datapoints); nothing ever holds the 8 GB of the largest
run. Each figure comes from a fresh process, whose peak resident memory is that of the process and, on the
cluster, of its two workers, each. What it takes to generate the losses alone is measured beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

ROWS, CHUNK, WINDOW = 2000, 5_000, 64


def generated(block_info: Any = None) -> np.ndarray:
    """One chunk: eight groups of datapoints that fall at their own times, and noise."""
    (_, _), (left, right) = block_info[None]["array-location"]
    rng = np.random.default_rng(left)
    times = np.linspace(0.1, 0.9, 8, dtype="f4")[np.arange(left, right) % 8]
    out = rng.standard_normal((ROWS, right - left), dtype="f4")
    out *= 0.05
    out += 1 / (1 + np.exp((np.linspace(0, 1, ROWS, dtype="f4")[:, None] - times) * 30))
    return out


def losses(n: int) -> Any:
    """Return the dask array ``(2000, n)``."""
    import dask.array

    return dask.array.map_blocks(generated, chunks=((ROWS,), (CHUNK,) * (n // CHUNK)), dtype="f4")


def peak(_: object = None) -> float:
    """Largest resident memory of this program so far, GB."""
    status = Path("/proc/self/status")
    if status.exists():  # ru_maxrss would count the memory of the process that started this one
        (line,) = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")]
        return int(line.split()[1]) / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def measure(n: int, where: str) -> dict[str, float]:
    """Analyse one run, and take the modes of one window."""
    import rdmviz

    client = None
    if where == "cluster":
        from distributed import Client, LocalCluster

        cluster = LocalCluster(n_workers=2, threads_per_worker=1, memory_limit="2GB", dashboard_address=":0")
        client = Client(cluster)
    rdmviz.analyze(rdmviz.TrainingRun.from_arrays(losses(CHUNK)), window=WINDOW)  # imports, first calls
    data = losses(n)
    start = time.perf_counter()
    data.map_blocks(lambda block: block[:1, :1].copy(), chunks=(1, 1), dtype="f4").compute()
    generation = time.perf_counter() - start
    run = rdmviz.TrainingRun.from_arrays(data)
    start = time.perf_counter()
    curves = rdmviz.analyze(run, window=WINDOW)
    seconds, memory = time.perf_counter() - start, peak()
    assert np.isfinite(curves.trace.values[WINDOW:]).all()
    start = time.perf_counter()
    found = rdmviz.eigenmodes(run, step=1000, window=WINDOW, modes=4)
    modes = time.perf_counter() - start
    assert found.eigenvector.shape == (4, n)
    out = {"generation": generation, "analyze": seconds, "modes": modes, "after": memory, "peak": peak()}
    if client is not None:
        out["workers"] = max(client.run(peak).values())
        client.close()
        cluster.close()
    return out


def main() -> None:
    """Run each case in a process of its own."""
    parser = argparse.ArgumentParser(description="time per datapoint and memory, out of core")
    parser.add_argument("--samples", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--case", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case:
        print(json.dumps(measure(int(options.case[0]), options.case[1])))
        return
    print(f"T={ROWS}, window={WINDOW}, float32, chunks of {CHUNK} datapoints")
    names = ("datapoints", "generate", "analyze", "us each", "modes", "peak GB")
    print(f"{'':<12}" + "".join(f"{name:>11}" for name in names))
    for where in ("threads", "cluster"):
        for n in options.samples:
            command = [sys.executable, __file__, "--case", str(n), where]
            done = subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ)
            r = json.loads(done.stdout.splitlines()[-1])
            memory = f"{r['peak']:>11.2f}" + (
                f"  workers {r['workers']:.2f} each at most" if "workers" in r else ""
            )
            times = [f"{r[key]:.1f} s" for key in ("generation", "analyze")]
            each, modes = f"{r['analyze'] / n * 1e6:.1f}", f"{r['modes']:.1f} s"
            print(
                f"{where:<12}" + "".join(f"{x:>11}" for x in (f"{n:,}", *times, each, modes)) + memory,
                flush=True,
            )


if __name__ == "__main__":
    main()
