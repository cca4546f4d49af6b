"""Title and facts of a run, above its pictures."""

from __future__ import annotations

import html

import ipywidgets

from rdmviz.run import TrainingRun
from rdmviz.widgets.frames import LARGEST_MAP
from rdmviz.widgets.state import ExplorerState


class Headline(ipywidgets.HTML):  # type: ignore[misc]  # ipywidgets carries no types
    """Keeps up with a run that grows.

    Parameters
    ----------
    state
        Whose run is told of.
    """

    def __init__(self, state: ExplorerState) -> None:
        self._state = state
        super().__init__(headline(state.run))
        self.add_class("rdmviz-head")
        state.observe(self._tell, "run")

    def close(self) -> None:
        """Leave the page."""
        if self.comm is not None:
            self._state.unobserve(self._tell, "run")
        super().close()

    def _tell(self, _change: object) -> None:
        self.value = headline(self._state.run)


def headline(run: TrainingRun) -> str:
    """Title and facts of a run as HTML; every text of the run is escaped."""
    title = html.escape(run.name or "Training run")
    steps = f"steps {int(run.steps[0]):,} to {int(run.steps[-1]):,}"
    facts = [f"{run.n_steps:,} recorded rows, {steps}", f"{run.n_samples:,} probe datapoints"]
    if run.n_samples > LARGEST_MAP:
        facts.append(f"{LARGEST_MAP:,} of them drawn, all of them computed")
    columns = [html.escape(str(name)) for name in (*run.probe, *run.images)]
    if columns:
        facts.append("metadata: " + ", ".join(columns))
    return f"<h3>{title}</h3><p>{' · '.join(facts)}</p>"
