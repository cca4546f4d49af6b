"""Weights in files: of torch, read as weights only, of safetensors, and in folders of Hugging Face models.

Nothing is ever unpickled: what is not made of tensors and plain values is refused by name.
"""

from __future__ import annotations

import json
import pickle
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from rdmviz.errors import CheckpointError, CheckpointNotFoundError, MissingExtraError, UnsafeDataError

__all__ = ["SUFFIXES", "is_of_model", "is_weights", "read_weights", "weights_in"]

SUFFIXES: Final = (".pt", ".pth", ".bin", ".ckpt", ".safetensors")
# What holds the weights of a folder, the first that is there.
_OF_MODEL = (
    "model.safetensors.index.json",
    "model.safetensors",
    "pytorch_model.bin.index.json",
    "pytorch_model.bin",
)
_SHARD = re.compile(r"(model|pytorch_model)-\d+-of-\d+\.(safetensors|bin)")
# What trainers save beside the weights.
_OTHER = re.compile(
    r"(optimizer|scheduler|scaler|rng_state|training_args|random_states)\b.*|.*_rng_state", re.I
)
# Where training loops put the weights among other things.
_NESTED = ("state_dict", "model_state_dict", "model", "module")
_ZIP, _PICKLE, _TORCH_OF_OLD = b"PK", b"\x80", b"l\xfc\x9cF\xf9 j\xa8P\x19"
_TRUSTED = (
    "save the weights alone, with torch.save(model.state_dict(), path) or as safetensors; if you trust the "
    "file, open it yourself: load=lambda path: ..."
)


def is_of_model(name: str) -> bool:
    """Return whether a file of this name is a model of transformers, or a part of one."""
    return name in _OF_MODEL or _SHARD.fullmatch(name) is not None


def is_weights(path: Path) -> bool:
    """Return whether a file can hold weights, by its name."""
    named = path.suffix.lower() in SUFFIXES and not _OTHER.fullmatch(path.stem)
    return named or path.name in _OF_MODEL


def weights_in(folder: Path) -> list[Path]:
    """Return the file that holds the weights of a folder; or those of which it might be one; or nothing."""
    for name in _OF_MODEL:
        if (folder / name).is_file():
            return [folder / name]
    return sorted(path for path in folder.iterdir() if path.is_file() and is_weights(path))


def read_weights(path: Path) -> Mapping[str, Any]:
    """Return the state dict of a file or folder, on the CPU.

    Raises
    ------
    CheckpointNotFoundError
        There is no file, or none with weights in the folder.
    UnsafeDataError
        It holds pickled objects.
    CheckpointError
        It cannot be read, or holds no state dict.
    """
    try:
        if not path.is_dir():
            return _weights_of(path)
        files = weights_in(path)
        if len(files) == 1:
            return _weights_of(files[0])
        held = ", ".join(sorted(entry.name for entry in path.iterdir())[:8]) or "nothing"
    except FileNotFoundError as error:
        raise CheckpointNotFoundError(
            f"checkpoint {error.filename or path} is not there any more; bring it back, or leave its step "
            "out. Workers of a cluster have to see the same files"
        ) from error
    except OSError as error:
        raise CheckpointError(f"checkpoint {path} cannot be read ({error}); copy it again") from error
    if ".distcp" in held:
        raise CheckpointError(
            f"checkpoint {path} is of torch.distributed.checkpoint; convert it first with "
            "torch.distributed.checkpoint.format_utils.dcp_to_torch_save"
        )
    raise CheckpointError(
        f"folder {path} holds {held}; expected model.safetensors or one file of weights. Give the file itself"
    )


def _weights_of(path: Path) -> Mapping[str, Any]:
    if path.suffix == ".json":
        return _weights_of_shards(path)
    with path.open("rb") as file:
        start = file.read(64)
    if path.suffix.lower() == ".safetensors":
        return _safetensors(path, start)
    return _state_dict(_torch(path, start), path)


