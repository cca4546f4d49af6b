"""Small networks train fastest, and identically everywhere, on one thread with their own random numbers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from rdmviz.record.random_states import random_states_kept

__all__ = ["alone"]


@contextmanager
def alone(seed: int, threads: int = 1, device: torch.device | None = None) -> Iterator[None]:
    """Run a block on one torch thread with torch seeded; the caller's threads and random states come back.

    Those of Python and NumPy come back too, and those of ``device``, if the block draws there.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with random_states_kept([] if device is None else [device]):
            torch.manual_seed(seed)
            yield
    finally:
        torch.set_num_threads(before)
