"""On which axis a curve is drawn."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rdmviz.widgets.signals import LOSSES, Signal


def is_log(signal: Signal, values: NDArray[np.float64], scale: str) -> bool:
    """Whether the curves of a signal get a logarithmic axis under ``ExplorerState.curve_scale``.

    Only positive values can be on one; ``"auto"`` is what the signal is best read on, and for losses the
    logarithmic one where it leaves nothing out.
    """
    finite = values[np.isfinite(values)]
    positive = bool((finite > 0).any())
    if scale == "auto" and signal.name == LOSSES:
        return positive and bool((finite > 0).all())
    return positive and (scale == "log" or (scale == "auto" and signal.log))
