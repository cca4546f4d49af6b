"""Colour codes of the matrix's cells, as frames carry them: one byte each, symmetric about zero."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rdmviz.analysis import ModeFrame
from rdmviz.compute.rdm.pairs import block_means

Codes = NDArray[np.uint8]
UNDEFINED, ZERO, REACH = 0, 128, 127  # codes 1 to 255 are -1 to 1


class Cells(NamedTuple):
    """Lower triangles by rows of mean covariances (their signed root) and correlations of blocks.

    ``scale`` is the covariance that has the strongest colour: the largest variance in the matrix.
    """

    covariance: Codes
    correlation: Codes
    scale: float


def block_cells(frame: ModeFrame, samples: NDArray[np.intp], starts: NDArray[np.intp]) -> Cells:
    """Cells of blocks of neighbouring datapoints in order; those of blocks of one are of pairs."""
    rows = frame.fluctuations(samples)
    scale = float(np.einsum("ij,ij->j", rows, rows).max()) / frame.nu or 1.0
    means = block_means(rows, starts)
    share = means.T @ means / frame.nu / scale
    unit = block_means(frame.directions(samples), starts)
    lower = np.tril_indices(len(starts))
    signed_root = np.sign(share) * np.sqrt(np.abs(share))
    return Cells(_codes(signed_root[lower]), _codes((unit.T @ unit)[lower]), scale)


def _codes(values: NDArray[Any]) -> Codes:
    """Return codes of values from -1 to 1; NaN is `UNDEFINED`."""
    codes = np.rint(ZERO + REACH * np.clip(values, -1.0, 1.0))
    return np.asarray(np.nan_to_num(codes, nan=UNDEFINED), np.uint8)
