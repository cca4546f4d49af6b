"""Which phase a network's spins are in at a temperature."""

from __future__ import annotations

from typing import Literal

import numpy as np

from rdmviz.compute.theories.spins.tap import TapSolutions

Phase = Literal["paramagnet", "hidden order", "several orders", "glass", "undecided"]


def phase(solutions: TapSolutions, tap_temperature: float) -> Phase:
    """Say in a word what the TAP solutions at a temperature show.

    Parameters
    ----------
    solutions
        At the temperature asked about: :func:`.tap.tap_solutions`.
    tap_temperature
        T_TAP of the same network: :func:`.stability.tap_stability`.

    Returns
    -------
    str
        - ``"paramagnet"``: one stable solution, at T_TAP or above: no magnetisation but along the fields.
        - ``"hidden order"``: one stable solution, up to the sign of all spins, below T_TAP.
        - ``"several orders"``: more than one stable solution.
        - ``"glass"``: no solution is stable to freezing.
        - ``"undecided"``: less than half of the starts converged, as in a glass, and TAP cannot tell.
    """
    if not len(solutions.distinct) or 2 * np.count_nonzero(solutions.converged) < len(solutions.converged):
        return "undecided"
    if solutions.glass_stability[0] <= 0:
        return "glass"
    if np.count_nonzero(solutions.glass_stability > 0) > 1:
        return "several orders"
    return "paramagnet" if solutions.temperature >= tap_temperature else "hidden order"
