"""The panel of loss curves: the mean over all datapoints, over classes, over groups, or over a selection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from rdmviz.analysis.means import class_means, losses_of
from rdmviz.errors import FlatWindowError, NonFiniteLossError, WindowError
from rdmviz.widgets.colors import CATEGORIES, OTHER, classes, shorten

if TYPE_CHECKING:
    from rdmviz.widgets.state import ExplorerState

Floats = NDArray[np.float64]

_COST: Final = 50_000_000  # loss values that are read for one set of curves; beyond, the overall mean stays
_MOST_CLASSES: Final = 6
_MOST_SINGLES: Final = 8
SELECTED: Final = CATEGORIES[1]
PLAIN: Final = OTHER  # plain statistics are drawn in a neutral colour, spectral ones in one that stands out


@dataclass(frozen=True)
class Curve:
    """One curve of a panel: its values at every row, ``(T,)``, and how it is told from others.

    Where it was computed for one of `every` rows, the values between are those of the nearest such row.
    """

    label: str
    color: str
    values: Floats
    every: int = 1


@dataclass(frozen=True)
class LossCurves:
    """What the loss panel shows.

    Attributes
    ----------
    of
        Of what the means are, for the title; empty for all datapoints.
    curves
        The means.
    singles
        Losses of single datapoints ``(k, T)``, drawn thin behind the means.
    words
        What was left out, and why.
    """

    of: str
    curves: tuple[Curve, ...]
    singles: Floats = field(default_factory=lambda: np.empty((0, 0)))
    words: str = ""


_NOTHING: Final = LossCurves("", ())


class MeanLosses:
    """The loss curves of a state; the last of each kind is kept.

    Parameters
    ----------
    state
        Says of what: `loss_curves`, `coloring`, `selection`, and the step for groups.
    """

    def __init__(self, state: ExplorerState) -> None:
        self.state = state
        self._kept: dict[str, tuple[object, LossCurves]] = {}

    @property
    def kind(self) -> str:
        """Of what the curves are; a colouring by group is the groups themselves."""
        state = self.state
        by_group = state.loss_curves == "coloring" and state.coloring == "group"
        return "groups" if by_group else str(state.loss_curves)

    def __call__(self, mean: Floats, row: int | None) -> LossCurves:
        """Return the curves.

        Parameters
        ----------
        mean
            Mean loss over all datapoints, ``(T,)``.
        row
            Row whose groups are meant; None before there is one.
        """
        run, kind = self.state.run, self.kind
        overall = LossCurves("", (Curve("", PLAIN, mean),))
        if kind == "mean":
            return overall
        if run.n_steps * run.n_samples > _COST:
            size = f"{run.n_steps:,} × {run.n_samples:,} losses are too many to read for it"
            return LossCurves("", overall.curves, words=f"Mean loss of the {kind} is left out: {size}.")
        key: object
        if kind == "selection":
            key = tuple(self.state.selection)
        elif kind == "coloring":
            key = self.state.coloring
        else:
            key = row, self.state.window, self.state.mode_detrend
        kept = self._kept.get(kind)
        if kept is None or kept[0] != (run, key):
            kept = self._kept[kind] = (run, key), getattr(self, f"_of_{kind}")(row)
        found = kept[1]
        return found if found.curves else LossCurves("", overall.curves, words=found.words)

    def _of_coloring(self, _row: int | None) -> LossCurves:
        run, name = self.state.run, self.state.coloring
        named = classes(run, name)
        if named is None or len(named[1]) < 2:
            return _NOTHING
        codes, names = named
        colors = list(CATEGORIES[: len(names)])
        if len(names) > _MOST_CLASSES:  # the most frequent ones, and all others together
            few = _MOST_CLASSES - 1
            codes = np.minimum(codes, few)
            names = (*names[:few], f"{len(names) - few:,} more")
            colors = [*CATEGORIES[:few], OTHER]
        return LossCurves(f"by {shorten(name)}", _curves(names, colors, class_means(run, codes)))

    def _of_groups(self, row: int | None) -> LossCurves:
        state = self.state
        if row is None or state.link is None:
            return _NOTHING
        frames = state.link.frames
        if row < frames.path.first:
            return LossCurves("", (), words="Groups begin with the first full window.")
        try:
            labels = frames.path.groups_at(row)
        except (FlatWindowError, NonFiniteLossError, WindowError):
            return LossCurves(
                "", (), words="This window has no groups: nothing fluctuates, or not all losses are finite."
            )
        present, codes = np.unique(labels, return_inverse=True)
        names = [f"group {label + 1}" if label >= 0 else "no group" for label in present]
        colors = [CATEGORIES[label] if 0 <= label < len(CATEGORIES) else OTHER for label in present]
        at = f"by group at step {int(state.run.steps[row]):,}"
        return LossCurves(at, _curves(names, colors, class_means(state.run, codes)))

    def _of_selection(self, _row: int | None) -> LossCurves:
        run, chosen = self.state.run, np.array(self.state.selection, dtype=np.intp)
        if not chosen.size:
            return _NOTHING
        inside = np.zeros(run.n_samples, dtype=bool)
        inside[chosen] = True
        names, colors = [f"{chosen.size:,} selected", "all others"], [SELECTED, OTHER]
        means = class_means(run, np.where(inside, 0, 1))  # one row if nothing is left
        singles = losses_of(run, chosen) if 1 < chosen.size <= _MOST_SINGLES else np.empty((0, 0))
        return LossCurves("of the selection", _curves(names, colors, means), singles)


def _curves(names: Sequence[str], colors: Sequence[str], means: Floats) -> tuple[Curve, ...]:
    return tuple(Curve(*each) for each in zip(names, colors, means, strict=False))
