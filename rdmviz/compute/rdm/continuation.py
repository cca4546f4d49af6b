"""How the modes of one window continue those of another: partners, signs, and bases of degenerate modes.

An eigenvector has no sign of its own, and modes with equal eigenvalues have no vectors of their own, only a
space. Both are taken from a reference, usually the window one row before: signs from the partner, bases of
degenerate blocks by orthogonal Procrustes, ``min |V R - P|``, solved by ``R = U W^T`` with
``V^T P = U S W^T`` (Schönemann 1966). For a block of one mode that is the sign.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SPARE = 4
"""Modes followed beyond those asked for: one on the rise is known before it leads, one that dips is kept."""

KEPT = 0.5
"""Share of its squared norm that a mode has in its partner, at least. Above one half partners are unique."""

DEGENERATE = 1e-9
"""Eigenvalues closer than this share of themselves count as equal."""

_ROUNDING = 4e-15  # so do those closer than this share of the leading one: rounding of the eigenproblem


def degenerate_blocks(eigenvalues: Floats, tolerance: float = DEGENERATE) -> Ints:
    """Find blocks of modes with equal eigenvalues, numbered 0, 1, ... in order, ``(..., k) -> (..., k)``.

    Neighbours in descending order are equal where they differ by less than `tolerance` of the larger one or
    4e-15 of the first. Eigenvalues of exactly zero are no modes, and each a block of its own.
    """
    above, below = eigenvalues[..., :-1], eigenvalues[..., 1:]
    apart = above - below > np.maximum(tolerance * above, _ROUNDING * eigenvalues[..., :1])
    blocks = np.zeros(eigenvalues.shape, dtype=np.int64)
    np.cumsum(apart | (below <= 0), axis=-1, out=blocks[..., 1:])
    return blocks


def continued(overlaps: Floats, blocks: Ints, before: Ints, seen: int) -> tuple[Floats, Ints]:
    """Turn modes onto the reference modes that they continue.

    Parameters
    ----------
    overlaps
        ``v_i . p_j`` of the modes with those of the reference, ``(k, r)``.
    blocks, before
        Blocks of degenerate modes, here ``(k,)`` and in the reference ``(r,)``, from
        :func:`degenerate_blocks`.
    seen
        Number of modes of the reference that are shown; the spare ones after them were not, and count half
        where it is asked along which a mode shall point.

    Returns
    -------
    turn
        Orthogonal, ``(k, k)``, mixes modes of one block only: the oriented modes are the columns of
        ``V turn``. A mode without a partner that was shown points along the mode that it overlaps most.
    partner
        The mode of the reference that each oriented mode continues, ``(k,)``; -1 where there is none. Blocks
        are partners where the squared cosines of the angles between them are above one half on average;
        within that, one-to-one with the largest squared overlaps (linear assignment).
    """
    modes, size = np.arange(len(blocks)), np.abs(overlaps)
    alone = blocks[-1] == len(blocks) - 1 and before[-1] == len(before) - 1  # no block of two
    partner = _unique_partners(size) if alone else _partners(size**2, blocks, before)
    best = (size * np.where(np.arange(len(before)) < seen, 1.0, 0.5)).argmax(axis=1)
    along = overlaps[modes, np.where((partner >= 0) & (partner < seen), partner, best)]
    turn = np.diag(np.where(along < 0, -1.0, 1.0))
    if alone:
        return turn, partner
    for block in np.flatnonzero(np.bincount(blocks) > 1):
        mine = np.flatnonzero(blocks == block)
        claims = (size[mine] ** 2).sum(axis=0)
        claims[partner[mine][partner[mine] >= 0]] += len(mine)  # partners come before the merely close
        chosen = np.sort(np.argsort(-claims, kind="stable")[: len(mine)])
        u, _, w = np.linalg.svd(overlaps[np.ix_(mine, chosen)])
        u[:, : len(chosen)] = u[:, : len(chosen)] @ w
        turn[np.ix_(mine, mine)] = u
        kept = np.where(np.isin(chosen, partner[mine]), chosen, -1)
        partner[mine] = np.append(kept, np.full(len(mine) - len(kept), -1))
    return turn, partner


def turn_onto(courses: NDArray[np.floating], left: Floats, eigenvalues: Floats) -> Floats:
    """Turn that orients the modes of a window like the time courses known of it, ``(k, k)``.

    Parameters
    ----------
    courses
        Oriented unit time courses, ``(window, r)``.
    left, eigenvalues
        Unit time courses ``(k, window)`` of the modes to be oriented, and at least their `k` eigenvalues.

    Returns
    -------
    The oriented modes are the rows of ``turn @ vectors``.
    """
    blocks, known = degenerate_blocks(eigenvalues[: len(left)]), courses.shape[1]
    return continued(left @ courses, blocks, np.arange(known), seen=known)[0].T


def _unique_partners(size: Floats) -> Ints:
    nearest = size.argmax(axis=1)
    # Mutual by itself above one half, but for modes so weak that their overlaps are rounding.
    mutual = size.argmax(axis=0)[nearest] == np.arange(len(size))
    return np.where((size.max(axis=1) ** 2 > KEPT) & mutual, nearest, -1)


def _partners(squared: Floats, blocks: Ints, before: Ints) -> Ints:
    here, there = np.eye(blocks[-1] + 1)[blocks], np.eye(before[-1] + 1)[before]
    sizes = np.minimum.outer(here.sum(axis=0), there.sum(axis=0))
    share = (here.T @ squared @ there / sizes)[blocks][:, before]
    score = np.where(share > KEPT, share + squared, 0.0)
    rows, columns = linear_sum_assignment(score, maximize=True)
    partner = np.full(len(blocks), -1)
    partner[rows] = np.where(score[rows, columns] > 0, columns, -1)
    return partner
