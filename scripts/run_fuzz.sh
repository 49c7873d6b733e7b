#!/usr/bin/env bash
# Builds the fuzz targets with clang under ASan and UBSan and runs each for some seconds from its checked-in
# seeds (fuzz/corpus/<target>/): run_fuzz.sh [seconds]. What crashes a target stays in build/fuzz/findings/.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-60}
cmake --preset fuzz
cmake --build --preset fuzz -j "$(nproc)" --target fuzz_targets
mkdir -p build/fuzz/findings
count=0
while IFS= read -r program; do
  name=${program##*/}
  seeds=fuzz/corpus/$name
  [ -d "$seeds" ] || { echo "$name has no seeds: put some into $seeds/" >&2; exit 1; }
  work=build/fuzz/corpus/$name
  mkdir -p "$work"
  echo "== $name: $seconds s from $(find "$seeds" -type f | wc -l) seeds"
  log=build/fuzz/findings/$name.log
  if ! "$program" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
    -artifact_prefix="build/fuzz/findings/$name-" "$work" "$seeds" >"$log" 2>&1; then
    tail -n 80 "$log"
    echo "$name failed: its input is in build/fuzz/findings/" >&2
    exit 1
  fi
  grep -E '^(Done|stat::peak_rss_mb)' "$log"
  count=$((count + 1))
done < <(find build/fuzz/bin -type f -name '*_fuzz' -perm -u+x | sort)
echo "$count fuzz targets ran"
