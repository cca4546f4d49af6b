"""The browser's half of the state, and the canvas views that draw it.

`Scene` has no view of its own: it is the model that all canvas views of one explorer share in the browser, so
that a scrub moves every picture without a round trip to the kernel.
"""

from __future__ import annotations

from importlib.resources import files
from typing import Any, Final

import anywidget
import ipywidgets
import traitlets as t

_STATIC = files("rdmviz.widgets") / "static"
# In the order of use: each file is a plain script, and together they are one ES module without a build step.
_SCRIPTS: Final = (
    "palette.js",
    "drawing.js",
    "coloring.js",
    "frames.js",
    "map.js",
    "matrix.js",
    "spectrum.js",
    "stage.js",
    "time.js",
    "cursor.js",
    "module.js",
)


def _read(*names: str) -> str:
    return "\n".join((_STATIC / name).read_text(encoding="utf-8") for name in names)


class Scene(ipywidgets.Widget):  # type: ignore[misc]  # ipywidgets carries no types
    """Everything the canvas views need to know, synced with the browser.

    Binary traits are little-endian: ``steps`` float64 per row, ``shown`` uint32 (the datapoints on screen),
    ``color_codes`` uint8 per shown datapoint. Frames travel as custom messages, see
    :mod:`rdmviz.widgets.frames`.
    """

    index = t.Int(help="row on screen").tag(sync=True, echo_update=False)
    count = t.Int(help="rows recorded").tag(sync=True)
    first = t.Int(help="row of the first full window").tag(sync=True)
    steps = t.Bytes().tag(sync=True)
    span = t.List(t.Float(), help="first and last step on the time axis").tag(sync=True)
    shown = t.Bytes().tag(sync=True)
    layout = t.Dict(help="places of the fields in a packed frame").tag(sync=True)
    map_scale = t.Enum(("linear", "log"), "linear").tag(sync=True)
    mode_detrend = t.Unicode().tag(sync=True)
    epoch = t.Int(help="rises when frames held in the browser are no longer true").tag(sync=True)
    notes = t.Dict(help="what to say where there is no picture, by frame state").tag(sync=True)
    playing = t.Bool(default_value=False).tag(sync=True)
    selection = t.List(t.Int()).tag(sync=True)
    hovered = t.List(t.Int()).tag(sync=True, echo_update=False)
    cards: t.List[list[list[str]]] = t.List(
        help="rows of [name, text] for the datapoints pointed at or selected"
    ).tag(sync=True)
    more_cards = t.Int().tag(sync=True)
    color_source = t.Enum(("fixed", "group", "loss"), "group").tag(sync=True)
    color_kind = t.Enum(("categorical", "sequential"), "categorical").tag(sync=True)
    color_codes = t.Bytes().tag(sync=True)
    color_title = t.Unicode().tag(sync=True)
    color_labels = t.List(t.Unicode()).tag(sync=True)


class CanvasView(anywidget.AnyWidget):
    """One canvas view of a scene: the ``stage``, the ``time`` bar or the ``cursor`` over the curves."""

    _esm = _read(*_SCRIPTS)
    _css = _read("rdmviz.css")

    part = t.Enum(("stage", "time", "cursor")).tag(sync=True)
    scene = t.Instance(Scene).tag(sync=True, **ipywidgets.widget_serialization)

    def __init__(self, part: str, scene: Scene, **traits: Any) -> None:
        super().__init__(part=part, scene=scene, **traits)


class CursorView(CanvasView):
    """The cursor over the curves: float32 values, one row of all steps per readout."""

    values = t.Bytes().tag(sync=True)
    titles = t.List(t.Unicode(), help="title of each figure under the cursor").tag(sync=True)
    readouts: t.List[dict[str, object]] = t.List(help="panel, label and colour of each row of values").tag(
        sync=True
    )

    def __init__(self, scene: Scene) -> None:
        super().__init__("cursor", scene)
