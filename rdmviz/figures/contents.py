"""What each picture holds: plain arrays and words, nothing of a run, a widget or matplotlib.

A caption is facts that stand in a line above the picture, or in two where it is narrow.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Codes = NDArray[np.uint8]

FORMATS: Final = ("svg", "png", "pdf")


@dataclass(frozen=True, eq=False)
class Key:
    """What the colours of datapoints mean.

    ``labels`` holds one text per category, or the ends of the range first and last; that for a missing value
    comes after those of a gapped range.
    """

    title: str
    kind: Literal["categorical", "sequential", "gapped", "diverging"]
    labels: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class MapContent:
    """Datapoints in the plane of two modes.

    ``positions`` is ``(m, 2)`` and ``ends`` the ends of both axes (low and high across, low and high up);
    ``codes`` the colour of each datapoint, ``sizes`` its area (1: as usual), ``ringed`` the places of the
    selected ones; ``trails`` one path ``(k, 2)`` per datapoint that has one.
    """

    caption: tuple[str, ...]
    positions: Floats
    ends: tuple[float, float, float, float]
    axes: tuple[str, str]
    codes: Codes
    key: Key
    ringed: NDArray[np.intp]
    sizes: Floats | None = None
    trails: tuple[Floats, ...] = ()


@dataclass(frozen=True, eq=False)
class MatrixContent:
    """The 2RDM of some datapoints, in order.

    ``shade`` is ``(m, m)``, each entry over ``scale`` or the signed root of that (``rooted``), in -1 to 1,
    NaN where undefined; ``codes`` the colour of each datapoint on the strips, ``ringed`` the places of the
    selected ones.
    """

    caption: tuple[str, ...]
    shade: Floats
    scale: float
    quantity: str
    rooted: bool
    codes: Codes
    key: Key
    ringed: NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class SpectrumContent:
    """Eigenvalues as shares of the trace, descending.

    ``chosen`` are the places of the modes on the map, across and up.
    ``edge`` is the share up to which noise alone reaches, where it is known.
    """

    caption: tuple[str, ...]
    shares: Floats
    note: str
    chosen: tuple[int, ...]
    log: bool = True
    edge: float | None = None


@dataclass(frozen=True, eq=False)
class Line:
    """One curve of a panel, ``(T,)``; thin ones are of single datapoints, behind the others."""

    label: str
    values: Floats
    color: str
    thin: bool = False


@dataclass(frozen=True, eq=False)
class Panel:
    """Curves on one pair of axes.

    ``column`` 0 is of the 2RDM, 1 a plain baseline beside the panel before, None spans both columns.
    """

    title: str
    lines: tuple[Line, ...]
    log: bool
    units: str = ""
    column: int | None = 0


@dataclass(frozen=True, eq=False)
class CurvesContent:
    """Panels over training time, ``steps`` ``(T,)``, with the cursor and what happened when.

    ``marks`` are step, kind (``"transition"``, ``"alarm"`` or ``"bookmark"``) and text of each.
    """

    caption: tuple[str, ...]
    steps: NDArray[np.int64]
    span: tuple[int, int]
    panels: tuple[Panel, ...]
    cursor: int | None = None
    marks: tuple[tuple[int, str, str], ...] = field(default=())


Content = CurvesContent | MapContent | MatrixContent | SpectrumContent
