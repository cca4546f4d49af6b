"""Small trainings with a known truth, each returning a TrainingRun.

Each study is a module with ``train``; ``CONTROLS``, options of runs in which nothing is to be seen; and
``transition``, when a run's network reorganised. ``narrow_finetuning`` needs a language model, and is none of
``STUDIES``, which train with no more than a seed.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from os import PathLike
from types import MappingProxyType, ModuleType
from typing import Any

import rdmviz.record  # noqa: F401  # first, because it names the extra to install where torch is missing
from rdmviz.errors import OptionError
from rdmviz.run import TrainingRun
from rdmviz.studies import grokking, induction, linear_network, misalignment, narrow_finetuning

__all__ = [
    "STUDIES",
    "grokking",
    "induction",
    "linear_network",
    "misalignment",
    "narrow_finetuning",
    "record",
]

STUDIES: Mapping[str, ModuleType] = MappingProxyType(
    {
        study.__name__.rpartition(".")[2]: study
        for study in (grokking, induction, linear_network, misalignment)
    }
)


def record(
    name: str,
    out: str | PathLike[str] | None = None,
    *,
    control: str | None = None,
    progress: bool = True,
    **options: Any,
) -> TrainingRun:
    """Run a study by name and keep its recording.

    Parameters
    ----------
    name : str
        One of ``STUDIES``.
    out : path, optional
        Where to write; in memory by default.
    control : str, optional
        One of the study's ``CONTROLS`` instead of the real run.
    progress : bool
        Show a progress bar.
    **options
        What the study's ``train`` takes, such as ``seed`` or ``overwrite``.

    Raises
    ------
    OptionError
        No such study, or it has no such control or option.
    StoreExistsError
        Something is at ``out``.
    """
    if name not in STUDIES:
        raise OptionError(f"no study is called {name!r}; there are {', '.join(sorted(STUDIES))}")
    study = STUDIES[name]
    if control is not None and control not in study.CONTROLS:
        there = ", ".join(study.CONTROLS)
        raise OptionError(f"{name} has no control {control!r:.60}; it has {there}")
    known = set(inspect.signature(study.train).parameters) - {"out", "progress"}
    if unknown := sorted(set(options) - known):
        raise OptionError(f"{name} has no option {', '.join(unknown)}; it has {', '.join(sorted(known))}")
    changed = {} if control is None else study.CONTROLS[control]
    run: TrainingRun = study.train(out=out, progress=progress, **{**changed, **options})
    return run
