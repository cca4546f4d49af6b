"""Random states that come back after a look at a model."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch

__all__ = ["random_states_kept"]


@contextmanager
def random_states_kept(devices: Iterable[torch.device] = ()) -> Iterator[None]:
    """Put the random states of Python, NumPy and torch back after a block, also when it raises.

    Parameters
    ----------
    devices
        Where the block may draw, beside the CPU and the GPU in use.
    """
    numpy_state, python_state = np.random.get_state(), random.getstate()  # noqa: NPY002  # what others draw from
    states = [(torch.set_rng_state, torch.get_rng_state())]
    places = {device for device in devices if device.type not in ("cpu", "meta")}
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call, unused-ignore]  # untyped in some torches
        places.add(torch.device("cuda", torch.cuda.current_device()))
    for place in places:
        backend: Any = getattr(torch, place.type, None)
        if hasattr(backend, "get_rng_state"):
            # Apple's has one device, and no argument for it.
            where: dict[str, Any] = {} if place.type == "mps" else {"device": place}
            states.append((partial(backend.set_rng_state, **where), backend.get_rng_state(**where)))
    try:
        yield
    finally:
        for put_back, state in states:
            put_back(state)
        np.random.set_state(numpy_state)  # noqa: NPY002  # likewise
        random.setstate(python_state)
