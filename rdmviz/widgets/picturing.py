"""The explorer's pictures as figures for papers: the same frames, colours and order, without a browser."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from rdmviz.analysis import null_edge
from rdmviz.analysis.of_a_run import require_run
from rdmviz.errors import ComputeError, OptionError
from rdmviz.figures import draw
from rdmviz.figures.contents import CurvesContent, Key, MapContent, MatrixContent, SpectrumContent
from rdmviz.run import TrainingRun
from rdmviz.widgets.at_rest import whole_matrix
from rdmviz.widgets.colors import format_number
from rdmviz.widgets.frames import FrameState
from rdmviz.widgets.keeping import kept_traits
from rdmviz.widgets.link import SceneLink
from rdmviz.widgets.paneling import panels_of
from rdmviz.widgets.state import ExplorerState
from rdmviz.widgets.unpacking import (
    Frame,
    ends_of,
    loading_codes,
    positions_of,
    shares_of,
    unpacked,
)

if TYPE_CHECKING:
    from rdmviz.figures.style import Picture

_MOST_TRAILS: Final = 60  # as static/map.js has it


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
        frame = _unpacked(link, state.index)
        if frame["header"][0] != FrameState.SHOWN:
            raise OptionError(link.scene.notes[str(int(frame["header"][0]))])
        yield link, frame


def _unpacked(link: SceneLink, row: int) -> Frame:
    return unpacked(link.frames.pack([row])[0], link.frames.layout)


def _map(state: ExplorerState) -> MapContent:
    with _frame_of(state) as (link, frame):
        ringed = _places(state, link.shown)
        return MapContent(
            caption=_caption(state),
            positions=positions_of(frame),
            ends=ends_of(frame),
            axes=_axes(state, frame),
            codes=_codes(link, frame),
            key=_key(link),
            ringed=ringed,
            sizes=_areas(loading_codes(frame)) if state.sizing == "loading" else None,
            trails=_trails(state, link, ringed),
        )


def _axes(state: ExplorerState, frame: Frame) -> tuple[str, str]:
    of = f" of step {state.plane_step:,}" if state.plane == "fixed" else ""
    scale = " (decades)" if state.map_scale == "log" else ""
    shares = frame["axes"][:2] / frame["header"][1]
    across, up = (
        f"mode {mode}{of} · {_percent(float(share))} of Tr C{scale}"
        for mode, share in zip(state.modes, shares, strict=True)
    )
    return across, up


def _areas(codes: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the areas of datapoints sized by loading, as shares of the usual one; see static/map.js."""
    return np.asarray((0.55 + 1.7 * np.sqrt(codes / 255)) ** 2)


def _trails(
    state: ExplorerState, link: SceneLink, places: NDArray[np.intp]
) -> tuple[NDArray[np.float64], ...]:
    """Return the way of each selected datapoint over the rows before, NaN where there was no map."""
    if not state.trails or not places.size:
        return ()
    rows = range(max(link.frames.path.first, state.index - state.trails), state.index + 1)
    frames = (_unpacked(link, row) for row in rows)
    past = [positions_of(f)[places] if f["header"][0] == FrameState.SHOWN else None for f in frames]
    gap = np.full((len(places), 2), np.nan)
    ways = np.stack([gap if positions is None else positions for positions in past], axis=1)
    return tuple(ways[:_MOST_TRAILS])


def _matrix(state: ExplorerState) -> MatrixContent:
    with _frame_of(state) as (link, frame):
        whole = whole_matrix(link, link.frames.path.at(state.index), state.matrix)
        rooted, share = state.matrix == "covariance", whole.values / whole.scale
        some = len(whole.order) < state.run.n_samples
        return MatrixContent(
            caption=_caption(state)
            + ((f"{len(whole.order)} of {state.run.n_samples:,} datapoints",) if some else ()),
            shade=np.sign(share) * np.sqrt(np.abs(share)) if rooted else share,
            scale=whole.scale,
            quantity="covariance of losses, loss² (colour: signed root)"
            if rooted
            else "correlation of losses",
            rooted=rooted,
            codes=_codes(link, frame)[whole.order],
            key=_key(link),
            ringed=_places(state, link.shown[whole.order]),
        )


def _spectrum(state: ExplorerState) -> SpectrumContent:
    with _frame_of(state) as (_, frame):
        trace, ratio = (float(value) for value in frame["header"][1:3])
        shares = shares_of(frame)
    try:
        found = null_edge(state.run, state.step, window=state.window, detrend=state.mode_detrend)
        edge, words = float(found["edge"]) / trace, ""
    except ComputeError as error:
        edge, words = None, f"no null edge: {error}"
    return SpectrumContent(
        caption=(*_caption(state), *filter(None, [words])),
        shares=shares,
        note=f"Tr C {format_number(trace)} · participation ratio {format_number(ratio)}",
        chosen=tuple(mode - 1 for mode in state.modes),
        log=state.spectrum_scale == "log",
        edge=edge,
    )


def _curves(state: ExplorerState) -> CurvesContent:
    run = state.run
    with state.lock, _scene_of(state):
        panels, words = panels_of(state)
    name = [run.name] if run.name else []
    caption = [
        *name,
        f"windows of {state.window} rows",
        f"{state.detrend} detrending",
        "uncalibrated",
        *words,
    ]
    bookmarks = ((mark["step"], "bookmark", mark["note"]) for mark in state.bookmarks)
    return CurvesContent(
        caption=tuple(caption),
        steps=run.steps,
        span=state.span,
        panels=tuple(panels),
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


def _caption(state: ExplorerState) -> tuple[str, ...]:
    name = [state.run.name] if state.run.name else []
    return (
        *name,
        f"step {state.step:,}",
        f"windows of {state.window} rows",
        f"{state.mode_detrend} detrending",
    )


def _codes(link: SceneLink, frame: Frame) -> NDArray[np.uint8]:
    """Colour code of each datapoint on the map."""
    source = link.scene.color_source
    if source == "fixed":
        return np.frombuffer(link.scene.color_codes, np.uint8)
    return loading_codes(frame) if source == "loading" else frame[source]


def _key(link: SceneLink) -> Key:
    scene: Any = link.scene
    return Key(scene.color_title, scene.color_kind, tuple(scene.color_labels))


def _places(state: ExplorerState, samples: NDArray[np.intp]) -> NDArray[np.intp]:
    """Places of the selected datapoints among others."""
    return np.flatnonzero(np.isin(samples, state.selection))


def _percent(share: float) -> str:
    return f"{100 * share:.0f}%" if share >= 0.0995 else f"{100 * share:.2g}%"
