#!/usr/bin/env bash
# Makes a report of recorded results, hostile names among them, and opens it in headless Chromium:
# check_report.sh [path/to/eke] [FOLDER for screenshots]; check_report.sh --prepare only fetches what drives it
set -euo pipefail
cd "$(dirname "$0")/.."
export CHROMIUM=${CHROMIUM:-$(command -v chromium || true)}
[ -n "$CHROMIUM" ] || { echo "chromium is missing: run scripts/setup.sh browser" >&2; exit 1; }
[ -d tests/browser/node_modules/puppeteer-core ] ||
  npm install --silent --ignore-scripts --no-fund --no-audit --prefix tests/browser
[ "${1:-}" != --prepare ] || exit 0
eke=${1:-build/release/bin/eke}
"$eke" report tests/browser/results -o build/report.html
node tests/browser/check_report.mjs build/report.html "${@:2}"
