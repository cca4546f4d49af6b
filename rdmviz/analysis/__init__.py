"""The verbs of rdmviz on a TrainingRun: labelled data in, labelled data out."""

from rdmviz.analysis.curves import analyze
from rdmviz.analysis.grouping import groups, ordering
from rdmviz.analysis.modes import eigenmodes
from rdmviz.analysis.path import ModeFrame, ModePath
from rdmviz.analysis.tracks import mode_tracks

__all__ = ["ModeFrame", "ModePath", "analyze", "eigenmodes", "groups", "mode_tracks", "ordering"]
