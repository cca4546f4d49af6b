"""Train the studies and write the recordings that ship with the package.

Usage: python scripts/make_examples.py [--out FOLDER] [NAME ...]

Losses may be rounded to fewer bits so that a recording stays small; the script measures what that does to
the 2RDM spectra and writes it into the attrs.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from results.linear_network import SETTING as LINEAR_NETWORK

from rdmviz import TrainingRun, open_run
from rdmviz.record import GaussianSnapshots, Snapshots
from rdmviz.studies import grokking, induction, linear_network, misalignment

FOLDER = Path(__file__).parent.parent / "rdmviz" / "recordings"
WINDOW = 64
MOST_BYTES = 3_000_000
SNAPSHOT_BITS = 7
HELD_OUT = tuple(range(300, 600))  # of grokking


@dataclass(frozen=True)
class Example:
    """A recording that ships.

    Attributes
    ----------
    study, options
        What is trained: seed 0, with these options beside the defaults.
    mantissa_bits
        Of the losses that are kept; all of float32 by default.
    """

    study: ModuleType
    options: Mapping[str, Any] = field(default_factory=dict)
    mantissa_bits: int | None = None

    def record(self) -> TrainingRun:
        """Train it."""
        run: TrainingRun = self.study.train(seed=0, **self.options)
        return run if self.mantissa_bits is None else reduced(run, self.mantissa_bits)


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


def reduced(run: TrainingRun, bits: int) -> TrainingRun:
    """Return the run with rounded losses, and what that costs in its attrs."""
    exact = run.rows(0, run.n_steps)
    coarse = rounded(exact, bits)
    return TrainingRun.from_arrays(
        coarse,
        run.steps,
        probe={str(name): column.to_numpy() for name, column in run.probe.data_vars.items()},
        metrics={str(name): curve.to_numpy() for name, curve in run.metrics.data_vars.items()},
        name=run.name,
        attrs={
            **run.attrs,
            "loss_mantissa_bits": bits,
            "rounding_error_window_64_linear": rounding_error(exact, coarse),
        },
        **coarse_snapshots(run),
    )


def coarse_snapshots(run: TrainingRun) -> dict[str, Any]:
    """Return the snapshots of a run, what is large of them rounded: weights and eigenvectors, to be seen."""
    kept: dict[str, Any] = {"snapshot_steps": run.snapshot_steps} if run.snapshots else {}
    for kind, names in run.snapshots.items():
        arrays = {name: getattr(run, kind)[name].to_numpy() for name in names}
        kept[kind] = {
            name: rounded(values, SNAPSHOT_BITS) if values.dtype == np.float32 else values
            for name, values in arrays.items()
        }
    return kept


GROKKING_SNAPSHOTS = Snapshots(
    every=200,
    layers=["first.weight"],
    gaussian=GaussianSnapshots(samples=HELD_OUT, mean_loss=False),
)
EXAMPLES = {
    "linear_network": Example(linear_network, LINEAR_NETWORK.variants[""]),
    "linear_network_nothing_left": Example(linear_network, LINEAR_NETWORK.variants["nothing_left"]),
    "grokking": Example(grokking, mantissa_bits=15),
    "grokking_gaussian": Example(grokking, {"snapshots": GROKKING_SNAPSHOTS}, mantissa_bits=11),
    "grokking_shuffled_labels": Example(
        grokking,
        {"snapshots": GROKKING_SNAPSHOTS, **grokking.CONTROLS["shuffled_labels"]},
        mantissa_bits=11,
    ),
    "induction": Example(induction, mantissa_bits=15),
    "induction_one_layer": Example(induction, induction.CONTROLS["one_layer"], mantissa_bits=15),
    "misalignment": Example(misalignment, mantissa_bits=18),
    **{
        f"misalignment_{control}": Example(misalignment, options, mantissa_bits=18)
        for control, options in misalignment.CONTROLS.items()
    },
}


def main() -> None:
    """Write the recordings that are asked for, all by default."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(EXAMPLES)}; default all")
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder to write to")
    asked = parser.parse_args()
    if unknown := set(asked.names) - set(EXAMPLES):
        parser.error(f"no example is called {', '.join(sorted(unknown))}")
    asked.out.mkdir(parents=True, exist_ok=True)
    for name in asked.names or EXAMPLES:
        started = time.perf_counter()
        path = asked.out / f"{name}.rdmviz.zip"
        EXAMPLES[name].record().save(path, overwrite=True)
        size = path.stat().st_size
        print(f"{path.name}: {size / 1e6:.2f} MB, {time.perf_counter() - started:.1f} s, {open_run(path)}")
        if size > MOST_BYTES:
            raise SystemExit(f"{path} has {size} bytes; a shipped recording has at most {MOST_BYTES}")


if __name__ == "__main__":
    main()
