"""What a setting has to say about itself, so that one command can train, measure and report all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from rdmviz import TrainingRun

__all__ = ["Claim", "Figures", "Setting"]

Figures = Mapping[str, Mapping[int, Mapping[str, float]]]
"""Measured figures: variant (``""`` is the real run) to seed to name to number; NaN where it has none."""


@dataclass(frozen=True)
class Claim:
    """A number that the method should reach, and over which runs.

    Attributes
    ----------
    figure : str
        Name of a measured figure.
    words : str
        What it is, in a line of the page.
    at_least, at_most : float or None
        The bound; none for a figure that is only reported.
    every_seed : bool
        Whether every seed has to keep the bound, instead of the median.
    variant : str
        Of which runs: ``""`` for the real ones, else a control's name.
    """

    figure: str
    words: str
    at_least: float | None = None
    at_most: float | None = None
    every_seed: bool = False
    variant: str = ""


@dataclass(frozen=True)
class Setting:
    """A study, and how its runs are measured.

    Attributes
    ----------
    study : module
        With ``train``, ``CONTROLS`` and ``transition``.
    title, question : str
        Heading of its part of the page, and in a sentence what it is about.
    measure : callable
        Figures of one run: name to number.
    claims : sequence of Claim
        In the order of the page.
    findings : callable
        From all figures, the paragraphs that say what was found and where the method fails (Markdown).
    options : mapping
        Further options of ``train`` for the runs of the page.
    more : mapping
        Further variants beside the controls: name to options of ``train``.
    """

    study: ModuleType
    title: str
    question: str
    measure: Callable[[TrainingRun], Mapping[str, float]]
    claims: Sequence[Claim]
    findings: Callable[[Figures], Sequence[str]]
    options: Mapping[str, Any] = field(default_factory=dict)
    more: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Name of the study."""
        return self.study.__name__.rpartition(".")[2]

    @property
    def variants(self) -> dict[str, dict[str, Any]]:
        """Options of ``train`` for the real run, ``""``, and for each control."""
        return {
            variant: {**self.options, **changed}
            for variant, changed in [("", {}), *self.study.CONTROLS.items(), *self.more.items()]
        }
