"""``rdmviz info`` and ``rdmviz check``: what is in a run, and what is wrong with it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any, Final

from tqdm import tqdm

from rdmviz.checking import Report, check_run
from rdmviz.cli.screen import age, columns, cut, field, paint, printable, shown, size, wrapped
from rdmviz.contents import contents
from rdmviz.sources import open_run
from rdmviz.store.places import at
from rdmviz.words import count, is_are

__all__ = ["print_check", "print_contents"]

_SOON: Final = 60.0  # seconds: a recording writes once a second, and may take long over a step
_LABEL: Final = 30  # columns that a name may take
_MOST: Final = 24  # columns that are listed
_EXAMPLES: Final = 5


def print_contents(path: str, *, as_json: bool, options: dict[str, Any]) -> int:
    """Print what is in a run; 0."""
    found = contents(open_run(path, **options), at(path))
    if as_json:
        print(json.dumps(found, indent=2, allow_nan=False))
    else:
        print("\n".join(_lines(found)))
    return 0


def print_check(path: str, *, as_json: bool, options: dict[str, Any]) -> int:
    """Print what a run holds and what is wrong with it; 0 if it is whole, 1 if not."""
    with tqdm(unit="row", file=sys.stderr, disable=None, leave=False) as bar:

        def watch(done: int, rows: int) -> None:
            bar.total = rows
            bar.update(done - bar.n)

        report = check_run(path, watch=watch, **options)
    if as_json:
        found = {"path": report.path, "whole": report.whole, "wrong": report.wrong, "notes": report.notes}
        print(json.dumps({**found, "contents": report.contents}, indent=2, allow_nan=False))
    else:
        print("\n".join(_verdict(report)))
    return 0 if report.whole else 1


def _lines(found: dict[str, Any]) -> Iterator[str]:
    yield paint(cut(printable(found["name"] or "unnamed"), 54), "bold") + f"  ({found['kind']})"
    yield from wrapped(printable(found["path"]), 80)
    yield ""
    yield field("rows", f"{found['rows']:,}, {_spacing(found['steps'])}")
    yield field("datapoints", f"{found['datapoints']:,}")
    loss = found["loss"]
    first, last = shown(loss["first_mean"]), shown(loss["last_mean"])
    why = "; rdmviz check says more" if None in (loss["first_mean"], loss["last_mean"]) else ""
    yield field("losses", f"{loss['dtype']}, mean {first} in the first row and {last} in the last{why}")
    on_disk = "" if found["bytes_on_disk"] is None else f"{size(found['bytes_on_disk'])} on disk, "
    yield field("size", f"{on_disk}{size(found['bytes_of_losses'])} of losses")
    yield field("memory", f"about {size(found['bytes_of_gram'])} for the Gram of windows up to 64 rows")
    if found["seconds_since_written"] is not None:
        seconds = found["seconds_since_written"]
        recording = found["kind"] == "store" and seconds < _SOON
        yield field("written", f"{age(seconds)} ago{'; it may still be recorded' if recording else ''}")
    yield from _section("probe", [*map(_column, found["probe"]), *map(_pictures, found["images"])])
    yield from _section("metrics", [_metric(metric, found["rows"]) for metric in found["metrics"]])
    yield from _section("snapshots", list(_snapshots(found["snapshots"])))
    facts = [
        (key, value if isinstance(value, str) else json.dumps(value)) for key, value in found["attrs"].items()
    ]
    yield from _section("facts", [(key, cut(printable(text), 160)) for key, text in facts])


def _spacing(steps: dict[str, Any]) -> str:
    if steps["least_apart"] is None:
        return f"of step {steps['first']:,}"
    if steps["least_apart"] == steps["most_apart"]:
        apart = f"{steps['least_apart']:,} apart"
    else:
        apart = f"{steps['least_apart']:,} to {steps['most_apart']:,} apart"
    return f"of steps {steps['first']:,} to {steps['last']:,}, {apart}"


def _section(title: str, entries: list[tuple[str, str]]) -> Iterator[str]:
    if not entries:
        return
    yield ""
    yield paint(title, "bold")
    listed = entries[:_MOST]
    if len(entries) > _MOST:
        listed.append(("...", f"and {len(entries) - _MOST:,} more (all of them with --json)"))
    label = max(columns(printable(name)) for name, _ in listed) + 2
    for name, text in listed:
        yield field(name, text, label=min(max(label, 12), _LABEL))


def _column(column: dict[str, Any]) -> tuple[str, str]:
    examples = ", ".join(cut(printable(shown(value)), 24) for value in column["examples"])
    if column["kind"] == "number":
        missing = f", {column['missing']:,} missing" if column["missing"] else ""
        values = f"{shown(column['least'])} to {shown(column['most'])}{missing}"
        return column["name"], f"number, {values}: {examples}{_more(column)}"
    distinct = f"{column['distinct']:,} different"
    return column["name"], f"{column['kind']}, {distinct}: {examples}{_more(column)}"


def _more(column: dict[str, Any]) -> str:
    return ", ..." if column["distinct"] > len(column["examples"]) else ""


def _pictures(column: dict[str, Any]) -> tuple[str, str]:
    return column["name"], f"pictures, {' x '.join(map(str, column['shape']))}, {column['dtype']}"


def _snapshots(found: dict[str, Any] | None) -> Iterator[tuple[str, str]]:
    if found is None:
        yield "steps", "cannot be read; rdmviz check says more"
        return
    steps = found["steps"]
    if steps:
        yield "steps", f"{len(steps):,}, from {steps[0]:,} to {steps[-1]:,}"
    for kind, names in found["layers"].items():
        if kind == "gaussian":
            yield "Gaussian 2RDM", _gaussian(found["gaussian"])
            continue
        listed = ", ".join(cut(printable(name), 40) for name in names[:_EXAMPLES])
        more = f", and {len(names) - _EXAMPLES:,} more" if len(names) > _EXAMPLES else ""
        yield kind.replace("_", " "), f"{count(len(names), 'layer')}: {listed}{more}"


def _gaussian(found: dict[str, Any]) -> str:
    sigma = found.get("sigma")
    scale = "" if sigma is None else f" of sigma {sigma:g}"
    relative = " times the size of each tensor" if scale and found.get("relative") else ""
    kept = count(found["modes"], "eigenvector")
    return f"{found['draws'] or 0:,.0f} draws{scale}{relative}; all eigenvalues and {kept} kept"


def _metric(metric: dict[str, Any], rows: int) -> tuple[str, str]:
    if not metric["measured"]:
        return metric["name"], "no finite value at any step"
    part = "" if metric["measured"] == rows else f", at {metric['measured']:,} of {rows:,} rows"
    values = f"{shown(metric['least'])} to {shown(metric['most'])}, {shown(metric['last'])} at the end"
    return metric["name"], values + part


def _verdict(report: Report) -> Iterator[str]:
    yield from wrapped(printable(report.path), 80)
    found = report.contents
    if found is not None:
        held = f"{found['rows']:,} rows {_spacing(found['steps'])}, of {found['datapoints']:,} datapoints"
        facts = len(found["probe"]) + len(found["images"])
        yield from wrapped(
            f"{held}; {count(facts, 'probe column')}, {count(len(found['metrics']), 'metric')}.", 80
        )
    yield ""
    for mark, color, sentences in (("wrong", "red", report.wrong), ("note", "yellow", report.notes)):
        for sentence in sentences:
            text = field(mark, sentence, indent=2, label=7)
            yield text.replace(mark, paint(mark, color), 1)
    if report.wrong or report.notes:
        yield ""
    if report.whole:
        yield paint("The run is whole.", "green")
    else:
        yield paint(f"{count(len(report.wrong), 'thing')} {is_are(len(report.wrong))} wrong.", "red")
