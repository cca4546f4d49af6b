"""The processes of one training, recording together: each evaluates its share of the probe, rank 0 writes."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DataParallel, DistributedDataParallel

from rdmviz.errors import OptionError, ProbeError, RankError, SnapshotError
from rdmviz.record.probe import Probe

__all__ = ["Ranks", "agreed", "place_of", "unwrapped"]

_TOLD = 512  # bytes of a failure's words that the other ranks hear
_PATIENCE = 30.0  # seconds until a rank says whom it waits for


class Ranks:
    """The ranks of the default process group, in a group of their own.

    Recording talks over gloo, apart from the group of the training: a rank that records when the others do
    not can then never mix its losses with their gradients. Everything here is done by all ranks together.
    """

    def __init__(self) -> None:
        self.rank, self.size = dist.get_rank(), dist.get_world_size()
        with self._waiting("make a Recorder"):
            self._group = dist.new_group(backend="gloo")

    def share(self, items: int) -> slice:
        """Return this rank's part of the probe: as many datapoints as the others have, give or take one."""
        return slice(items * self.rank // self.size, items * (self.rank + 1) // self.size)

    def check_same(self, probe: Probe) -> None:
        """Check that all ranks hold the same datapoints.

        Raises
        ------
        ProbeError
            A rank holds others.
        """
        found = self._gathered(np.frombuffer(bytes.fromhex(probe.digest), np.int64))
        for rank, other in enumerate(found):
            if not np.array_equal(other, found[0]):
                raise ProbeError(
                    f"the probe of rank {rank} is not the one of rank 0; expected the same datapoints on "
                    "every rank, which share them out themselves. Choose them with a seed that all ranks have"
                )

    def losses(self, step: int, evaluate: Callable[[], np.ndarray]) -> np.ndarray:
        """Return the losses of all ranks, rank after rank.

        Parameters
        ----------
        step
            Training step, the same on all ranks.
        evaluate
            Returns the losses of this rank's share.

        Raises
        ------
        RankError
            As for :meth:`agreed`.
        """
        own, failure = np.empty(0), None
        try:
            own = evaluate()
        except Exception as error:
            failure = error
        counts = self._settle("evaluate its share of the probe", step, failure, len(own))
        padded = np.zeros(max(counts))
        padded[: len(own)] = own
        rows = self._gathered(padded)
        return np.concatenate([row[:count] for row, count in zip(rows, counts, strict=True)])

    def rows(self, layer: str, own: np.ndarray | None) -> np.ndarray:
        """Return on rank 0 the representations of all ranks, rank after rank; on the others, their own.

        Parameters
        ----------
        layer
            What to call it.
        own : array (datapoints, ...), optional
            Float32 or float16, of this rank's share; None if that is empty.

        Raises
        ------
        SnapshotError
            Ranks have layers of other shapes, told on all of them.
        """
        facts = np.zeros(5, np.int64)
        if own is not None:
            facts[:2], facts[2 : 1 + own.ndim] = (len(own), own.itemsize), own.shape[1:]
        found = self._gathered(facts)
        kinds = {tuple(other[1:].tolist()) for other in found if other[0]}
        if len(kinds) > 1:
            raise SnapshotError(
                f"the ranks have outputs of {layer!r} of bytes and shapes {sorted(kinds)}; expected the same"
            )
        itemsize, *shape = kinds.pop()
        shape = [size for size in shape if size]
        counts = [int(other[0]) for other in found]
        padded = torch.zeros(max(counts), *shape, dtype=torch.float16 if itemsize == 2 else torch.float32)
        if own is not None:
            padded[: len(own)] = torch.from_numpy(own)
        parts = [torch.empty_like(padded) for _ in counts] if self.rank == 0 else None
        self._call(lambda: dist.gather(padded, parts, 0, group=self._group))
        pieces = [padded] if parts is None else parts
        joined = torch.cat([piece[:count] for piece, count in zip(pieces, counts[self.rank :], strict=False)])
        return np.asarray(joined.numpy())

    @contextmanager
    def agreed(self, doing: str, step: int = 0) -> Iterator[None]:
        """Let a block fail on all ranks when it fails on one, so that none waits for it.

        Raises
        ------
        RankError
            The block failed on some rank, or the ranks are at different steps. If it failed on all, each
            raises its own error.
        """
        failure = None
        try:
            yield
        except RankError:  # agreed upon already
            raise
        except Exception as error:
            failure = error
        self._settle(doing, step, failure)

    def of_first(self, array: np.ndarray) -> np.ndarray:
        """Return the array that rank 0 gives, of the same type and number of dimensions on all."""
        shape = [int(size) for size in self._gathered(np.array(array.shape))[0]]
        given = np.zeros(shape, array.dtype) if self.rank else np.array(array)
        told = torch.from_numpy(given)
        self._call(lambda: dist.broadcast(told, 0, group=self._group))
        return given

    def take_buffers_of_first(self, model: nn.Module) -> None:
        """Give a model on every rank the buffers that rank 0 would save.

        Running statistics differ between ranks: each saw its own batches since the last synchronisation.
        """
        buffers = [buffer for module in model.modules() for buffer in _saved_buffers(module)]
        if not buffers:
            return
        ours = torch.cat([_bytes(buffer) for buffer in buffers])
        self._call(lambda: dist.broadcast(ours, 0, group=self._group))
        if self.rank:
            parts = torch.split(ours, [buffer.numel() * buffer.element_size() for buffer in buffers])
            for buffer, part in zip(buffers, parts, strict=True):
                # a copy, because a part need not lie where its type wants to
                buffer.data.copy_(part.clone().view(buffer.dtype).view(buffer.shape))

    def _settle(self, doing: str, step: int, failure: Exception | None, count: int = 0) -> list[int]:
        """Return the counts of all ranks, if none failed."""
        with self._waiting(f"{doing} (step {step})"):
            states = self._gathered(np.array([failure is not None, step, count]))
        failed = [rank for rank, (state, _, _) in enumerate(states) if state]
        if failure is not None and len(failed) == self.size:
            raise failure
        if failed:
            words = self._words_of(failed[0], failure)
            raise RankError(
                f"rank {failed[0]} could not {doing}: {words}. Nothing was recorded on any rank"
            ) from failure
        steps = {rank: int(at) for rank, (_, at, _) in enumerate(states)}
        if len(set(steps.values())) > 1:
            raise RankError(
                f"the ranks record at different steps, {steps} (rank: step); expected every rank to call "
                "record(step, model) at the same ones. A Recorder that one rank uses alone needs "
                "distributed=False"
            )
        return [int(counted) for _, _, counted in states]

    def _words_of(self, rank: int, failure: Exception | None) -> str:
        said = f"{type(failure).__name__}: {failure}".encode()[:_TOLD].ljust(_TOLD)
        told = torch.frombuffer(bytearray(said), dtype=torch.uint8)
        self._call(lambda: dist.broadcast(told, rank, group=self._group))
        return told.numpy().tobytes().decode(errors="replace").strip()

    def _gathered(self, ours: np.ndarray) -> list[np.ndarray]:
        own = torch.from_numpy(np.array(ours))  # a copy that torch may write into
        parts = [torch.empty_like(own) for _ in range(self.size)]
        self._call(lambda: dist.all_gather(parts, own, group=self._group))
        return [part.numpy() for part in parts]

    def _call(self, collective: Callable[[], Any]) -> None:
        try:
            collective()
        except RuntimeError as error:  # what torch raises for a peer that is gone
            words = str(error).partition("\n")[0]
            raise RankError(
                f"rank {self.rank} could not reach the others ({words:.200}); did one end?"
            ) from error

    def _waiting(self, doing: str) -> AbstractContextManager[Any]:
        return _Patience(
            f"rank {self.rank} has waited {_PATIENCE:g} s for the others to {doing}. Every rank has to; "
            "a Recorder that one rank uses alone needs distributed=False"
        )


class _Patience:
    """Warns of a block that takes long: ranks that wait for each other are silent."""

    def __init__(self, words: str) -> None:
        self._timer = threading.Timer(_PATIENCE, warnings.warn, (words, RuntimeWarning), {"stacklevel": 2})
        self._timer.daemon = True

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()


def place_of(distributed: bool | None) -> tuple[int, int]:
    """Return which rank this process is, and how many record together.

    Raises
    ------
    OptionError
        ``distributed`` is none of None, False and True, or is True and there is no process group.
    """
    if distributed is not None and not isinstance(distributed, bool):
        raise OptionError(f"distributed={distributed!r:.60}; expected None, False or True")
    grouped = dist.is_available() and dist.is_initialized()
    if distributed and not grouped:
        raise OptionError(
            "distributed=True and torch.distributed has no process group; call "
            "torch.distributed.init_process_group first"
        )
    return (dist.get_rank(), dist.get_world_size()) if grouped and distributed is not False else (0, 1)


def agreed(ranks: Ranks | None, doing: str, step: int = 0) -> AbstractContextManager[None]:
    """Return :meth:`Ranks.agreed`, or a context that does nothing for a process by itself."""
    return nullcontext() if ranks is None else ranks.agreed(doing, step)


def unwrapped(model: nn.Module) -> nn.Module:
    """Return the model inside a wrapper that trains copies of it.

    Called by way of the wrapper it would synchronise buffers, and prepare for gradients that never come.

    Raises
    ------
    OptionError
        The weights are spread over the ranks.
    """
    while isinstance(model, (DistributedDataParallel, DataParallel)):
        model = model.module
    if place_of(None)[1] > 1 and _is_spread(model):
        raise OptionError(
            f"the weights of {type(model).__name__} are spread over the ranks, which would wait for each "
            "other in every layer; expected a whole model on each rank. Save checkpoints, and record those"
        )
    return model


def _is_spread(model: nn.Module) -> bool:
    # by name: importing the first takes a second
    wrapped = any(type(module).__name__ == "FullyShardedDataParallel" for module in model.modules())
    return wrapped or any(hasattr(weight, "device_mesh") for weight in model.parameters())


def _saved_buffers(module: nn.Module) -> Iterator[Tensor]:
    for name, buffer in module.named_buffers(recurse=False):
        if name not in module._non_persistent_buffers_set and buffer.layout is torch.strided:
            yield buffer


def _bytes(tensor: Tensor) -> Tensor:
    return tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
