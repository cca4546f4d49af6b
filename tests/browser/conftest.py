"""One real JupyterLab, one real Chromium; a notebook for each test, run through the host's own commands."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import urlopen

import nbformat
import pytest
from ensure_chromium import find_chromium
from playwright.sync_api import Browser, Page, sync_playwright

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# Voila's page template asks a CDN for an icon font; that is Voila's own, and harmless when it fails.
VOILA_FONT = "fontawesome"
EXPLORE = (
    'import rdmviz\nexplorer = rdmviz.explore(rdmviz.load_example("grokking"), coloring="split")\nexplorer'
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


@dataclass(frozen=True)
class Server:
    """A Jupyter server on the loopback address and the folder it serves."""

    root: Path
    port: int
    token: str

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}/{path}?token={self.token}"

    def write_notebook(self, name: str, *cells: str) -> str:
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
        notebook.metadata["kernelspec"] = {
            "name": "python3",
            "display_name": "Python 3",
            "language": "python",
        }
        nbformat.write(notebook, self.root / name)
        return name


@dataclass
class Watched:
    """A page, and everything about it that should not be there."""

    page: Page
    errors: list[str] = field(default_factory=list)
    left_the_machine: list[str] = field(default_factory=list)

    def watch(self) -> None:
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", self._note)

    def _note(self, request) -> None:
        host = urlsplit(request.url).hostname
        if host not in (None, "127.0.0.1", "localhost") and VOILA_FONT not in request.url:
            self.left_the_machine.append(request.url)

    def assert_clean(self) -> None:
        assert self.errors == []
        assert self.left_the_machine == []


def wait_for(url: str, process: subprocess.Popen[bytes], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urlopen(url, timeout=5):
                return
        except (URLError, OSError):
            time.sleep(0.1)
    raise RuntimeError(f"no server at {url} after {seconds} s (exit code {process.poll()})")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="session")
def server(tmp_path_factory) -> Iterator[Server]:
    """JupyterLab, Notebook 7 and Voila behind one server, with configuration of its own."""
    with serving(tmp_path_factory.mktemp("server")) as server:
        yield server


@contextmanager
def serving(base: Path) -> Iterator[Server]:
    """Run a server with all its files below a folder."""
    root = base / "root"
    root.mkdir()
    port, token = free_port(), secrets.token_hex(16)
    environment = {
        **os.environ,
        "JUPYTER_CONFIG_DIR": str(base / "config"),
        "JUPYTER_RUNTIME_DIR": str(base / "runtime"),
        "JUPYTER_DATA_DIR": str(base / "data"),
        "IPYTHONDIR": str(base / "ipython"),
    }
    (base / "config" / "labconfig").mkdir(parents=True)
    quiet = '{"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": true}}'
    (base / "config" / "labconfig" / "page_config.json").write_text(quiet)
    command = [
        *(sys.executable, "-m", "jupyterlab", "--no-browser", "--ip=127.0.0.1", f"--port={port}"),
        *(
            f"--ServerApp.root_dir={root}",
            f"--IdentityProvider.token={token}",
            "--LabApp.expose_app_in_browser=True",
        ),
        *(("--allow-root",) if os.geteuid() == 0 else ()),
    ]
    with (base / "server.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
    try:
        wait_for(f"http://127.0.0.1:{port}/api/status?token={token}", process)
        yield Server(root, port, token)
    finally:
        process.terminate()
        process.wait(timeout=30)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = find_chromium()
    if path is None:
        raise RuntimeError("no Chromium: run `make test`, or python scripts/ensure_chromium.py, to get one")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, headless=True, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def watched(browser: Browser) -> Iterator[Watched]:
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    watched = Watched(page)
    watched.watch()
    yield watched
    page.close()


def run_in_lab(page: Page, server: Server, name: str) -> None:
    """Open a notebook in JupyterLab, wait until it is ready, and run all of its cells."""
    workspace = (
        f"{Path(name).stem}-{secrets.token_hex(4)}"  # its own, so that no earlier test's tabs come back
    )
    page.goto(server.url(f"lab/workspaces/{workspace}/tree/{name}"))
    page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=60_000)
    ready = """() => {
        const panel = window.jupyterapp?.shell.currentWidget;
        return panel?.sessionContext?.session?.kernel?.status === "idle"
            && window.jupyterapp.commands.hasCommand("notebook:run-all-cells");
    }"""
    page.wait_for_function(ready, timeout=60_000)
    page.evaluate("() => { window.jupyterapp.commands.execute('notebook:run-all-cells') }")


EXECUTE = """code => {
    const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
    return new Promise(resolve => {
        const future = kernel.requestExecute({code});
        let text = '';
        future.onIOPub = message => { if (message.content.text) text += message.content.text; };
        future.done.then(reply => resolve([reply.content.status, text]));
    });
}"""


def tell(page: Page, code: str) -> str:
    """Run code in the notebook's kernel, as another cell would, and return what it prints."""
    status, printed = page.evaluate(EXECUTE, code)
    assert status == "ok", printed
    return str(printed).strip()


def wait_drawn(page: Page, *, seconds: float = 30) -> None:
    """Wait for the stage's own word that it has drawn, and for the curves."""
    page.wait_for_selector(".rdmviz-map-view[data-step]", timeout=1000 * seconds)
    page.wait_for_selector(".rdmviz-curves .plotarea_background", state="attached", timeout=1000 * seconds)


PICTURES = {
    "map": ".rdmviz-map",
    "matrix": ".rdmviz-matrix",
    "spectrum": ".rdmviz-spectrum",
    "cursor": ".rdmviz-cursor canvas",
}


def pixels(page: Page) -> dict[str, str]:
    """What each canvas shows right now."""
    script = "selectors => selectors.map(s => document.querySelector(s).toDataURL())"
    return dict(zip(PICTURES, page.evaluate(script, list(PICTURES.values())), strict=True))


def agree(page: Page, *, seconds: float = 10) -> int:
    """Wait until the step drawn is the slider's, and return it."""
    script = """() => {
        const slider = document.querySelector('.rdmviz-step');
        const said = slider.getAttribute('aria-valuetext').replace(/[^0-9-]/g, '');
        const drawn = document.querySelector('.rdmviz-map-view').dataset.step;
        return said === drawn ? drawn : null;
    }"""
    return int(page.wait_for_function(script, timeout=1000 * seconds).json_value())
