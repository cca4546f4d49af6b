"""Other pictures of the same datapoints that can stand beside the map: one list, for all choices."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from rdmviz.errors import OptionError
from rdmviz.run import TrainingRun
from rdmviz.widgets.gaussian_lens import has_gaussian

if TYPE_CHECKING:
    from rdmviz.widgets.state import ExplorerState
    from rdmviz.widgets.view import CanvasView


@dataclass(frozen=True)
class Lens:
    """One such picture; it shares time, colours, selection and pointer with the map.

    Attributes
    ----------
    title
        What a choice calls it.
    offered
        Whether a run has what it shows.
    ask
        Reads what it shows, and says how to record it where a run has none.
    view
        Makes it.
    """

    title: str
    offered: Callable[[TrainingRun], bool]
    ask: Callable[[TrainingRun], object]
    view: Callable[[ExplorerState], CanvasView]


def _gaussian_map(state: ExplorerState) -> CanvasView:
    from rdmviz.widgets.gaussian_map import GaussianMap  # which knows the state, which knows this list

    return GaussianMap(state)


LENSES: Final = {
    "gaussian": Lens("Gaussian 2RDM", has_gaussian, lambda run: run.gaussian, _gaussian_map),
}


def lenses_of(run: TrainingRun) -> dict[str, Lens]:
    """Return those that a run has something to show in, by name."""
    return {name: lens for name, lens in LENSES.items() if lens.offered(run)}


def check_lens(run: TrainingRun, name: Any) -> str:
    """Return the name of a lens of a run, or ``""`` for none.

    Raises
    ------
    OptionError
        There is no such lens.
    SnapshotError
        The run has nothing to show in it; the message says how to record it.
    """
    if name not in ("", *LENSES):
        raise OptionError(f"lens={name!r:.60}: choose one of {', '.join(map(repr, ('', *LENSES)))}")
    if name:
        LENSES[name].ask(run)
    return str(name)
