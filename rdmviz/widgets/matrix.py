"""The 2RDM itself, ordered so that its blocks show."""

from __future__ import annotations

import traitlets as t

from rdmviz.widgets.view import CanvasView


class MatrixView(CanvasView):
    """Covariance of the losses of pairs of datapoints, ordered by group, then by similarity."""

    part = t.Unicode("matrix").tag(sync=True)
