"""The time cursor laid over the warning curves, and the values under it."""

from __future__ import annotations

import traitlets as t

from rdmviz.widgets.view import CanvasView


class CursorView(CanvasView):
    """The cursor over the curves: float32 values, one row of all steps per readout."""

    part = t.Unicode("cursor").tag(sync=True)
    values = t.Bytes().tag(sync=True)
    titles = t.List(t.Unicode(), help="title of each figure under the cursor").tag(sync=True)
    readouts: t.List[dict[str, object]] = t.List(help="panel, label and colour of each row of values").tag(
        sync=True
    )
