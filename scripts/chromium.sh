#!/bin/sh
# Make sure that a Chromium is at hand for the browser journey: an installed one, Playwright's, the system's.
set -eu

have() {
    [ -n "${CHROMIUM_PATH:-}" ] && [ -x "$CHROMIUM_PATH" ] && return 0
    for name in chromium chromium-browser google-chrome google-chrome-stable; do
        command -v "$name" >/dev/null 2>&1 && return 0
    done
    [ -n "$(find "${PLAYWRIGHT_BROWSERS_PATH:-$HOME/.cache/ms-playwright}" -maxdepth 3 -type f \
        \( -name chrome -o -name headless_shell \) 2>/dev/null | head -n 1)" ]
}

have && exit 0
(cd "$(dirname "$0")/../web" && npx --no-install playwright install chromium >/dev/null 2>&1) || true
have && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    (apt-get update && apt-get install -y --no-install-recommends chromium) >/dev/null 2>&1 || true
fi
have || echo "No Chromium could be found or installed." >&2
