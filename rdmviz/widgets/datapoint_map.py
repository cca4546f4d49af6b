"""The datapoint map: each datapoint at its loadings in two modes."""

from __future__ import annotations

from typing import Any

import traitlets as t

from rdmviz.errors import ComputeError
from rdmviz.widgets.cards import card
from rdmviz.widgets.state import ExplorerState
from rdmviz.widgets.trouble import told
from rdmviz.widgets.view import CanvasView


class DatapointMap(CanvasView):
    """Datapoints at ``(√λ_j v_j, √λ_k v_k)``: distances are those of loss fluctuations.

    In a fixed plane they are at their covariances with the fluctuations of the plane's two modes, see
    :func:`rdmviz.plane_loadings`. What is shown is in the state: `modes`, `plane`, `plane_step`, `map_scale`,
    `coloring`, `sizing`, `trails`; a lasso or click writes `selection`, pointing writes `hovered`.

    Parameters
    ----------
    state
        What is shown.
    """

    part = t.Unicode("map").tag(sync=True)

    def __init__(self, state: ExplorerState) -> None:
        super().__init__(state)
        self.on_msg(self._tell)

    def _tell(self, _view: object, content: dict[str, Any], _buffers: list[memoryview]) -> None:
        """Answer what a datapoint is."""
        state = self.state
        with state.lock, told(state, "card"):
            sample, row = int(content["sample"]), int(content["row"])
            if content.get("kind") != "card" or not (
                0 <= sample < state.run.n_samples and 0 <= row < state.run.n_steps
            ):
                return
            try:
                frame = self.link.frames.path.at(row)
            except ComputeError:
                frame = None
            facts = card(state.run, sample, row, frame, state.modes)
            self.send({"kind": "card", "sample": sample, "row": row, "facts": facts})
