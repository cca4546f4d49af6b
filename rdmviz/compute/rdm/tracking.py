"""Group labels along a run: scrubbing must not recolour a picture, whatever the path by which one came.

Groups have no number of their own. They are given one by *keyframes*: windows some rows apart, each labelled
by the one before, the first by a fixed rule. Any other window is labelled by the keyframe before it. So
neighbouring pictures agree, and the picture at a row depends on the run alone.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

Ints = NDArray[np.int64]

_CACHE_BYTES = 64 << 20


class _Sized(Protocol):
    @property
    def nbytes(self) -> int: ...


Raw = TypeVar("Raw")
Decision = TypeVar("Decision")
Answer = TypeVar("Answer", bound=_Sized)


def matching_labels(labels: Ints, reference: Ints | None) -> Ints:
    """Return a new label per group ``0..max(labels)``: the one that most of its members had.

    One-to-one (linear assignment on shared members); groups without a predecessor take the lowest free label.
    Datapoints in no group, -1, have no say.
    """
    count = int(labels.max()) + 1
    if reference is None:
        return np.arange(count)
    before = int(reference.max()) + 1
    both = (labels >= 0) & (reference >= 0)
    pairs = labels[both] * before + reference[both]
    shared = np.bincount(pairs, minlength=count * before).reshape(count, before)
    rows, columns = linear_sum_assignment(shared, maximize=True)
    new = np.full(count, -1)
    kept = shared[rows, columns] > 0
    new[rows[kept]] = columns[kept]
    seen = set(np.unique(reference).tolist())
    for group in np.flatnonzero(new < 0):
        taken = set(new.tolist())
        fresh = [i for i in range(count + before) if i not in taken]
        new[group] = next((i for i in fresh if i not in seen), fresh[0])
    return new


def relabelled(labels: Ints, new: Ints) -> Ints:
    """Labels under a new label per group; -1 stays."""
    return np.append(new, -1)[labels]


class KeyframeChain(Generic[Raw, Decision, Answer]):
    """A quantity along the run, made consistent from keyframe to keyframe.

    Only the small decisions are kept for all keyframes; what they apply to is recomputed when asked for,
    with a least-recently-used cache of bounded size.

    Parameters
    ----------
    solve
        Raw answer of the window that ends at a row, or None where it has none (flat or non-finite windows).
        These break the chain: the next keyframe starts afresh.
    decide
        Decision that makes a raw answer agree with a reference (None: the fixed rule).
    apply
        Raw answer and decision to the oriented answer, of ``nbytes`` bytes.
    first, spacing
        Row of the first keyframe, and rows between keyframes.
    """

    def __init__(
        self,
        solve: Callable[[int], Raw | None],
        decide: Callable[[Raw, Answer | None], Decision],
        apply: Callable[[Raw, Decision], Answer],
        *,
        first: int,
        spacing: int,
    ) -> None:
        self._solve, self._decide, self._apply = solve, decide, apply
        self._first, self._spacing = first, spacing
        self._decisions: list[Decision | None] = []
        self._cache: OrderedDict[int, Answer] = OrderedDict()

    def orient(self, row: int, raw: Raw) -> Answer:
        """Return the raw answer of the window that ends at `row`, oriented."""
        number, beyond = divmod(row - self._first, self._spacing)
        self._extend(number)
        if beyond == 0:
            decision = self._decisions[number]
            return self._apply(raw, self._decide(raw, None) if decision is None else decision)
        return self._apply(raw, self._decide(raw, self._keyframe(number)))

    def _extend(self, number: int) -> None:
        """Decide all keyframes up to `number`, each by the one before."""
        while len(self._decisions) <= number:
            new = len(self._decisions)
            reference = self._keyframe(new - 1) if new else None
            raw = self._solve(self._first + new * self._spacing)
            if raw is None:
                self._decisions.append(None)
                continue
            decision = self._decide(raw, reference)
            self._decisions.append(decision)
            self._remember(new, self._apply(raw, decision))

    def _keyframe(self, number: int) -> Answer | None:
        decision = self._decisions[number]
        if decision is None:
            return None
        if number in self._cache:
            self._cache.move_to_end(number)
            return self._cache[number]
        raw = self._solve(self._first + number * self._spacing)
        assert raw is not None
        oriented = self._apply(raw, decision)
        self._remember(number, oriented)
        return oriented

    def _remember(self, number: int, oriented: Answer) -> None:
        self._cache[number] = oriented
        while len(self._cache) > max(2, _CACHE_BYTES // max(1, oriented.nbytes)):
            self._cache.popitem(last=False)
