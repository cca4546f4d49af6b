"""Pictures for papers, drawn with matplotlib in one style; plain arrays and words in, a Figure out.

What is in them is decided beside the explorer's own pictures (:mod:`rdmviz.widgets.picturing`), so that both
show the same. matplotlib is imported when something is drawn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rdmviz.errors import MissingExtraError
from rdmviz.figures.contents import (
    Content,
    CurvesContent,
    Key,
    Line,
    MapContent,
    MatrixContent,
    Panel,
    SpectrumContent,
)

if TYPE_CHECKING:
    from rdmviz.figures.style import Picture

__all__ = ["CurvesContent", "Key", "Line", "MapContent", "MatrixContent", "Panel", "SpectrumContent", "draw"]


def draw(content: Content, width: float | None = None) -> Picture:
    """Draw one picture on a figure that fits it, `width` inches wide.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    """
    try:
        import matplotlib  # noqa: F401, ICN001  # only to learn whether it is there
    except ImportError as error:
        raise MissingExtraError('figures need matplotlib: pip install "rdmviz[figures]"') from error
    from rdmviz.figures.drawing import drawn

    return drawn(content, width)
