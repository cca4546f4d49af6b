"""The 2RDM itself, ordered so that its blocks show."""

from __future__ import annotations

import traitlets as t

from rdmviz.widgets.view import CanvasView


class MatrixView(CanvasView):
    """Covariance or correlation (``state.matrix``) of the losses of pairs of datapoints.

    Ordered by group, then by similarity. Up to 400 datapoints, of every group, the selected ones among them;
    beyond 96 means over blocks of pairs are drawn while time moves, every pair where it stands still.
    """

    part = t.Unicode("matrix").tag(sync=True)
