"""The table of datapoints: what they are, how their losses went, what they have in common."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import traitlets as t
import xarray as xr
from numpy.typing import NDArray

from rdmviz.analysis import enriched, find, strongest, tell
from rdmviz.analysis.columns import TOKEN
from rdmviz.analysis.datapoints import datapoints_of, loss_outlines
from rdmviz.analysis.sequences import sequences_of
from rdmviz.analysis.thumbnails import thumbnails
from rdmviz.errors import (
    ComputeError,
    FlatWindowError,
    NonFiniteLossError,
    OptionError,
    ProbeError,
    WindowError,
)
from rdmviz.widgets.frames import FrameState, loss_codes
from rdmviz.widgets.state import ExplorerState
from rdmviz.widgets.table_columns import (
    FACT,
    IMAGE,
    VALUES,
    Column,
    columns_of,
    fact_in_words,
    order_by,
    sorted_places,
)
from rdmviz.widgets.texts import beginning, visible
from rdmviz.widgets.trouble import told
from rdmviz.widgets.view import CanvasView

PAGE: Final = 50
SHOWING: Final = ("strongest", "selected", "found")
_EACH_END = 20  # strongest datapoints on either side of a mode
_LEAST = 0.05  # of the largest entry of the mode; smaller ones are no strong members of it
_REACH = 16  # tokens on either side
_LONGEST_SENT = 200_000
_MOST_TOLD = 16
_STALE = 1.02  # a run that is followed has its small curves read again when it has grown by so much

Samples = NDArray[np.int64]
NOBODY: Samples = np.empty(0, np.int64)


class DatapointTable(CanvasView):
    """A sortable table of the selected datapoints, of the strongest in a mode, or of those that Find finds.

    Parameters
    ----------
    state
        What is shown. A selection that is made elsewhere comes up in the table; without one it shows the
        strongest datapoints of the first mode on the map.

    Notes
    -----
    The table follows selection and modes at once, step and window when the browser comes to rest or
    :meth:`refresh` is called. Traits to be set: `showing`, `query`, `sort`, `page`; `caption` says what the
    rows have in common, `note` what is in the way.
    """

    part = t.Unicode("datapoints").tag(sync=True)
    showing = t.Enum(SHOWING, "strongest", help="whose rows are shown").tag(sync=True)
    query = t.Unicode(help="what Find looks for, see rdmviz.analysis.find").tag(sync=True)
    sort = t.Unicode(help="key of a column, with - before it for the largest first; empty: as they come").tag(
        sync=True
    )
    page = t.Int(help="page on screen, from 0").tag(sync=True)

    columns: Any = t.List(t.Dict(), help="key, title, kind, help of each column").tag(sync=True)
    rows: Any = t.List(t.Dict(), help="datapoints of the page, with their facts as text").tag(sync=True)
    sorted_by = t.Unicode(help="what the rows that are there are sorted by, as `sort`").tag(sync=True)
    total = t.Int(help="datapoints on all pages").tag(sync=True)
    of = t.Int(help="datapoints of the run").tag(sync=True)
    counts: Any = t.Dict(help="datapoints by what can be shown").tag(sync=True)
    title = t.Unicode().tag(sync=True)
    caption = t.Unicode(help="what the datapoints have in common").tag(sync=True)
    note = t.Unicode(help="what is in the way").tag(sync=True)
    at = t.Int(-1, help="recorded row that the values are of").tag(sync=True)
    values = t.Bytes(help="float64, computed values of each row").tag(sync=True)
    shades = t.Bytes(help="uint8, loss of each token of each row").tag(sync=True)
    curve_rows = t.Bytes(help="uint32, recorded rows of the small curves").tag(sync=True)
    curves = t.Bytes(help="float32, a small curve per row").tag(sync=True)
    pictures = t.Bytes(help="uint8, RGBA, picture columns one after the other").tag(sync=True)

    def __init__(self, state: ExplorerState) -> None:
        self._choosing = False
        self._samples: Samples = NOBODY
        self._page_samples: Samples = NOBODY
        self._found: Samples = NOBODY
        self._trouble = ""  # with the query
        self._about_rows = ""  # what is in the way of rows, at any step
        self._about_step = ""  # what is in the way of values, at the step on screen
        self._about_columns = ""  # which of them are left out
        self._told: dict[bytes, str] = {}
        self._outlines: tuple[Samples, NDArray[Any]] | None = None
        super().__init__(state, of=state.run.n_samples)
        if state.selection:
            self.showing = "selected"
        self.on_msg(self._heard)
        self.observe(self._on_query, "query")
        self.observe(self._on_choice, ["showing", "sort"])
        self.observe(self.refresh, "page")
        state.observe(self._on_selection, "selection")
        state.observe(self._on_modes, "modes")

    def close(self) -> None:
        """Leave the page and the state."""
        if self.comm is not None:
            self.state.unobserve(self._on_selection, "selection")
            self.state.unobserve(self._on_modes, "modes")
        super().close()

    def toggle(self, sample: int) -> None:
        """Select a datapoint, or deselect it, and go on showing what is shown."""
        chosen = self.state.selection
        self._choose([s for s in chosen if s != sample] if sample in chosen else [*chosen, sample])

    def select_all(self) -> None:
        """Select the datapoints of all pages, and go on showing them."""
        self._choose(self._samples.tolist())

    def clear(self) -> None:
        """Forget query and selection."""
        self.query = ""
        self.state.selection = []

    def data(self) -> xr.Dataset:
        """Return all pages at the state's step, in order, as :func:`rdmviz.analysis.datapoints` does."""
        with self.state.lock:
            self.refresh()
            ordered = self._samples[self._order(self.state.index)]
            return datapoints_of(self._path, self.state.index, ordered, max(self.state.modes))

    def refresh(self, _change: object = None) -> None:
        """Bring rows, values and words up to the state's step."""
        with self.state.lock:
            self._show(self.state.index)

    @property
    def _path(self) -> Any:
        return self.link.frames.path

    def _choose(self, samples: list[int]) -> None:
        with self.state.lock:
            self._choosing = True
            try:
                self.state.selection = samples
            finally:
                self._choosing = False

    def _on_selection(self, _change: object) -> None:
        with self.state.lock:
            chosen = bool(self.state.selection)
            if chosen and not self._choosing:
                self._turn_to("selected")
            elif not chosen and self.showing == "selected":
                self._turn_to("found" if self.query else "strongest")
            elif self.showing == "selected":
                self.refresh()
            self.counts = self._counted()

    def _on_modes(self, _change: object) -> None:
        if self.at >= 0:  # what nobody has looked at yet is computed when somebody does
            self.refresh()

    def _on_query(self, _change: object) -> None:
        with self.state.lock:
            self._found, self._trouble = NOBODY, ""
            try:
                if self.query.strip():
                    self._found = find(self.state.run, self.query)
            except (ProbeError, OptionError) as error:
                self._trouble = visible(str(error))
            self._turn_to(
                "found" if self.query.strip() else "selected" if self.state.selection else "strongest"
            )

    def _turn_to(self, showing: str) -> None:
        if self.showing == showing:
            self._on_choice()
        else:
            self.showing = showing

    def _on_choice(self, _change: object = None) -> None:
        with self.state.lock:
            if self.page:
                self.page = 0  # and that refreshes
            else:
                self.refresh()

    @t.validate("sort")
    def _sortable(self, proposal: Any) -> str:
        keys = [c.key for c in columns_of(self.state.run, self.state.modes)[0] if c.sortable]
        if proposal["value"] and proposal["value"].removeprefix("-") not in keys:
            raise OptionError(
                f"sort={proposal['value']!r:.80}: choose one of {', '.join(map(repr, keys))}, with - "
                "before it for the largest first, or '' for none"
            )
        return str(proposal["value"])

    def _heard(self, _view: object, content: dict[str, Any], _buffers: list[memoryview]) -> None:
        kind = content.get("kind")
        if kind == "at":
            index = int(content["index"])
            with self.state.lock:
                epoch = self.link.scene.epoch
                if not 0 <= index < self.state.run.n_steps or content.get("epoch", epoch) != epoch:
                    return  # the browser has learned of another window by now, and asks again
                if content.get("moving") and self.at >= 0:
                    with told(self.state, "datapoints"):
                        self._move(index)
                else:
                    self._show(index)
        elif kind == "toggle":
            self.toggle(int(content["sample"]))
        elif kind == "select_all":
            self.select_all()
        elif kind == "clear":
            self.clear()
        elif kind == "text":
            self._send_text(int(content["sample"]), str(content["key"]))

    def _send_text(self, sample: int, key: str) -> None:
        name = key.removeprefix(FACT)
        if name not in self.state.run.probe or not 0 <= sample < self.state.run.n_samples:
            return
        text = str(self.state.run.probe[name].values[sample])
        shown = visible(beginning(text, _LONGEST_SENT))
        if len(shown) < len(text):
            shown += f"\n… (the first {len(shown):,} of {len(text):,} characters)"
        self.send({"kind": "text", "sample": sample, "key": key, "text": shown})

    def _show(self, index: int) -> None:
        """Decide whose rows are shown, sort them, and send the page."""
        run, state = self.state.run, self.state
        columns, left_out = columns_of(run, state.modes)
        with self.hold_sync(), told(state, "datapoints"):
            self._about_rows = self._about_step = ""
            self._samples, self.title, self.caption = self._whose(index)
            self.total = len(self._samples)
            last = max(0, -(-self.total // PAGE) - 1)
            self.page = min(max(self.page, 0), last)
            ordered = self._samples[self._order(index)]
            self._page_samples = ordered[self.page * PAGE : (self.page + 1) * PAGE]
            self._describe(columns)
            self._about_columns = (
                f"{left_out} more columns of the metadata have no room here; Find looks into them."
                if left_out
                else ""
            )
            self._move(index)
            self.sorted_by = self.sort
            self.columns = [column.describe() for column in columns]
            self.counts = self._counted()

    def _counted(self) -> dict[str, int]:
        return {
            "selected": len(self.state.selection),
            "found": len(self._found) if self.query.strip() else -1,
        }

    def _whose(self, index: int) -> tuple[Samples, str, str]:
        """Datapoints to show, a title for them, and what they have in common."""
        if self.showing == "found":
            if self._trouble:
                self._about_rows = self._trouble
            elif not self.query.strip():
                self._about_rows = "Write into Find what to look for: a word, column:value or column>number."
            elif not len(self._found):
                self._about_rows = "No datapoint fits."
            return self._found, f"Found: {_count(self._found)}", self._tell(self._found)
        if self.showing == "selected":
            chosen = np.array(self.state.selection, np.int64)
            if not len(chosen):
                self._about_rows = "Nothing is selected: click a row, or points on the map."
            return chosen, f"Selected: {_count(chosen)}", self._tell(chosen)
        return self._strongest(index)

    def _strongest(self, index: int) -> tuple[Samples, str, str]:
        mode = self.state.modes[0]
        title = f"Strongest in mode {mode}"
        try:
            frame = self._path.at(index)
        except ComputeError as error:
            self._about_step = self._why_not(error)
            return NOBODY, title, ""
        try:
            sides = strongest(frame, mode, _EACH_END, _LEAST)
        except WindowError as error:  # a small probe has fewer modes
            self._about_rows = f"{error}."
            return NOBODY, title, ""
        size = np.abs(frame.vectors[mode - 1])
        ends = [(name, side) for name, side in zip(("Positive", "Negative"), sides, strict=True) if len(side)]
        ends.sort(key=lambda end: -size[end[1][0]])
        words = [f"{name} end ({_count(side)}): {self._tell(side)}" for name, side in ends]
        return np.concatenate([side for _, side in ends]), title, "\n".join(words)

    def _tell(self, samples: Samples) -> str:
        key = np.sort(samples).tobytes()
        if key not in self._told:
            if len(self._told) > _MOST_TOLD:
                self._told.clear()
            self._told[key] = visible(tell(enriched(self.state.run, samples)))
        return self._told[key]

    def _why_not(self, error: ComputeError) -> str:
        kinds = {FlatWindowError: FrameState.FLAT, NonFiniteLossError: FrameState.NON_FINITE}
        kind = kinds.get(type(error), FrameState.NO_WINDOW)
        return str(self.link.scene.notes[str(kind.value)])

    def _order(self, index: int) -> NDArray[np.intp]:
        if not self.sort or not len(self._samples):
            return np.arange(len(self._samples))
        key, descending = self.sort.removeprefix("-"), self.sort.startswith("-")
        if key in VALUES:
            return sorted_places(self._computed(index, self._samples)[:, VALUES.index(key)], descending)
        return order_by(self.state.run, key, self._samples, descending)

    def _computed(self, index: int, samples: Samples) -> NDArray[np.float64]:
        """Values of datapoints at a row, ``(m, len(VALUES))``; NaN where the window has no modes."""
        out = np.full((len(samples), len(VALUES)), np.nan)
        try:
            table = datapoints_of(self._path, index, samples, max(self.state.modes))
        except ComputeError as error:
            self._about_step = self._why_not(error)
            out[:, 0] = self.state.run.rows(index, index + 1)[0, samples]
            return out
        out[:, 0], out[:, 1], out[:, 6] = table["loss"], table["drift"], table["group"] + 1
        for place, mode in enumerate(self.state.modes):
            if mode <= table.sizes["mode"]:
                out[:, 2 + 2 * place] = table["loading"][:, mode - 1]
                out[:, 3 + 2 * place] = table["share"][:, mode - 1]
        return out

    def _move(self, index: int) -> None:
        """Send what changes with the step, for the rows that are there."""
        run = self.state.run
        self._about_step = ""
        with self.hold_sync():
            self.values = self._computed(index, self._page_samples).astype("<f8").tobytes()
            tokens = [token for row in self.rows for token in row.get("tokens", ())]
            losses = run.rows(index, index + 1)[0]
            self.shades = loss_codes(losses[tokens], self.link.frames.loss_range).tobytes() if tokens else b""
            self.note = self._about_rows or self._about_step or self._about_columns
            self.at = index

    def _describe(self, columns: tuple[Column, ...]) -> None:
        """Send what does not change with the step: facts, tokens, small curves, pictures."""
        run, samples = self.state.run, self._page_samples
        rows: list[dict[str, Any]] = [{"sample": s, "facts": {}} for s in samples.tolist()]
        drawn = b""
        for column in columns:
            if column.key.startswith(FACT):
                values = run.probe[column.key.removeprefix(FACT)].values[samples]
                for row, value in zip(rows, values, strict=True):
                    text = fact_in_words(value)
                    row["facts"][visible(column.key)] = [beginning(text), len(text)]
            elif column.kind == "image":
                pixels, missing = thumbnails(run, column.key.removeprefix(IMAGE), samples)
                drawn += pixels.tobytes()
                for row, lacks in zip(rows, missing.tolist(), strict=True):
                    row.setdefault("images", []).append([*pixels.shape[1:3], not lacks])
            elif column.kind == "tokens":
                sequences, texts = sequences_of(run), run.probe[TOKEN].values
                for row in rows:
                    near = sequences.around(row["sample"], _REACH)
                    all_of_it = sequences.of(row["sample"])
                    row["tokens"] = near.tolist()
                    row["texts"] = [visible(beginning(text, 40)) for text in texts[near].tolist()]
                    row["cut"] = [bool(near[0] != all_of_it[0]), bool(near[-1] != all_of_it[-1])]
        if self._outlines is None or run.n_steps > _STALE * (1 + self._outlines[0][-1]):
            self._outlines = loss_outlines(run)
        at, outlines = self._outlines
        self.rows, self.pictures = rows, drawn
        self.curve_rows = at.astype("<u4").tobytes()
        with np.errstate(over="ignore"):  # a loss beyond float32 is infinite on the screen
            self.curves = np.ascontiguousarray(outlines[:, samples].T, "<f4").tobytes()


def _count(samples: Samples) -> str:
    return f"{len(samples):,} datapoint{'' if len(samples) == 1 else 's'}"
