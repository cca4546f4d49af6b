"""Find datapoints by what is known about them: words in their texts, values of their columns."""

from __future__ import annotations

import operator
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from rdmviz.analysis.of_a_run import require_run
from rdmviz.errors import OptionError, ProbeError

if TYPE_CHECKING:
    from rdmviz.run import TrainingRun

DATAPOINT: Final = "datapoint"  # the number of a datapoint, where no column is called so
_COMPARED: Final[dict[str, Callable[[Any, Any], Any]]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
    "=": operator.eq,
    ":": operator.eq,
}
_PART = r'"(?:[^"]*)"|[^\s"<>=:!]+'
# A term: "words to find", word, column:value, "a column">=3. What is quoted is taken as it stands.
_TERM = re.compile(rf'(?:({_PART})\s*)?(>=|<=|!=|[<>=:])\s*("[^"]*"|\S+)|"([^"]*)"|(\S+)')
_MOST_NAMED: Final = 12

Flags = NDArray[np.bool_]


def find(run: TrainingRun, query: str) -> NDArray[np.int64]:
    """Find the datapoints that fit every term of a query.

    Parameters
    ----------
    run
        The run.
    query
        Terms with spaces between them; all of them have to fit.

        - ``word`` or ``"several words"``: stands in any text of the datapoint;
        - ``column:value``: the text of a column holds the value, or a number or boolean equals it;
        - ``column=value``, ``column!=value``: it is the value exactly, or is not;
        - ``column>number`` and ``>=``, ``<``, ``<=``; NaN fits none of them.

        Case and the way in which Unicode writes a character make no difference. ``datapoint`` is the number
        of a datapoint. Quotes take in spaces and signs: ``"my column":"12:30"``.

    Returns
    -------
    Datapoints, ascending, ``(m,)``.

    Raises
    ------
    OptionError
        If `run` is not a run, or the query has no term or an unfinished one.
    ProbeError
        If the probe has no such column (the message says which there are), or a column of texts is compared
        in size, or one of numbers with a text.
    """
    require_run(run, "find")
    terms = _terms(query)
    if run not in _kept:
        _kept[run] = _Texts(run)
    fits = np.ones(run.n_samples, bool)
    for term in terms:
        fits &= _fits(run, _kept[run], term)
    return np.flatnonzero(fits)


@dataclass(frozen=True)
class _Term:
    value: str
    column: str | None = None
    sign: str = ":"


class _Texts:
    """Texts of a probe, folded once per run."""

    def __init__(self, run: TrainingRun) -> None:
        self._columns = {
            str(name): column.values
            for name, column in run.probe.data_vars.items()
            if column.dtype.kind == "U"
        }
        self._folded: dict[str, tuple[list[str], NDArray[np.intp]]] = {}

    def __iter__(self) -> Any:
        return iter(self._columns)

    def matching(self, name: str, test: Callable[[str], bool]) -> Flags:
        """Which datapoints have a text that passes a test; each different text is tested once."""
        if name not in self._folded:
            codes: dict[str, int] = {}
            places = [codes.setdefault(text, len(codes)) for text in self._columns[name].tolist()]
            self._folded[name] = [folded(text) for text in codes], np.array(places, np.intp)
        texts, code = self._folded[name]
        return np.fromiter(map(test, texts), bool, len(texts))[code]


_kept: WeakKeyDictionary[TrainingRun, _Texts] = WeakKeyDictionary()


def folded(text: str) -> str:
    """Fold case and compatibility forms away: full-width and composed letters equal their plain ones."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKD", text).casefold())


def _terms(query: object) -> list[_Term]:
    if not isinstance(query, str):
        raise OptionError(
            f"query is a {type(query).__name__}; expected text such as 'split:test \"two words\"'"
        )
    if query.count('"') % 2:
        raise OptionError(f"query {query!r:.80} has a quote that is not closed; close it, or leave it out")
    terms = []
    for column, sign, value, quoted, word in _TERM.findall(query):
        if sign and not column:
            raise OptionError(
                f"{sign + value!r:.80} has nothing before {sign!r}; write column{sign}value, or quote it to "
                "look for it in texts"
            )
        if sign:
            terms.append(_Term(_unquoted(value), _unquoted(column), sign))
        elif (quoted or word).strip():
            if not quoted and re.search("[<>=:]$", word):
                raise OptionError(f"{word!r:.80} has nothing after its sign; write for example {word}1")
            terms.append(_Term(quoted or word))
    if not terms:
        raise OptionError("the query has no term; write a word, column:value or column>number")
    return terms


def _unquoted(part: str) -> str:
    return part[1:-1] if part.startswith('"') else part


def _fits(run: TrainingRun, texts: _Texts, term: _Term) -> Flags:
    value, sign = folded(term.value), term.sign
    if term.column is None:
        fits = np.zeros(run.n_samples, bool)
        for name in texts:
            fits |= texts.matching(name, lambda text: value in text)
        return fits
    name = _column(run, term)
    if name in texts:
        if sign == ":":
            return texts.matching(name, lambda text: value in text)
        if sign not in ("=", "!="):
            raise ProbeError(
                f"column {name!r} holds text, which {sign!r} does not compare; write {name}:{term.value} "
                f"or {name}={term.value}"
            )
        return texts.matching(name, lambda text: (text == value) == (sign == "="))
    values = run.probe[name].values if name in run.probe else np.arange(run.n_samples)
    return np.asarray(_COMPARED[sign](values, _number(term, name, values)) & ~np.isnan(values))


def _column(run: TrainingRun, term: _Term) -> str:
    names = [str(name) for name in run.probe.data_vars]
    given = str(term.column)
    if given in names:
        return given
    alike = [name for name in (*names, DATAPOINT) if folded(name) == folded(given)]
    if alike:
        return alike[0]
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    there = ", ".join(map(repr, names[:_MOST_NAMED])) + more if names else "none"
    asked = f"{given}{term.sign}{term.value}"
    raise ProbeError(
        f"there is no column {given!r:.60}: this probe has {there} (and {DATAPOINT!r}, the number). "
        f'To look for it in texts, quote it: "{asked:.60}"'
    )


def _number(term: _Term, name: str, values: NDArray[Any]) -> float | bool:
    text = term.value.strip()
    if values.dtype.kind == "b" and text.casefold() in ("true", "false"):
        return text.casefold() == "true"
    try:
        return float(text)
    except ValueError:
        kind = "true or false" if values.dtype.kind == "b" else "numbers"
        raise ProbeError(
            f"column {name!r} holds {kind}, and {text!r:.60} is none; write for example {name}{term.sign}1"
        ) from None
