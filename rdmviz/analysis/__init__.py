"""The verbs of rdmviz on a TrainingRun: labelled data in, labelled data out."""

from rdmviz.analysis.aligning import align
from rdmviz.analysis.comparing import subspace_overlap
from rdmviz.analysis.curves import analyze
from rdmviz.analysis.datapoints import datapoints, strongest
from rdmviz.analysis.enriched import enriched, tell
from rdmviz.analysis.finding import find
from rdmviz.analysis.following import follow
from rdmviz.analysis.gaussian import gaussian_modes, gaussian_overlap
from rdmviz.analysis.grouping import groups, ordering
from rdmviz.analysis.growing import grown
from rdmviz.analysis.modes import eigenmodes
from rdmviz.analysis.nulls import null_edge
from rdmviz.analysis.path import ModeFrame, ModePath
from rdmviz.analysis.planes import FixedPlane, plane_loadings
from rdmviz.analysis.separating import separation
from rdmviz.analysis.spectra import spectra
from rdmviz.analysis.tracks import mode_tracks

__all__ = [
    "FixedPlane",
    "ModeFrame",
    "ModePath",
    "align",
    "analyze",
    "datapoints",
    "eigenmodes",
    "enriched",
    "find",
    "follow",
    "gaussian_modes",
    "gaussian_overlap",
    "groups",
    "grown",
    "mode_tracks",
    "null_edge",
    "ordering",
    "plane_loadings",
    "separation",
    "spectra",
    "strongest",
    "subspace_overlap",
    "tell",
]
