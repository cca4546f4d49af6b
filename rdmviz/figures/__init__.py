"""Pictures for papers, drawn with matplotlib in one style; plain arrays and words in, a Figure out.

What is in them is decided beside the explorer's own pictures (:mod:`rdmviz.widgets.picturing`), so that both
show the same.
"""

from rdmviz.figures.contents import (
    CurvesContent,
    Key,
    Line,
    MapContent,
    MatrixContent,
    Panel,
    SpectrumContent,
)

__all__ = ["CurvesContent", "Key", "Line", "MapContent", "MatrixContent", "Panel", "SpectrumContent"]
