"""Train the studies and write the recordings that ship with the package.

Usage: python scripts/make_examples.py [FOLDER]

The grokking losses are rounded to fewer bits so that the recording stays small; the script measures what
that does to the 2RDM spectra and writes it into the attrs.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np

from rdmviz import TrainingRun, open_run
from rdmviz.studies import grokking, linear_network

FOLDER = Path(__file__).parent.parent / "rdmviz" / "recordings"
MANTISSA_BITS = 15
WINDOW = 64


def rounded(loss: np.ndarray, bits: int) -> np.ndarray:
    """Round float32 to ``bits`` mantissa bits, half to even."""
    drop = 23 - bits
    raw = np.ascontiguousarray(loss, dtype=np.float32).view(np.uint32)
    half = np.uint32((1 << (drop - 1)) - 1) + ((raw >> drop) & 1)
    return ((raw + half) >> drop << drop).astype(np.uint32).view(np.float32)


def linear_trend_spectrum(rows: np.ndarray) -> np.ndarray:
    """Eigenvalues of the linearly detrended covariance of a window, descending."""
    window = len(rows)
    basis, _ = np.linalg.qr(np.vander(np.arange(window, dtype=float), 2))
    rows = rows.astype(np.float64) - rows.mean(axis=0, dtype=np.float64)
    rows = rows - basis @ (basis.T @ rows)
    return np.linalg.eigvalsh(rows @ rows.T / (window - 2))[::-1]


def rounding_error(exact: np.ndarray, coarse: np.ndarray) -> dict[str, float]:
    """Largest relative error of the trace and of the leading eigenvalues over windows along the run."""
    trace, top, eighth = 0.0, 0.0, 0.0
    for end in range(WINDOW, len(exact), 50):
        one = linear_trend_spectrum(exact[end - WINDOW : end])
        other = linear_trend_spectrum(coarse[end - WINDOW : end])
        trace = max(trace, abs(other.sum() / one.sum() - 1))
        top = max(top, abs(other[0] / one[0] - 1))
        eighth = max(eighth, abs(other[7] / one[7] - 1))
    return {"trace": trace, "eigenvalue_1": top, "eigenvalue_8": eighth}


def reduced(run: TrainingRun) -> TrainingRun:
    """Return the run with rounded losses, and what that costs in its attrs."""
    exact = run.rows(0, run.n_steps)
    coarse = rounded(exact, MANTISSA_BITS)
    return TrainingRun.from_arrays(
        coarse,
        run.steps,
        probe={str(name): column.to_numpy() for name, column in run.probe.data_vars.items()},
        metrics={str(name): curve.to_numpy() for name, curve in run.metrics.data_vars.items()},
        name=run.name,
        attrs={
            **run.attrs,
            "loss_mantissa_bits": MANTISSA_BITS,
            "rounding_error_window_64_linear": rounding_error(exact, coarse),
        },
    )


def main(folder: Path) -> None:
    """Write both recordings."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, train, finish in [
        ("linear_network", linear_network.train, lambda run: run),
        ("grokking", grokking.train, reduced),
    ]:
        started = time.perf_counter()
        run = finish(train(seed=0))
        path = folder / f"{name}.rdmviz.zip"
        run.save(path, overwrite=True)
        size = path.stat().st_size
        print(f"{path.name}: {size / 1e6:.2f} MB, {time.perf_counter() - started:.1f} s, {open_run(path)}")
        if size > 3e6:
            raise SystemExit(f"{path} has {size} bytes; a shipped recording stays below 3 MB")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
