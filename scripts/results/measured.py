"""What was measured of one run, and of all of them as JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["AllMeasured", "Measured", "as_json", "from_json"]

_TOOK = ("seconds", "processor_seconds", "megabytes")


@dataclass(frozen=True)
class Measured:
    """One run.

    Attributes
    ----------
    figures
        What the setting measured: name to number, NaN where the run has none.
    transition
        Steps of onset, middle and end, None where not reached.
    seconds, processor_seconds
        Wall time of the training with its recording, and processor time: on a machine that does nothing else
        the two agree.
    megabytes
        The most memory that its process took, Python and torch included.
    """

    figures: dict[str, float]
    transition: dict[str, int | None]
    seconds: float
    processor_seconds: float
    megabytes: float


AllMeasured = Mapping[str, Mapping[str, Mapping[int, Measured]]]
"""Setting to variant (``""`` is the real run) to seed."""


def as_json(measured: AllMeasured) -> dict[str, Any]:
    """Return what was measured as JSON holds it: NaN is null."""
    return {
        name: {
            variant: {str(seed): _plain(one) for seed, one in by_seed.items()}
            for variant, by_seed in variants.items()
        }
        for name, variants in measured.items()
    }


def from_json(kept: Mapping[str, Any]) -> dict[str, dict[str, dict[int, Measured]]]:
    """Return what was measured from its JSON."""
    return {
        name: {
            variant: {int(seed): _measured(one) for seed, one in by_seed.items()}
            for variant, by_seed in variants.items()
        }
        for name, variants in kept.items()
    }


def _plain(one: Measured) -> dict[str, Any]:
    figures = {key: value if math.isfinite(value) else None for key, value in one.figures.items()}
    return {
        **asdict(one),
        "figures": figures,
        "seconds": round(one.seconds, 1),
        "megabytes": round(one.megabytes),
    }


def _measured(one: Mapping[str, Any]) -> Measured:
    figures = {key: math.nan if value is None else float(value) for key, value in one["figures"].items()}
    return Measured(figures, dict(one["transition"]), **{name: float(one[name]) for name in _TOOK})
