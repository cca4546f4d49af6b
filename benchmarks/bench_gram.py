"""What `analyze` costs against the matrix products it cannot do without, all in one run.

    python benchmarks/bench_gram.py          # 2000 x 1000 (window 50) and 5000 x 2000 (window 100)
    python benchmarks/bench_gram.py --long   # also 10000 x 10000 (window 100): minutes, for cov + eigvalsh

The unit is one symmetric product per block of ``2 w - 1`` rows with itself, as numpy and its BLAS do it with
all cores: the plainest way to all inner products less than a window apart. Unit and analysis are measured in
turn, the best of several each; the ratios are what to compare. On a busy machine BLAS threads that wait for a
core make the unit slow and the ratios flattering: look at the load first.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from rdmviz.analysis import ModePath, analyze
from rdmviz.analysis.gram_cache import gram_of
from rdmviz.analysis.one_thread import cores, one_blas_thread
from rdmviz.compute.rdm.gram import banded_gram
from rdmviz.compute.rdm.windows import window_traces
from rdmviz.run import TrainingRun

SIZES = [(2000, 1000, 50), (5000, 2000, 100)]
LONG = (10_000, 10_000, 100)


def best(task: Callable[[], Any], repeats: int) -> float:
    """Shortest wall-clock time in seconds."""
    return min(timed(task) for _ in range(repeats))


def timed(task: Callable[[], Any]) -> float:
    """Wall-clock time in seconds, after a pause: idle BLAS threads spin for a while after their work."""
    time.sleep(0.1)
    start = time.perf_counter()
    task()
    return time.perf_counter() - start


def losses(n_rows: int, n: int) -> np.ndarray:
    """Losses that fall, with fluctuations: nothing here is special."""
    rng = np.random.default_rng(0)
    fall = 3 * np.exp(-np.arange(n_rows) / (n_rows / 4))[:, None] * rng.uniform(0.5, 1.5, n)
    return fall + 0.1 * np.abs(rng.normal(size=(n_rows, n)))


def banded_products(rows: np.ndarray, window: int) -> None:
    """Multiply each block of rows with itself: the symmetric products alone."""
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
    print(f"{name:<58}{seconds * 1e3:>13,.1f} ms {seconds / unit:>11,.2f} x  {note}", flush=True)


def one_size(n_rows: int, n: int, window: int, repeats: int) -> None:
    """All ratios at one size."""
    rows = losses(n_rows, n)
    n_windows = n_rows - window + 1
    print(f"\nT={n_rows}, n={n}, window={window}, linear detrending, every step, float64")

    def bare() -> None:
        with one_blas_thread():
            gram = banded_gram(rows, window, workers=cores())
            window_traces(gram, window, "linear", lambda a, b: rows[a:b], workers=cores())

    def whole() -> None:
        analyze(TrainingRun.from_arrays(rows), window=window)

    times = np.array(
        [[timed(t) for t in (lambda: banded_products(rows, window), bare, whole)] for _ in range(repeats)]
    )
    unit, traces, analysis = times.min(axis=0)
    report("bare banded matrix products", unit, unit, f"{4 * n_rows * window * n / unit / 1e9:.0f} Gflop/s")
    report("Gram and traces of all windows (arrays)", traces, unit)
    report(
        "analyze: all observables without eigenvalues, baselines",
        analysis,
        unit,
        "target at the larger sizes: 1.3",
    )
    run = TrainingRun.from_arrays(rows)
    analyze(run, window=window)
    for detrend in ("constant", "linear", "quadratic"):
        again = best(lambda d=detrend: analyze(run, window=window, detrend=d), 5)
        report(f"  again with detrend={detrend!r}", again, unit, "target: under 100 ms")
    top = best(lambda: analyze(run, window=window).top_eigenvalue.values, 1)
    report("  with all eigenvalue curves read at every step", top, unit, "lazy: not in analyze above")
    one = best(lambda: one_eigenproblem_per_window(rows, window, 200), 3) * n_windows / 200
    report("one window x window eigenproblem per window", one, unit, f"{one / analysis:,.0f} x analyze")
    cov = best(lambda: covariances(rows, window, 1), 1) * n_windows
    report(
        "numpy.cov and eigvalsh per window", cov, unit, f"{cov / analysis:,.0f} x analyze, from one window"
    )


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description="analyze against its bare matrix products")
    parser.add_argument("--long", action="store_true", help="also 10000 rows of 10000 datapoints")
    parser.add_argument("--repeats", type=int, default=9)
    options = parser.parse_args()
    print(f"{cores()} cores, load {os.getloadavg()[0]:.1f}")
    for size in SIZES:
        one_size(*size, options.repeats)
    if options.long:
        one_size(*LONG, max(3, options.repeats // 3))

    print("\nT=10000, n=1000: changing settings")
    run = TrainingRun.from_arrays(losses(10_000, 1000))
    unit = timed(lambda: gram_of(run, 127))
    report("the Gram for windows up to 127", unit, unit)
    for window, detrend in ((127, "quadratic"), (100, "linear"), (50, "linear"), (20, "constant")):
        again = best(lambda w=window, d=detrend: analyze(run, window=w, detrend=d), 3)
        report(f"  window={window}, detrend={detrend!r}", again, unit, "target: under 100 ms")

    print("\nT=2000, n=600: scrubbing")
    path = ModePath(TrainingRun.from_arrays(losses(2000, 600)), window=64)
    first = timed(lambda: path.at(1999))
    report("ModePath.at(last): first call", first, first, "decides all signs")
    report("ModePath.at, afterwards", best(lambda: path.at(1234), 20), first)
    path.groups_at(1234)
    report("ModePath.groups_at, keyframes known", best(lambda: path.groups_at(1234), 5), first)


if __name__ == "__main__":
    main()
