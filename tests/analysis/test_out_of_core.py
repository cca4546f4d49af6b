"""Runs larger than what analysing them may take."""

import json
import subprocess
import sys
from pathlib import Path

BENCH = Path(__file__).parents[2] / "benchmarks" / "bench_out_of_core.py"

FROM_A_STORE = """
import resource, sys
import numpy as np
import rdmviz
from rdmviz.store.writer import RunWriter

n, rng = 100_000, np.random.default_rng(0)
writer = RunWriter(sys.argv[1], n)
for step in range(800):
    writer.append(step, rng.standard_normal(n, dtype="f4") + 1)
writer.close()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
run = rdmviz.open_run(sys.argv[1])
assert np.isfinite(rdmviz.analyze(run).trace[63:]).all()
assert rdmviz.eigenmodes(run, 400).eigenvector.shape == (8, n)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**10)
"""


def test_a_generated_run_of_1600_mb_takes_less_than_its_size():
    command = [sys.executable, str(BENCH), "--case", "200000", "threads"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert json.loads(done.stdout.splitlines()[-1])["peak"] < 1.2  # GB, imports and all


def test_a_stored_run_of_320_mb_takes_less_than_its_size(tmp_path):
    command = [sys.executable, "-c", FROM_A_STORE, str(tmp_path / "run")]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert float(done.stdout) < 250  # MB beyond what recording it took
