"""Which datapoints are in the matrix, in which order, and how they are taken together while time moves.

The matrix has up to 400 datapoints. All of it would be 80 kB a step; so the frames of a scrub carry its means
over blocks of neighbouring datapoints, and the matrix itself is sent where time stands still. Both have the
same order, so the picture refines and nothing jumps.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rdmviz.analysis import ModeFrame, ModePath, ordering
from rdmviz.errors import FlatWindowError, NonFiniteLossError

LARGEST_MATRIX: Final = 400
LARGEST_SHARP: Final = 96  # datapoints up to which frames carry the matrix itself
BLOCKS: Final = 64
_REPRESENTED: Final = 8  # datapoints of a group, at least, if it has as many
_STEADY_SHARE: Final = 4  # groups hold for a quarter of a window, the order for a whole one
_KEPT: Final = 256

Places = NDArray[np.intp]
Codes = NDArray[np.uint8]


class Arranged(NamedTuple):
    """How the matrix is laid out at a row.

    ``group`` of each shown datapoint; ``order``, the places among the shown of the matrix's rows; ``starts``,
    the first row of each block, none of which reaches over the border of a group.
    """

    group: Codes
    order: Places
    starts: Places


class Arrangement:
    """Layout of the matrix at any row, which depends on the run and the row alone.

    Parameters
    ----------
    path
        The modes along the run.
    shown
        Datapoints on the map, ascending.
    preferred
        All places among ``shown``, the first to be chosen first (see `by_preference`).
    """

    def __init__(self, path: ModePath, shown: Places, preferred: Places) -> None:
        self.path, self.shown, self.preferred = path, shown, preferred
        self.size = min(len(shown), LARGEST_MATRIX)
        self.blocks = self.size if self.size <= LARGEST_SHARP else BLOCKS
        self.steady_rows = max(1, path.window // _STEADY_SHARE)
        self._seriated: dict[int, Places] = {}
        self._arranged: OrderedDict[int, Arranged] = OrderedDict()

    def at(self, index: int) -> Arranged:
        """Layout at a row: groups of the keyframe before it, ordered as at the last one of each window."""
        quarter = self._keyframe(index, self.steady_rows)
        if quarter not in self._arranged:
            try:
                group = self.path.groups_at(quarter)[self.shown].astype(np.uint8)
            except (FlatWindowError, NonFiniteLossError):
                group = np.zeros(len(self.shown), np.uint8)
            chosen = self._chosen(self._keyframe(index, _STEADY_SHARE * self.steady_rows))
            order = chosen[np.argsort(group[chosen], kind="stable")]
            self._arranged[quarter] = Arranged(group, order, block_starts(group[order], self.blocks))
            if len(self._arranged) > _KEPT:
                self._arranged.popitem(last=False)
        return self._arranged[quarter]

    def including(self, arranged: Arranged, frame: ModeFrame, samples: list[int]) -> Places:
        """Order with so many datapoints more in the matrix as are chosen, up to half of it.

        Each takes the place of the most similar one of its group, so that all others stay where they are.
        """
        order = arranged.order.copy()
        places = np.searchsorted(self.shown, samples)
        known = places < len(self.shown)
        known[known] = self.shown[places[known]] == np.asarray(samples)[known]
        wanted = places[known]
        held = np.isin(order, wanted)
        places_left = min(self.size // 2, len(order) - int(held.sum()))
        missing = wanted[~np.isin(wanted, order)][:places_left]
        if not len(missing):
            return order
        ours, theirs = (np.nan_to_num(frame.directions(self.shown[p])) for p in (missing, order))
        alike = ours.T @ theirs
        alike[arranged.group[missing][:, None] != arranged.group[order]] -= 4.0
        alike[:, held] = -np.inf
        for place, row in zip(missing, alike, strict=True):
            taken = int(np.argmax(row))
            order[taken] = place
            alike[:, taken] = -np.inf
        return order[np.argsort(arranged.group[order], kind="stable")]

    def decided_at(self, index: int) -> int:
        """Row at which the groups of a row are decided; the row itself before the first full window."""
        return index if index < self.path.first else self._keyframe(index, self.steady_rows)

    def _keyframe(self, index: int, spacing: int) -> int:
        first = self.path.first
        return first + (index - first) // spacing * spacing

    def _chosen(self, keyframe: int) -> Places:
        """Datapoints of the matrix, as places, seriated within the groups at a keyframe."""
        if keyframe not in self._seriated:
            try:
                labels = self.path.groups_at(keyframe)
                members = self.shown[choose_members(self.preferred, labels[self.shown], self.size)]
                ordered = ordering(self.path.at(keyframe), members, labels)
                self._seriated[keyframe] = np.searchsorted(self.shown, ordered)
            except (FlatWindowError, NonFiniteLossError):
                self._seriated[keyframe] = np.sort(self.preferred[: self.size])
        return self._seriated[keyframe]


def block_starts(groups: Codes, blocks: int) -> Places:
    """First row of each of so many blocks of about equal size, none over the border of a group.

    Parameters
    ----------
    groups
        Group of each row, equal ones next to each other.
    blocks
        At most the number of rows; more than there are groups.
    """
    borders = np.flatnonzero(np.append(True, groups[1:] != groups[:-1]))
    sizes = np.diff(borders, append=len(groups))
    counts = np.ones(len(sizes), np.intp)
    for _ in range(blocks - len(sizes)):
        counts[np.argmax(sizes / counts)] += 1
    return np.concatenate(
        [start + np.arange(k) * size // k for start, size, k in zip(borders, sizes, counts, strict=True)]
    )


def choose_members(preferred: Places, labels: NDArray[Any], most: int) -> Places:
    """Places of at most so many datapoints, ascending, such that every group is represented.

    The first of `preferred`, but at least eight of each group, or all of it, at the cost of the largest.
    """
    if len(preferred) <= most:
        return np.sort(preferred)
    inverse = np.unique(labels, return_inverse=True)[1]
    sizes = np.bincount(inverse)
    wanted = np.bincount(inverse[preferred[:most]], minlength=len(sizes))
    wanted = np.maximum(wanted, np.minimum(sizes, _REPRESENTED))
    for _ in range(int(wanted.sum()) - most):
        wanted[np.argmax(wanted)] -= 1
    by_group = [preferred[inverse[preferred] == group][:count] for group, count in enumerate(wanted)]
    return np.sort(np.concatenate(by_group))


def by_preference(shown: Places, classes: NDArray[Any] | None) -> Places:
    """All places among ``shown``: any leading part has an equal share of every class, evenly spread."""
    codes = (
        np.zeros(len(shown), int) if classes is None else np.unique(classes[shown], return_inverse=True)[1]
    )
    if codes.max(initial=0) >= LARGEST_MATRIX:
        codes[:] = 0
    rank = np.empty(len(codes))
    for code in np.unique(codes):
        places = np.flatnonzero(codes == code)
        rank[places] = np.argsort(np.argsort(_spread(len(places))))
    return np.argsort(rank, kind="stable")


def _spread(count: int) -> NDArray[np.float64]:
    """Van der Corput numbers: any leading share of their order is spread evenly over the places."""
    bits = max(1, int(np.ceil(np.log2(max(count, 2)))))
    digits = (np.arange(count)[:, None] >> np.arange(bits)) & 1
    return np.asarray(digits @ 2.0 ** np.arange(bits)[::-1])
