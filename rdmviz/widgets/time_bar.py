"""The time bar: Play, the step slider with its marks, the step in words."""

from __future__ import annotations

import traitlets as t

from rdmviz.widgets.view import CanvasView


class TimeBar(CanvasView):
    """Moves a state through training time: arrow keys (Shift for ten), Home, End, Space plays."""

    part = t.Unicode("time").tag(sync=True)
