#!/usr/bin/env bash
# Checks the C++ sources against .clang-format. Releases of clang-format differ in detail; the sources follow 14.
set -euo pipefail
cd "$(dirname "$0")/.."
program=$(command -v clang-format-14 || command -v clang-format || true)
[ -n "$program" ] || { echo "format: skipped, clang-format is not installed"; exit 0; }
version=$("$program" --version | sed -E 's/.*version ([0-9]+).*/\1/')
[ "$version" = 14 ] || { echo "format: skipped, the sources follow clang-format 14 and this one is $version"; exit 0; }
wrong=$(git ls-files '*.cpp' '*.h' | xargs "$program" --dry-run 2>&1 | grep -oE '^[^:]+:[0-9]+:[0-9]+: warning' |
  cut -d: -f1 | sort | uniq -c || true)
[ -z "$wrong" ] || { echo "$wrong"; echo "not formatted (places, file): run make format" >&2; exit 1; }
echo "format: $(git ls-files '*.cpp' '*.h' | wc -l) files as .clang-format says"
