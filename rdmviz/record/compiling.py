"""Running what is compiled as it was written."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

__all__ = ["not_compiled"]


def not_compiled() -> AbstractContextManager[Any]:
    """Let compiled models run as they were written inside a ``with``; nothing is loaded for it."""
    stance = getattr(torch.compiler, "set_stance", None)  # since torch 2.6
    loaded = "torch._dynamo" in sys.modules  # else nothing is compiled, and loading it takes a second
    context: AbstractContextManager[Any] = stance("force_eager") if loaded and stance else nullcontext()
    return context
