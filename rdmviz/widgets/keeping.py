"""The present view of an explorer as plain data and as code."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import traitlets as t

from rdmviz.errors import OptionError
from rdmviz.run import TrainingRun
from rdmviz.widgets.bookmarks import Bookmarked

_VERSION: Final = 1
# What is of the moment or of the machine, and no part of a view.
_PASSING: Final = frozenset({"run", "hovered", "following", "troubles", "bookmarks", "bookmarks_kept"})
_PARTS: Final = ("version", "run", "traits", "bookmarks")
_LONG: Final = 88  # characters of a line of code


class Kept(Bookmarked):
    """The part of :class:`~rdmviz.widgets.ExplorerState` that outlives the session."""

    if TYPE_CHECKING:
        lock: threading.RLock
        span: tuple[int, int]

    def state_dict(self) -> dict[str, Any]:
        """Return the present view as plain data, fit for JSON: version, run, traits and bookmarks."""
        return {
            "version": _VERSION,
            "run": _facts(self.run),
            "traits": {name: _plain(value) for name, value in kept_traits(self).items()},
            "bookmarks": _plain(self.bookmarks),
        }

    def load_state_dict(self, kept: Mapping[str, Any], *, any_run: bool = False) -> None:
        """Go to a view that :meth:`state_dict` gave: all of it, or nothing.

        Traits that it does not name stay as they are. Its bookmarks are added to those there are.

        Parameters
        ----------
        kept
            From :meth:`state_dict` of this rdmviz or an earlier one.
        any_run
            Take the view of another run, such as one of another seed.

        Raises
        ------
        OptionError
            If it is no state dict, comes from a newer rdmviz, has a key that is unknown or a value that is of
            the wrong kind, or is of another run.
        StepNotFoundError, WindowError, DetrendError, ProbeError
            If the run does not have what it asks for.
        """
        traits, bookmarks = _checked(self, kept, any_run=any_run)
        if type(traits.get("step")) is int and "span" not in traits:  # the step that is asked for widens it
            self.run.index_of(traits["step"])
            traits["span"] = (min(self.span[0], traits["step"]), max(self.span[1], traits["step"]))
        try:
            # A state aside is given everything first: what it accepts, this one takes without an error.
            aside = type(self)(self.run, **{**kept_traits(self), **traits})
            if bookmarks is not None:
                aside._are_bookmarks({"value": bookmarks})
        except (t.TraitError, TypeError, ValueError, AttributeError) as error:
            if type(error).__module__.startswith("rdmviz"):
                raise
            raise OptionError(f"a value of the state dict is of the wrong kind: {error}") from error
        with self.lock, self.hold_trait_notifications():
            for name in traits:
                setattr(self, name, getattr(aside, name))
        if bookmarks:
            self.bookmarks = [*self.bookmarks, *bookmarks]

    def code(self) -> str:
        """Return Python that opens an explorer on this view; ``run`` is a run that was made in memory."""
        if self.run.origin:
            opened = f"run = {self.run.origin}"
        else:
            opened = "# run: the TrainingRun in memory. After run.save(path) it is rdmviz.open_run(path)."
        usual = kept_traits(type(self)(self.run))
        chosen = {name: value for name, value in kept_traits(self).items() if value != usual[name]}
        options = [f"{name}={_literal(value)}" for name, value in ({"step": self.step} | chosen).items()]
        line = f"explorer = rdmviz.explore({', '.join(['run', *options])})"
        if len(line) > _LONG:
            line = "\n".join(["explorer = rdmviz.explore(", *(f"    {o}," for o in ["run", *options]), ")"])
        return f"import rdmviz\n\n{opened}\n{line}\nexplorer\n"


def kept_traits(state: t.HasTraits) -> dict[str, Any]:
    """Return what a person chose, by the name of the trait."""
    return {name: getattr(state, name) for name in sorted(state.trait_names()) if name not in _PASSING}


def _facts(run: TrainingRun) -> dict[str, Any]:
    identity = "" if run.store is None else run.store.identity
    return {"name": run.name, "identity": identity, "datapoints": run.n_samples}


def _checked(
    state: t.HasTraits, kept: Mapping[str, Any], *, any_run: bool
) -> tuple[dict[str, Any], list[Any] | None]:
    """Return the traits and bookmarks of a state dict of a known form."""
    if not isinstance(kept, Mapping) or type(kept.get("version")) is not int:
        raise OptionError(f"{kept!r:.80} is no state dict; expected what state.state_dict() gave")
    if kept["version"] > _VERSION:
        raise OptionError(
            f"the state dict has version {kept['version']}; this rdmviz reads up to {_VERSION}. "
            "Update it: pip install --upgrade rdmviz"
        )
    for key in kept:
        if key not in _PARTS:
            raise OptionError(f"the state dict has an unknown key {key!r:.80}; expected {', '.join(_PARTS)}")
    traits, bookmarks = kept.get("traits", {}), kept.get("bookmarks")
    if not isinstance(traits, Mapping) or not (bookmarks is None or isinstance(bookmarks, list)):
        raise OptionError("the state dict has no traits by name, or no list of bookmarks")
    known = kept_traits(state)
    for name in traits:
        if name not in known:
            raise OptionError(
                f"the state dict has an unknown trait {name!r:.80}; known are {', '.join(known)}"
            )
    if not any_run:
        _check_same_run(state.run, kept.get("run"))  # type: ignore[attr-defined]
    return {name: _as_trait(state, name, value) for name, value in traits.items()}, bookmarks


def _check_same_run(run: TrainingRun, then: Any) -> None:
    now = _facts(run)  # a copy may have another identity, and a run in memory has none: name and size do
    if isinstance(then, Mapping):
        if then.get("identity") and then["identity"] == now["identity"]:
            return
        if all(then.get(fact) == now[fact] for fact in ("name", "datapoints")):
            return
    raise OptionError(
        f"the state dict is of run {then!r:.160}, this one is {now}: its steps and datapoints may mean other "
        "things here. Open that run, or pass any_run=True"
    )


def _as_trait(state: t.HasTraits, name: str, value: Any) -> Any:
    return tuple(value) if isinstance(state.traits()[name], t.Tuple) and isinstance(value, list) else value


def _plain(value: Any) -> Any:
    """Return a value as JSON has it: no tuples, no numbers of NumPy."""
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    return value.item() if hasattr(value, "item") else value


def _literal(value: Any) -> str:
    """Return Python that makes a value: a float that is not finite has no literal of its own."""
    if isinstance(value, float) and not math.isfinite(value):
        return f"float({str(value)!r})"
    return repr(value)
