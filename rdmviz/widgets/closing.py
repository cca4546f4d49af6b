"""Closing a view takes with it every widget that it is made of: none is left behind in the kernel."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import ipywidgets

from rdmviz.widgets.scene import Scene


def parts_of(widget: ipywidgets.Widget) -> list[ipywidgets.Widget]:
    """Return the widget and all that it holds: children, layouts, styles, marks, axes, scales.

    Scenes are not among them: they belong to a state and its views together.
    """
    found: dict[int, ipywidgets.Widget] = {}
    waiting = [widget]
    while waiting:
        part = waiting.pop()
        if id(part) in found or isinstance(part, Scene):
            continue
        found[id(part)] = part
        for name in part.keys:
            waiting.extend(_widgets_in(getattr(part, name)))
    return list(found.values())


def close(*widgets: ipywidgets.Widget) -> None:
    """Close widgets with all that they hold."""
    for widget in widgets:
        for part in parts_of(widget):
            part.close()


def _widgets_in(value: Any) -> Iterator[ipywidgets.Widget]:
    if isinstance(value, ipywidgets.Widget):
        yield value
    elif isinstance(value, Mapping):
        for entry in value.values():
            yield from _widgets_in(entry)
    elif isinstance(value, (list, tuple)):
        for entry in value:
            yield from _widgets_in(entry)
