"""Tracking and spectra of every window, against one bare eigenproblem per window in the same run.

    python benchmarks/bench_tracking.py        # 2000 rows x 1000 datapoints, window 64

Times are the best of several on this machine, whatever else it does; the ratios are what to compare.
"""

from __future__ import annotations

import argparse

import numpy as np
from bench_gram import best, losses

from rdmviz.analysis import ModePath, mode_tracks
from rdmviz.analysis.gram_cache import gram_of
from rdmviz.analysis.one_thread import one_blas_thread
from rdmviz.run import TrainingRun


def bare_eigenproblems(kernels: list[np.ndarray]) -> None:
    """One `numpy.linalg.eigh` per window, one after the other."""
    for kernel in kernels:
        np.linalg.eigh(kernel)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description="mode_tracks against one eigenproblem per window")
    parser.add_argument("--window", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    n_rows, n, window = 2000, 1000, options.window
    rows = losses(n_rows, n)
    print(f"T={n_rows}, n={n}, window={window}, centred, 8 modes, every step, float64")
    run = TrainingRun.from_arrays(rows)
    gram = gram_of(run, window)
    middle = np.eye(window) - 1 / window
    kernels = [middle @ gram.block(end, window) @ middle for end in range(window - 1, n_rows)]
    with one_blas_thread():
        unit = best(lambda: bare_eigenproblems(kernels), options.repeats)
    timings = {
        "one bare numpy.linalg.eigh per window, one thread": unit,
        "mode_tracks: Gram, all spectra, tracks (target: under 5 s)": best(
            lambda: mode_tracks(TrainingRun.from_arrays(rows), window=window), options.repeats
        ),
        "  again, from the cached Gram": best(lambda: mode_tracks(run, window=window), options.repeats),
        "ModePath.at(last), first call: orients all windows": best(
            lambda: ModePath(run, window=window).at(n_rows - 1), options.repeats
        ),
    }
    path = ModePath(run, window=window)
    path.at(n_rows - 1)
    timings["ModePath.at, afterwards"] = best(lambda: path.at(1234), 20)
    for name, seconds in timings.items():
        print(f"{name:<62}{seconds:>9.4f} s {seconds / unit:>8.3f} x")


if __name__ == "__main__":
    main()
