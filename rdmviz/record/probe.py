"""The probe: fixed datapoints, how a model is called on them, and the loss of each.

A probe is given as a pair (inputs, targets), a map-style Dataset, or a dict batch as Hugging Face models take
it; whatever it was, it becomes one :class:`Probe`.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from rdmviz.errors import LossShapeError, OptionError, ProbeError
from rdmviz.record.losses import LEFT_OUT, default_loss, logits_of, whole
from rdmviz.record.stacking import is_dataset, stacked
from rdmviz.record.tokens import TokenLoss, Tokens, counted, next_tokens
from rdmviz.validation import checked_probe

__all__ = ["Inputs", "LossFn", "Probe", "as_probe", "facts_of"]

Inputs: TypeAlias = Tensor | tuple[Any, ...] | Mapping[str, Any]
LossFn: TypeAlias = Callable[[Any, Any], Tensor]

_LABELS = ("labels", "label", "label_ids")


@dataclass(frozen=True)
class Probe:
    """Datapoints, and the loss of each.

    Attributes
    ----------
    inputs
        What the model is called with: ``model(inputs)``, ``model(*inputs)`` or ``model(**inputs)``.
    targets
        What ``loss_fn`` gets beside the outputs; as many entries as the inputs have.
    loss_fn
        Gives one number per datapoint.
    items : int
        How many datapoints, or token sequences, go through the model.
    tokens
        Which tokens are the datapoints, where a sequence is not one.
    causal
        The model has to predict the next token.
    """

    inputs: Inputs
    targets: Any
    loss_fn: LossFn
    items: int
    tokens: Tokens | None = None
    causal: bool = False

    @property
    def samples(self) -> int:
        """Number of losses."""
        return self.items if self.tokens is None else self.tokens.samples

    @property
    def nbytes(self) -> int:
        """Size of its tensors."""
        tensors = {id(tensor): tensor for tensor in _leaves((self.inputs, self.targets))}
        return sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())

    @cached_property
    def digest(self) -> str:
        """Hash that tells its datapoints from others: the same for the same tensors, wherever they are."""
        digest = hashlib.sha256(f"{self.items} {self.samples}".encode())
        for tensor in _leaves((self.inputs, self.targets)):
            digest.update(f"{tuple(tensor.shape)} {tensor.dtype}".encode())
            held = tensor.detach().cpu().contiguous().reshape(-1)
            digest.update(held.view(torch.uint8).numpy().data)
        return digest.hexdigest()

    def on(self, device: torch.device | None) -> Probe:
        """Return the probe on a device; what is no tensor, or has nowhere to go, stays."""
        if device is None or all(x.device == device for x in _leaves((self.inputs, self.targets))):
            return self
        moved: dict[int, Tensor] = {}  # a dict batch is in the inputs, and in the targets once more
        return replace(
            self, inputs=_moved(self.inputs, device, moved), targets=_moved(self.targets, device, moved)
        )

    def part(self, part: slice) -> Probe:
        """Return some of the items."""
        return replace(
            self,
            inputs=_part_of_inputs(self.inputs, part),
            targets=_part_of_targets(self.targets, part),
            items=len(range(*part.indices(self.items))),
            tokens=None if self.tokens is None else self.tokens.part(part),
        )

    def chosen(self, items: np.ndarray) -> Probe:
        """Return the items with these numbers, in this order."""
        return replace(
            self,
            inputs=_taken(self.inputs, items),
            targets=_taken(self.targets, items),
            items=len(items),
            tokens=None if self.tokens is None else self.tokens.part(items),
        )

    def losses(self, model: Callable[..., Any]) -> Tensor:
        """Return the loss of each datapoint, shape (n,), as ``loss_fn`` gives it.

        Raises
        ------
        LossShapeError
            ``loss_fn`` does not give one real number per datapoint.
        """
        losses = self.loss_fn(self._forward(model), self.targets)
        shape = tuple(losses.shape) if isinstance(losses, Tensor) else type(losses).__name__
        if shape != (self.samples,) or losses.is_complex():
            raise LossShapeError(
                f"loss_fn gave {shape} for {self.samples} datapoints; expected one real number each, shape "
                f"{(self.samples,)}. Use reduction='none', and average over everything but the datapoints"
            )
        return losses

    def columns(self, metadata: Any) -> dict[str, np.ndarray]:
        """Return metadata of the datapoints, one entry each.

        Raises
        ------
        ProbeError
            They do not fit.
        """
        if self.tokens is not None:
            return self.tokens.columns(metadata)
        return checked_probe(metadata, self.items)

    def _forward(self, model: Callable[..., Any]) -> Any:
        if isinstance(self.inputs, Mapping):
            return model(**self.inputs)
        if isinstance(self.inputs, tuple):
            return model(*self.inputs)
        return model(self.inputs)


def facts_of(probe: Probe, loss_fn: LossFn | None, per: str) -> dict[str, str]:
    """Return what has to be the same for all rows of a run."""
    named = getattr(loss_fn, "__qualname__", type(loss_fn).__qualname__)
    return {"probe": probe.digest[:16], "loss_fn": "default" if loss_fn is None else named, "per": per}


def as_probe(probe: Any, loss_fn: LossFn | None = None, per: str = "sequence") -> Probe:
    """Return what a person gave as a probe.

    Parameters
    ----------
    probe, loss_fn, per
        As for :class:`rdmviz.Recorder`.

    Raises
    ------
    OptionError
        It is none of the kinds there are, or has no default loss.
    LossShapeError
        Fewer than two datapoints.
    ProbeError
        Its parts differ in length or cannot be tensors, or its labels make no sense.
    """
    if per not in ("sequence", "token"):
        raise OptionError(f"per={per!r:.60}; expected 'sequence' or 'token'")
    if is_dataset(probe):
        probe = stacked(probe)
    made = _of_batch(probe, loss_fn, per) if isinstance(probe, Mapping) else _of_pair(probe, loss_fn, per)
    if made.samples < 2:
        raise LossShapeError(f"{made.samples} datapoint(s) in the probe; expected at least two")
    return made


def _of_pair(probe: Any, loss_fn: LossFn | None, per: str) -> Probe:
    if not isinstance(probe, (tuple, list)) or len(probe) != 2:
        raise OptionError(
            f"probe is a {type(probe).__name__}; expected the pair (inputs, targets), a map-style Dataset, "
            "or a dict batch"
        )
    inputs, targets = _tensors(probe[0], "inputs"), _tensors(probe[1], "targets")
    items = _count(targets)
    if items < 2:
        raise LossShapeError(f"{items} datapoint(s) in the probe; expected at least two")
    if isinstance(inputs, Mapping):
        _check_lengths({f"inputs[{name!r}]": value for name, value in inputs.items()}, items)
    elif isinstance(inputs, tuple):
        _check_lengths({f"inputs[{index}]": value for index, value in enumerate(inputs)}, items)
    else:
        _check_lengths({"inputs": inputs}, items)
    if isinstance(targets, Mapping):
        _check_lengths({f"targets[{name!r}]": value for name, value in targets.items()}, items)
    if whole(targets) and targets.ndim == 2 and (loss_fn is None or per == "token"):
        mask = inputs.get("attention_mask") if isinstance(inputs, Mapping) else None
        return _of_tokens(inputs, targets, mask, loss_fn, per)
    _check_per(per)
    if loss_fn is not None:
        return Probe(inputs, targets, loss_fn, items)
    return _of_values(inputs, targets, items)


def _of_batch(batch: Mapping[str, Any], loss_fn: LossFn | None, per: str) -> Probe:
    batch = {name: _of_one_length(value, f"probe[{name!r}]") for name, value in batch.items()}
    given = next((name for name in _LABELS if name in batch), None)
    if given is not None:
        batch["labels"] = batch.pop(given)
    labels: Any = batch.get("labels")
    inputs = {name: value for name, value in batch.items() if name != "labels"}
    if not inputs:
        raise ProbeError(f"probe is a dict of {list(batch)}; expected inputs of the model, such as input_ids")
    items = len(next(iter(inputs.values())))
    _check_lengths({f"[{name!r}]": value for name, value in batch.items()}, items, "the first entry")
    if loss_fn is not None and per == "sequence":
        return Probe(inputs, batch, loss_fn, items)
    shifted = "decoder_input_ids" not in inputs
    if labels is None and shifted:
        labels = inputs.get("input_ids")
    if whole(labels) and labels.ndim == 2:
        mask = inputs.get("attention_mask" if shifted else "decoder_attention_mask")
        made = _of_tokens(inputs, labels, mask, loss_fn, per, shifted=shifted)
        if loss_fn is not None:
            return replace(made, targets={**made.targets, "targets": batch})
        return replace(made, loss_fn=_of_first_output(made.loss_fn), causal=shifted)
    _check_per(per)
    if labels is None or labels.ndim > 1:
        described = "no labels" if labels is None else f"labels {tuple(labels.shape)} ({labels.dtype})"
        raise OptionError(
            f"no default loss for a dict batch with {described}; pass loss_fn(outputs, batch) that returns "
            "one number per datapoint"
        )
    made = _of_values(inputs, labels, items)
    return replace(made, loss_fn=_of_first_output(made.loss_fn))


def _of_values(inputs: Inputs, targets: Any, items: int) -> Probe:
    """Classes, or real numbers, with the default loss."""
    if whole(targets) and targets.ndim == 1:
        targets = targets.long()
        if int(targets.min()) < 0:
            index = int((targets < 0).nonzero()[0])
            raise ProbeError(
                f"target of datapoint {index} is {int(targets[index])}; expected a class, 0 or more. Leave "
                "datapoints without one out of the probe, or pass loss_fn"
            )
        return Probe(inputs, targets, partial(_class_loss, int(targets.max())), items)
    return Probe(inputs, targets, default_loss, items)


def _class_loss(largest: int, outputs: Any, targets: Tensor) -> Tensor:
    logits = logits_of(outputs)
    if isinstance(logits, Tensor) and logits.ndim == 2 and 1 < logits.shape[1] <= largest:
        # on a GPU an index out of bounds would end the process
        raise LossShapeError(
            f"probe targets reach class {largest} and the outputs are logits of {logits.shape[1]} classes; "
            "expected smaller targets"
        )
    return default_loss(outputs, targets)


def _of_tokens(
    inputs: Inputs, labels: Tensor, mask: Any, loss_fn: LossFn | None, per: str, *, shifted: bool = False
) -> Probe:
    wanted = counted(labels, mask, shifted=shifted)
    kept = wanted != LEFT_OUT
    tokens = Tokens(wanted.cpu().numpy(), kept.cpu().numpy(), shifted) if per == "token" else None
    items = len(labels)
    if loss_fn is not None:
        targets = {"targets": labels, "kept": kept}
        return Probe(inputs, targets, partial(_chosen_tokens, loss_fn, shifted), items, tokens)
    empty = (~kept.any(dim=1)).nonzero()
    if tokens is None and len(empty):
        raise ProbeError(
            f"no token of sequence {int(empty[0])} counts; expected at least one whose label is not "
            f"{LEFT_OUT} and whose attention mask is not 0. Leave the sequence out of the probe"
        )
    aligned = next_tokens(wanted) if shifted else wanted
    return Probe(inputs, aligned, TokenLoss(aligned, per), items, tokens)


def _chosen_tokens(loss_fn: LossFn, shifted: bool, outputs: Any, given: Mapping[str, Any]) -> Tensor:
    """Losses (n, length), or (n, length - 1) from the second token on, as those of the tokens that count."""
    losses, kept = loss_fn(outputs, given["targets"]), given["kept"]
    shapes = [tuple(kept.shape)]
    if shifted:
        shapes.append((len(kept), kept.shape[1] - 1))
    shape = tuple(losses.shape) if isinstance(losses, Tensor) else type(losses).__name__
    if shape not in shapes:
        raise LossShapeError(
            f"loss_fn gave {shape} for tokens {tuple(kept.shape)}; expected with per='token' one number per "
            f"token, shape {' or '.join(map(str, shapes))}. Use reduction='none'"
        )
    return losses[kept[:, kept.shape[1] - losses.shape[1] :]]


def _of_first_output(loss_fn: LossFn) -> LossFn:
    """Let a model give a tuple, as those of transformers do with ``return_dict=False``."""
    return lambda outputs, targets: loss_fn(outputs[0] if type(outputs) is tuple else outputs, targets)


def _check_per(per: str) -> None:
    if per == "token":
        raise OptionError(
            "per='token' and no targets (n, length) of integers in the probe; expected token sequences"
        )


def _count(entries: Any) -> int:
    try:
        return len(next(iter(entries.values()))) if isinstance(entries, Mapping) and entries else len(entries)
    except TypeError as error:
        raise LossShapeError(f"probe targets are {entries!r:.60}; expected one per datapoint") from error


def _check_lengths(named: Mapping[str, Any], items: int, others: str = "targets") -> None:
    if not named:
        raise ProbeError("probe inputs are empty; expected at least one tensor")
    for name, value in named.items():
        try:
            length = len(value)
        except TypeError as error:
            raise ProbeError(
                f"probe {name} is {value!r:.60}; expected one entry for each of {items} targets"
            ) from error
        if length != items:
            raise ProbeError(
                f"probe {name} has {length} datapoints and {others} {items}; expected as many. "
                "Cut both to the same datapoints"
            )


def _tensors(value: Any, name: str) -> Any:
    if isinstance(value, Mapping):
        return {key: _tensors(item, f"{name}[{key!r}]") for key, item in value.items()}
    if isinstance(value, tuple):
        return tuple(_tensors(item, f"{name}[{index}]") for index, item in enumerate(value))
    if not isinstance(value, np.ndarray):
        return value
    try:
        return torch.as_tensor(value if value.flags.writeable else value.copy())
    except (TypeError, ValueError) as error:
        raise ProbeError(
            f"probe {name} cannot be a tensor ({error}); expected numbers. "
            "Convert it first, for example with .astype('float32')"
        ) from error


def _of_one_length(value: Any, name: str) -> Tensor:
    """Return an entry of a dict batch as a tensor."""
    value = _tensors(value, name)
    if isinstance(value, list):
        with contextlib.suppress(TypeError, ValueError, RuntimeError):
            value = torch.as_tensor(value)
    if isinstance(value, Tensor) and value.ndim:
        return value
    raise ProbeError(
        f"{name} is {value!r:.60}; expected a tensor with one entry for each datapoint. Pad what differs in "
        "length, take texts out of the batch, and options of the model too"
    )


def _leaves(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (Mapping, tuple)):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from _leaves(item)


def _moved(value: Any, device: torch.device, moved: dict[int, Tensor]) -> Any:
    if isinstance(value, Mapping):
        return {name: _moved(item, device, moved) for name, item in value.items()}
    if isinstance(value, tuple):
        return tuple(_moved(item, device, moved) for item in value)
    if not isinstance(value, Tensor):
        return value
    if id(value) not in moved:
        moved[id(value)] = value.to(device)
    return moved[id(value)]


def _taken(value: Any, items: np.ndarray) -> Any:
    if isinstance(value, Mapping):
        return {name: _taken(entry, items) for name, entry in value.items()}
    if isinstance(value, tuple):
        return tuple(_taken(entry, items) for entry in value)
    if isinstance(value, Tensor):
        return value[torch.from_numpy(items).to(value.device)]
    return [value[item] for item in items.tolist()]  # texts


def _part_of_inputs(inputs: Any, part: slice) -> Any:
    return (
        tuple(value[part] for value in inputs)
        if isinstance(inputs, tuple)
        else _part_of_targets(inputs, part)
    )


def _part_of_targets(targets: Any, part: slice) -> Any:
    if isinstance(targets, Mapping):
        return {name: _part_of_targets(value, part) for name, value in targets.items()}
    return targets[part]
