"""The browser's half of the state.

`Scene` has no view of its own: it is the model that all views of one state share in the browser, so that a
scrub moves every picture without a round trip to the kernel.
"""

from __future__ import annotations

from typing import Any, Final

import ipywidgets
import traitlets as t

# Traits that mean the same on both sides: state and scene are linked in them.
SHARED: Final = (
    "span",
    "modes",
    "plane_step",
    "plane",
    "sizing",
    "trails",
    "matrix",
    "lens",
    "spectrum_scale",
    "signals",
    "curve_scale",
    "loss_curves",
    "marks",
    "bookmarks",
    "selection",
    "hovered",
    "following",
    "troubles",
)


class Scene(ipywidgets.Widget):  # type: ignore[misc]  # ipywidgets carries no types
    """Everything the canvas views need to know, synced with the browser.

    Binary traits are little-endian: ``steps`` float64 per row, ``shown`` uint32 (the datapoints on screen),
    ``color_codes`` uint8 per shown datapoint. Frames travel as custom messages, see
    :mod:`rdmviz.widgets.frames`. The traits of `SHARED` are those of the state.
    """

    index = t.Int(help="row on screen").tag(sync=True, echo_update=False)
    count = t.Int(help="rows recorded").tag(sync=True)
    first = t.Int(help="row of the first full window").tag(sync=True)
    steps = t.Bytes().tag(sync=True)
    shown = t.Bytes().tag(sync=True)
    layout = t.Dict(help="places of the fields in a packed frame").tag(sync=True)
    map_scale = t.Enum(("linear", "log"), "linear").tag(sync=True)
    mode_detrend = t.Unicode().tag(sync=True)
    epoch = t.Int(help="rises when frames held in the browser are no longer true").tag(sync=True)
    notes = t.Dict(help="what to say where there is no picture, by frame state").tag(sync=True)
    playing = t.Bool(default_value=False).tag(sync=True)
    loop = t.Bool(default_value=False, help="whether play starts over at the end of the span").tag(sync=True)
    speed = t.Float(60.0, help="rows per second while playing").tag(sync=True)
    span = t.List(t.Float()).tag(sync=True)
    modes = t.List(t.Int(), [1, 2]).tag(sync=True)
    plane = t.Unicode("moving").tag(sync=True)
    plane_step: Any = t.Int(None, allow_none=True).tag(sync=True)
    most_modes = t.Int(2, help="modes that can be put on the map").tag(sync=True)
    probe_size = t.Int(help="datapoints in the probe, on the map or not").tag(sync=True)
    sizing = t.Unicode("equal").tag(sync=True)
    trails = t.Int().tag(sync=True)
    matrix = t.Unicode("covariance").tag(sync=True)
    lens = t.Unicode(help="what stands beside the map, of `lenses`").tag(sync=True)
    lenses: Any = t.List(help="name and title of what can stand beside the map").tag(sync=True)
    spectrum_scale = t.Unicode("log").tag(sync=True)
    signals = t.List(t.Unicode()).tag(sync=True)
    curve_scale = t.Unicode("auto").tag(sync=True)
    loss_curves = t.Unicode("coloring").tag(sync=True)
    marks: Any = t.List(t.Dict()).tag(sync=True)
    bookmarks: Any = t.List(t.Dict()).tag(sync=True)
    selection = t.List(t.Int()).tag(sync=True)
    hovered = t.List(t.Int()).tag(sync=True, echo_update=False)
    following = t.Bool(default_value=False).tag(sync=True)
    can_follow = t.Bool(default_value=False, help="whether the run may grow").tag(sync=True)
    troubles: Any = t.Dict().tag(sync=True)
    color_source = t.Enum(("fixed", "group", "loss", "loading", "drift"), "group").tag(sync=True)
    color_kind = t.Enum(("categorical", "sequential", "gapped", "diverging"), "categorical").tag(sync=True)
    color_codes = t.Bytes().tag(sync=True)
    color_title = t.Unicode().tag(sync=True)
    color_labels = t.List(t.Unicode()).tag(sync=True)
