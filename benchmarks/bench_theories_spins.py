"""TAP of a network of 1,000 spins: stability, glass temperature and magnetisations from 20 starts.

    python benchmarks/bench_theories_spins.py

Target: 5 s for a snapshot: temperatures and the solutions at one temperature. On a busy machine set
OPENBLAS_NUM_THREADS=1, since threads that wait for each other take ten times as long, and look at the
processor time.
"""

from __future__ import annotations

import time
from itertools import pairwise

import numpy as np

from rdmviz.compute.theories.spins.bonds import SpinModel, shuffled_weights, spin_model
from rdmviz.compute.theories.spins.phases import phase
from rdmviz.compute.theories.spins.stability import tap_stability
from rdmviz.compute.theories.spins.tap import tap_solutions
from rdmviz.compute.theories.spins.temperatures import glass_temperature


def main() -> None:
    """Run the benchmark."""
    rng = np.random.default_rng(0)
    sizes = (400, 300, 300)
    hidden = [rng.choice([-1, 1], size) / np.sqrt(size) for size in sizes]
    noise = [rng.standard_normal((after, before)) / np.sqrt(before) for before, after in pairwise(sizes)]
    trained = [w + 2.5 * np.outer(b, a) for w, (a, b) in zip(noise, pairwise(hidden), strict=True)]
    whole = rng.standard_normal((1000, 1000)) / np.sqrt(2000)
    couplings = whole + whole.T
    np.fill_diagonal(couplings, 0)
    dense = SpinModel(couplings, np.zeros(1000), (1000,))
    models = {
        "layers 400-300-300 with a signal": spin_model(trained),
        "the same, shuffled": spin_model(shuffled_weights(trained)),
        "1000 spins, all coupled, a glass": dense,
    }
    for name, model in models.items():
        start, used = time.perf_counter(), time.process_time()
        glass, stability = glass_temperature(model.couplings), tap_stability(model.couplings)
        once, used = time.perf_counter() - start, time.process_time() - used
        print(f"{name}: T_SG {glass:.3f}, T_TAP {stability.temperature:.3f}")
        print(f"  temperatures {once:.2f} s, processor {used:.2f} s")
        for factor in (1.3, 0.7, 0.4):
            begun, busy = time.perf_counter(), time.process_time()
            found = tap_solutions(model, factor * stability.temperature)
            seconds = once + time.perf_counter() - begun
            busy = used + time.process_time() - busy
            word = phase(found, stability.temperature)
            verdict = "met" if seconds <= 5 else "MISSED"
            print(
                f"  T = {factor} T_TAP: {seconds:6.2f} s (target 5 s) {verdict}, processor {busy:.2f} s, "
                f"{found.converged.sum()} of {len(found.converged)} starts converged, "
                f"{len(found.distinct)} distinct, {word}"
            )


if __name__ == "__main__":
    main()
