"""A run recorded after the fact, from the checkpoints that a training left."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from rdmviz.errors import OptionError, StepsError, StoreExistsError
from rdmviz.record.checkpoint_models import Load, opened_by
from rdmviz.record.checkpoint_steps import by_step, few
from rdmviz.record.checkpoint_tasks import Evaluation, checked_client, in_order
from rdmviz.record.nan_losses import NanTold, check_first_row
from rdmviz.record.probe import LossFn, as_probe, facts_of
from rdmviz.record.recorder import Recorder
from rdmviz.run import TrainingRun
from rdmviz.store import RunStore
from rdmviz.store.places import at
from rdmviz.store.resuming import kept_at

__all__ = ["record_checkpoints"]

_FACTS = "checkpoints"


def record_checkpoints(
    checkpoints: Any,
    load: Load,
    probe: Any,
    path: str | PathLike[str] | None,
    client: Any = None,
    *,
    loss_fn: LossFn | None = None,
    per: str = "sequence",
    metadata: Any = None,
    batch_size: int | None = None,
    dtype: Any = np.float32,
    name: str = "",
    attrs: Mapping[str, Any] | None = None,
    overwrite: bool = False,
    resume: bool = False,
    progress: bool = True,
) -> TrainingRun:
    """Record the losses of a probe over checkpoints that are on disk, one row for each.

    ::

        run = record_checkpoints("runs/seed0", lambda: Net(width=64), (inputs, targets), "seed0.rdmviz")

    Each checkpoint is evaluated as a :class:`rdmviz.Recorder` evaluates a model, and its row is written as
    soon as those before it are. What is recorded stays when a checkpoint fails or the process is killed; with
    ``resume=True`` the same call goes on from there.

    Parameters
    ----------
    checkpoints : path, str, iterable of paths, or mapping
        A folder of checkpoints; a glob such as ``"runs/*/step*.pt"``; paths; or a mapping from training step
        to path, or to whatever ``load`` opens, such as :func:`rdmviz.record.hub_revisions` gives. A
        checkpoint is a file (``.pt .pth .bin .ckpt .safetensors``), or a folder with one, or with a model as
        ``save_pretrained`` writes it, in shards or not. Without a mapping its name tells the step:
        ``checkpoint-500``, ``step1000.pt``, ``epoch=2-step=1000.ckpt``, ``model_000500.pt``; or the epoch, if
        no name tells a step.
    load : Module or callable
        One of three.

        - A model that the weights fit. It is copied, and stays as it is.
        - A callable without arguments that makes such a model, ``load()``.
        - A callable ``load(checkpoint)`` that opens a path (or what the mapping has) as a model with its
          weights: ``AutoModelForCausalLM.from_pretrained``. What can be called without arguments is taken
          for the second, unless it takes any number of them.

        In the first two cases the weights are read here: never unpickled, from the state dict that the file
        is or that it holds under ``state_dict``, ``model_state_dict``, ``model`` or ``module``, and they have
        to fit exactly.
    probe, loss_fn, per, metadata, batch_size, dtype
        As for :class:`rdmviz.Recorder`.
    path : path, URL or None
        Where to write the run, as for :class:`rdmviz.Recorder`.
    client : dask.distributed.Client, optional
        Evaluate on its workers, which have to see the same files: one checkpoint at a time on each, and one
        more that waits there. A worker that dies costs what it was at. With as many threads of torch on each
        as here the losses are those that would be computed here, bit for bit.
    name, attrs
        As in :meth:`rdmviz.TrainingRun.from_arrays`.
    overwrite : bool
        Replace a run at ``path``.
    resume : bool
        Go on with the recording at ``path``, if there is one: checkpoints up to its last row are not
        evaluated again.
    progress : bool
        Show a progress bar with the time that is left.

    Returns
    -------
    TrainingRun
        One row per checkpoint; ``attrs["checkpoints"]`` tells this recording from others.

    Raises
    ------
    CheckpointNotFoundError
        There are no checkpoints, or one has vanished.
    CheckpointError
        One cannot be read, or does not fit the model: the message names what is missing or unexpected.
    UnsafeDataError
        One holds pickled objects.
    StepsError
        A name tells no step, or several; two checkpoints have one step; or, with ``resume``, one lies before
        the last row of the run and is not in it.
    StoreExistsError
        Something is at ``path``; or, with ``resume``, another recording is.
    NonFiniteLossError
        A loss is NaN at the first checkpoint.
    OptionError, LossShapeError, ProbeError
        As for :class:`rdmviz.Recorder`.
    MissingExtraError
        safetensors or huggingface_hub is needed and not installed.
    """
    if overwrite and resume:
        raise OptionError("overwrite=True and resume=True; expected one of them: begin anew, or go on")
    checked_client(client)
    found = by_step(checkpoints)
    made = as_probe(probe, loss_fn, per)
    evaluation = Evaluation(opened_by(load), made, batch_size)
    facts = {_FACTS: facts_of(made, loss_fn, per)}
    recorded = _recorded(path, facts[_FACTS]) if resume else None
    left = _left(found, recorded)
    recorder = Recorder(
        path,
        metadata=made.columns(metadata) if recorded is None or metadata is not None else None,
        batch_size=batch_size,
        dtype=dtype,
        name=name,
        attrs={**(attrs or {}), **facts},
        overwrite=overwrite,
        resume=resume,
        distributed=False,
    )
    if not left:
        return recorder.close()
    with (
        recorder,
        tqdm(
            total=len(found), initial=len(found) - len(left), disable=not progress, unit="checkpoint"
        ) as bar,
    ):
        tell_of_nan = NanTold()
        for step, losses in in_order(evaluation, left, client, bar.update):
            if recorder.last_step is None:
                check_first_row(step, losses)
            recorder.append(step, losses)
            tell_of_nan(step, losses, stacklevel=2)
    return recorder.run


def _recorded(path: str | PathLike[str] | None, facts: Mapping[str, str]) -> RunStore | None:
    """Return what is recorded so far.

    Raises
    ------
    StoreExistsError
        Another recording is at the path, or something that is no run.
    """
    if path is None:
        raise OptionError("resume=True and path=None; expected the path of the run to go on with")
    place = at(path)
    store = kept_at(place)
    if store is None:
        return None
    kept = store.attrs.get(_FACTS)
    if kept != facts:
        differing = (
            "it was not recorded from checkpoints"
            if not isinstance(kept, Mapping)
            else f"its {next(name for name in facts if kept.get(name) != facts[name])} was another"
        )
        raise StoreExistsError(
            f"the recording at {place} is not this one: {differing}. Choose another path, or replace it with "
            "overwrite=True instead of resume=True"
        )
    return store


def _left(found: Mapping[int, Any], recorded: RunStore | None) -> dict[int, Any]:
    """Return the checkpoints that are still to be evaluated."""
    if recorded is None:
        return dict(found)
    there, last = set(recorded.steps.tolist()), int(recorded.steps[-1])
    between = [step for step in found if step <= last and step not in there]
    if between:
        raise StepsError(
            f"the run has rows up to step {last} and none for checkpoints of steps {few(between)}, which "
            "would have to come before; leave them out, or record anew with overwrite=True instead of "
            "resume=True"
        )
    return {step: checkpoint for step, checkpoint in found.items() if step > last}
