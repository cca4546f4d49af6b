#!/bin/sh
# Make a virtual environment with pip from the newest suitable Python: sh scripts/venv.sh PATH
set -eu
venv=$1

suitable() {
    command -v "$1" >/dev/null 2>&1 && "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2])' 2>/dev/null
}

python=
for candidate in ${PYTHON:-} python3.11 python3.12 python3.13 python3.14 python3 python; do
    if suitable "$candidate"; then
        python=$candidate
        break
    fi
done
if [ -z "$python" ]; then
    echo "rdmviz needs Python 3.11 or newer, and none was found on the PATH." >&2
    echo "Install one (Debian: apt-get install python3 python3-venv; macOS: brew install python@3.12) or name it: make PYTHON=/path/to/python3 ..." >&2
    exit 1
fi

# Debian ships venv without pip unless python3-venv is there.
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        apt-get update -q && apt-get install -y -q python3-venv
    else
        echo "This Python cannot make virtual environments. Install python3-venv (Debian: sudo apt-get install python3-venv) and run make again." >&2
        exit 1
    fi
fi
"$python" -m venv "$venv"
