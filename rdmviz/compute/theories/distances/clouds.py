"""Points as a cloud in three dimensions, turned so that scrubbing along the run does not turn it.

Two embeddings of the distances: the three most negative eigenvectors, each scaled by the root of its
eigenvalue, and classical multidimensional scaling.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import eigh, orthogonal_procrustes

from rdmviz.compute.errors import DistanceError, RepresentationError
from rdmviz.compute.theories.distances.matrices import Metric, each_distance_matrix
from rdmviz.compute.theories.distances.spectra import DistanceSpectra, magnitudes

Floats = NDArray[np.float64]

AXES = 3


@dataclass(frozen=True)
class Clouds:
    """A cloud per snapshot.

    Attributes
    ----------
    places
        ``(T, N, 3)``; axes that the points do not fill are 0.
    share
        Share of the three axes in all there are, ``(T,)``; NaN where all points coincide. Of the sum of
        ``|λ_k|`` over the negative eigenvalues, or over all of the scaling's.
    gap
        Third eigenvalue over the fourth, in magnitude, ``(T,)``; NaN where both are zero or there are but
        three. Close to 1 the cloud shows three axes of more that are as large, and which three is arbitrary.
    """

    places: Floats
    share: Floats
    gap: Floats


def spectral_clouds(spectra: DistanceSpectra) -> Clouds:
    """Cloud ``sqrt|λ_k| u_ik`` of the three most negative eigenvalues of the distances, not yet aligned.

    Parameters
    ----------
    spectra
        With three vectors at least, or all there are for fewer than four points.

    Raises
    ------
    DistanceError
        The spectra were computed with fewer vectors.
    """
    found = magnitudes(spectra.eigenvalues)
    axes = min(AXES, found.shape[1])
    if spectra.vectors.shape[1] < axes:
        raise DistanceError(
            f"A cloud needs {axes} eigenvectors; these spectra hold {spectra.vectors.shape[1]}. "
            f"Compute them with vectors={axes}."
        )
    return _clouds(found, spectra.vectors[:, :axes], found.sum(axis=1))


def classical_clouds(representations: ArrayLike | Iterable[ArrayLike], metric: Metric = "arccos") -> Clouds:
    """Classical multidimensional scaling of the distances to three dimensions, not yet aligned.

    Eigenvectors of ``-J D² J / 2``, J the centring. Euclidean distances give the principal components back.
    Angles are not Euclidean: some eigenvalues are negative, and count against the share.

    Parameters
    ----------
    representations, metric
        As in :func:`~.spectra.distance_spectra`.
    """
    found, vectors, total = [], [], []
    for distances in each_distance_matrix(representations, metric):
        squares = np.square(distances)
        squares -= squares.mean(axis=0)
        squares -= squares.mean(axis=1, keepdims=True)
        n = len(squares)
        some = min(AXES + 1, n)
        values, columns = eigh(squares / -2, subset_by_index=[n - some, n - 1])
        rounding = n * np.finfo(np.float64).eps * np.linalg.norm(squares)
        found.append(np.where(values[::-1] > rounding, values[::-1], 0.0))
        rows = columns[:, ::-1][:, :AXES].T
        largest = np.take_along_axis(rows, np.abs(rows).argmax(axis=1)[:, None], axis=1)
        vectors.append(rows * np.sign(largest))
        total.append(np.abs(np.linalg.eigvalsh(squares)).sum() / 2)
    if not found:
        raise RepresentationError(
            "There is no snapshot of representations; at least one (N, d) array is needed."
        )
    return _clouds(np.stack(found), np.stack(vectors), np.array(total))


def aligned(places: ArrayLike) -> Floats:
    """Clouds turned and mirrored one onto the other along the run, ``(T, N, 3)``.

    Each is turned onto the one before it, as turned, by orthogonal Procrustes: sizes and shapes stay. The
    first stays as it is. A cloud that is a single point has no orientation; the next one is turned onto the
    last that had. What comes later changes nothing before it.

    Parameters
    ----------
    places
        ``(T, N, D)``.
    """
    clouds = np.array(places, np.float64)
    if clouds.ndim != 3:
        raise DistanceError(f"Clouds are snapshots × points × axes; got shape {clouds.shape}.")
    if not np.isfinite(clouds).all():
        raise DistanceError("Clouds hold NaN or infinite places; leave these snapshots out.")
    before: Floats | None = None
    for cloud in clouds:
        if not cloud.any():
            continue
        if before is not None:
            cloud[:] = cloud @ orthogonal_procrustes(cloud, before)[0]
        before = cloud
    return clouds


def _clouds(found: Floats, vectors: Floats, total: Floats) -> Clouds:
    """Places from magnitudes ``(T, >=k)``, falling, and their vectors ``(T, k, N)``."""
    snapshots, axes, n = vectors.shape
    places = np.zeros((snapshots, n, AXES))
    places[..., :axes] = (np.sqrt(found[:, :axes])[..., None] * vectors).transpose(0, 2, 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = found[:, :axes].sum(axis=1) / total
        gap = found[:, AXES - 1] / found[:, AXES] if found.shape[1] > AXES else np.full(snapshots, np.nan)
    return Clouds(places, share, gap)
