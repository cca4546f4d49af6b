"""What is laid over the warning curves: the cursor, marks, and heads of the panels with their values."""

from __future__ import annotations

import bqplot
import ipywidgets
import traitlets as t

from rdmviz.widgets.view import CanvasView


class CursorView(CanvasView):
    """The cursor over the curves: float32 values, one row per readout, of the rows from ``start`` on.

    A click or drag moves time; a drag with Shift, or any drag while brushing, zooms to a range of time.
    """

    part = t.Unicode("cursor").tag(sync=True)
    time = t.Instance(bqplot.LinearScale).tag(sync=True, **ipywidgets.widget_serialization)
    values = t.Bytes().tag(sync=True)
    start = t.Int(help="row of the first value").tag(sync=True)
    stride = t.Int(1, help="rows from one value to the next").tag(sync=True)
    panels: t.List[dict[str, object]] = t.List(
        help="of each panel: name, title, units, pixels for names, baseline, its readouts: label and colour"
    ).tag(sync=True)
    computing = t.Unicode(help="what is being computed; empty when all is drawn").tag(sync=True)
    rested = t.Int(-1, help="row at which time came to rest").tag(sync=True, echo_update=False)


class CurvesHead(CanvasView):
    """The controls of the curves: presets, the list of curves, axis, whose mean losses, zoom."""

    part = t.Unicode("curves_head").tag(sync=True)
    offered: t.List[dict[str, str]] = t.List(help="name, title, units, family of each curve").tag(sync=True)
    presets: t.List[list[object]] = t.List(help="label and names of each preset").tag(sync=True)
    drawn = t.List(t.Unicode(), help="names of the curves on screen").tag(sync=True)
    most = t.Int(help="number of curves that fit").tag(sync=True)
