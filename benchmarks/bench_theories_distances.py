"""Distance spectra along a run against their target, and against the bare eigenproblems of the same run.

    python benchmarks/bench_theories_distances.py        # 500 points, 200 snapshots, one BLAS thread

Two runs: points of a sphere with noise, and tight clusters, whose small distances are taken pair by pair.
Exits with 1 where the target is missed.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable

import numpy as np
from threadpoolctl import threadpool_limits

from rdmviz.compute.theories.distances.clouds import aligned, classical_clouds, spectral_clouds
from rdmviz.compute.theories.distances.decay import decay_slope
from rdmviz.compute.theories.distances.matrices import METRICS, distance_matrix
from rdmviz.compute.theories.distances.multiplets import top_multiplet
from rdmviz.compute.theories.distances.overlaps import overlap_along
from rdmviz.compute.theories.distances.spectra import distance_spectra

TARGET = 20.0  # seconds of one core


def seconds(work: Callable[[], object]) -> tuple[float, float]:
    """Run once and tell the seconds of one core, and those on the wall, which a busy machine stretches."""
    core, wall = time.process_time(), time.perf_counter()
    work()
    return time.process_time() - core, time.perf_counter() - wall


def sphere_with_noise(rng: np.random.Generator, shape: tuple[int, int, int]) -> np.ndarray:
    """Points of a two-dimensional sphere in many dimensions, noise of variance 1/4."""
    points = 0.5 * rng.standard_normal(shape) / np.sqrt(shape[2])
    place = rng.standard_normal((*shape[:2], 3))
    points[..., :3] += place / np.linalg.norm(place, axis=-1, keepdims=True)
    return points


def tight_clusters(rng: np.random.Generator, shape: tuple[int, int, int]) -> np.ndarray:
    """Ten clusters a thousandth as wide as they are apart."""
    centres = rng.standard_normal((shape[0], 10, shape[2]))
    return np.repeat(centres, shape[1] // 10, axis=1) + 1e-3 * rng.standard_normal(shape)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description="distance spectra along a run")
    parser.add_argument("--points", type=int, default=500)
    parser.add_argument("--snapshots", type=int, default=200)
    parser.add_argument("--width", type=int, default=128)
    options = parser.parse_args()
    shape = (options.snapshots, options.points // 10 * 10, options.width)
    rng = np.random.default_rng(0)
    print(
        f"{shape[0]} snapshots of {shape[1]} points of width {shape[2]}, spectra and 3 eigenvectors, float64"
    )
    met = True
    with threadpool_limits(1):
        for name, points in [
            ("noisy sphere", sphere_with_noise(rng, shape)),
            ("tight clusters", tight_clusters(rng, shape)),
        ]:
            one = distance_matrix(points[0])
            bare = seconds(lambda one=one: [np.linalg.eigh(one) for _ in range(10)])[0] * shape[0] / 10
            print(f"{name}: bare numpy.linalg.eigh of as many matrices {bare:.2f} s")
            for metric in METRICS:
                taken, wall = seconds(lambda points=points, metric=metric: distance_spectra(points, metric))
                good = taken < TARGET
                met &= good
                print(
                    f"  {metric:<10} measured {taken:6.2f} s   target {TARGET:.0f} s   "
                    f"{'met' if good else 'MISSED'}   {taken / bare:.2f} x the bare eigenproblems   "
                    f"({wall:.2f} s on the wall)"
                )
        spectra = distance_spectra(points)
        after = {
            "multiplets": lambda: top_multiplet(spectra.eigenvalues),
            "decay slopes": lambda: decay_slope(spectra.eigenvalues),
            "overlaps of all snapshots": lambda: overlap_along(spectra.vectors),
            "clouds, aligned": lambda: aligned(spectral_clouds(spectra).places),
            "clouds by classical scaling, aligned": lambda: aligned(classical_clouds(points).places),
        }
        for name, work in after.items():
            print(f"  {name:<40}{seconds(work)[0]:8.3f} s")
    sys.exit(not met)


if __name__ == "__main__":
    main()
