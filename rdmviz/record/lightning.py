"""Recording a training of Lightning: one more callback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from typing import Any

from torch import nn

from rdmviz.errors import MissingExtraError, OptionError
from rdmviz.record.trainer import TrainerRecording, numbers_of
from rdmviz.run import TrainingRun

try:
    from lightning.pytorch import Callback
except ImportError:
    try:
        from pytorch_lightning import Callback
    except ImportError as error:
        raise MissingExtraError(
            'recording a training of Lightning needs it: pip install "rdmviz[lightning]"'
        ) from error

__all__ = ["RecorderCallback"]


class RecorderCallback(Callback):  # type: ignore[misc, unused-ignore]  # Lightning is not looked into
    """Records the loss of every probe datapoint while Lightning trains.

    ::

        Trainer(callbacks=[RecorderCallback("run.rdmviz", (inputs, targets), every=10)])

    A row is the model before the first step, or after as many optimiser steps as ``trainer.global_step``
    says, with the numbers in ``trainer.callback_metrics`` of that step. The module is called as in training,
    under the trainer's precision and with inputs that its precision plugin converts; hooks that move or
    change a batch are not called. Several ranks share the probe out, and rank 0 writes. A
    ``fast_dev_run`` records in memory.

    The run is closed when the training ends or fails, and goes on where the trainer goes on: with another
    ``fit``, or from a checkpoint that holds the state of this callback: of one with the same path and name.
    The rows are written before each checkpoint is, so that a run is never behind it.

    Parameters
    ----------
    path, probe, options
        As for :class:`rdmviz.Recorder`, with the choice ``drop_after="checkpoint"``: drop the rows after the
        step of the checkpoint that the training goes on from.
    submodule : str
        Name of the part of the LightningModule that is called with the probe's inputs, where the
        LightningModule itself has no ``forward``.

    Raises
    ------
    OptionError
        There is no probe. Everything else is told when the training starts, by ``trainer.fit``: what
        :class:`rdmviz.Recorder` raises; ``OptionError`` for a module that cannot be called; ``StepsError``
        for a run with rows after the step that the training starts at.
    """

    def __init__(
        self, path: str | PathLike[str] | None, probe: Any, *, submodule: str = "", **options: Any
    ) -> None:
        self._submodule = submodule
        self._names = {"path": None if path is None else str(path), "name": options.get("name", "")}
        self._kept = self._recording = TrainerRecording(path, probe, **options)
        self._recorded_up_to: int | None = None

    @property
    def state_key(self) -> str:
        """Tell this callback from others that record the same training, with probes of their own."""
        key: str = self._generate_state_key(**self._names)
        return key

    @property
    def run(self) -> TrainingRun:
        """Everything recorded so far, on the rank that writes."""
        return self._recording.run

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Open the run, and record the model before the first step."""
        self._model(pl_module)
        self._recording = self._kept.rehearsal() if trainer.fast_dev_run else self._kept
        step = trainer.global_step
        self._recording.begin(step, resumed=step > 0 and self._recorded_up_to is not None)
        self._record(trainer, pl_module)

    def on_train_batch_end(self, trainer: Any, pl_module: Any, *args: Any, **kwargs: Any) -> None:
        """Record the step, if the batch brought one and it is due."""
        self._record(trainer, pl_module)

    def on_save_checkpoint(self, trainer: Any, pl_module: Any, checkpoint: Any) -> None:
        """Write the rows that the checkpoint will say are there."""
        self._recording.flush()

    def state_dict(self) -> dict[str, Any]:
        """Return the step of the last row."""
        last = self._recording.last_step
        return {} if last is None else {"last_step": last}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Learn that the training to come was recorded up to here."""
        self._recorded_up_to = state_dict.get("last_step")

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """Close the run: what was recorded before a failure is what one wants to look at."""
        self._recording.end()

    def teardown(self, trainer: Any, pl_module: Any, stage: str) -> None:
        """Close the run."""
        self._recording.end()

    def _record(self, trainer: Any, pl_module: Any) -> None:
        model, precision = self._model(pl_module), trainer.precision_plugin
        with precision.forward_context(), _converted(model, precision.convert_input):
            self._recording.record(trainer.global_step, model, lambda: numbers_of(trainer.callback_metrics))

    def _model(self, pl_module: Any) -> nn.Module:
        model: nn.Module = pl_module.get_submodule(self._submodule)
        if model is pl_module and "forward" not in vars(model) and _has_no_forward(type(model)):
            names = [name for name, _ in pl_module.named_children()]
            raise OptionError(
                f"{type(model).__name__} has no forward; give it one that takes the probe's inputs, or name "
                f"the part to call: submodule='...', one of {names}"
            )
        return model


def _has_no_forward(kind: type) -> bool:
    owner = next((base for base in kind.__mro__ if "forward" in vars(base)), nn.Module)
    return owner is nn.Module or owner.__name__ == "LightningModule"


@contextmanager
def _converted(model: nn.Module, convert: Any) -> Iterator[None]:
    """Let a model's inputs be of the precision that the trainer converts a batch to."""
    hook = model.register_forward_pre_hook(
        lambda _, args, kwargs: (convert(args), convert(kwargs)), with_kwargs=True, prepend=True
    )
    try:
        yield
    finally:
        hook.remove()
