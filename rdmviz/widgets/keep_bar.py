"""Keep and share: bookmarks with notes, pictures and tables as files, the present view as code."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

import traitlets as t

from rdmviz.errors import MissingExtraError, RunNotFoundError
from rdmviz.widgets.picturing import VIEWS, figure
from rdmviz.widgets.state import ExplorerState
from rdmviz.widgets.tables import TABLES, encoded, table_csv
from rdmviz.widgets.trouble import gone
from rdmviz.widgets.view import CanvasView

_LONGEST_NAME: Final = 40


class KeepBar(CanvasView):
    """A row of buttons: what they make is downloaded by the browser, wherever the kernel runs.

    Parameters
    ----------
    state
        What is kept.
    """

    part = t.Unicode("keep").tag(sync=True)
    views = t.List(t.Unicode(), list(VIEWS)).tag(sync=True)
    tables = t.List(t.Unicode(), list(TABLES)).tag(sync=True)
    bookmarks_kept = t.Unicode(help="where bookmarks are kept, in words").tag(sync=True)

    def __init__(self, state: ExplorerState) -> None:
        self._linked = t.dlink((state, "bookmarks_kept"), (self, "bookmarks_kept"))
        super().__init__(state)
        self.on_msg(self._asked)

    def close(self) -> None:
        """Leave the page, and the state alone."""
        if self.comm is not None:
            self._linked.unlink()
        super().close()

    def _asked(self, _view: object, content: dict[str, Any], _buffers: list[memoryview]) -> None:
        """Do what a button asks for; what goes wrong is told beside it."""
        answer = _ANSWERS.get(content.get("kind", ""))
        if answer is None:
            return
        try:
            reply, data = answer(self.state, content)
        except (ValueError, KeyError, OSError, MissingExtraError, MemoryError) as error:
            words = str(error) or "there is not enough memory for this"
            reply, data = {"kind": "trouble", "text": words}, None
        self.send({**reply, "id": content.get("id")}, None if data is None else [data])


def _bookmark(state: ExplorerState, content: dict[str, Any]) -> tuple[dict[str, Any], None]:
    with state.lock:
        state.add_bookmark(str(content["note"]), int(state.run.steps[int(content["row"])]))
        if lost := gone(state.run):
            raise RunNotFoundError(f"Not kept beside the run, only until this kernel stops. {lost}")
    return {"kind": "done"}, None


def _forget(state: ExplorerState, content: dict[str, Any]) -> tuple[dict[str, Any], None]:
    with state.lock:
        state.remove_bookmark(str(content["note"]), int(content["step"]))
    return {"kind": "done"}, None


def _picture(state: ExplorerState, content: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    view, kind = str(content["view"]), str(content["format"])
    data = figure(_at_row(state, content), view).to_bytes(kind)
    types = {"svg": "image/svg+xml", "png": "image/png", "pdf": "application/pdf"}
    return {"kind": "file", "name": _name(state, f"{view}.{kind}"), "type": types[kind]}, data


def _table(state: ExplorerState, content: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    table = str(content["table"])
    data = encoded(table_csv(_at_row(state, content), table))
    return {"kind": "file", "name": _name(state, f"{table}.csv"), "type": "text/csv"}, data


def _code(state: ExplorerState, content: dict[str, Any]) -> tuple[dict[str, Any], None]:
    return {"kind": "code", "text": _at_row(state, content).code()}, None


_ANSWERS: Final[dict[str, Callable[[ExplorerState, dict[str, Any]], tuple[dict[str, Any], bytes | None]]]] = {
    "bookmark": _bookmark,
    "forget": _forget,
    "picture": _picture,
    "table": _table,
    "code": _code,
}


def _at_row(state: ExplorerState, content: dict[str, Any]) -> ExplorerState:
    """Move to the row on the person's screen, of which the kernel hears a moment later otherwise."""
    with state.lock:
        state.step = int(state.run.steps[int(content["row"])])
    return state


def _name(state: ExplorerState, ending: str) -> str:
    """Return a file name that says what is in the file, on any file system."""
    run = re.sub(r"[^\w-]+", "-", state.run.name).strip("-")[:_LONGEST_NAME] or "run"
    return f"{run}-step-{state.step}-{ending}"
