"""How much of a 2RDM follows classes of its datapoints, and which frequencies where the classes are residues.

Rows ``(k, n)`` stand for the covariance ``C = rows^T rows`` here, up to a factor: modes as ``sqrt(lambda_k)
v_k``, detrended rows of a window, or centred draws. Divide each column by its norm, and correlations take the
place of covariances.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rdmviz.compute.errors import ComputeError

Floats = NDArray[np.float64]


def class_share(rows: Floats, classes: NDArray[Any]) -> float:
    """Share of the variance between datapoints that the means of classes explain, beyond chance.

    Parameters
    ----------
    rows
        ``(k, n)``, see the module. What all datapoints do together is removed from each row first.
    classes
        Label of each datapoint, ``(n,)``.

    Returns
    -------
    float
        Adjusted R²: ``1 - (1 - R²) (n - 1) / (n - classes)``, 1 where members of a class move as one, 0
        expected of classes dealt at random. NaN where nothing moves but all together, or no class has two
        members.

    Raises
    ------
    ComputeError
        If there is not one label per datapoint.
    """
    _check(rows, classes)
    apart = rows - rows.mean(axis=1, keepdims=True)
    means, _, sizes = _means(apart, np.unique(classes, return_inverse=True)[1])
    n, total = apart.shape[1], float((apart**2).sum())
    if total == 0 or len(sizes) == n:
        return float("nan")
    explained = float((means**2 @ sizes).sum()) / total
    return float(1 - (1 - explained) * (n - 1) / (n - len(sizes)))


def frequency_power(rows: Floats, residues: NDArray[Any], modulus: int) -> Floats:
    """How the motion of residue classes is spread over the frequencies of the integers modulo a number.

    Row by row, the means of the classes are a function on ``Z_m``; its discrete Fourier transform has a power
    at each frequency, and these are summed over rows. Classes that move each on its own spread it evenly.

    Parameters
    ----------
    rows
        ``(k, n)``, see the module. What all datapoints do together is removed from each row first.
    residues
        Residue of each datapoint, integers ``0 .. modulus-1``, ``(n,)``. A residue that no datapoint has
        counts as one that moves with the mean.
    modulus
        2 or more.

    Returns
    -------
    ndarray, shape (modulus // 2,)
        Share of the frequencies 1, 2, ... in the power; NaN where nothing moves but all together.

    Raises
    ------
    ComputeError
        If residues are not of this modulus, or not one per datapoint.
    """
    _check(rows, residues)
    if modulus < 2 or residues.dtype.kind not in "iu" or residues.min() < 0 or residues.max() >= modulus:
        raise ComputeError(
            f"residues of dtype {residues.dtype} from {residues.min()} to {residues.max()} modulo {modulus}; "
            "expected integers from 0 to modulus - 1, and a modulus of 2 or more"
        )
    means, present, _ = _means(rows - rows.mean(axis=1, keepdims=True), residues)
    on_residues = np.zeros((len(rows), modulus))
    on_residues[:, present] = means
    power = (np.abs(np.fft.rfft(on_residues, axis=1)) ** 2).sum(axis=0)[1:]
    if modulus % 2 == 0:
        power[-1] /= 2  # the others stand for two frequencies, k and modulus - k
    total = power.sum()
    return np.asarray(power / total if total > 0 else np.full(modulus // 2, np.nan))


def _means(rows: Floats, classes: NDArray[Any]) -> tuple[Floats, NDArray[np.intp], Floats]:
    """Means of classes ``(k, c)``, which classes there are, and how many members each has ``(c,)``."""
    sizes = np.bincount(classes)
    present = np.flatnonzero(sizes)
    member = (classes[:, None] == present).astype(np.float64)
    return rows @ member / sizes[present], present, sizes[present].astype(np.float64)


def _check(rows: Floats, classes: NDArray[Any]) -> None:
    if rows.ndim != 2 or not rows.size or classes.shape != rows.shape[1:]:
        raise ComputeError(
            f"rows have shape {rows.shape} and classes {classes.shape}; expected (k, n) and one class for "
            "each of n >= 1 datapoints"
        )
