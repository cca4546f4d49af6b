"""A small run for the tests of the verbs: losses that fall, with fluctuations, at uneven steps."""

import numpy as np

from rdmviz.run import TrainingRun

RNG = np.random.default_rng(21)
T, N = 300, 40
LOSSES = np.abs(RNG.normal(size=(T, N))) + 3 * np.exp(-np.arange(T) / 90)[:, None] * RNG.uniform(0.5, 1, N)
STEPS = np.cumsum(RNG.integers(1, 5, size=T))


def make_run(losses=LOSSES, steps=STEPS):
    return TrainingRun.from_arrays(losses, steps=steps, name="toy")


FROM_EIGENVALUES = ["top_eigenvalue", "top_eigenvalue_share", "spectral_gap", "entropy", "effective_rank"]
"""Curves of analyze that need an eigenproblem per window."""
