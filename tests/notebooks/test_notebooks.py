"""Every notebook, top to bottom, as a visitor without a GPU or much memory runs it."""

from __future__ import annotations

import os
import time
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
MOST_SECONDS, MOST_BYTES = 180, 2e9
# The largest memory since the kernel's program began: getrusage's would count the process that started it.
REPORT = """
import pathlib as _pathlib, resource as _resource, sys as _sys
if _sys.platform == "linux":
    _status = _pathlib.Path("/proc/self/status").read_text()
    print(1024 * int(_status.partition("VmHWM:")[2].split()[0]))
else:
    print(_resource.getrusage(_resource.RUSAGE_SELF).ru_maxrss)
print("torch" in _sys.modules)
"""


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_runs_in_minutes_in_little_memory_without_torch(path, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.append(nbformat.v4.new_code_cell(REPORT))
    client = NotebookClient(
        notebook,
        timeout=MOST_SECONDS,
        kernel_name="python3",
        resources={"metadata": {"path": str(tmp_path)}},
    )
    started = time.perf_counter()
    client.execute()
    seconds = time.perf_counter() - started
    memory, torch = notebook.cells[-1].outputs[0]["text"].split()
    print(f"{path.stem}: {seconds:.0f} s, {float(memory) / 1e6:.0f} MB")  # pytest -rP shows it
    assert seconds < MOST_SECONDS
    assert float(memory) < MOST_BYTES
    assert torch == "False", "a recording is opened without torch: that is how Binder starts fast"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_is_kept_as_it_is_before_it_runs(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert code
    assert not any(cell.outputs or cell.execution_count for cell in code)
