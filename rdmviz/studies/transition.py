"""When a study's network reorganised, read off a metric that knows nothing of the 2RDM."""

from __future__ import annotations

from dataclasses import dataclass

from rdmviz.run import TrainingRun

__all__ = ["Transition", "crossing"]


@dataclass(frozen=True)
class Transition:
    """Steps at which a metric passed three levels.

    Attributes
    ----------
    what : str
        What was measured, in words.
    onset, middle, end : int or None
        First recorded step at each level; None where it was never reached.
    """

    what: str
    onset: int | None
    middle: int | None
    end: int | None

    @property
    def reached(self) -> bool:
        """Whether the middle was reached."""
        return self.middle is not None

    def __str__(self) -> str:
        if self.onset is None:
            return f"{self.what}: never began"
        middle = "never got half way" if self.middle is None else f"half way at {self.middle:,}"
        end = "never ended" if self.end is None else f"ended at {self.end:,}"
        return f"{self.what}: began at step {self.onset:,}, {middle}, {end}"


def crossing(run: TrainingRun, metric: str, levels: tuple[float, float, float], what: str) -> Transition:
    """Return the transition in which a metric rises through three levels."""
    onset, middle, end = (run.first_step(metric, at_least=level) for level in levels)
    return Transition(what, onset, middle, end)
