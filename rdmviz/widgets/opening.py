"""Where an explorer opens if nobody says: at the row that has most to tell."""

from __future__ import annotations

import numpy as np

from rdmviz.analysis import analyze
from rdmviz.compute.warning.peaks import most_prominent
from rdmviz.widgets.state import ExplorerState


def telling_step(state: ExplorerState) -> int:
    """Return the step of the span at which the spectral heat capacity stands out most.

    That is its most prominent peak, in decades, over the full windows; where it has no peak, its largest
    value; where it has none, the step on screen. A falling loss has its largest fluctuation at the very first
    full window, which is why a peak and not the largest value is looked for.
    """
    run = state.run
    low, high = (int(run.index_of(step)) for step in state.span)
    curves = analyze(run, window=state.window, detrend=state.detrend)
    row = most_prominent(np.asarray(curves["spectral_heat_capacity"].values, float)[low : high + 1])
    return state.step if row is None else int(run.steps[low + row])
