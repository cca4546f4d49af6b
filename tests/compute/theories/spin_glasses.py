"""Glasses of known temperature."""

from __future__ import annotations

import numpy as np


def spiked_glass(rng, n, strength):
    """A Sherrington-Kirkpatrick glass of temperature 1 with a hidden direction, and that direction."""
    noise = rng.standard_normal((n, n))
    hidden = rng.choice([-1.0, 1.0], n)
    couplings = (noise + noise.T) / np.sqrt(2 * n) + strength * np.outer(hidden, hidden) / n
    np.fill_diagonal(couplings, 0)
    return couplings, hidden
