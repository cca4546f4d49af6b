"""Views drawn by the canvas module: one model class, told apart by the part of the scene that each draws."""

from __future__ import annotations

from importlib.resources import files
from typing import Any, Final

import anywidget
import ipywidgets
import traitlets as t

from rdmviz.widgets.link import SceneLink
from rdmviz.widgets.scene import Scene
from rdmviz.widgets.state import ExplorerState

_STATIC: Final = files("rdmviz.widgets") / "static"


def _joined(suffix: str) -> str:
    """Join the plain scripts (or style sheets) of the folder, by name, into one: there is no build step."""
    found = sorted((f for f in _STATIC.iterdir() if f.name.endswith(suffix)), key=lambda f: f.name)
    return "\n".join(file.read_text(encoding="utf-8") for file in found)


class CanvasView(anywidget.AnyWidget):
    """A view of a state's scene. Any number of them, alone or together, stay in step.

    Parameters
    ----------
    state
        What is shown.
    """

    _esm = _joined(".js")
    _css = _joined(".css")

    part = t.Unicode(help="what of the scene is drawn; see static/module.js").tag(sync=True)
    scene = t.Instance(Scene).tag(sync=True, **ipywidgets.widget_serialization)

    def __init__(self, state: ExplorerState, **traits: Any) -> None:
        self.state = state
        self.link = SceneLink.of(state)
        self.link.join()
        super().__init__(scene=self.link.scene, **traits)

    def close(self) -> None:
        """Leave the page; the scene goes with the last view of the state."""
        if self.comm is not None:
            super().close()
            self.layout.close()
            self.link.leave()
