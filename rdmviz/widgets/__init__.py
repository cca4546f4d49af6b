"""Views of a run in notebooks: nothing is computed here, everything is drawn from one state."""

from __future__ import annotations

from rdmviz.widgets.explorer import Explorer, explore
from rdmviz.widgets.state import ExplorerState

__all__ = ["Explorer", "ExplorerState", "explore"]
