"""Groups of datapoints along a run: one chain of labels, shared by every verb and view that asks."""

from __future__ import annotations

import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from rdmviz.analysis.density import density_cluster, require_hdbscan
from rdmviz.analysis.one_thread import one_blas_thread
from rdmviz.analysis.window_of import modes_of
from rdmviz.compute.errors import ComputeError, FlatWindowError, NonFiniteLossError
from rdmviz.compute.rdm.clusters import cluster, embedding
from rdmviz.compute.rdm.modes import WindowModes
from rdmviz.compute.rdm.scales import Spread, choose_scale, require_scale, scaled, spread_of
from rdmviz.compute.rdm.tracking import KeyframeChain, matching_labels, relabelled
from rdmviz.errors import OptionError

if TYPE_CHECKING:
    from rdmviz.run import TrainingRun

Method = Literal["ward", "hdbscan"]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
METHODS: tuple[str, ...] = get_args(Method)

MODES = 4  # leading modes that shape the groups
_KEPT = 8  # chains per run


@dataclass(frozen=True, eq=False)
class Grouping:
    """Groups of the datapoints in one window.

    Attributes
    ----------
    found
        The modes of the window.
    labels
        Group of each datapoint, ``(n,)``, the same along the run; -1 for datapoints in no group.
    scale
        Scale on which they were told apart.
    points
        Coordinates of the datapoints on it, ``(n, k)``.
    spread
        How the sizes of the datapoints' fluctuations are distributed; ``scale="auto"`` goes by it.
    mass
        Share of each datapoint in the variance of the leading modes, ``(n,)``, sums to 1.
    """

    found: WindowModes
    labels: Ints
    scale: str
    points: Floats
    spread: Spread
    mass: Floats


class _Window:
    """One window, clustered on the scales that are asked for."""

    def __init__(self, found: WindowModes, cluster: Callable[[Floats, Floats, int], Ints]) -> None:
        self.found = found
        self.linear = embedding(found.eigenvalues, found.vectors)
        self.spread = spread_of(self.linear)
        mass = found.eigenvalues[: len(found.vectors)] @ found.vectors**2
        self.mass = mass / mass.sum()
        self._cluster = cluster
        self._labels: dict[tuple[str, int], Ints] = {}

    def labels(self, scale: str, before: int) -> Ints:
        key = scale, before
        if key not in self._labels:
            self._labels[key] = self._cluster(scaled(self.linear, scale), self.mass, before)
        return self._labels[key]


class _Decision(NamedTuple):
    """What a keyframe settles: the scale, the number of groups before, and a new label per group."""

    scale: str
    before: int
    new: Ints


class _Labelled(NamedTuple):
    labels: Ints
    scale: str

    @property
    def nbytes(self) -> int:
        return self.labels.nbytes


