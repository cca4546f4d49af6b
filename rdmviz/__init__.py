"""See a training run through its 2-datapoint reduced density matrix (2RDM).

The public names are imported on first use, so ``import rdmviz`` stays fast and brings neither torch
nor a widget library.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rdmviz.analysis import (
        analyze,
        eigenmodes,
        follow,
        gaussian_modes,
        gaussian_overlap,
        groups,
        mode_tracks,
        null_edge,
        plane_loadings,
        separation,
        spectra,
    )
    from rdmviz.examples import list_examples, load_example
    from rdmviz.record import Recorder, gaussian_draws, record_checkpoints
    from rdmviz.run import TrainingRun
    from rdmviz.sources import open_run
    from rdmviz.widgets import explore
    from rdmviz.widgets.picturing import figure

__version__ = "0.1.0"

__all__ = [
    "Recorder",
    "TrainingRun",
    "__version__",
    "analyze",
    "eigenmodes",
    "explore",
    "figure",
    "follow",
    "gaussian_draws",
    "gaussian_modes",
    "gaussian_overlap",
    "groups",
    "list_examples",
    "load_example",
    "mode_tracks",
    "null_edge",
    "open_run",
    "plane_loadings",
    "record_checkpoints",
    "separation",
    "spectra",
]

_HOME = {
    "Recorder": "rdmviz.record",
    "TrainingRun": "rdmviz.run",
    "analyze": "rdmviz.analysis",
    "eigenmodes": "rdmviz.analysis",
    "explore": "rdmviz.widgets",
    "figure": "rdmviz.widgets.picturing",
    "follow": "rdmviz.analysis",
    "gaussian_draws": "rdmviz.record",
    "gaussian_modes": "rdmviz.analysis",
    "gaussian_overlap": "rdmviz.analysis",
    "groups": "rdmviz.analysis",
    "list_examples": "rdmviz.examples",
    "load_example": "rdmviz.examples",
    "mode_tracks": "rdmviz.analysis",
    "null_edge": "rdmviz.analysis",
    "open_run": "rdmviz.sources",
    "plane_loadings": "rdmviz.analysis",
    "record_checkpoints": "rdmviz.record",
    "separation": "rdmviz.analysis",
    "spectra": "rdmviz.analysis",
}
_MODULES = ("analysis", "compute", "errors", "record", "studies", "widgets")


def __getattr__(name: str) -> Any:
    """Import a public name, or a part of the package, on first use (PEP 562)."""
    if name in _HOME:
        value = getattr(import_module(_HOME[name]), name)
        globals()[name] = value
        return value
    if name in _MODULES:
        return import_module(f"rdmviz.{name}")
    raise AttributeError(f"module 'rdmviz' has no attribute {name!r}; it offers {', '.join(__all__)}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_MODULES})