def _weights_of_shards(index: Path) -> Mapping[str, Any]:
    try:
        weight_map: Any = json.loads(index.read_bytes())["weight_map"]
        names = sorted(set(weight_map.values()))
        odd = next((name for name in names if not _SHARD.fullmatch(name)), None)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CheckpointError(
            f"checkpoint {index} cannot be read ({type(error).__name__}: {error}); expected an index of "
            "shards, as save_pretrained writes it"
        ) from error
    if odd is not None:  # a name is data, and may not lead elsewhere
        raise CheckpointError(f"checkpoint {index} names a shard {odd!r:.80}; expected model-00001-of-...")
    weights: dict[str, Any] = {}
    for name in names:
        weights |= _weights_of(index.with_name(name))
    lost = [name for name in weight_map if name not in weights]
    if lost:
        raise CheckpointError(
            f"checkpoint {index} promises {lost[0]!r:.120} and {len(lost) - 1} more that its shards lack; "
            "copy it again"
        )
    return weights


def _safetensors(path: Path, start: bytes) -> Mapping[str, Any]:
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ImportError as error:
        raise MissingExtraError(
            f'opening {path} needs safetensors: pip install "rdmviz[checkpoints]"'
        ) from error
    try:
        weights: dict[str, Tensor] = load_file(path)
    except SafetensorError as error:
        if start.startswith((_ZIP, _PICKLE)):
            raise UnsafeDataError(
                f"checkpoint {path} is a pickle and no safetensors file; {_TRUSTED}"
            ) from error
        raise _unreadable(path, error) from error
    return weights


def _torch(path: Path, start: bytes) -> Any:
    if start.startswith(_ZIP):
        _check_archive(path)
    elif start.startswith(_PICKLE) and _TORCH_OF_OLD not in start:
        raise UnsafeDataError(
            f"checkpoint {path} is a pickle, which can run code when it is loaded; {_TRUSTED}"
        )
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except pickle.UnpicklingError as error:
        if start.startswith((_ZIP, _PICKLE)):
            raise UnsafeDataError(
                f"checkpoint {path} {_objects(path)}, which can run code when it is loaded; {_TRUSTED}"
            ) from error
        raise _unreadable(path, error) from error
    except Exception as error:  # damaged files raise whatever the reader stumbles upon
        raise _unreadable(path, error) from error


def _check_archive(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name.rpartition("/")[2] for name in archive.namelist()]
    except OSError:
        raise
    except Exception as error:  # damaged directories raise whatever is odd about them first
        raise _unreadable(path, error) from error
    if "constants.pkl" in names:
        raise UnsafeDataError(f"checkpoint {path} is a TorchScript archive, which holds code; {_TRUSTED}")


def _objects(path: Path) -> str:
    """Say what a file holds beside tensors, by name."""
    named: list[str] = []
    try:
        named = sorted(torch.serialization.get_unsafe_globals_in_checkpoint(path))
    except Exception:  # not in older torch, not of older files, and of damaged ones anything
        named = []
    return (
        f"holds pickled objects ({', '.join(named)[:200]})"
        if named
        else "is damaged, or holds pickled objects"
    )


def _state_dict(held: Any, path: Path) -> Mapping[str, Any]:
    if _is_state_dict(held):
        return held  # type: ignore[no-any-return]  # looked at just now
    names = [name for name in _NESTED if isinstance(held, Mapping) and _is_state_dict(held.get(name))]
    if len(names) == 1:
        return held[names[0]]  # type: ignore[no-any-return]  # likewise
    described = f"a {type(held).__name__}"
    if isinstance(held, Mapping):
        described = f"a dict of {', '.join(str(key) for key in list(held)[:8])!r:.200}"
    raise CheckpointError(
        f"checkpoint {path} is {described}; expected a state dict, or one under "
        f"{', '.join(map(repr, _NESTED[:-1]))} or {_NESTED[-1]!r}"
        + (f", not under {' and '.join(map(repr, names))} both" if names else "")
        + ". Open it yourself: load=lambda path: ..."
    )


def _is_state_dict(held: Any) -> bool:
    """Return whether it maps names to tensors; the extra state of a module may be anything."""
    if not isinstance(held, Mapping) or not held or any(not isinstance(key, str) for key in held):
        return False
    values = [value for key, value in held.items() if not key.endswith("_extra_state")]
    return bool(values) and all(isinstance(value, Tensor) for value in values)


def _unreadable(path: Path, error: Exception) -> CheckpointError:
    words = str(error).partition("\n")[0].partition(". ")[0] or type(error).__name__
    return CheckpointError(
        f"checkpoint {path} cannot be read ({words:.200}); it is cut short or damaged. Copy it again, or "
        "leave its step out"
    )
