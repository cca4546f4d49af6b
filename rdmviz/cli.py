"""The ``rdmviz`` command."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from rdmviz import __version__
from rdmviz.errors import ComputeError, MissingExtraError, OptionError, StoreExistsError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; 0 on success, 2 with one clear line on bad input."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except (ComputeError, MissingExtraError, OptionError, StoreExistsError) as error:
        print(f"rdmviz: {error}", file=sys.stderr)
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
    record.add_argument("study", choices=["grokking", "linear_network"], help="what to train")
    record.add_argument(
        "--out", required=True, metavar="PATH", help="where the run is stored; must not exist yet"
    )
    record.add_argument("--seed", type=int, default=0, help="seed of data, start and batches (default 0)")
    record.set_defaults(run=_record)
    return parser


def _demo(options: argparse.Namespace) -> int:
    from rdmviz.demo import run_demo

    return run_demo(voila=options.voila, port=options.port, browser=not options.no_browser)


def _record(options: argparse.Namespace) -> int:
    from rdmviz import studies  # torch: only for those who train

    run = studies.record(options.study, options.out, seed=options.seed, progress=True)
    print(f"Recorded {run.n_steps:,} rows of {run.n_samples:,} datapoints in {options.out}")
    print(f'Open it with: rdmviz.explore(rdmviz.open_run("{options.out}"))')
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
