#!/usr/bin/env bash
# Builds the fuzz targets with clang under ASan and UBSan and runs each for some seconds from its checked-in
# seeds (fuzz/corpus/<target>/), all at once: run_fuzz.sh [seconds]. What crashes a target stays in
# build/fuzz/findings/.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-60}
cmake --preset fuzz
cmake --build --preset fuzz -j "$(nproc)" --target fuzz_targets
mkdir -p build/fuzz/findings

run_one() {
  local program=$1 seconds=$2
  local name=${program##*/}
  local seeds=fuzz/corpus/$name work=build/fuzz/corpus/$name log=build/fuzz/findings/$name.log
  [ -d "$seeds" ] || { echo "$name has no seeds: put some into $seeds/" >&2; return 1; }
  mkdir -p "$work"
  if ! "$program" -max_total_time="$seconds" -timeout=30 -rss_limit_mb=2048 -print_final_stats=1 \
    -artifact_prefix="build/fuzz/findings/$name-" "$work" "$seeds" >"$log" 2>&1; then
    tail -n 80 "$log" >&2
    echo "$name failed: its input is in build/fuzz/findings/" >&2
    return 1
  fi
  echo "$name: $(find "$seeds" -type f | wc -l) seeds, $(grep -E '^Done' "$log"), $(grep -oE 'peak_rss_mb:.*' "$log" | tr -d ' ' | tr ':' ' ') "
}
export -f run_one

programs=$(find build/fuzz/bin -type f -name '*_fuzz' -perm -u+x | sort)
[ -n "$programs" ] || { echo "no fuzz target was built" >&2; exit 1; }
xargs -P 0 -I{} bash -c 'run_one {} '"$seconds" <<<"$programs" || { echo "fuzzing failed" >&2; exit 1; }
echo "$(wc -l <<<"$programs") fuzz targets ran for $seconds s each"
