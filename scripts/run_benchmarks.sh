#!/usr/bin/env bash
# Runs every micro-benchmark of a build: run_benchmarks.sh build/release
set -euo pipefail
build=${1:-build/release}
found=0
while IFS= read -r program; do
  found=1
  echo "== ${program##*/}"
  "$program"
done < <(find "$build" -type f -name '*_bench' -perm -u+x | sort)
[ $found = 1 ] || { echo "no benchmark in $build: configure with -DEKE_BENCHMARKS=ON" >&2; exit 1; }
