"""Where a warning curve stands out most."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["most_prominent"]


def most_prominent(curve: NDArray[np.float64]) -> int | None:
    """Return the place of the most prominent peak of a curve ``(T,)``, in decades.

    Where it has no peak, of its largest value; None where no value is above zero. Values that are not, and
    NaN, are left out: a gap is no valley.
    """
    from scipy.signal import find_peaks  # a twentieth of a second that importing rdmviz need not take

    known = np.flatnonzero(np.isfinite(curve) & (curve > 0))
    if not len(known):
        return None
    decades = np.log10(curve[known])
    peaks, found = find_peaks(decades, prominence=0)
    place = peaks[np.argmax(found["prominences"])] if len(peaks) else np.argmax(decades)
    return int(known[place])
