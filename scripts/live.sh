#!/bin/sh
# Put a frame below each TypeScript example of a page, in which it runs: `sh scripts/live.sh PAGE.md`.
set -eu

name=$(basename "$1" .md)
awk -v name="$name" '
    { print }
    /^```tsx?$/ { number += 1; inside = ($0 == "```tsx") }
    /^```$/ && inside {
        inside = 0
        printf "\n<iframe title=\"%s, live\" src=\"../../live/index.html?of=%s.%d\" loading=\"lazy\" ", name, name, number
        print "style=\"width: 100%; height: 24rem; border: 1px solid var(--md-default-fg-color--lighter); border-radius: 0.2rem\"></iframe>"
    }
' "$1" > "$1.live"
mv "$1.live" "$1"
