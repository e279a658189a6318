#!/bin/sh
# Build the site of all pages into build/site. They keep their places, so a link that is true in the repository is true there;
# one that leads nowhere fails. Below each example of a component or a hook stands the same, running.
set -eu

cd "$(dirname "$0")/.."
pages=build/pages
rm -rf "$pages"
mkdir -p "$pages/examples/react-app" "$pages/web/packages/realtime" "$pages/web/packages/ui"
cp -- *.md LICENSE "$pages"
cp -R docs deploy "$pages"
for readme in examples/react-app web/packages/realtime web/packages/ui; do
    cp "$readme/README.md" "$pages/$readme"
done
log=$(mktemp)
trap 'rm -f "$log"' EXIT
for page in "$pages"/docs/components/*.md "$pages"/docs/hooks/*.md; do
    sh scripts/live.sh "$page"
done
(cd web && npm run --silent build -w @project/live -- --logLevel warn)
cp -R build/live "$pages/live"
zensical build --clean --strict >"$log" 2>&1 || { cat "$log" >&2; exit 1; }
