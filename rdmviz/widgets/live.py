"""Following a run while it is being recorded."""

from __future__ import annotations

import logging
import threading
import time
from typing import Any, Final

from rdmviz.analysis import grown
from rdmviz.widgets.state import ExplorerState
from rdmviz.widgets.trouble import told

_LOG = logging.getLogger("rdmviz")
_POLL_SECONDS: Final = 1.0
_SHARE: Final = 0.25  # of the time that looking and drawing may take beside a training on the same machine


class Following:
    """Looks for new rows of a state's run for as long as ``state.following`` is true.

    A state at the newest step keeps to it; one that was moved elsewhere stays where it is.

    Parameters
    ----------
    state
        Its run is replaced by the same run with more rows.
    """

    def __init__(self, state: ExplorerState) -> None:
        self.state = state
        self._stopped = threading.Event()
        self._looking = threading.Lock()  # two at once would grow the same run twice
        state.observe(self._follow_or_not, "following")
        if state.following:
            self._start()

    def look(self) -> bool:
        """Take over the rows committed since the last look; return whether there were any."""
        return self._look(threading.Event())

    def stop(self) -> None:
        """End, for good."""
        self.state.unobserve(self._follow_or_not, "following")
        self._stopped.set()

    def _follow_or_not(self, change: Any) -> None:
        self._stopped.set()
        if change["new"]:
            self._start()

    def _start(self) -> None:
        self._stopped = threading.Event()
        threading.Thread(target=self._run, args=[self._stopped], name="rdmviz-following", daemon=True).start()

    def _look(self, stopped: threading.Event) -> bool:
        state = self.state
        with self._looking, told(state, "following"):
            found = grown(state.run)
            with state.lock:
                if found is not None and not stopped.is_set():
                    state.grow(found)
                    return True
        return False

    def _give_up(self, error: Exception, stopped: threading.Event) -> None:
        state = self.state
        with state.lock:
            if stopped.is_set():
                return
            words = f"following ended: {type(error).__name__}: {error}; press Follow to try again"
            state.troubles = {**state.troubles, "following": words}
            state.following = False

    def _run(self, stopped: threading.Event) -> None:
        pause = _POLL_SECONDS
        while not stopped.wait(pause):
            began = time.monotonic()
            try:
                self._look(stopped)
            except Exception as error:  # a mistake in the program: following ends, and the person knows
                _LOG.info("following %s ended", self.state.run.name, exc_info=True)
                self._give_up(error, stopped)
                return
            pause = max(_POLL_SECONDS, (time.monotonic() - began) * (1 / _SHARE - 1))
