"""Small trainings with a known truth, each returning a TrainingRun."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from os import PathLike
from types import MappingProxyType
from typing import Any

import rdmviz.record  # noqa: F401  # first, because it names the extra to install where torch is missing
from rdmviz.errors import OptionError
from rdmviz.run import TrainingRun
from rdmviz.studies import grokking, induction, linear_network

__all__ = ["STUDIES", "grokking", "induction", "linear_network", "record"]

STUDIES: Mapping[str, Callable[..., TrainingRun]] = MappingProxyType(
    {"grokking": grokking.train, "induction": induction.train, "linear_network": linear_network.train}
)


def record(
    name: str, out: str | PathLike[str] | None = None, *, progress: bool = True, **options: Any
) -> TrainingRun:
    """Run a study by name and keep its recording.

    Parameters
    ----------
    name : str
        One of ``STUDIES``.
    out : path, optional
        Where to write; in memory by default.
    progress : bool
        Show a progress bar.
    **options
        What the study's ``train`` takes, such as ``seed`` or ``overwrite``.

    Raises
    ------
    OptionError
        No such study, or it has no such option.
    StoreExistsError
        Something is at ``out``.
    """
    if name not in STUDIES:
        raise OptionError(f"no study is called {name!r}; there are {', '.join(sorted(STUDIES))}")
    known = set(inspect.signature(STUDIES[name]).parameters) - {"out", "progress"}
    if unknown := sorted(set(options) - known):
        raise OptionError(f"{name} has no option {', '.join(unknown)}; it has {', '.join(sorted(known))}")
    return STUDIES[name](out=out, progress=progress, **options)
