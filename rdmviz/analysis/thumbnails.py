"""Pictures of datapoints, small enough for a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rdmviz.analysis.of_a_run import require_run, require_samples
from rdmviz.errors import OptionError, ProbeError

if TYPE_CHECKING:
    from rdmviz.run import TrainingRun

SIDE = 64


def thumbnails(
    run: TrainingRun, name: str, samples: ArrayLike, side: int = SIDE
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Return pictures of datapoints in colour, at most `side` pixels wide and high.

    Larger ones are averaged over squares of pixels; what a square does not fill at the right and lower edge
    is left out. Of a stored run no other picture is read.

    Parameters
    ----------
    run
        The run.
    name
        One of ``run.images``.
    samples
        Datapoints, ``(m,)``.
    side
        Largest width and height, pixels.

    Returns
    -------
    RGBA, uint8 ``(m, height, width, 4)``, transparent where a pixel is NaN; and whether the picture is
    missing, ``(m,)``.

    Raises
    ------
    ProbeError
        If there is no such picture, or a datapoint is not in the probe.
    OptionError
        If `run` is not a run, or `side` is less than 1.
    """
    require_run(run, "thumbnails")
    if side < 1:
        raise OptionError(f"side={side!r}: expected at least one pixel")
    if name not in run.images:
        there = ", ".join(map(repr, map(str, run.images))) or "none"
        raise ProbeError(f"there is no picture {name!r:.60}; this run has {there}")
    chosen = require_samples(run, samples)
    pictures = run.images[name][chosen].to_numpy()
    scale = 255 if pictures.dtype.kind == "f" else 1
    pixels = scale * pictures.astype(np.float32)
    if pixels.ndim == 3:
        pixels = pixels[..., None]
    block = -(-max(pixels.shape[1:3]) // side)
    if block > 1:
        pixels = _averaged(pixels, block)
    known = np.asarray(~np.isnan(pixels).any(axis=3))
    out = np.zeros((*pixels.shape[:3], 4), np.uint8)
    levels = np.rint(np.nan_to_num(pixels)).clip(0, 255).astype(np.uint8)
    out[..., :3] = levels[..., :3]  # a single channel is grey: it fills all three
    out[..., 3] = np.where(known, levels[..., 3] if levels.shape[3] == 4 else 255, 0)
    return out, np.asarray(~np.logical_or.reduce(known, axis=(1, 2)))


def _averaged(pixels: NDArray[np.float32], block: int) -> NDArray[np.float32]:
    """Mean over squares; a side shorter than a square counts as one."""
    m, height, width, channels = pixels.shape
    down, across = min(block, height), min(block, width)
    rows, columns = height // down, width // across
    cut = pixels[:, : rows * down, : columns * across]
    return np.asarray(cut.reshape(m, rows, down, columns, across, channels).mean(axis=(2, 4)))
