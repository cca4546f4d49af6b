"""See to it that the browser tests have a Chromium: on the PATH, else playwright's, else Debian's package."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def find_chromium() -> str | None:
    """Path of a Chromium: on the PATH, or the one playwright has downloaded."""
    for name in NAMES:
        if found := shutil.which(name):
            return found
    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if Path(path).exists() else None


def main() -> int:
    """Install what is missing; 1 and the way out if nothing works."""
    if find_chromium():
        return 0
    print("No Chromium found: trying playwright's own download.", flush=True)
    try:
        subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], check=False, timeout=300)
    except subprocess.TimeoutExpired:
        print("The download took more than five minutes.", flush=True)
    if find_chromium():
        return 0
    if os.geteuid() == 0 and shutil.which("apt-get"):
        print("Installing the system package.", flush=True)
        subprocess.run(["apt-get", "update", "-q"], check=False)
        subprocess.run(["apt-get", "install", "-y", "-q", "chromium"], check=False)
    if find_chromium():
        return 0
    print(
        "The browser tests need a Chromium. Install one (Debian: sudo apt-get install chromium; "
        "macOS: brew install --cask chromium) and run make test again.",
        file=sys.stderr,
    )
    return 1


if __name__ == "__main__":
    raise SystemExit(main())
