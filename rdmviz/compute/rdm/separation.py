"""How well a mode tells classes of datapoints apart that are known from elsewhere."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from rdmviz.compute.errors import ComputeError
from rdmviz.compute.rdm.scales import spread_of

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def adjusted_rand_index(one: NDArray[Any], other: NDArray[Any]) -> float:
    """Agreement of two partitions: 1 for the same, 0 expected of partitions dealt at random.

    Hubert and Arabie, "Comparing partitions" (1985): pairs that are together in both, corrected for chance.

    Parameters
    ----------
    one, other
        Label of each item, ``(n,)`` each.

    Raises
    ------
    ComputeError
        If they are not labels of the same items.
    """
    if one.ndim != 1 or one.shape != other.shape or not one.size:
        raise ComputeError(f"labels have shapes {one.shape} and {other.shape}; expected one each per item")
    first, second = (np.unique(labels, return_inverse=True)[1] for labels in (one, other))
    width = int(second.max()) + 1
    together = _pairs(np.bincount(first * width + second))
    pairs_first, pairs_second = _pairs(np.bincount(first)), _pairs(np.bincount(second))
    expected = pairs_first * pairs_second / max(_pairs(np.array([one.size])), 1.0)
    most = (pairs_first + pairs_second) / 2
    return 1.0 if most == expected else float((together - expected) / (most - expected))


def _pairs(counts: Ints) -> float:
    return float((counts * (counts - 1.0)).sum() / 2)


def roc_auc(sizes: Floats, inside: NDArray[np.bool_]) -> float:
    """Probability that an inside item exceeds an outside one: the area under the ROC curve.

    Ties count half. NaN where either side is empty.

    Parameters
    ----------
    sizes, inside
        ``(n,)`` each.
    """
    members, rest = int(inside.sum()), int((~inside).sum())
    if not members or not rest:
        return float("nan")
    return float((rankdata(sizes)[inside].sum() - members * (members + 1) / 2) / (members * rest))


def sign_split(vector: Floats) -> Ints:
    """Two classes ``(n,)``: 1 on the positive side of a mode, 0 on the other."""
    return (vector > 0).astype(np.int64)


def magnitude_split(vector: Floats) -> Ints:
    """Two classes ``(n,)``: 1 for the larger of the two classes of size, see :func:`.scales.spread_of`."""
    return (np.abs(vector) > spread_of(vector[:, None]).boundary).astype(np.int64)
