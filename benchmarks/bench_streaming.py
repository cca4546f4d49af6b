"""What a row costs a window that follows a run, against the one product it cannot do without.

    python benchmarks/bench_streaming.py                      # window 100, 10000 datapoints
    python benchmarks/bench_streaming.py --samples 100000

`ratio` is the mean to the product of the ring with the row, `window` how much longer it takes to compute the
window from its rows. The ratios are what to compare: all parts take turns in one process. On a busy machine
set OPENBLAS_NUM_THREADS=1: threads that wait for a core measure the neighbours.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from rdmviz.compute.rdm.rows import fluctuations_of
from rdmviz.compute.rdm.streaming import StreamingWindow


def timed(task: Callable[[], Any]) -> float:
    """Wall-clock time of one call in seconds."""
    start = time.perf_counter()
    task()
    return time.perf_counter() - start


def recompute(ring: np.ndarray, detrend: str) -> float:
    """Trace and purity of one window from its rows, as one would write it first."""
    x = fluctuations_of(ring, detrend)
    kernel = x @ x.T
    return float(np.trace(kernel) ** 2 / np.vdot(kernel, kernel))


def measure(rows: np.ndarray, window: int, detrend: str) -> None:
    """Append all rows; every tenth row time the product alone, every hundredth the whole window."""
    stream = StreamingWindow(rows.shape[1], window, detrend)
    for row in rows[:window]:
        stream.append(row)
    appended, products, windows = [], [], []
    ring = rows[:window].copy()
    for at, row in enumerate(rows[window:]):
        appended.append(timed(lambda row=row: stream.append(row)))
        if at % 10 == 0:
            products.append(timed(lambda row=row: ring @ row))
        if at % 100 == 0:
            windows.append(timed(lambda: recompute(ring, detrend)))
    mean, median, worst = np.mean(appended), np.median(appended), np.max(appended)
    product, whole = np.median(products), np.median(windows)
    print(
        f"{detrend:<10} {mean * 1e3:>8.3f} {median * 1e3:>8.3f} {worst * 1e3:>8.3f} {product * 1e3:>9.3f} "
        f"{mean / product:>7.1f} x {whole / mean:>9.1f} x"
    )


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description="a row of a streaming window against its bare product")
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--window", type=int, default=100)
    parser.add_argument("--rows", type=int, default=2000)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    fall = 3 * np.exp(-np.arange(options.rows) / (options.rows / 4))[:, None]
    rows = fall * rng.uniform(0.5, 1.5, options.samples) + 0.1 * np.abs(
        rng.normal(size=(options.rows, options.samples))
    )
    print(f"window={options.window}, n={options.samples}, {options.rows} rows, milliseconds per row")
    print(
        f"{'detrend':<10} {'mean':>8} {'median':>8} {'worst':>8} {'product':>9} {'ratio':>9} {'window':>11}"
    )
    for detrend in ("none", "constant", "linear", "quadratic"):
        measure(rows, options.window, detrend)


if __name__ == "__main__":
    main()
