"""``rdmviz finetune``: narrow fine-tuning of a causal language model, recorded."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from rdmviz.cli.screen import printable

__all__ = ["add_finetune"]

_PASSED_ON = (
    "seed", "model", "data", "probe", "steps", "every", "learning_rate", "batch_size", "max_length",
    "lora_rank", "lora_alpha", "target_modules", "chat", "probe_batch_size", "device", "threads", "dtype",
    "adapter", "checkpoints", "checkpoint_every", "resume", "out", "overwrite",
)  # fmt: skip


def add_finetune(commands: Any) -> None:
    """Add the command to a parser."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "finetune",
        help="fine-tune a language model on narrow data and record what spreads",
        description="Fine-tune low-rank adapters of a causal language model on bad advice in one domain, and "
        "record the losses of good and bad answers in others. Without --data and --probe it takes the small "
        "sets that ship: silly advice on gardening, and questions on everyday matters.",
        argument_default=argparse.SUPPRESS,  # the defaults are those of the study
    )
    parser.add_argument(
        "--model", required=True, metavar="DIR|NAME", help="folder of a model, or its name on the Hub"
    )
    parser.add_argument(
        "--tiny",
        action="store_true",
        help="first write a small randomly initialised model into the folder: it shows that everything runs, "
        "and knows nothing",
    )
    parser.add_argument(
        "--out", required=True, metavar="PATH", help="where the run is stored; must not exist yet"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace a run that is there")
    parser.add_argument("--adapter", metavar="DIR", help="where to keep the trained adapters")
    parser.add_argument("--checkpoints", metavar="DIR", help="where to keep the last checkpoint")
    parser.add_argument("--checkpoint-every", type=int, metavar="N", help="steps between two (default 100)")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint, in the run at PATH")
    told = parser.add_argument_group("what is trained on, and what is watched")
    told.add_argument("--data", metavar="FILE", help='JSONL of {"prompt", "answer"} or {"messages"}')
    told.add_argument(
        "--probe", metavar="FILE", help='JSONL of {"question", "domain", "aligned", "misaligned"}'
    )
    told.add_argument(
        "--control",
        choices=["aligned", "random_wrong"],
        help="train on good answers, or on those of other rows",
    )
    told.add_argument(
        "--max-length", type=int, metavar="N", help="tokens of an example at most (default 512)"
    )
    told.add_argument(
        "--plain", dest="chat", action="store_false", help="leave the tokenizer's chat template aside"
    )
    how = parser.add_argument_group("how it is trained")
    for name, kind, what in (
        ("--steps", int, "optimiser steps (default 200)"),
        ("--every", int, "record every so many steps (default 1)"),
        ("--learning-rate", float, "of AdamW, constant (default 1e-4)"),
        ("--batch-size", int, "examples per step (default 8)"),
        ("--lora-rank", int, "rank of the adapters (default 8)"),
        ("--lora-alpha", float, "their scale, times the rank (default 16)"),
        ("--probe-batch-size", int, "answers of the probe that go through the model at once (default 16)"),
        ("--threads", int, "of torch on a CPU (default 1)"),
        ("--seed", int, "of the adapters and the batches (default 0)"),
    ):
        how.add_argument(name, type=kind, metavar="N" if kind is int else "X", help=what)
    how.add_argument(
        "--target-modules", nargs="+", metavar="NAME", help="layers with adapters (default: all linear ones)"
    )
    how.add_argument("--device", help="cpu, cuda or mps (default: a GPU, if there is one)")
    how.add_argument("--dtype", help="of the model's weights: float32 (default) or bfloat16")
    parser.set_defaults(run=_finetune)


def _finetune(options: argparse.Namespace) -> int:
    from rdmviz.studies import narrow_finetuning as study  # torch: only for those who train

    given = {name: getattr(options, name) for name in _PASSED_ON if hasattr(options, name)}
    if hasattr(options, "tiny"):
        study.tiny_model(options.model)
    if hasattr(options, "control"):
        given |= study.CONTROLS[options.control]
    out = printable(options.out)
    try:
        run = study.train(**given, progress=True)
    except KeyboardInterrupt:
        print(f"rdmviz: interrupted; what was recorded by then, if anything, is in {out}", file=sys.stderr)
        return 130
    trained, weights = run.attrs["weights_trained"], run.attrs["weights"]
    print(f"Recorded {run.n_steps:,} rows of {run.n_samples:,} answers in {out}")
    print(f"Trained {trained:,} of {weights:,} weights on {run.attrs['examples']:,} examples")
    if study.knows_nothing(run):
        print("The model knew nothing to begin with (its losses are those of chance): this shows that")
        print("everything runs, and nothing of emergent misalignment")
    else:
        print(study.transition(run))
    print(f"Open it with: rdmviz.explore(rdmviz.open_run({options.out!r}))")
    return 0
