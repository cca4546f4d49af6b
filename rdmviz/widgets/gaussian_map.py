"""The datapoints in the Gaussian 2RDM: how they answer to displacements of the network at a snapshot."""

from __future__ import annotations

from typing import Any, Final

import traitlets as t

from rdmviz.widgets.datapoint_map import DatapointMap
from rdmviz.widgets.gaussian_lens import GaussianPlaces
from rdmviz.widgets.state import ExplorerState
from rdmviz.widgets.trouble import told

_MOST_SENT: Final = 4_000_000  # bytes of an answer


class GaussianMap(DatapointMap):
    """Datapoints at ``(√λ_1 v_1, √λ_2 v_2)`` of the newest snapshot at or before the step on screen.

    Colours, selection, pointer and the scale of the axes are those of the map. Signs are steady along the
    run. Datapoints that the snapshots leave out are not drawn.

    Parameters
    ----------
    state
        What is shown; its run was recorded with ``Snapshots(gaussian=GaussianSnapshots(...))``.

    Raises
    ------
    SnapshotError
        The run has no Gaussian 2RDM; the message says how to record one.
    """

    part = t.Unicode("lens").tag(sync=True)
    lens = t.Unicode("gaussian", help="which explanation goes with it").tag(sync=True)
    title = t.Unicode("Gaussian 2RDM").tag(sync=True)
    steps = t.Bytes(help="float64 step of each snapshot").tag(sync=True)
    there = t.Bytes(help="uint8 per shown datapoint: whether the snapshots have it").tag(sync=True)
    facts = t.List(t.Unicode(), help="of each snapshot: step, draws, noise, share of the trace").tag(
        sync=True
    )
    notes = t.List(t.Unicode(), help="what to say where a snapshot has no picture").tag(sync=True)

    def __init__(self, state: ExplorerState) -> None:
        _ = state.run.gaussian  # says how to record it
        super().__init__(state)
        self._renew()
        self.on_msg(self._answer)
        state.observe(self._renew, "run")

    def _renew(self, _change: object = None) -> None:
        """Tell of the snapshots there are: a run that is followed takes more."""
        with self.state.lock, told(self.state, "pictures"):
            places = self._places = GaussianPlaces(self.state.run, self.link.shown)
            snapshots = range(len(places.steps))
            with self.hold_sync():
                self.there = places.there.astype("u1").tobytes()
                self.facts = [places.facts(snapshot) for snapshot in snapshots]
                self.notes = [places.note(snapshot) for snapshot in snapshots]
                self.steps = places.steps.astype("<f8").tobytes()

    def _answer(self, _view: object, content: dict[str, Any], _buffers: list[memoryview]) -> None:
        """Send snapshots that the browser asks for, or the first of them."""
        if content.get("kind") != "snapshots":
            return
        with self.state.lock, told(self.state, "pictures"):
            count, scale = len(self._places.steps), self.state.map_scale
            asked = [int(k) for k in content["snapshots"] if 0 <= int(k) < count]
            packed: list[bytes] = []
            for snapshot in asked:
                if packed and sum(map(len, packed)) > _MOST_SENT:
                    break
                packed.append(self._places.pack(snapshot, scale))
            reply = {"kind": "snapshots", "snapshots": asked[: len(packed)], "map_scale": scale}
            self.send(reply, [b"".join(packed)])

    def close(self) -> None:
        """Leave the page."""
        if self.comm is not None:
            self.state.unobserve(self._renew, "run")
            super().close()
