"""Losses of checkpoints, in order of their steps: one after another, or as tasks of a Dask cluster."""

from __future__ import annotations

import threading
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from rdmviz.errors import CheckpointError, OptionError
from rdmviz.record.checkpoint_models import Opened
from rdmviz.record.evaluation import probe_losses, unchanged
from rdmviz.record.probe import Probe
from rdmviz.record.random_states import random_states_kept

__all__ = ["Evaluation", "checked_client", "in_order"]

_IN_FLIGHT = 2  # tasks per worker: one that runs, and one to go on with
_AHEAD = 8  # rows per worker that may wait for one before them

# Modes and random states are of the process: threads of a worker take turns.
_ONE_AT_A_TIME = threading.Lock()


class Evaluation:
    """Gives the losses of a checkpoint, and leaves the process as it was.

    Parameters
    ----------
    opened
        Makes a model of a checkpoint.
    probe, batch_size
        As for :func:`rdmviz.record.evaluation.probe_losses`.
    """

    def __init__(self, opened: Opened, probe: Probe, batch_size: int | None) -> None:
        self._opened, self._probe, self._batch_size = opened, probe, batch_size

    def __call__(self, checkpoint: Any) -> np.ndarray:
        """Return losses of shape (n,)."""
        with _ONE_AT_A_TIME, random_states_kept():
            model = self._opened(checkpoint)
            with unchanged(model):
                return probe_losses(model, self._probe, self._batch_size)


def checked_client(client: Any) -> None:
    """Check what is to run the tasks.

    Raises
    ------
    OptionError
        It is no client of dask.distributed, or one of a coroutine.
    """
    if client is None:
        return
    if not all(hasattr(client, name) for name in ("submit", "nthreads", "cancel")):
        raise OptionError(
            f"client is a {type(client).__name__}; expected a dask.distributed.Client, or None to evaluate "
            "checkpoints here"
        )
    if getattr(client, "asynchronous", False):
        raise OptionError("client is asynchronous; expected one that waits: Client(asynchronous=False)")


def in_order(
    evaluation: Evaluation, checkpoints: Mapping[int, Any], client: Any, done: Callable[[], object]
) -> Iterator[tuple[int, np.ndarray]]:
    """Evaluate checkpoints, and give step and losses (n,) of each in the order of the mapping.

    Parameters
    ----------
    evaluation
        Gives the losses of one.
    checkpoints
        By step.
    client
        A dask.distributed client, or None.
    done
        Called whenever one more is evaluated, in any order.

    Raises
    ------
    CheckpointError
        Workers died over a checkpoint, or the cluster is gone.
    Exception
        What the evaluation raised, with a note that names the checkpoint. Those before it were given.
    """
    if client is not None:
        yield from _on_cluster(evaluation, checkpoints, client, done)
        return
    for step, checkpoint in checkpoints.items():
        with _named(step, checkpoint):
            losses = evaluation(checkpoint)
        done()
        yield step, losses


def _on_cluster(
    evaluation: Evaluation, checkpoints: Mapping[int, Any], client: Any, done: Callable[[], object]
) -> Iterator[tuple[int, np.ndarray]]:
    import dask
    from distributed import CancelledError, wait
    from distributed.comm import CommClosedError

    # A task, and not data: were every worker that has it lost, the scheduler would send it again.
    with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1 TiB"}):
        held = client.submit(_itself, evaluation, key=f"rdmviz-probe-{uuid.uuid4().hex}")
    token = uuid.uuid4().hex[:12]
    waiting, order = deque(checkpoints), deque(checkpoints)
    running: dict[Any, int] = {}
    finished: dict[int, Any] = {}
    try:
        while order:
            workers = max(1, len(client.nthreads()))
            ahead = _AHEAD * workers - len(finished)
            while waiting and len(running) < min(_IN_FLIGHT * workers, ahead):
                step = waiting.popleft()
                key = f"rdmviz-checkpoint-{step}-{token}"
                running[client.submit(_losses, held, checkpoints[step], key=key)] = step
            for future in wait(list(running), return_when="FIRST_COMPLETED").done:
                step = running.pop(future)
                finished[step] = future
                if future.status == "finished":
                    finished[step] = future.result()  # brought here at once: its worker may not live
                    done()
                else:
                    waiting.clear()  # nothing after it can be recorded
            while order and order[0] in finished:
                step = order.popleft()
                with _named(step, checkpoints[step]):
                    losses = _result(finished.pop(step))
                yield step, losses
    except Exception as error:
        if client.status == "running" and not isinstance(error, (CancelledError, CommClosedError)):
            raise
        raise CheckpointError(
            f"the cluster was closed, or is out of reach ({error}), before step {order[0]} came; rows before "
            "it are recorded. Call record_checkpoints again with resume=True to go on from there"
        ) from error
    finally:
        if client.status == "running":
            client.cancel([held, *running])


def _itself(evaluation: Evaluation) -> Evaluation:
    return evaluation


def _losses(evaluation: Evaluation, checkpoint: Any) -> np.ndarray:
    return evaluation(checkpoint)


def _result(finished: Any) -> np.ndarray:
    if isinstance(finished, np.ndarray):
        return finished
    error = finished.exception()
    if type(error).__name__ == "KilledWorker":
        raise CheckpointError(
            "workers died time and again over it, most likely for lack of memory; give them more, or pass a "
            "smaller batch_size"
        ) from error
    raise error


@contextmanager
def _named(step: int, checkpoint: Any) -> Iterator[None]:
    """Let an error say which checkpoint it is about, and what of the others."""
    try:
        yield
    except Exception as error:
        error.add_note(
            f"The checkpoint of step {step} ({str(checkpoint)[:200]}) was not recorded; those before it "
            "were. Call record_checkpoints again with resume=True to go on from there."
        )
        raise
