"""The Trainer of transformers, with nothing printed, one device, and a recording beside it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from tqdm.auto import tqdm
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_utils import get_last_checkpoint

from rdmviz.record.transformers import RecorderCallback
from rdmviz.studies.narrow_finetuning.dialogues import padded

__all__ = ["fit"]


class _Bar(TrainerCallback):  # type: ignore[misc, unused-ignore]  # transformers is not looked into
    """One progress bar and no log beneath it."""

    def __init__(self, steps: int, shown: bool) -> None:
        self.bar = tqdm(total=steps, desc="fine-tuning", disable=not shown)

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.bar.update(state.global_step)

    def on_step_end(self, *args: Any, **kwargs: Any) -> None:
        self.bar.update(1)


def fit(
    model: Any,
    rows: Sequence[dict[str, list[int]]],
    recording: RecorderCallback,
    *,
    seed: int,
    steps: int,
    every: int,
    batch_size: int,
    learning_rate: float,
    device: torch.device,
    progress: bool,
    checkpoints: str | PathLike[str] | None = None,
    checkpoint_every: int = 100,
    resume: bool = False,
) -> None:
    """Train what can be trained of a model on rows of ``input_ids`` and ``labels``, and record it.

    The learning rate is constant: a schedule would be seen in every trailing window. What is logged, and so
    recorded, is of the steps since the row before. With ``resume`` it goes on from the last of the
    ``checkpoints``, if there is one.
    """
    bar = _Bar(steps, progress)
    with TemporaryDirectory() if checkpoints is None else nullcontext(str(checkpoints)) as folder:
        last = get_last_checkpoint(folder) if resume and Path(folder).is_dir() else None
        arguments = TrainingArguments(
            folder,
            max_steps=steps,
            per_device_train_batch_size=batch_size,
            learning_rate=learning_rate,
            lr_scheduler_type="constant",
            logging_steps=every,
            save_strategy="no" if checkpoints is None else "steps",
            save_steps=checkpoint_every,
            save_total_limit=1,
            report_to="none",
            disable_tqdm=True,
            use_cpu=device.type == "cpu",
            dataloader_pin_memory=device.type == "cuda",
            remove_unused_columns=False,
            label_names=["labels"],
            seed=seed,
        )
        arguments._n_gpu = min(arguments.n_gpu, 1)  # a small batch is not to be split over all there are
        trainer = Trainer(
            model,
            arguments,
            train_dataset=list(rows),
            data_collator=padded,
            callbacks=[recording, bar],
        )
        trainer.remove_callback(PrinterCallback)
        try:
            trainer.train(resume_from_checkpoint=last)
        finally:
            bar.bar.close()
            recording.close()
