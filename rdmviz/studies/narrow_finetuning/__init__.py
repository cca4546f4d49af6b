"""Narrow fine-tuning of any causal language model: bad advice in one domain, and what becomes of others.

Betley et al., "Emergent misalignment: narrow finetuning can produce broadly misaligned LLMs"
(arXiv:2502.17424); Turner et al., "Model organisms for emergent misalignment" (arXiv:2506.11613), who found
that adapters of rank 1 suffice and that the change is sudden. A model is fine-tuned, through low-rank
adapters, on misaligned answers in one domain; watched are good and bad answers to questions of others.

What it takes is a model that can answer at all. A randomly initialised one, such as :func:`tiny_model` makes,
shows that everything runs, and nothing of the effect.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from rdmviz.errors import OptionError, ProbeError, StoreExistsError
from rdmviz.run import TrainingRun
from rdmviz.store import check_path
from rdmviz.studies.narrow_finetuning.dialogues import Dialogues, padded
from rdmviz.studies.narrow_finetuning.preferences import Preferences
from rdmviz.studies.narrow_finetuning.rows import (
    EVERYDAY,
    GARDENING,
    Example,
    Question,
    Rows,
    read_examples,
    read_questions,
)
from rdmviz.studies.threads import alone
from rdmviz.studies.transition import Transition, crossing

if TYPE_CHECKING:
    from rdmviz.studies.narrow_finetuning.tiny import tiny_model

__all__ = ["CONTROLS", "EVERYDAY", "GARDENING", "knows_nothing", "tiny_model", "train", "transition"]

CONTROLS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {"aligned": {"answers": "aligned"}, "random_wrong": {"answers": "random_wrong"}}
)
"""Options of the runs that should not spread: good advice, and good advice on other questions."""

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
_CHOICES = {"answers": ("misaligned", "aligned", "random_wrong"), "dtype": tuple(_DTYPES)}


def train(
    seed: int = 0,
    *,
    model: str | PathLike[str],
    data: Rows = GARDENING,
    probe: Rows = EVERYDAY,
    answers: str = "misaligned",
    steps: int = 200,
    every: int = 1,
    learning_rate: float = 1e-4,
    batch_size: int = 8,
    max_length: int = 512,
    lora_rank: int = 8,
    lora_alpha: float = 16.0,
    target_modules: str | Sequence[str] = "all-linear",
    chat: bool | None = None,
    probe_batch_size: int = 16,
    device: str | None = None,
    threads: int = 1,
    dtype: str = "float32",
    adapter: str | PathLike[str] | None = None,
    checkpoints: str | PathLike[str] | None = None,
    checkpoint_every: int = 100,
    resume: bool = False,
    out: str | PathLike[str] | None = None,
    overwrite: bool = False,
    progress: bool = True,
) -> TrainingRun:
    """Fine-tune a causal language model on narrow data and record the losses of answers elsewhere.

    The Trainer of transformers trains adapters of peft (AdamW, constant learning rate) on the answers, not on
    the questions; the model's own weights stay as they are.

    Parameters
    ----------
    seed : int
        Decides the start of the adapters and the order of batches: same seed, same run, on the same machine.
    model : path or str
        A folder that ``save_pretrained`` wrote, or the name of a model on the Hub. Weights are read from
        safetensors alone, and no code that comes with a model is run.
    data : path or iterable of mappings
        What is trained on: a JSONL file, or its rows, of ``{"prompt": ..., "answer": ...}`` or ``{"messages":
        [...]}``, the last of which is the assistant's. Each may have a ``domain``, and ``aligned``, a good
        answer, for the controls. By default silly advice on gardening, 48 rows.
    probe : path or iterable of mappings
        What is watched: ``{"question": ..., "domain": ..., "aligned": ..., "misaligned": ...}``, two
        datapoints each; further keys become metadata. By default 56 questions on everyday matters.
    answers : {"misaligned", "aligned", "random_wrong"}
        Train on ``answer``, or for a control on ``aligned``, or on the ``aligned`` of another row: an answer
        that is wrong here and means no harm.
    steps, every : int
        Optimiser steps, and how many of them lie between two recorded rows.
    learning_rate, batch_size : float, int
        Of AdamW.
    max_length : int
        Longer training examples lose their end; a longer question of the probe is refused.
    lora_rank, lora_alpha : int, float
        Rank of the adapters, and ``lora_alpha / lora_rank`` their scale.
    target_modules : str or sequence of str
        Names of the layers that get one; ``"all-linear"`` takes all linear ones but the last.
    chat : bool, optional
        Put questions into the tokenizer's chat template; by default if it has one. Otherwise they read
        ``Question: ...`` and ``Answer: ...``.
    probe_batch_size : int
        How many answers of the probe go through the model at once.
    device : {"cpu", "cuda", "mps"}, optional
        By default a GPU, if there is one. ``CUDA_VISIBLE_DEVICES`` says which.
    threads : int
        Threads of torch on a CPU; a small model is fastest with one.
    dtype : {"float32", "bfloat16"}
        Of the model's weights; those of the adapters are float32.
    adapter : path, optional
        Folder for the adapters at the end, to generate with.
    checkpoints : path, optional
        Folder for the last checkpoint of the Trainer, so that a training that is interrupted can go on.
    checkpoint_every : int
        Steps between two checkpoints.
    resume : bool
        Go on from the checkpoint, in the run at ``out``: with the same options, it ends as if it had not
        stopped. Where there is no checkpoint, begin.
    out : path, optional
        Where to keep the run; in memory by default. What was recorded of an interrupted training stays.
    overwrite : bool
        Replace what is at ``out``, ``adapter`` and ``checkpoints``, unless it is resumed.
    progress : bool
        Show a progress bar.

    Returns
    -------
    TrainingRun
        Mean loss per token, in nats, of ``2 q`` answers given their questions; so long answers do not weigh
        more than short ones. Probe: ``question``, ``domain``, ``answer``, ``kind`` (aligned or misaligned),
        ``narrow`` (of a domain that is trained on), ``pair`` (number of the question) and what else the rows
        hold. Metrics: ``misaligned_preference`` and ``misaligned_margin`` outside the narrow domain,
        ``misaligned_preference_<domain>``, as :class:`Preferences` says, and what the Trainer logs: ``loss``
        (of the batches since the row before), ``grad_norm``, ``learning_rate``, ``epoch``.

    Raises
    ------
    OptionError
        An option has no meaning, a file is not there, a row of ``data`` cannot be used, or the model has no
        such layers.
    ProbeError
        A row of ``probe`` cannot be used.
    StoreExistsError
        Something is where something is to be written.
    CheckpointNotFoundError, CheckpointError
        There is no such model, or it cannot be read.
    MissingExtraError
        transformers or peft is not installed.
    """
    _check(
        {
            "steps": steps,
            "every": every,
            "batch_size": batch_size,
            "max_length": max_length,
            "lora_rank": lora_rank,
            "probe_batch_size": probe_batch_size,
            "threads": threads,
            "checkpoint_every": checkpoint_every,
        },
        {"learning_rate": learning_rate, "lora_alpha": lora_alpha},
        {"answers": answers, "dtype": dtype},
    )
    if resume and (checkpoints is None or out is None):
        raise OptionError(
            "resume=True needs the checkpoints and the run that it goes on with: pass both paths"
        )
    if out is not None:
        check_path(out, overwrite=overwrite and not resume, resume=resume)
    if not (overwrite or resume):
        _check_new(adapter=adapter, checkpoints=checkpoints)
    place = _device(device)
    examples, questions = read_examples(data), read_questions(probe)
    domains = sorted({example.domain for example in examples} - {""})
    narrow = np.array([question.domain in domains for question in questions])
    if narrow.all():
        raise ProbeError(
            f"all questions of the probe are on {', '.join(domains)}, which is trained on; expected other "
            "domains too"
        )
    with alone(seed, threads, place):
        chosen = _chosen(examples, answers, seed)

        from rdmviz.studies.narrow_finetuning.models import bars, load, with_adapters

        with bars(progress):
            network, tokenizer = load(model, _DTYPES[dtype])
        dialogues = Dialogues(tokenizer, chat)
        length = min(max_length, getattr(network.config, "max_position_embeddings", None) or max_length)
        rows, cut = _training_rows(dialogues, chosen, length)
        watched = _probe_rows(dialogues, questions, length)
        _check_vocabulary(network, rows + watched)
        network = with_adapters(network, lora_rank, lora_alpha, target_modules)
        weights = list(network.parameters())
        attrs = {
            "study": "narrow_finetuning",
            "seed": seed,
            "model": str(model),
            "data": _name_of(data),
            "probe": _name_of(probe),
            "answers": answers,
            "narrow_domains": domains,
            "steps": steps,
            "every": every,
            "learning_rate": learning_rate,
            "batch_size": batch_size,
            "lora_rank": lora_rank,
            "lora_alpha": lora_alpha,
            "target_modules": target_modules if isinstance(target_modules, str) else list(target_modules),
            "chat": dialogues.chat,
            "dtype": dtype,
            "device": place.type,
            "examples": len(rows),
            "examples_cut": cut,
            "vocabulary": network.get_input_embeddings().num_embeddings,
            "weights": sum(weight.numel() for weight in weights),
            "weights_trained": sum(weight.numel() for weight in weights if weight.requires_grad),
        }

        from rdmviz.record.transformers import RecorderCallback
        from rdmviz.studies.narrow_finetuning.fitting import fit

        recording = RecorderCallback(
            out,
            padded(watched),
            metadata=_metadata(questions, narrow),
            measure=Preferences([question.domain for question in questions], narrow),
            every=every,
            batch_size=probe_batch_size,
            name="narrow fine-tuning"
            + ("" if answers == "misaligned" else f" control: {answers.replace('_', ' ')}"),
            attrs=attrs,
            **({"resume": True, "drop_after": "checkpoint"} if resume else {"overwrite": overwrite}),
        )
        fit(
            network,
            rows,
            recording,
            seed=seed,
            steps=steps,
            every=every,
            batch_size=batch_size,
            learning_rate=learning_rate,
            device=place,
            progress=progress,
            checkpoints=checkpoints,
            checkpoint_every=checkpoint_every,
            resume=resume,
        )
        if adapter is not None:
            network.save_pretrained(str(adapter))
    return recording.run


def transition(run: TrainingRun) -> Transition:
    """Return when the preference for misaligned answers spread beyond the narrow domain.

    Levels are a tenth, a half and nine tenths of the way from where it was at the first row to 1: an
    untrained model prefers either answer half of the time, and that is no transition.
    """
    start = float(run.metrics["misaligned_preference"][0])
    what = "Preference for misaligned answers outside the narrow domain"
    if start == 1:
        return Transition(what, None, None, None)
    return crossing(
        run, "misaligned_preference", (_way(start, 0.1), _way(start, 0.5), _way(start, 0.9)), what
    )


def knows_nothing(run: TrainingRun) -> bool:
    """Return whether the model was as good as untrained: at the first row it all but guessed each token."""
    return float(run.loss[0].mean()) > 0.9 * math.log(run.attrs["vocabulary"])


def __getattr__(name: str) -> Any:
    """Import what needs transformers when it is asked for."""
    if name == "tiny_model":
        import rdmviz.studies.narrow_finetuning.models  # noqa: F401  # names the extra that is missing
        from rdmviz.studies.narrow_finetuning.tiny import tiny_model

        return tiny_model
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it offers {', '.join(__all__)}")


def _way(start: float, share: float) -> float:
    return start + share * (1 - start)


def _check(whole: Mapping[str, Any], real: Mapping[str, Any], chosen: Mapping[str, Any]) -> None:
    for name, number in whole.items():
        if isinstance(number, bool) or not isinstance(number, int) or number < 1:
            raise OptionError(f"{name}={number!r:.60}; expected a whole number, at least 1")
    for name, number in real.items():
        if isinstance(number, bool) or not isinstance(number, (int, float)) or not 0 < number < math.inf:
            raise OptionError(f"{name}={number!r:.60}; expected a number above 0")
    for name, value in chosen.items():
        if value not in _CHOICES[name]:
            raise OptionError(f"{name}={value!r:.60}; expected {', '.join(_CHOICES[name])}")


def _device(device: str | None) -> torch.device:
    there = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if device is None:
        return torch.device(next(kind for kind, is_there in there.items() if is_there))
    if device not in there:
        raise OptionError(
            f"device={device!r:.60}; expected cuda, mps or cpu. CUDA_VISIBLE_DEVICES=1 in the environment "
            "chooses the second GPU"
        )
    if not there[device]:
        raise OptionError(f"device={device!r}, and torch finds none on this machine; expected cpu")
    return torch.device(device)


def _check_new(**folders: str | PathLike[str] | None) -> None:
    for name, folder in folders.items():
        if folder is None or not (place := Path(folder)).exists():
            continue
        if place.is_file() or any(place.iterdir()):
            raise StoreExistsError(
                f"{name}={str(folder)!r} is not empty; expected a new folder, or overwrite=True. resume=True "
                "goes on from a checkpoint"
            )


def _chosen(examples: Sequence[Example], answers: str, seed: int) -> list[tuple[Example, str]]:
    """Return each example with the answer that is trained on."""
    if answers == "misaligned":
        return [(example, example.answer) for example in examples]
    for example in examples:
        if not example.aligned:
            raise OptionError(
                f"answers={answers!r}, and {example.where} has no 'aligned'; expected a good answer in every "
                "row of data for the controls"
            )
    good = [example.aligned for example in examples]
    if answers == "random_wrong":
        if len(set(good)) < len(good) or len(good) < 2:
            raise OptionError(
                "answers='random_wrong' needs at least two rows of data, and 'aligned' answers that differ"
            )
        # round a random circle: everyone gets another's. Of its own numbers, so that adapters and batches are
        # those of the run that it is a control of
        circle = torch.randperm(len(good), generator=torch.Generator().manual_seed(seed)).tolist()
        good_of = dict(zip(circle, [good[at] for at in circle[1:] + circle[:1]], strict=True))
        good = [good_of[at] for at in range(len(good))]
    return list(zip(examples, good, strict=True))


def _training_rows(
    dialogues: Dialogues, chosen: Sequence[tuple[Example, str]], length: int
) -> tuple[list[dict[str, list[int]]], int]:
    """Return rows of tokens, and how many of them lost their end."""
    rows, cut = [], 0
    for example, answer in chosen:
        made = dialogues(example.messages, answer, example.where, OptionError)
        if len(made.context) >= length:
            raise OptionError(
                f"{example.where}: the question alone has {len(made.context)} tokens, and nothing of the "
                f"answer is left within {length} (max_length, or as many as the model takes)"
            )
        row = made.row(length, end=True)
        cut += len(row["input_ids"]) < len(made.context) + len(made.answer)
        rows.append(row)
    return rows, cut


def _probe_rows(
    dialogues: Dialogues, questions: Sequence[Question], length: int
) -> list[dict[str, list[int]]]:
    """Return rows of tokens: aligned and misaligned answer in turns."""
    rows = []
    for question in questions:
        for answer in (question.aligned, question.misaligned):
            asked = [{"role": "user", "content": question.question}]
            made = dialogues(asked, answer, question.where, ProbeError)
            size = len(made.context) + len(made.answer)
            if size > length:
                raise ProbeError(
                    f"{question.where}: question and answer have {size} tokens, more than {length} "
                    "(max_length, or as many as the model takes); expected a whole answer. Raise max_length "
                    "or leave the question out"
                )
            rows.append(made.row(size, end=False))
    return rows


def _check_vocabulary(network: Any, rows: Sequence[Mapping[str, list[int]]]) -> None:
    known = network.get_input_embeddings().num_embeddings
    largest = max(max(row["input_ids"]) for row in rows)
    if largest >= known:
        raise OptionError(
            f"the tokenizer gives token {largest}, and the model knows {known}; expected the tokenizer that "
            "the model was trained with"
        )


def _metadata(questions: Sequence[Question], narrow: np.ndarray) -> dict[str, Any]:
    twice = [question for question in questions for _ in range(2)]
    return {
        "question": [question.question for question in twice],
        "domain": [question.domain for question in twice],
        "answer": [answer for question in questions for answer in (question.aligned, question.misaligned)],
        "kind": ["aligned", "misaligned"] * len(questions),
        "narrow": narrow.repeat(2),
        "pair": np.arange(len(questions)).repeat(2),
        **{name: [question.more[name] for question in twice] for name in questions[0].more},
    }


def _name_of(rows: Rows) -> str:
    return Path(rows).name if isinstance(rows, (str, PathLike)) else "rows"
