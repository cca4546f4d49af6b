"""The explorer's pictures as figures for papers: the same frames, colours and order, without a browser."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from rdmviz.analysis.of_a_run import require_run
from rdmviz.errors import OptionError
from rdmviz.figures import draw
from rdmviz.figures.contents import CurvesContent, Key, MapContent, MatrixContent, SpectrumContent
from rdmviz.run import TrainingRun
from rdmviz.widgets.frames import FrameState
from rdmviz.widgets.keeping import kept_traits
from rdmviz.widgets.link import SceneLink
from rdmviz.widgets.paneling import panels_of
from rdmviz.widgets.state import ExplorerState

if TYPE_CHECKING:
    from rdmviz.figures.style import Picture

Frame = NDArray[np.void]


def figure(
    state: ExplorerState | TrainingRun | Any,
    view: str = "map",
    path: str | PathLike[str] | None = None,
    *,
    width: float | None = None,
    **chosen: Any,
) -> Picture:
    """Draw one of the explorer's pictures for a paper; needs no browser.

    Parameters
    ----------
    state
        A run, an explorer, or an :class:`~rdmviz.widgets.ExplorerState`, which stays as it is.
    view
        ``"map"``, ``"matrix"``, ``"spectrum"`` or ``"curves"``.
    path
        Where to write it; ``.svg``, ``.png`` or ``.pdf``. The same view gives the same bytes.
    width
        Inches; default what suits the picture.
    **chosen
        Traits of the state by name, as for :func:`rdmviz.explore`: ``step=5600, window=128, modes=(1, 3)``.

    Returns
    -------
    matplotlib Figure

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    OptionError
        If `view`, the suffix or an option is not among the choices.
    WindowError, FlatWindowError, NonFiniteLossError
        If there are no modes at the step.
    StepNotFoundError, ProbeError
        If the run does not have what was asked for.
    """
    if view not in _CONTENTS:
        raise OptionError(f"view={view!r}: choose one of {', '.join(map(repr, _CONTENTS))}")
    if width is not None and not 1 <= width <= 40:
        raise OptionError(f"width={width!r}: expected 1 to 40 inches")
    drawn = draw(_CONTENTS[view](_state_of(state, chosen)), width)
    if path is not None:
        drawn.savefig(Path(path).expanduser())
    return drawn


def _state_of(given: Any, chosen: dict[str, Any]) -> ExplorerState:
    state = getattr(given, "state", given)
    if isinstance(state, ExplorerState):
        return ExplorerState(state.run, **{**kept_traits(state), **chosen}) if chosen else state
    require_run(given, "figure")
    return ExplorerState(given, **chosen)


@contextmanager
def _scene_of(state: ExplorerState) -> Iterator[SceneLink]:
    """Give what the browser is told, whether or not there is one."""
    link = SceneLink.of(state)
    link.join()
    try:
        yield link
    finally:
        link.leave()


@contextmanager
def _frame_of(state: ExplorerState) -> Iterator[tuple[SceneLink, Frame]]:
    with state.lock, _scene_of(state) as link:
        link.frames.path.at(state.index)  # raises where there are no modes, and says why
        frame = np.frombuffer(link.frames.pack([state.index])[0], link.frames.layout.dtype)[0]
        if frame["header"][0] != FrameState.SHOWN:
            raise OptionError(link.scene.notes[str(int(frame["header"][0]))])
        yield link, frame


def _map(state: ExplorerState) -> MapContent:
    with _frame_of(state) as (link, frame):
        ends = tuple(float(end) for end in frame["header"][3:7])
        low, high = np.array(ends).reshape(2, 2).T
        shares = _shares(frame)
        log = " (decades)" if state.map_scale == "log" else ""
        return MapContent(
            caption=_caption(state),
            positions=low + frame["positions"].reshape(-1, 2) / 65535 * (high - low),
            ends=ends,  # type: ignore[arg-type]  # four of them
            axes=tuple(f"mode {k} · {_percent(shares[k - 1])} of Tr C{log}" for k in state.modes),  # type: ignore[arg-type]
            codes=_codes(link, frame),
            key=_key(link),
            ringed=_places(state, link.shown),
        )


def _matrix(state: ExplorerState) -> MatrixContent:
    with _frame_of(state) as (link, frame):
        order = frame["order"].astype(np.intp)
        shade = np.zeros((len(order), len(order)))
        shade[np.tril_indices(len(order))] = (frame["matrix"] - 127.5) / 127.5
        shade += np.tril(shade, -1).T
        return MatrixContent(
            caption=_caption(state),
            shade=shade,
            scale=float(frame["header"][7]),
            quantity="covariance of the losses (colour: signed root)",
            rooted=True,
            codes=_codes(link, frame)[order],
            key=_key(link),
            ringed=_places(state, link.shown[order]),
        )


def _spectrum(state: ExplorerState) -> SpectrumContent:
    with _frame_of(state) as (_, frame):
        trace, ratio = (float(value) for value in frame["header"][1:3])
        return SpectrumContent(
            caption=_caption(state),
            shares=_shares(frame),
            note=f"Tr C {trace:.3g} · participation ratio {ratio:.3g}",
            chosen=tuple(mode - 1 for mode in state.modes),
            log=state.spectrum_scale == "log",
        )


def _curves(state: ExplorerState) -> CurvesContent:
    run = state.run
    name = f"{run.name} · " if run.name else ""
    bookmarks = ((mark["step"], "bookmark", mark["note"]) for mark in state.bookmarks)
    return CurvesContent(
        caption=f"{name}trailing windows of {state.window} rows, {state.detrend} detrending · uncalibrated",
        steps=run.steps,
        span=state.span,
        panels=tuple(panels_of(state)),
        cursor=state.step,
        marks=(*((mark["step"], mark["kind"], mark["text"]) for mark in state.marks), *bookmarks),
    )


_CONTENTS: Final[dict[str, Callable[[ExplorerState], Any]]] = {
    "map": _map,
    "matrix": _matrix,
    "spectrum": _spectrum,
    "curves": _curves,
}
VIEWS: Final = tuple(_CONTENTS)


def _caption(state: ExplorerState) -> str:
    name = f"{state.run.name} · " if state.run.name else ""
    return f"{name}step {state.step:,} · windows of {state.window} rows, {state.mode_detrend} detrending"


def _shares(frame: Frame) -> NDArray[np.float64]:
    return np.asarray(frame["eigenvalues"] / frame["header"][1], float)


def _codes(link: SceneLink, frame: Frame) -> NDArray[np.uint8]:
    """Colour code of each datapoint on the map."""
    source = link.scene.color_source
    return np.frombuffer(link.scene.color_codes, np.uint8) if source == "fixed" else frame[source]


def _key(link: SceneLink) -> Key:
    scene: Any = link.scene
    return Key(scene.color_title, scene.color_kind, tuple(scene.color_labels))


def _places(state: ExplorerState, samples: NDArray[np.intp]) -> NDArray[np.intp]:
    """Places of the selected datapoints among others."""
    return np.flatnonzero(np.isin(samples, state.selection))


def _percent(share: float) -> str:
    return f"{100 * share:.0f}%" if share >= 0.0995 else f"{100 * share:.2g}%"
