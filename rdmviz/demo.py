"""Serve the first-look notebook with JupyterLab or Voila, on this machine only."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final
from urllib.error import URLError
from urllib.request import urlopen

from rdmviz.errors import MissingExtraError, OptionError

NOTEBOOK: Final = "notebooks/01_first_look.ipynb"
_PACKAGE: Final = Path(__file__).parent
_START_SECONDS: Final = 120


@dataclass(frozen=True)
class Demo:
    """A running demo server and the page to open."""

    url: str
    process: subprocess.Popen[bytes]


def notebook_source() -> Path:
    """Return the notebook of this checkout, or the one inside the installed package."""
    for root in (_PACKAGE.parent, _PACKAGE):
        if (root / NOTEBOOK).is_file():
            return root / NOTEBOOK
    raise FileNotFoundError(f"{NOTEBOOK} is in neither the checkout nor the package: reinstall rdmviz")


@contextmanager
def serve(*, voila: bool = False, port: int | None = None) -> Iterator[Demo]:
    """Start a server on a copy of the notebook, so that the original never changes; stop it at the end.

    Parameters
    ----------
    voila
        Serve the notebook as an app instead of in JupyterLab.
    port
        Port on the loopback address; default a free one.

    Raises
    ------
    MissingExtraError
        If JupyterLab or Voila is not installed.
    OptionError
        If the port cannot be used.
    RuntimeError
        If the server does not come up.
    """
    module = "voila" if voila else "jupyterlab"
    if find_spec(module) is None:
        raise MissingExtraError(f'the demo needs {module}: pip install "rdmviz[lab]"')
    port = _claim(port)
    token = secrets.token_hex(16)
    with tempfile.TemporaryDirectory(prefix="rdmviz-demo-") as folder:
        root = Path(folder)
        (root / "notebooks").mkdir()
        shutil.copy(notebook_source(), root / NOTEBOOK)
        environment = dict(os.environ)
        if voila:
            environment["JUPYTER_TOKEN"] = token
            command = _voila_command(root, port, token)
            url = f"http://127.0.0.1:{port}/?token={token}"
            ready = f"http://127.0.0.1:{port}/voila/static/voila.js?token={token}"
        else:
            command = _lab_command(root, port, token)
            url = f"http://127.0.0.1:{port}/lab/tree/{NOTEBOOK}?token={token}"
            ready = f"http://127.0.0.1:{port}/api/status?token={token}"
        log = root / "server.log"
        with log.open("wb") as out:
            process = subprocess.Popen(  # noqa: S603  # our own command line, no shell
                command,
                cwd=root,
                env=environment,
                stdout=out,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
            )
        try:
            _wait_until_up(process, ready, log)
            yield Demo(url, process)
        finally:
            _stop(process)


def run_demo(*, voila: bool, port: int | None, browser: bool) -> int:
    """Serve until interrupted: print the URL, open the browser if there is one."""
    print("Starting", "Voila" if voila else "JupyterLab", "…", flush=True)  # noqa: T201
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        with serve(voila=voila, port=port) as demo:
            print(f"\n  The explorer is at\n\n    {demo.url}\n\n  Press Ctrl-C to stop.\n", flush=True)  # noqa: T201
            if browser:
                _open_browser(demo.url)
            return demo.process.wait()
    except KeyboardInterrupt:
        return 0


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _lab_command(root: Path, port: int, token: str) -> list[str]:
    return [
        *(sys.executable, "-m", "jupyterlab", "--no-browser", "--ip=127.0.0.1", f"--port={port}"),
        *("--ServerApp.port_retries=0", f"--ServerApp.root_dir={root}", f"--IdentityProvider.token={token}"),
        f"--LabApp.extra_labextensions_path={_PACKAGE / 'demo_labextension'}",
        # A workspace of its own: the person's open tabs and layout stay as they are.
        f"--LabApp.workspaces_dir={root / 'workspaces'}",
        *(("--allow-root",) if hasattr(os, "geteuid") and os.geteuid() == 0 else ()),
    ]


def _voila_command(root: Path, port: int, token: str) -> list[str]:
    return [
        *(
            sys.executable,
            "-m",
            "voila",
            str(root / NOTEBOOK),
            "--no-browser",
            "--Voila.ip=127.0.0.1",
            f"--port={port}",
        ),
        *("--token", f"--Voila.token={token}"),
    ]


def _claim(port: int | None) -> int:
    """Return a free port, or the one asked for if it is free."""
    if port is not None and not 1 <= port <= 65535:
        raise OptionError(f"port {port}: expected 1 to 65535; leave it out to get a free one")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port or 0))
        except OSError as error:
            raise OptionError(
                f"port {port} cannot be used ({error.strerror}); leave it out to get a free one"
            ) from error
        return int(probe.getsockname()[1])


def _wait_until_up(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            with urlopen(url, timeout=5):  # noqa: S310  # the loopback address built above
                return
        except (URLError, OSError):
            time.sleep(0.1)
    tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
    raise RuntimeError(f"the server did not come up within {_START_SECONDS} s; it said:\n{tail}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _open_browser(url: str) -> None:
    """Open the page where there is a screen to open it on."""
    headless = sys.platform.startswith("linux") and not (
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    )
    if not headless:
        webbrowser.open(url)
