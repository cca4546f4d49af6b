"""What `analyze` costs against the matrix products it cannot do without, all in one run.

    python benchmarks/bench_gram.py            # 2000 rows x 1000 datapoints, window 50
    python benchmarks/bench_gram.py --long     # and changing settings on 10000 rows

Times are the best of several on this machine, whatever else it does; the ratios are what to compare. On a
busy machine set OPENBLAS_NUM_THREADS=1: threads that wait for a core measure the neighbours.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from rdmviz.analysis import ModePath, analyze
from rdmviz.run import TrainingRun


def best(task: Callable[[], Any], repeats: int) -> float:
    """Shortest wall-clock time in seconds."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        task()
        times.append(time.perf_counter() - start)
    return min(times)


def losses(n_rows: int, n: int) -> np.ndarray:
    """Losses that fall, with fluctuations: nothing here is special."""
    rng = np.random.default_rng(0)
    fall = 3 * np.exp(-np.arange(n_rows) / (n_rows / 4))[:, None] * rng.uniform(0.5, 1.5, n)
    return fall + 0.1 * np.abs(rng.normal(size=(n_rows, n)))


def banded_products(rows: np.ndarray, window: int) -> None:
    """Multiply each block of rows with itself and its predecessor: the symmetric products alone."""
    for start in range(-window + 1, len(rows), window):
        block = rows[max(start, 0) : start + 2 * window - 1]
        block @ block.T


def one_eigenproblem_per_window(rows: np.ndarray, window: int, count: int) -> None:
    """Solve a `window x window` eigenproblem for `count` windows."""
    for end in range(window, window + count):
        x = rows[end - window : end] - rows[end - window : end].mean(axis=0)
        np.linalg.eigvalsh(x @ x.T)


def covariances(rows: np.ndarray, window: int, count: int) -> None:
    """Do what one would write first, `numpy.cov` and `eigvalsh`, for `count` windows."""
    for end in range(window, window + count):
        np.linalg.eigvalsh(np.cov(rows[end - window : end].T))


def report(name: str, seconds: float, unit: float, note: str = "") -> None:
    """One line: milliseconds and the ratio to the products."""
    print(f"{name:<58}{seconds * 1e3:>13,.1f} ms {seconds / unit:>11,.2f} x  {note}")


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description="analyze against its bare matrix products")
    parser.add_argument("--long", action="store_true", help="also 10000 rows")
    parser.add_argument("--repeats", type=int, default=9)
    options = parser.parse_args()
    n_rows, n, window = 2000, 1000, 50
    rows = losses(n_rows, n)
    n_windows = n_rows - window + 1
    print(f"T={n_rows}, n={n}, window={window}, linear detrending, every step, float64")
    unit = best(lambda: banded_products(rows, window), options.repeats)
    report("bare banded matrix products", unit, unit)
    whole = best(lambda: analyze(TrainingRun.from_arrays(rows), window=window), options.repeats)
    report("analyze, Dataset and baselines included", whole, unit, "target: at most 3")
    run = TrainingRun.from_arrays(rows)
    analyze(run, window=window)
    for detrend in ("constant", "quadratic"):
        again = best(lambda d=detrend: analyze(run, window=window, detrend=d), options.repeats)
        report(f"  again with detrend={detrend!r}", again, unit)
    top = best(lambda: analyze(run, window=window).top_eigenvalue.values, 3)
    report("  with the (lazy) top eigenvalue read at every step", top, unit, "not in analyze above")
    one = best(lambda: one_eigenproblem_per_window(rows, window, 200), 3) * n_windows / 200
    report("one window x window eigenproblem per window", one, unit, "extrapolated from 200 windows")
    cov = best(lambda: covariances(rows, window, 2), 1) * n_windows / 2
    report("numpy.cov and eigvalsh per window", cov, unit, "extrapolated from 2 windows")

    run = TrainingRun.from_arrays(rows[:, :600])
    path = ModePath(run, window=64)
    start = time.perf_counter()
    path.at(n_rows - 1)
    report(
        "ModePath.at(last), n=600, window=64: first call",
        time.perf_counter() - start,
        unit,
        "decides all signs",
    )
    report("ModePath.at, afterwards", best(lambda: path.at(1234), 20), unit)
    report("ModePath.groups_at, keyframes known", _groups(path), unit)
    if options.long:
        run = TrainingRun.from_arrays(losses(10_000, n))
        first = best(lambda: analyze(run, window=127), 1)
        report("T=10000: analyze, window=127, first time", first, unit)
        for window, detrend in ((127, "quadratic"), (50, "linear"), (20, "constant")):
            again = best(lambda w=window, d=detrend: analyze(run, window=w, detrend=d), 3)
            report(f"  changed to window={window}, detrend={detrend!r}", again, unit)


def _groups(path: ModePath) -> float:
    path.groups_at(1234)
    return best(lambda: path.groups_at(1234), 5)


if __name__ == "__main__":
    main()
