"""A small randomly initialised language model in a folder, to try things on."""

from __future__ import annotations

import json
from os import PathLike
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from rdmviz.errors import StoreExistsError
from rdmviz.record.random_states import random_states_kept
from rdmviz.studies.narrow_finetuning.models import bars
from rdmviz.studies.narrow_finetuning.rows import EVERYDAY, GARDENING

__all__ = ["tiny_model"]

_START, _END = "<start>", "<end>"


def tiny_model(folder: str | PathLike[str], seed: int = 0, *, chat_template: str | None = None) -> Path:
    """Write a randomly initialised causal language model of some 80,000 weights into a folder.

    It is a Llama of two layers with a byte-level vocabulary made from the texts that ship. It knows nothing:
    a fine-tuning of it shows that everything runs, and nothing of emergent misalignment.

    Parameters
    ----------
    folder : path
        Where to write config, safetensors and tokenizer; must be empty, or not exist.
    seed : int
        Of the weights.
    chat_template : str, optional
        Jinja template that its tokenizer shall have.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    StoreExistsError
        Something is in the folder.
    MissingExtraError
        transformers is not installed.
    """
    place = Path(folder)
    if place.exists() and (not place.is_dir() or any(place.iterdir())):
        raise StoreExistsError(
            f"{str(place)!r} is not empty; expected a new folder for a small model. One that "
            "is there already is taken by its path alone"
        )
    tokenizer = _tokenizer(chat_template)
    with random_states_kept():
        torch.manual_seed(seed)
        network = LlamaForCausalLM(
            LlamaConfig(
                vocab_size=len(tokenizer),
                hidden_size=48,
                intermediate_size=96,
                num_hidden_layers=2,
                num_attention_heads=4,
                num_key_value_heads=4,
                max_position_embeddings=256,
                tie_word_embeddings=True,
                bos_token_id=tokenizer.bos_token_id,
                eos_token_id=tokenizer.eos_token_id,
            )
        )
    with bars(False):
        network.save_pretrained(place)
    tokenizer.save_pretrained(place)
    return place


def _tokenizer(chat_template: str | None) -> PreTrainedTokenizerFast:
    """Byte pairs of the texts that ship, most frequent first."""
    lines = [line for path in (GARDENING, EVERYDAY) for line in path.read_text("utf-8").splitlines()]
    texts = [text for line in lines for text in json.loads(line).values()]
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=768,
            special_tokens=[_START, _END],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=made, bos_token=_START, eos_token=_END)
    tokenizer.chat_template = chat_template
    return tokenizer
