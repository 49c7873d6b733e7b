#!/usr/bin/env bash
# Counts the instructions of the Arm kernels under the emulator (QEMU 7.2 to 8: bench/arm/count_plugin.c) and writes the
# table of docs/benchmarks-arm.md, between its markers.
set -euo pipefail
cd "$(dirname "$0")/.."
command -v ccache >/dev/null && export CMAKE_CXX_COMPILER_LAUNCHER=${CMAKE_CXX_COMPILER_LAUNCHER:-ccache}
page=docs/benchmarks-arm.md
build=build/aarch64

scripts/setup.sh arm
scripts/arm_sysroot.sh
cmake --preset aarch64 -DEKE_BENCHMARKS=ON >/dev/null
cmake --build --preset aarch64 -j "$(nproc)" --target arm_kernel_counts
cc -O2 -shared -fPIC -fvisibility=hidden bench/arm/count_plugin.c -o $build/count_plugin.so

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
QEMU_CPU=max qemu-aarch64 -L build/aarch64-sysroot -plugin $build/count_plugin.so -d plugin -D "$work/counts" \
  $build/bench/arm/arm_kernel_counts >"$work/runs"
[ "$(wc -l <"$work/counts")" = "$(wc -l <"$work/runs")" ] || { echo "counts and runs do not match" >&2; exit 1; }

table=$(paste -d'|' "$work/runs" "$work/counts" | awk -F'|' '
  BEGIN { print "| kernel | shape | instructions | per unit of work | least arithmetic | share of arithmetic |"
          print "| --- | --- | ---: | ---: | ---: | ---: |" }
  { printf "| `%s` | %s | %d | %.4f / %s | %s | %s |\n", $1, $2, $6, $6 / $3, $4,
           ($5 > 0 ? $5 : ""), ($5 > 0 ? sprintf("%.1f %%", 100 * $5 / $6) : "") }')
awk -v table="$table" '
  /^<!-- counts -->$/ { print; print table; skipping = 1; next }
  /^<!-- end -->$/ { skipping = 0 }
  !skipping' $page >"$work/page"
cp "$work/page" $page
echo "wrote $page: $(wc -l <"$work/runs") runs"