class GroupPath:
    """Groups at any recorded row, with labels, and a scale, that depend on the run and the row alone.

    Every quarter of a window there is a keyframe; labels, scale and number of groups follow from keyframe to
    keyframe (see :mod:`rdmviz.compute.rdm.tracking`). Made by :func:`groups_along`. Safe to use from several
    threads; holds no reference that keeps its run alive.
    """

    def __init__(
        self,
        run: TrainingRun,
        window: int,
        detrend: str,
        modes: int,
        count: int | None,
        scale: str,
        method: str,
    ) -> None:
        self._run = weakref.ref(run)
        self._window, self._detrend, self._modes = window, detrend, modes
        self._count, self._scale, self._method = count, scale, method
        self._lock = threading.RLock()
        self._chain: KeyframeChain[_Window, _Decision, _Labelled] = KeyframeChain(
            self._window_or_none,
            self._decide,
            self._apply,
            first=window - 1,
            spacing=max(1, window // 4),
        )

    def go_on_in(self, run: TrainingRun) -> None:
        """Take over the same run with more rows."""
        self._run = weakref.ref(run)

    def at(self, index: int) -> Grouping:
        """Find the groups in the window that ends at row `index`.

        Raises
        ------
        FlatWindowError, NonFiniteLossError, WindowError
            As :meth:`ModePath.at` does.
        ComputeError
            If there are fewer datapoints than groups asked for.
        """
        with one_blas_thread(), self._lock:
            window = self._solve(int(index))
            labels, scale = self._chain.orient(int(index), window)
        points = scaled(window.linear, scale)
        return Grouping(window.found, labels, scale, points, window.spread, window.mass)

    def _solve(self, index: int) -> _Window:
        run = self._run()
        assert run is not None  # whoever asks holds the run
        found = modes_of(run, index, self._window, self._detrend, self._modes)
        return _Window(found, self._cluster)

    def _window_or_none(self, index: int) -> _Window | None:
        try:
            return self._solve(index)
        except (FlatWindowError, NonFiniteLossError):
            return None

    def _decide(self, window: _Window, before: _Labelled | None) -> _Decision:
        labels, scale = (None, None) if before is None else before
        chosen = choose_scale(window.spread, scale) if self._scale == "auto" else self._scale
        number = 0 if labels is None else len(np.unique(labels[labels >= 0]))
        return _Decision(chosen, number, matching_labels(window.labels(chosen, number), labels))

    def _apply(self, window: _Window, decided: _Decision) -> _Labelled:
        return _Labelled(relabelled(window.labels(decided.scale, decided.before), decided.new), decided.scale)

    def _cluster(self, points: Floats, mass: Floats, before: int) -> Ints:
        if self._method == "hdbscan":
            return density_cluster(points, mass)
        return cluster(points, self._count, mass, before)


_paths: WeakKeyDictionary[TrainingRun, OrderedDict[tuple[object, ...], GroupPath]] = WeakKeyDictionary()
_paths_lock = threading.Lock()


def groups_along(
    run: TrainingRun,
    window: int,
    detrend: str,
    modes: int = MODES,
    count: int | None = None,
    scale: str = "auto",
    method: str = "ward",
) -> GroupPath:
    """Return the one chain of groups of a run under these settings, which is kept as long as the run lives.

    Raises
    ------
    OptionError
        If `method` is unknown, or `count` is asked of HDBSCAN.
    ComputeError
        If `scale` is unknown, or `count` is not a whole number from 1 to n.
    MissingExtraError
        If HDBSCAN is not installed.
    """
    require_scale(scale)
    if method not in METHODS:
        raise OptionError(f"method={method!r} is unknown; choose one of {', '.join(map(repr, METHODS))}")
    if method == "hdbscan":
        require_hdbscan()
        if count is not None:
            raise OptionError(
                f'count={count!r} with method="hdbscan", which finds the number itself: leave count out, '
                'or ask for method="ward"'
            )
    asked: object = count
    whole = isinstance(asked, Integral) and not isinstance(asked, bool)
    if count is not None and not (whole and 1 <= count <= run.n_samples):
        raise ComputeError(
            f"count={count!r}: expected 1 to {run.n_samples} groups of {run.n_samples} datapoints"
        )
    key = (window, detrend, modes, type(modes), count, scale, method)  # True and 2.0 are no counts of modes
    with _paths_lock:
        paths = _paths.setdefault(run, OrderedDict())
        if key not in paths:
            paths[key] = GroupPath(run, window, detrend, modes, count, scale, method)
            if len(paths) > _KEPT:
                paths.popitem(last=False)
        paths.move_to_end(key)
        return paths[key]


def hand_groups_over(run: TrainingRun, grown: TrainingRun) -> None:
    """Let the chains of a run go on in the same run with more rows: their labels stay."""
    with _paths_lock:
        paths = _paths.pop(run, None)
        if paths is not None:
            for path in paths.values():
                path.go_on_in(grown)
            _paths[grown] = paths
