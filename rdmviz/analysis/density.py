"""Groups as dense regions, by HDBSCAN: their number follows from the data, and not everyone is in one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from rdmviz.compute.rdm.clusters import ALIKE, numbered_by_mass, sampled
from rdmviz.errors import MissingExtraError

Floats = NDArray[np.float64]

_SAMPLED = 2000  # HDBSCAN is quadratic; further datapoints are what their nearest neighbour is
_SMALLEST, _SHARE = 5, 50  # datapoints in a group: five, or a fiftieth of all


def require_hdbscan() -> None:
    """Raise :class:`MissingExtraError` where scikit-learn is not installed."""
    try:
        import sklearn.cluster  # noqa: F401  # whether it is there is the question
    except ImportError as error:
        raise MissingExtraError(
            'groups by HDBSCAN need scikit-learn: pip install "rdmviz[cluster]"'
        ) from error


def density_cluster(points: Floats, mass: Floats) -> NDArray[np.int64]:
    """Group of each point ``(n, k)``, numbered from 0 by falling mass; -1 for points in no dense region.

    HDBSCAN (Campello, Moulavi & Sander 2013) of up to 2000 points, evenly spaced by rank of their mass; the
    others go with the nearest of these. A group has at least five members, and a fiftieth of the points.

    Raises
    ------
    MissingExtraError
        If scikit-learn is not installed.
    """
    require_hdbscan()
    from sklearn.cluster import HDBSCAN

    chosen = sampled(mass, _SAMPLED)
    n = len(chosen)
    found = HDBSCAN(min_cluster_size=min(n, max(_SMALLEST, n // _SHARE)), copy=True)
    grain = ALIKE * float(np.abs(points[chosen]).max()) or 1.0
    sample = np.round(points[chosen] / grain)  # rounding errors are no distances
    labels = np.asarray(found.fit_predict(sample), dtype=np.int64)
    if n < len(points):
        labels = labels[cKDTree(points[chosen]).query(points)[1]]
    return numbered_by_mass(labels, mass)
