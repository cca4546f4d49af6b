"""The ``rdmviz`` command."""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Sequence
from typing import Any, Final

from rdmviz import __version__
from rdmviz.cli.finetuning import add_finetune
from rdmviz.cli.screen import printable
from rdmviz.errors import PlainError
from rdmviz.words import count

__all__ = ["STUDIES", "main"]

STUDIES: Final = ("grokking", "induction", "linear_network", "misalignment")  # known without torch


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; 0 if all is well, 1 if a run is broken, 2 with one line on bad input."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal may not know a letter of a run
            stream.reconfigure(errors="backslashreplace")
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except (PlainError, OSError) as error:
        print(f"rdmviz: {printable(str(error))}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="rdmviz", description="See a training run through its 2RDM.")
    parser.add_argument("--version", action="version", version=f"rdmviz {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    demo = commands.add_parser("demo", help="open the explorer on a recorded run")
    demo.add_argument("--voila", action="store_true", help="serve it as an app instead of a notebook")
    demo.add_argument("--port", type=int, help="port on this machine; default a free one")
    demo.add_argument("--no-browser", action="store_true", help="print the URL only")
    demo.set_defaults(run=_demo)

    record = commands.add_parser("record", help="train a study and record it")
    record.add_argument("study", choices=STUDIES, help="what to train")
    record.add_argument(
        "--out", required=True, metavar="PATH", help="where the run is stored; must not exist yet"
    )
    record.add_argument("--seed", type=int, default=0, help="seed of data, start and batches (default 0)")
    record.add_argument("--control", metavar="NAME", help="train one of the study's controls instead")
    record.set_defaults(run=_record)

    add_finetune(commands)

    info = commands.add_parser("info", help="say what is in a run")
    _add_source(info)
    info.add_argument("--json", action="store_true", help="print it as JSON")
    info.set_defaults(run=_info)

    check = commands.add_parser(
        "check",
        help="read all of a run and say what is wrong",
        description="Read all of a run and say what is wrong. Exits with 0 if it is whole, 1 if it is "
        "broken, 2 if it cannot be checked.",
    )
    _add_source(check)
    check.add_argument("--json", action="store_true", help="print it as JSON")
    check.set_defaults(run=_check)

    imported = commands.add_parser("import", help="make a store of what others have logged")
    _add_source(imported)
    imported.add_argument(
        "--out", required=True, metavar="STORE", help="where the run is stored; must not exist yet"
    )
    imported.set_defaults(run=_import)
    return parser


def _add_source(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "path",
        metavar="PATH",
        help="a store, .npz, .csv, .parquet, .json or .jsonl, a folder of training dynamics, or a URL of one",
    )
    table = parser.add_argument_group("of a table")
    table.add_argument("--step", metavar="COL", help="column that holds the training step")
    table.add_argument("--sample", metavar="COL", help="column that names the datapoint")
    table.add_argument("--loss", metavar="COL", help="column that holds its loss")
    table.add_argument("--drop", metavar="COL", action="append", default=[], help="column to leave out")
    table.add_argument(
        "--incomplete",
        choices=["refuse", "drop_samples", "drop_steps"],
        default="refuse",
        help="what to do where a datapoint has no loss at some step (default: refuse)",
    )


def _demo(options: argparse.Namespace) -> int:
    from rdmviz.demo import run_demo

    return run_demo(voila=options.voila, port=options.port, browser=not options.no_browser)


def _record(options: argparse.Namespace) -> int:
    from rdmviz import studies  # torch: only for those who train

    run = studies.record(options.study, options.out, seed=options.seed, control=options.control)
    print(f"Recorded {run.n_steps:,} rows of {run.n_samples:,} datapoints in {printable(options.out)}")
    print(printable(str(studies.STUDIES[options.study].transition(run))))
    print(f"Open it with: rdmviz.explore(rdmviz.open_run({options.out!r}))")
    return 0


def _info(options: argparse.Namespace) -> int:
    from rdmviz.cli.reports import print_contents

    return print_contents(options.path, as_json=options.json, options=_columns(options))


def _check(options: argparse.Namespace) -> int:
    from rdmviz.cli.reports import print_check

    return print_check(options.path, as_json=options.json, options=_columns(options))


def _import(options: argparse.Namespace) -> int:
    from rdmviz.sources import open_run

    run = open_run(options.path, **_columns(options))
    run.save(options.out)
    print(f"Wrote {run.n_steps:,} rows of {run.n_samples:,} datapoints to {printable(options.out)}")
    for what in ("sample", "step"):
        if dropped := run.attrs.get(f"dropped_{what}s"):
            print(f"Left out {count(dropped, what)} that {'was' if dropped == 1 else 'were'} not whole")
    print(f"Open it with: rdmviz.explore(rdmviz.open_run({options.out!r}))")
    return 0


def _columns(options: argparse.Namespace) -> dict[str, Any]:
    return {name: getattr(options, name) for name in ("step", "sample", "loss", "drop", "incomplete")}
