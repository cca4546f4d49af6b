"""Train every study with its controls over several seeds, measure them, and write the results page.

Usage: python scripts/make_results.py [--seeds 6] [--jobs CORES] [--page-only] [STUDY ...]

Recordings go to artifacts/results/ and are used again where neither study nor options have changed; the
figures go to docs/results.json, from which docs/results.md and its pictures are written.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from pathlib import Path

import torch
from results.measured import as_json, from_json
from results.page import page
from results.running import SETTINGS, measure_all, settings
from results.strips import draw

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
KEPT = DOCS / "results.json"
FEWEST_SEEDS = 5


def written(kept: dict) -> str:
    """Return the page of what was measured."""
    return page(settings(tuple(kept["settings"])), from_json(kept["settings"]), kept["facts"])


def main() -> None:
    """Measure what is asked for, and write everything there is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("studies", nargs="*", metavar="STUDY", help=f"of {', '.join(SETTINGS)}; default all")
    parser.add_argument("--seeds", type=int, default=6, help="how many, from 0 (default 6)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes (default: cores)")
    parser.add_argument("--page-only", action="store_true", help="write the page of the figures there are")
    asked = parser.parse_args()
    if unknown := set(asked.studies) - set(SETTINGS):
        parser.error(f"no study is called {', '.join(sorted(unknown))}")
    if asked.seeds < FEWEST_SEEDS:
        parser.error(f"--seeds {asked.seeds}; intervals need {FEWEST_SEEDS} or more")
    kept = json.loads(KEPT.read_text()) if KEPT.exists() else {"settings": {}}
    if not asked.page_only:
        names = tuple(name for name in SETTINGS if name in asked.studies or not asked.studies)
        folder = ROOT / "artifacts" / "results"
        found = measure_all(names, range(asked.seeds), folder, asked.jobs)
        together = kept["settings"] | as_json(found)
        kept["settings"] = {name: together[name] for name in SETTINGS if name in together}
        kept["facts"] = {
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            "torch": torch.__version__.partition("+")[0],
        }
        KEPT.write_text(json.dumps(kept, indent=1, allow_nan=False) + "\n")
    (DOCS / "results.md").write_text(written(kept))
    measured = from_json(kept["settings"])
    for name, setting in settings(tuple(measured)).items():
        draw(setting, measured[name], DOCS / "images" / f"results_{name}.svg")


if __name__ == "__main__":
    main()
