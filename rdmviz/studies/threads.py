"""Small networks train fastest, and identically everywhere, on one thread with their own random numbers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

__all__ = ["alone"]


@contextmanager
def alone(seed: int) -> Iterator[None]:
    """Run a block on one torch thread with torch seeded; the caller's threads and random state come back."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            yield
    finally:
        torch.set_num_threads(threads)
