"""What a stranger's first minute depends on: fast imports, a small core, a README that runs."""

from __future__ import annotations

import re
import subprocess
import sys
import venv
from pathlib import Path

import pytest

import rdmviz

ROOT = Path(__file__).parents[1]
HEAVY = ("torch", "bqplot", "pandas", "sklearn", "xarray", "ipywidgets")


def test_import_brings_nothing_heavy_and_is_fast():
    script = (
        "import sys, time; began = time.perf_counter(); import rdmviz; took = time.perf_counter() - began;"
        f"print(took, *[name for name in {HEAVY!r} if name in sys.modules])"
    )
    best = 1.0
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
        took, *loaded = done.stdout.split()
        assert loaded == []
        best = min(best, float(took))
    assert best < 0.3


def test_looking_at_a_run_does_not_import_torch():
    script = (
        "import sys, rdmviz; run = rdmviz.load_example('linear_network'); rdmviz.explore(run); "
        "sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", script], check=True)


def test_every_public_name_is_there_and_an_unknown_one_is_named():
    for name in rdmviz.__all__:
        assert getattr(rdmviz, name) is not None
    assert set(rdmviz.__all__) <= set(dir(rdmviz))
    assert rdmviz.widgets.explore is rdmviz.explore
    with pytest.raises(AttributeError, match=r"explor'.*explore"):
        rdmviz.explor  # noqa: B018  # reading is the act that is tested


def test_the_readme_example_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first, second = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    names: dict[str, object] = {}
    exec(first, names)
    exec(second, names)
    assert rdmviz.open_run("xor.rdmviz").n_steps == 1000


def test_the_code_of_the_explorers_guide_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    guide = (ROOT / "docs" / "explorer.md").read_text()
    names: dict[str, object] = {"rdmviz": rdmviz}
    for block in re.findall(r"```python\n(.*?)```", guide, re.DOTALL):
        exec(block, names)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["curves.csv", "curves.pdf", "map.svg"]
    pictures = re.findall(r"\((images/.*?)\)", guide)
    assert len(pictures) > 15
    assert all((ROOT / "docs" / picture).is_file() for picture in pictures)


# What Lightning says of its own, and of a machine without an accelerator.
@pytest.mark.filterwarnings("ignore::UserWarning:lightning", "ignore::FutureWarning:lightning")
@pytest.mark.filterwarnings("ignore::DeprecationWarning:lightning", "ignore:.*does not have many workers")
def test_the_code_of_the_guide_to_recording_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    guide = (ROOT / "docs" / "recording.md").read_text()
    names: dict[str, object] = {}
    for block in re.findall(r"```python\n(.*?)```", guide, re.DOTALL):
        exec(block, names)
    told = capsys.readouterr().out
    assert "[198 200 202]" in told, "the resumed recording"
    assert "[  0  50 100 150 200 250]" in told, "the checkpoints"
    assert {path.suffix for path in tmp_path.iterdir()} >= {".rdmviz", ".npz", ".csv", ".parquet", ".jsonl"}


def test_the_core_without_extras_opens_and_explores_a_run(tmp_path):
    venv.create(tmp_path / "core", with_pip=True)
    python = tmp_path / "core" / "bin" / "python"
    pip = [python, "-m", "pip"]
    subprocess.run([*pip, "wheel", "-q", "--no-deps", "-w", tmp_path, ROOT], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.stat().st_size < 25e6, "what ships stays small enough for a Binder launch"
    subprocess.run([*pip, "install", "-q", "-c", ROOT / "constraints.txt", wheel], check=True)
    script = """
import importlib.util as find, rdmviz
assert not [name for name in ("torch", "jupyterlab", "sklearn", "pyarrow") if find.find_spec(name)]
run = rdmviz.load_example("grokking")
explorer = rdmviz.explore(run)
explorer.state.step = int(run.steps[500])
assert len(explorer.map.link.frames.pack([500])[0]) == explorer.scene.layout["nbytes"]
rdmviz.analyze(run)
try:
    rdmviz.Recorder
except rdmviz.errors.MissingExtraError as error:
    assert 'pip install "rdmviz[torch]"' in str(error)
else:
    raise AssertionError("a missing extra must be named")
from rdmviz.cli import main
from rdmviz.demo import notebook_source
assert "site-packages" in str(notebook_source())
assert main(["demo", "--no-browser"]) == 2
assert main(["record", "grokking", "--out", "never"]) == 2
"""
    subprocess.run([python, "-c", "import rdmviz.errors\n" + script], cwd=tmp_path, check=True)
