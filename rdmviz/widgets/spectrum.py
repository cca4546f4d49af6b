"""The spectrum of the 2RDM: the share of each eigenvalue in the trace."""

from __future__ import annotations

import traitlets as t

from rdmviz.widgets.view import CanvasView


class SpectrumView(CanvasView):
    """One tall bar is one collective mode; many bars alike are noise, or many modes.

    A click puts a mode across the map, with Shift up (``state.modes``). The null edge, the largest
    eigenvalue of 95% of AR(1) surrogates (:func:`rdmviz.null_edge`), is drawn where time stands still.
    """

    part = t.Unicode("spectrum").tag(sync=True)
