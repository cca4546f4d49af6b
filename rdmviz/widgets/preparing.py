"""Long work on a run, with its progress on the screen and a way to end it."""

from __future__ import annotations

import html
import threading
from collections.abc import Callable
from typing import Final

import ipywidgets

from rdmviz.analysis.gram_cache import gram_is_ready, gram_of
from rdmviz.run import TrainingRun
from rdmviz.widgets.state import ExplorerState
from rdmviz.widgets.trouble import told

_LONG_PRODUCTS: Final = 5e9  # multiplications: about a second on one core
_TOLD_EVERY: Final = 0.005  # of the rows


class _Cancelled(Exception):  # noqa: N818  # a wish, not an error
    pass


def takes_long(run: TrainingRun, window: int) -> bool:
    """Return whether windows of so many rows need a pass over the losses that a person would wait for."""
    products = 1.5 * run.n_steps * run.n_samples * min(window + 1, run.n_steps)
    return not gram_is_ready(run, window) and (run.chunked is not None or products > _LONG_PRODUCTS)


class Preparing(ipywidgets.VBox):  # type: ignore[misc]  # ipywidgets carries no types
    """One pass over the losses in a thread of its own: the page and the kernel stay free.

    Parameters
    ----------
    state
        Its run is read.
    window
        Rows per window that will be asked for.
    done
        Called, in that thread, once windows of so many rows are served at once.
    given_up
        Called when the person ends it; by default it can be begun again.
    """

    def __init__(
        self,
        state: ExplorerState,
        window: int,
        done: Callable[[], None],
        given_up: Callable[[], None] | None = None,
    ) -> None:
        self.state, self.window, self._done, self._given_up = state, window, done, given_up
        self._cancelled = threading.Event()
        self.words = ipywidgets.HTML()
        self.bar = ipywidgets.FloatProgress(min=0, max=1, layout={"width": "320px"})
        self.button = ipywidgets.Button(layout={"width": "auto"})
        self.button.on_click(self._pressed)
        super().__init__([self.words, ipywidgets.HBox([self.bar, self.button])])
        self.add_class("rdmviz-preparing")

    def start(self) -> None:
        """Begin, or begin again; whoever made this starts it once it is in its place."""
        run = self.state.run
        size = f"{run.n_steps:,} rows of {run.n_samples:,} datapoints"
        where = " on the dask cluster, which tells no progress" if run.chunked is not None else ""
        self.words.value = (
            f"Reading the losses of <b>{html.escape(run.name or 'the run')}</b> ({size}){where}, once: "
            f"then any window up to {self.window} rows is at hand."
        )
        self.button.description, self.button.tooltip = "Cancel", "End the reading; nothing is lost"
        self.bar.value = 0.0
        self._cancelled.clear()
        self.thread = threading.Thread(target=self._run, name="rdmviz-preparing", daemon=True)
        self.thread.start()

    def close(self) -> None:
        """Leave the page, and end the work."""
        self._cancelled.set()
        super().close()

    def _pressed(self, _button: object) -> None:
        if self.thread.is_alive():
            self._cancelled.set()
            self.words.value = "Ending …"
        else:
            self.start()

    def _watch(self, share: float) -> None:
        if self._cancelled.is_set():
            raise _Cancelled
        if share - self.bar.value >= _TOLD_EVERY:
            self.bar.value = share

    def _run(self) -> None:
        ready = False
        try:
            with told(self.state, "reading"):
                gram_of(self.state.run, self.window, self._watch)
                ready = not self._cancelled.is_set()
        except _Cancelled:
            pass
        if ready:
            self.bar.value = 1.0
            self._done()
            return
        if self._cancelled.is_set() and self._given_up is not None:
            self._given_up()
            return
        trouble = self.state.troubles.get("reading")
        self.words.value = "Cancelled." if trouble is None else html.escape(trouble)
        self.button.description, self.button.tooltip = "Read again", "Begin the reading anew"
