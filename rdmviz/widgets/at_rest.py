"""What the browser asks for where time stands still: too large, or too dear, for every step of a scrub."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rdmviz.analysis import ModeFrame
from rdmviz.errors import FlatWindowError, NonFiniteLossError, WindowError
from rdmviz.widgets.names import short_name
from rdmviz.widgets.null_edges import NullEdges
from rdmviz.widgets.state import CHOICES
from rdmviz.widgets.trouble import told

if TYPE_CHECKING:
    from rdmviz.widgets.link import SceneLink

_STRONGEST: Final = 5  # datapoints of either end of a mode
_MOST_NAMES: Final = 64
_NO_PICTURE = (FlatWindowError, NonFiniteLossError, WindowError)


class WholeMatrix(NamedTuple):
    """The matrix of a row: places among the shown, entries ``(m, m)``, and the entry of strongest colour."""

    order: NDArray[np.intp]
    values: NDArray[np.float64]
    scale: float


def whole_matrix(link: SceneLink, frame: ModeFrame, kind: str) -> WholeMatrix:
    """Return the covariance or correlation of the matrix's datapoints, the selected ones among them."""
    frames = link.frames
    arranged = frames.arrangement.at(frame.index)
    order = frames.arrangement.including(arranged, frame, link.state.selection)
    samples = frames.shown[order]
    if kind == CHOICES["matrix"][1]:
        return WholeMatrix(order, frame.correlation(samples), 1.0)
    values = frame.covariance(samples)
    return WholeMatrix(order, values, float(np.diag(values).max()) or 1.0)


class Details:
    """Answers about one row: the whole matrix, the strongest datapoints of a mode, the null edge; and names.

    Parameters
    ----------
    link
        Its frames are those that the answers go with.

    Notes
    -----
    A question is ``{"kind", "epoch", "row", "key", ...}``; the answer carries the same four, and:

    - ``matrix`` (asked with ``of``): ``scale``; buffers ``order`` uint16, ``values`` float32, the lower
      triangle by rows, NaN where undefined.
    - ``strip`` (asked with ``mode``, from 1): ``samples``, ``loadings``, ``names``, strongest first.
    - ``edge``: ``edge``, loss² or None; ``above``; ``words``.
    - ``names`` (asked with ``samples`` alone): ``names``.
    """

    def __init__(self, link: SceneLink) -> None:
        self._link = link
        self._edges = NullEdges(link.state.lock)

    def stop(self) -> None:
        """End what is being computed."""
        self._edges.stop()

    def answer(self, content: dict[str, Any]) -> None:
        """Send the answer to a question of the browser; to one that is out of date, nothing."""
        link = self._link
        kind = content.get("kind")
        with link.state.lock, told(link.state, "details"):
            if kind == "names":
                asked = map(int, content["samples"][:_MOST_NAMES])
                samples = [sample for sample in asked if 0 <= sample < self._run.n_samples]
                names = [short_name(self._run, sample) for sample in samples]
                link.scene.send({"kind": kind, "samples": samples, "names": names})
                return
            if kind not in ("matrix", "strip", "edge") or content.get("epoch") != link.scene.epoch:
                return
            reply = {name: content[name] for name in ("kind", "epoch", "row", "key")}
            row = int(reply["row"])
            if not 0 <= row < self._run.n_steps:
                return
            if kind == "edge":
                self._edges.ask(
                    link.frames.path, row, lambda found: link.scene.send({**reply, **found}), link.state.run
                )
                return
            try:
                frame = link.frames.path.at(row)
            except _NO_PICTURE:
                return  # the frame of that row says so
            found, buffers = (self._matrix if kind == "matrix" else self._strip)(frame, content)
            link.scene.send({**reply, **found}, buffers)

    @property
    def _run(self) -> Any:
        return self._link.state.run

    def _matrix(self, frame: ModeFrame, content: dict[str, Any]) -> tuple[dict[str, Any], list[bytes]]:
        whole = whole_matrix(self._link, frame, str(content.get("of")))
        lower = whole.values[np.tril_indices(len(whole.order))]
        return {"scale": whole.scale}, [whole.order.astype("<u2").tobytes(), lower.astype("<f4").tobytes()]

    def _strip(self, frame: ModeFrame, content: dict[str, Any]) -> tuple[dict[str, Any], list[bytes]]:
        mode = int(content["mode"])
        samples: list[int] = []
        loadings: list[float] = []
        if 1 <= mode <= len(frame.vectors):
            vector = frame.vectors[mode - 1]
            ranked = np.argsort(-vector, kind="stable")
            above = [int(s) for s in ranked[:_STRONGEST] if vector[s] > 0]
            below = [int(s) for s in ranked[: -_STRONGEST - 1 : -1] if vector[s] < 0]
            samples = above + below
            loadings = [float(vector[s]) for s in samples]
        names = [short_name(self._run, sample) for sample in samples]
        return {"samples": samples, "loadings": loadings, "names": names}, []
