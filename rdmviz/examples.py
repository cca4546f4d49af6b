"""Recordings that ship with the package."""

from __future__ import annotations

import difflib
from pathlib import Path

from rdmviz.errors import ExampleNotFoundError
from rdmviz.run import TrainingRun
from rdmviz.sources import open_run

__all__ = ["list_examples", "load_example"]

_FOLDER = Path(__file__).parent / "recordings"
_SUFFIX = ".rdmviz.zip"


def list_examples() -> list[str]:
    """Return the names that :func:`load_example` knows."""
    return sorted(path.name.removesuffix(_SUFFIX) for path in _FOLDER.glob(f"*{_SUFFIX}"))


def load_example(name: str) -> TrainingRun:
    """Open a shipped recording; nothing is trained, and nothing is fetched.

    Parameters
    ----------
    name : str
        One of :func:`list_examples`.

    Raises
    ------
    ExampleNotFoundError
        No recording has that name.
    """
    names = list_examples()
    if name not in names:
        close = difflib.get_close_matches(str(name), names, n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        raise ExampleNotFoundError(f"no example is called {name!r}; {hint}there are: {', '.join(names)}")
    run = open_run(_FOLDER / f"{name}{_SUFFIX}")
    run.origin = f"rdmviz.load_example({name!r})"
    return run
