"""What the person has to know: that a run is followed, that something went wrong, that the kernel is gone."""

from __future__ import annotations

import traitlets as t

from rdmviz.widgets.view import CanvasView


class StatusLine(CanvasView):
    """Empty as long as all is well and nothing is being recorded."""

    part = t.Unicode("status").tag(sync=True)
