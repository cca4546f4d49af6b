"""Training and measuring: every run in a fresh process, so that its time and memory are its own."""

from __future__ import annotations

import hashlib
import inspect
import json
import multiprocessing
import os
import resource
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from importlib import import_module
from pathlib import Path
from typing import Any

from rdmviz import open_run
from results.measured import Measured
from results.setting import Setting

__all__ = ["SETTINGS", "measure_all", "measured_run", "settings"]

SETTINGS = ("linear_network", "induction", "grokking", "misalignment")


def settings(names: tuple[str, ...] = SETTINGS) -> dict[str, Setting]:
    """Return the settings by name."""
    return {name: import_module(f"results.{name}").SETTING for name in names}


def measure_all(
    names: tuple[str, ...], seeds: range, folder: Path, jobs: int
) -> dict[str, dict[str, dict[int, Measured]]]:
    """Train every variant of some settings with every seed, and measure it.

    Recordings are kept in `folder`; one that is there, of the same study and options, is not trained again.

    Returns
    -------
    Setting to variant (``""`` is the real run) to seed to what was measured.
    """
    tasks = [
        (name, variant, seed)
        for name, setting in settings(names).items()
        for variant in setting.variants
        for seed in seeds
    ]
    found: dict[str, dict[str, dict[int, Measured]]] = {}
    os.environ |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}  # a core for each process
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context, max_tasks_per_child=1) as pool:
        waiting = {pool.submit(_measured, *task, folder): task for task in tasks}
        for count, done in enumerate(as_completed(waiting), start=1):
            name, variant, seed = waiting[done]
            measured = done.result()
            found.setdefault(name, {}).setdefault(variant, {})[seed] = measured
            print(
                f"{count}/{len(tasks)} {name} {variant or 'real'} {seed}: {measured.processor_seconds:.0f} s",
                flush=True,
            )
    return {
        name: {variant: {seed: found[name][variant][seed] for seed in seeds} for variant in setting.variants}
        for name, setting in settings(names).items()
    }


def _measured(name: str, variant: str, seed: int, folder: Path) -> Measured:
    return measured_run(settings((name,))[name], variant, seed, folder)


def measured_run(setting: Setting, variant: str, seed: int, folder: Path) -> Measured:
    """Train a variant in this process, unless its recording is in a folder, and measure it."""
    path, facts = _trained(setting, variant, seed, folder / setting.name)
    run = open_run(path)
    passed = setting.study.transition(run)
    return Measured(
        {key: float(value) for key, value in setting.measure(run).items()},
        {part: getattr(passed, part) for part in ("onset", "middle", "end")},
        **facts,
    )


def _trained(setting: Setting, variant: str, seed: int, folder: Path) -> tuple[Path, dict[str, float]]:
    """Return where the recording is, and what training it took."""
    options = setting.variants[variant]
    path, note = (folder / f"{variant or 'real'}-{seed}{end}" for end in (".rdmviz.zip", ".json"))
    recipe = _recipe(setting, options)
    if path.exists() and note.exists() and (kept := json.loads(note.read_text()))["recipe"] == recipe:
        return path, kept["facts"]
    folder.mkdir(parents=True, exist_ok=True)
    started, worked = time.perf_counter(), time.process_time()
    setting.study.train(seed, out=path, overwrite=True, progress=False, **options)
    facts = {
        "seconds": time.perf_counter() - started,
        "processor_seconds": time.process_time() - worked,
        "megabytes": _most_memory(),
    }
    note.write_text(json.dumps({"recipe": recipe, "facts": facts}))
    return path, facts


def _recipe(setting: Setting, options: Mapping[str, Any]) -> str:
    """Return a digest of what decides a recording: the study's code and its options."""
    homes = {getattr(value, "__module__", None) or "" for value in vars(setting.study).values()}
    modules = sorted({setting.study.__name__, *(home for home in homes if home.startswith("rdmviz.studies"))})
    parts = [inspect.getsource(import_module(module)) for module in modules]
    parts.append(json.dumps(dict(options), sort_keys=True, default=str))
    return hashlib.sha256("".join(parts).encode()).hexdigest()


def _most_memory() -> float:
    """Return the largest resident size of this process so far, MB."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
