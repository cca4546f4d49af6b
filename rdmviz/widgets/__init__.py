"""Views of a run in notebooks: nothing is computed here, everything is drawn from one state."""

from __future__ import annotations

from rdmviz.widgets.compare import Comparison
from rdmviz.widgets.comparison_state import ComparisonState
from rdmviz.widgets.curves import WarningCurves
from rdmviz.widgets.datapoint_map import DatapointMap
from rdmviz.widgets.datapoints import DatapointTable
from rdmviz.widgets.explorer import Explorer, explore
from rdmviz.widgets.gaussian_map import GaussianMap
from rdmviz.widgets.keep_bar import KeepBar
from rdmviz.widgets.legend import Legend
from rdmviz.widgets.matrix import MatrixView
from rdmviz.widgets.mode_strip import ModeStrip
from rdmviz.widgets.spectrum import SpectrumView
from rdmviz.widgets.state import ExplorerState
from rdmviz.widgets.time_bar import TimeBar

__all__ = [
    "Comparison",
    "ComparisonState",
    "DatapointMap",
    "DatapointTable",
    "Explorer",
    "ExplorerState",
    "GaussianMap",
    "KeepBar",
    "Legend",
    "MatrixView",
    "ModeStrip",
    "SpectrumView",
    "TimeBar",
    "WarningCurves",
    "explore",
]
