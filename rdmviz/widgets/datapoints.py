"""What the datapoints pointed at or selected are."""

from __future__ import annotations

import traitlets as t

from rdmviz.widgets.view import CanvasView


class DatapointTable(CanvasView):
    """Metadata, loss and loadings of the datapoints pointed at, else of the selected ones."""

    part = t.Unicode("datapoints").tag(sync=True)
