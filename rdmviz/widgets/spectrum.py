"""The spectrum of the 2RDM: the share of each eigenvalue in the trace."""

from __future__ import annotations

import traitlets as t

from rdmviz.widgets.view import CanvasView


class SpectrumView(CanvasView):
    """One tall bar is one collective mode; many bars alike are noise, or many modes."""

    part = t.Unicode("spectrum").tag(sync=True)
