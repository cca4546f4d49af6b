"""Full weight analysis of a training: 50 snapshots of a network of a million parameters.

    python benchmarks/bench_theories_weights.py              # 784-640-640-130-10, 50 snapshots
    python benchmarks/bench_theories_weights.py --square     # one layer of 1000 x 1000

Eigenvalues, Marchenko-Pastur bulk, outliers with strength and overlap, shuffled edges and spacings of
every layer at every snapshot. Target: 60 s on two cores. The ratio is against the singular values alone, in
the same run. On a busy machine set OPENBLAS_NUM_THREADS=1, since threads that wait for each other take ten
times as long, and look at the processor time.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from rdmviz.compute.theories.weights.layers import layer_spectra


def snapshots(shapes: list[tuple[int, int]], count: int) -> list[np.ndarray]:
    """Layers of random weights in which a signal grows."""
    rng = np.random.default_rng(0)
    layers = []
    for out, inputs in shapes:
        noise = rng.standard_normal((out, inputs)) / np.sqrt(inputs)
        signal = np.outer(rng.standard_normal(out), rng.standard_normal(inputs)) / np.sqrt(out * inputs)
        growth = np.linspace(0, 3, count)[:, None, None]
        layers.append((noise + growth * signal).astype(np.float32))
    return layers


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description="weight analysis of 50 snapshots of a million parameters")
    parser.add_argument("--snapshots", type=int, default=50)
    parser.add_argument("--square", action="store_true")
    options = parser.parse_args()
    shapes = [(1000, 1000)] if options.square else [(640, 784), (640, 640), (130, 640), (10, 130)]
    layers = snapshots(shapes, options.snapshots)
    parameters = sum(out * inputs for out, inputs in shapes)
    print(f"{parameters:,} parameters in {len(shapes)} layers, {options.snapshots} snapshots, float32")
    start = time.perf_counter()
    for layer in layers:
        for one in layer[::10]:
            np.linalg.svd(one.astype(np.float64), compute_uv=False)
    bare = (time.perf_counter() - start) * options.snapshots / len(layers[0][::10])
    start, used = time.perf_counter(), time.process_time()
    found = [layer_spectra(layer) for layer in layers]
    seconds, used = time.perf_counter() - start, time.process_time() - used
    print(f"{'singular values alone':<40}{bare:>8.1f} s")
    verdict = "met" if seconds <= 60 else "MISSED"
    print(f"{'full analysis (target 60 s)':<40}{seconds:>8.1f} s  {seconds / bare:.2f} x  {verdict}")
    print(f"{'  processor time':<40}{used:>8.1f} s")
    for shape, one in zip(shapes, found, strict=True):
        above = one.bulk.n_outliers[-1], one.n_above_shuffled[-1]
        print(f"  {shape}: outliers at the end {above[0]:.0f}, above the shuffled edge {above[1]:.0f}")


if __name__ == "__main__":
    main()
