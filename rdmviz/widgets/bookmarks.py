"""Bookmarks: steps that a person wants to come back to, with notes, kept beside the run where that can be."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

import traitlets as t

from rdmviz.errors import OptionError, StepNotFoundError
from rdmviz.run import TrainingRun
from rdmviz.store.notes import Note, drop_note, keep_note, kept_notes

_FOR_NOW: Final = "Kept until this kernel stops:"
_WAY_OUT: Final = "Save it with run.save(folder) and open that to have them kept beside it."


class Bookmarked(t.HasTraits):
    """The bookmarks of an :class:`~rdmviz.widgets.ExplorerState`.

    What is added or removed here is added or removed beside the run, so explorers in other sessions do not
    undo each other; what they added is taken in with the next change here.
    """

    bookmarks: Any = t.List(t.Dict(), help="steps kept by the person: step and note of each")
    bookmarks_kept = t.Unicode(help="where the bookmarks are kept, in words")

    _stored: frozenset[Note] | set[Note] = frozenset()  # as this state last saw them beside the run

    if TYPE_CHECKING:
        run: TrainingRun
        step: int

    def add_bookmark(self, note: str = "", step: int | None = None) -> None:
        """Keep a step, by default the one on screen, with a note.

        Raises
        ------
        StepNotFoundError
            If the step was not recorded.
        """
        self.bookmarks = [*self.bookmarks, {"step": self.step if step is None else step, "note": note}]

    def remove_bookmark(self, note: str = "", step: int | None = None) -> None:
        """Remove the bookmark with this note at a step, by default the one on screen.

        Raises
        ------
        OptionError
            If there is none.
        """
        gone = (self.step if step is None else step, note)
        left = [mark for mark in self.bookmarks if (mark["step"], mark["note"]) != gone]
        if len(left) == len(self.bookmarks):
            there = ", ".join(f"{mark['note']!r:.40} at {mark['step']}" for mark in self.bookmarks[:8])
            raise OptionError(f"no bookmark {note!r:.80} at step {gone[0]}; there are: {there or 'none'}")
        self.bookmarks = left

    def open_bookmarks(self) -> None:
        """Take in the bookmarks that are kept beside the run."""
        store = self.run.store
        if store is None or store.folder is None:
            how = "came from a single file or a URL" if self.run.origin else "lies in memory"
            self.bookmarks_kept = f"{_FOR_NOW} this run {how}. {_WAY_OUT}"
            return
        if not os.access(store.folder, os.W_OK):
            self.bookmarks_kept = f"{_FOR_NOW} nothing can be written to {store.folder}."
        else:
            self.bookmarks_kept = f"Kept in {store.folder / 'notes'}."
        self._stored = set(kept_notes(store))
        stored = {note for note in self._stored if self._is_recorded(note)}
        self.bookmarks = as_bookmarks(stored | as_notes(self.bookmarks))

    @t.validate("bookmarks")
    def _are_bookmarks(self, proposal: Any) -> list[dict[str, Any]]:
        for mark in proposal["value"]:
            if (
                "step" not in mark
                or set(mark) - {"step", "note"}
                or not isinstance(mark.get("note", ""), str)
            ):
                raise OptionError(f"bookmark {mark!r:.200}: a step and a note are expected")
            self.run.index_of(mark["step"])
        return as_bookmarks(as_notes(proposal["value"]))

    @t.observe("bookmarks")
    def _keep_bookmarks(self, change: Any) -> None:
        store, before, now = self.run.store, as_notes(change["old"] or []), as_notes(change["new"])
        if store is None or store.folder is None:
            return
        try:
            known = set(kept_notes(store))
            gone = self._stored - known - (now - before)  # removed by others
            for note in now - known - gone:
                keep_note(store, note)
            for note in (before - now) & known:
                drop_note(store, note)
            self._stored = set(kept_notes(store))
        except OSError as error:
            self.bookmarks_kept = f"{_FOR_NOW} nothing can be written to {store.folder} ({error.strerror})."
            return
        self.bookmarks_kept = f"Kept in {store.folder / 'notes'}."
        merged = (now - gone) | {note for note in self._stored if self._is_recorded(note)}
        if merged != now:
            self.bookmarks = as_bookmarks(merged)

    @t.observe("run")
    def _more_bookmarks(self, change: Any) -> None:
        if isinstance(change["old"], TrainingRun):  # not the first run that a state is made with
            self.open_bookmarks()

    def _is_recorded(self, note: Note) -> bool:
        """Whether the run, as far as it is open here, has the step."""
        try:
            self.run.index_of(note[0])
        except StepNotFoundError:
            return False
        return True


def as_notes(bookmarks: Iterable[dict[str, Any]]) -> set[Note]:
    """Return bookmarks as pairs of step and note."""
    return {(int(mark["step"]), mark.get("note", "")) for mark in bookmarks}


def as_bookmarks(notes: Iterable[Note]) -> list[dict[str, Any]]:
    """Return pairs of step and note as bookmarks, by step."""
    return [{"step": step, "note": note} for step, note in sorted(notes)]
