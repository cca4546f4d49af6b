"""A causal language model from a folder or the Hub, and the low-rank adapters that are trained on it."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from torch import nn

from rdmviz.errors import CheckpointError, CheckpointNotFoundError, MissingExtraError, OptionError

try:
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging
except ImportError as error:
    raise MissingExtraError(
        f'narrow fine-tuning needs transformers and peft ({error}): pip install "rdmviz[finetuning]"'
    ) from error

__all__ = ["bars", "load", "with_adapters"]


@contextmanager
def bars(shown: bool) -> Iterator[None]:
    """Show the progress bars of transformers inside a ``with``, or do not."""
    before = logging.is_progress_bar_enabled()
    (logging.enable_progress_bar if shown else logging.disable_progress_bar)()
    try:
        yield
    finally:
        (logging.enable_progress_bar if before else logging.disable_progress_bar)()


def load(model: str | PathLike[str], dtype: torch.dtype) -> tuple[Any, Any]:
    """Return a causal language model and its tokenizer.

    Weights are read from safetensors alone, and no code that comes with a model is run.

    Parameters
    ----------
    model : path or str
        A folder, or the name of a model on the Hub.
    dtype
        Of the weights.

    Raises
    ------
    CheckpointNotFoundError
        There is no such folder, and the Hub does not give a model of that name.
    CheckpointError
        What is there is not a whole causal language model in safetensors.
    """
    name, folder = str(model), Path(model)
    if folder.is_dir():
        _check_folder(folder)
    elif folder.exists():
        raise CheckpointError(f"model={name!r} is a file; expected the folder that holds it and config.json")
    options: dict[str, Any] = {"trust_remote_code": False}
    try:
        tokenizer = AutoTokenizer.from_pretrained(name, **options)
        network, info = AutoModelForCausalLM.from_pretrained(
            name, use_safetensors=True, dtype=dtype, output_loading_info=True, **options
        )
    except Exception as failed:  # several parsers are at work, and each fails in its own way
        told = " ".join(str(failed).split())[:300]
        if folder.is_dir():
            raise CheckpointError(
                f"model={name!r} cannot be read ({told}); expected what save_pretrained writes of a causal "
                "language model and of its tokenizer, in safetensors"
            ) from failed
        raise CheckpointNotFoundError(
            f"model={name!r} is no folder here, and the Hub gives no such model that can be used ({told}). "
            "Expected a folder with config.json, safetensors and a tokenizer, or a name such as "
            "Qwen/Qwen2.5-0.5B-Instruct and a connection to the Hub"
        ) from failed
    if missing := sorted(info["missing_keys"]):  # they would be random, and only a log would tell
        raise CheckpointError(
            f"model={name!r} lacks {len(missing)} of its weights, such as {missing[0]}; expected all of them"
        )
    if getattr(network, "_hf_peft_config_loaded", False):
        raise CheckpointError(_ADAPTERS.format(name))
    network.config.use_cache = False  # nothing is generated
    return network, tokenizer


_ADAPTERS = "model={!r} holds adapters of another model; expected a whole one. Merge them first"


def _check_folder(folder: Path) -> None:
    if (folder / "adapter_config.json").exists():
        raise CheckpointError(_ADAPTERS.format(str(folder)))
    if not (folder / "config.json").exists():
        raise CheckpointError(
            f"model={str(folder)!r} has no config.json; expected what save_pretrained writes"
        )
    if not any(folder.glob("*.safetensors")):
        raise CheckpointError(
            f"model={str(folder)!r} has no weights in safetensors, and nothing else is read. Save it anew: "
            "model.save_pretrained(folder)"
        )


def with_adapters(model: Any, rank: int, alpha: float, target_modules: str | Sequence[str]) -> Any:
    """Return the model with low-rank adapters, which alone can be trained.

    Parameters
    ----------
    model
        Its weights stay as they are.
    rank, alpha
        Of the adapters: ``alpha / rank`` times the product of their two matrices is added. The second one
        starts at zero, so at step 0 the model is what it was.
    target_modules
        Names of layers that get one, or ``"all-linear"``: all but the last.

    Raises
    ------
    OptionError
        There is no such layer, or it cannot have one.
    """
    chosen: Any = target_modules
    if chosen != "all-linear":
        chosen = [chosen] if isinstance(chosen, str) else list(chosen)
        _check_there(model, chosen)
    config = LoraConfig(
        r=rank, lora_alpha=alpha, target_modules=chosen, lora_dropout=0.0, bias="none", task_type="CAUSAL_LM"
    )
    try:
        with warnings.catch_warnings():
            # of GPT-2, whose weights lie the other way; peft turns them by itself
            warnings.filterwarnings("ignore", message="fan_in_fan_out is set to False")
            # between peft and transformers
            warnings.filterwarnings("ignore", message=".*is deprecated", category=FutureWarning)
            return get_peft_model(model, config)
    except ValueError as failed:
        told = " ".join(str(failed).split())[:300]
        raise OptionError(f"target_modules={target_modules!r:.100}: {told}") from failed


def _check_there(model: nn.Module, names: Sequence[str]) -> None:
    modules = [name for name, _ in model.named_modules() if name]
    ends = {end for name in modules for end in _ends(name)}
    if not names or (unknown := [name for name in names if name not in ends]):
        linear = (name for name, layer in model.named_modules() if _takes_adapters(layer))
        there = sorted({name.rpartition(".")[2] for name in linear})
        raise OptionError(
            f"target_modules has {', '.join(map(repr, unknown)) if names else 'no names'}; "
            f"{type(model).__name__} has layers {', '.join(there)}. 'all-linear' takes all but the last"
        )


def _ends(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[start:]) for start in range(len(parts))]


def _takes_adapters(layer: nn.Module) -> bool:
    return isinstance(layer, nn.Linear) or type(layer).__name__ == "Conv1D"
