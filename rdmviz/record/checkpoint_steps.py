"""Which checkpoints there are, and the training step of each, as its name tells it."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterable, Mapping
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from rdmviz.errors import CheckpointNotFoundError, OptionError, StepsError
from rdmviz.record.checkpoint_files import SUFFIXES, is_of_model, is_weights, weights_in
from rdmviz.store.rows import checked_step

__all__ = ["by_step", "few", "step_of"]

_MOST_NAMES = 6
_MAPPING = "give a mapping instead: {step: path, ...}"

# A number ends where it is written out: 10k, 5B and 0.25 are none.
_NUMBER = r"(\d+)(?![A-Za-z\d]|\.\d)"
_MARKS = {
    "step": re.compile(rf"(?<![a-z])(?:global_?)?(?:steps?|iter(?:ation)?s?)[-_=. ]?{_NUMBER}", re.I),
    "checkpoint": re.compile(rf"(?<![a-z])(?:checkpoint|ckpt)[-_=. ]?{_NUMBER}", re.I),
    "epoch": re.compile(rf"(?<![a-z])epochs?[-_=. ]?{_NUMBER}", re.I),
    "number": re.compile(rf"(?<!\d)(?<!\d\.){_NUMBER}"),
}


def by_step(checkpoints: Any) -> dict[int, Any]:
    """Return the checkpoints by training step, in order of it.

    Parameters
    ----------
    checkpoints
        As for :func:`rdmviz.record_checkpoints`.

    Raises
    ------
    CheckpointNotFoundError
        There is none.
    StepsError
        A name tells no step, or several; two checkpoints have one step; or names tell different things.
    OptionError
        Not a folder, glob, list or mapping.
    """
    if isinstance(checkpoints, Mapping):
        steps = [(checked_step(step), checkpoint) for step, checkpoint in checkpoints.items()]
        if not steps:
            raise CheckpointNotFoundError("checkpoints is an empty mapping; expected {step: path, ...}")
        return _ordered(steps)
    if isinstance(checkpoints, (str, PathLike)):
        paths = _found(fspath(checkpoints))
    elif isinstance(checkpoints, Iterable):
        paths = [_as_path(checkpoint) for checkpoint in checkpoints]
        if not paths:
            raise CheckpointNotFoundError("checkpoints is an empty list; expected paths of checkpoints")
    else:
        raise OptionError(
            f"checkpoints is a {type(checkpoints).__name__}; expected a folder, a glob such as "
            "'run/step*.pt', a list of paths, or a mapping from step to path"
        )
    told = [(*step_of(path), path) for path in paths]
    if len(marks := {mark for mark, _, _ in told}) > 1:
        examples = {mark: path.name for mark, _, path in told}
        raise StepsError(
            f"names of checkpoints tell different things: {examples}; expected the same of all. Choose some "
            f"with a glob, or {_MAPPING}" + (" (epochs are no steps)" if "epoch" in marks else "")
        )
    return _ordered([(step, path) for _, step, path in told])


def step_of(path: Path) -> tuple[str, int]:
    """Return what a name tells, ``"step"``, ``"checkpoint"``, ``"epoch"`` or just a ``"number"``, and that.

    The first of these that the name has counts, and it has to have it once: ``epoch=2-step=1000.ckpt`` is
    step 1000. Where the name of a file has no digit that of its folder counts, as in
    ``checkpoint-500/model.safetensors`` or ``500/weights.pt``; not the number in ``seed3/last.ckpt``.

    Raises
    ------
    StepsError
        There is no number, or there are several.
    """
    own = path.stem if path.suffix.lower() in SUFFIXES else path.name
    names, folder = [own], path.absolute().parent.name
    if is_weights(path) and not any(map(str.isdigit, own)):
        names.append(folder)
    for name in names:
        for mark, pattern in _MARKS.items():
            if mark == "number" and name is not own and not name.isdigit():
                continue
            numbers = sorted({int(number) for number in pattern.findall(name)})
            if len(numbers) == 1:
                return mark, numbers[0]
            if numbers:
                raise StepsError(
                    f"the name {path.name!r:.120} may mean step {' or '.join(map(str, numbers[:4]))}; "
                    f"{_MAPPING}"
                )
    raise StepsError(
        f"the name {path.name!r:.120} tells no training step, as checkpoint-500, step1000.pt or "
        f"model_000500.pt do; leave it out with a glob or a list of paths, or {_MAPPING}"
    )


def few(names: Iterable[Any]) -> str:
    """Return the first of some names, quoted, and how many more there are."""
    listed = [str(name) for name in names]
    more = f" and {len(listed) - _MOST_NAMES} more" if len(listed) > _MOST_NAMES else ""
    return ", ".join(f"{name!r:.120}" for name in listed[:_MOST_NAMES]) + more


def _ordered(steps: list[tuple[int, Any]]) -> dict[int, Any]:
    ordered: dict[int, Any] = {}
    for step, checkpoint in sorted(steps, key=lambda pair: pair[0]):
        if step in ordered:
            raise StepsError(
                f"step {step} has two checkpoints, {str(ordered[step])!r:.200} and {str(checkpoint)!r:.200}; "
                f"expected one each. Choose with a narrower glob, or {_MAPPING}"
            )
        ordered[step] = checkpoint
    return ordered


def _as_path(checkpoint: Any) -> Path:
    text = fspath(checkpoint) if isinstance(checkpoint, (str, PathLike)) else None
    if not isinstance(text, str) or "://" in text:
        raise OptionError(
            f"checkpoint {checkpoint!r:.120} is no local path; if it is not to be one, {_MAPPING}"
        )
    return Path(text).expanduser()


def _found(text: Any) -> list[Path]:
    path = _as_path(text)
    if path.is_dir():
        return _in_folder(path)
    if path.is_file():
        return [path]
    # Path.glob finds hidden files too, such as those that are being written.
    matches = sorted(Path(match) for match in glob.glob(str(path), recursive=True))  # noqa: PTH207  # Path.glob takes no absolute pattern
    if not matches:
        raise CheckpointNotFoundError(f"there is no folder and no checkpoint at {path}{_near(path)}")
    return matches


def _in_folder(folder: Path) -> list[Path]:
    """Return the checkpoints that a folder holds: files of weights, and folders of them."""
    entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    found = [entry for entry in entries if (weights_in(entry) if entry.is_dir() else is_weights(entry))]
    # A trainer of transformers leaves the model itself beside its checkpoints.
    series = [entry for entry in found if not is_of_model(entry.name)]
    if series:
        return series
    if found:
        return [folder]
    raise CheckpointNotFoundError(
        f"folder {folder} holds no checkpoints, only {few(entry.name for entry in entries) or 'nothing'}; "
        f"expected files ({' '.join(SUFFIXES)}), or folders that hold model.safetensors or one such file"
    )


def _near(path: Path) -> str:
    folder = path.absolute().parent
    while not folder.is_dir():
        folder = folder.parent
    names = few(sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith(".")))
    return f"; in {folder} there is {names or 'nothing'}"
