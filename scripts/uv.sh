#!/bin/sh
# Run uv: the one on PATH, else one fetched into .uv by pip, by a venv's pip, or by uv's own wheel.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
own="$root/.uv/bin/uv"

fetch() {
    if python3 -m venv "$root/.uv" >/dev/null 2>&1 && "$root/.uv/bin/python" -m pip install --quiet uv >&2; then
        return 0
    fi
    rm -rf "$root/.uv"
    if python3 -m pip --version >/dev/null 2>&1 &&
        python3 -m pip install --quiet --target "$root/.uv" uv >&2; then
        return 0
    fi
    rm -rf "$root/.uv"
    return 1
}

if command -v uv >/dev/null 2>&1; then
    exec uv "$@"
fi
if [ ! -x "$own" ] && ! fetch; then
    echo "uv is missing and this Python has neither venv nor pip: install one of them," \
        "for example with 'apt-get install python3-venv', and try again." >&2
    exit 1
fi
exec "$own" "$@"
