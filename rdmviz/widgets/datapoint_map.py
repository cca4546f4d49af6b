"""The datapoint map: each datapoint at its loadings in two modes."""

from __future__ import annotations

import traitlets as t

from rdmviz.widgets.view import CanvasView


class DatapointMap(CanvasView):
    """Datapoints at ``(√λ_j v_j, √λ_k v_k)``: distances are those of loss fluctuations."""

    part = t.Unicode("map").tag(sync=True)
