#!/bin/sh
# Build into a folder what is handed on: wheel and sdist with the studio inside, and the locked requirements with their hashes.
# The checkout is left as it is: what is packed is put together elsewhere.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
out=${1:?the folder to build into}
studio="$root/web/apps/studio/dist"
if [ ! -f "$studio/index.html" ]; then
    echo "The studio is not built: run 'make wheel'." >&2
    exit 1
fi
mkdir -p "$out"
out=$(cd "$out" && pwd)
packed=$(mktemp -d)
trap 'rm -rf "$packed"' EXIT

cd "$root"
cp -R src pyproject.toml README.md LICENSE CHANGELOG.md "$packed"
cp -R "$studio" "$packed/src/media_pipeline/studio"
find "$packed/src" -name __pycache__ -prune -exec rm -rf {} +
sh scripts/uv.sh build --quiet --out-dir "$out" "$packed"
sh scripts/uv.sh export --quiet --locked --no-dev --no-emit-project --output-file "$out/requirements.txt"
