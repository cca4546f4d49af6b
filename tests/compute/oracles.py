"""Slow, independent ways to the same numbers, in extended precision."""

from __future__ import annotations

import numpy as np

DETRENDS = ("none", "constant", "linear", "quadratic")


def detrended_exactly(rows: np.ndarray, detrend: str) -> np.ndarray:
    """Rows minus their polynomial, by Gram-Schmidt in long double (64 bits of mantissa)."""
    x = rows.astype(np.longdouble)
    grid = np.linspace(-1, 1, len(x)).astype(np.longdouble)
    kept: list[np.ndarray] = []
    for power in range(DETRENDS.index(detrend)):
        column = grid**power
        for _ in range(2):
            for earlier in kept:
                column = column - earlier * (earlier @ column)
        kept.append(column / np.sqrt(column @ column))
    for _ in range(2):
        for column in kept:
            x = x - np.outer(column, column @ x)
    return x


def traces(losses: np.ndarray, window: int, detrend: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """``Tr C``, ``Tr C²`` and the largest eigenvalue of every trailing window, NaN before the first."""
    nu = window - DETRENDS.index(detrend)
    out = np.full((3, len(losses)), np.nan)
    for end in range(window - 1, len(losses)):
        x = detrended_exactly(losses[end - window + 1 : end + 1], detrend)
        small = (x @ x.T if window <= x.shape[1] else x.T @ x) / nu
        top = np.linalg.eigvalsh(small.astype(np.float64))[-1]
        out[:, end] = float(np.trace(small)), float((small * small).sum()), top
    return out[0], out[1], out[2]


def reader(losses: np.ndarray):
    """The ``rows(start, stop)`` of an array."""
    return lambda start, stop: losses[start:stop]
