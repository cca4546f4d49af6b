"""The strongest datapoints of either end of a mode."""

from __future__ import annotations

import traitlets as t

from rdmviz.widgets.view import CanvasView


class ModeStrip(CanvasView):
    """Five datapoints with the largest positive, and five with the largest negative loading, in words."""

    part = t.Unicode("strip").tag(sync=True)
    axis = t.Enum(("across", "up"), "across", help="the mode across the map, or the one up").tag(sync=True)
