"""What the colours of the datapoints mean."""

from __future__ import annotations

import traitlets as t

from rdmviz.widgets.view import CanvasView


class Legend(CanvasView):
    """The colours of map and matrix, in words."""

    part = t.Unicode("legend").tag(sync=True)
