"""The Zarr v3 store of a run: append, commit, open lazily, replace safely."""

from __future__ import annotations

from rdmviz.store.reader import RunStore
from rdmviz.store.saving import save_run
from rdmviz.store.writer import RunWriter, check_path

__all__ = ["RunStore", "RunWriter", "check_path", "save_run"]
