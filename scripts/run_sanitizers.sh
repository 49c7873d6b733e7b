#!/usr/bin/env bash
# The tests under ASan and UBSan, the threads under TSan, and each fuzz target for FUZZ_SECONDS (60) seconds.
set -euo pipefail
cd "$(dirname "$0")/.."
export CTEST_PARALLEL_LEVEL=$(nproc)
command -v ccache >/dev/null && export CMAKE_CXX_COMPILER_LAUNCHER=ccache

section() { printf '\n==== %s (%s s)\n' "$*" "$SECONDS"; }

scripts/setup.sh ci

section "tests under ASan and UBSan"
cmake --preset asan
cmake --build --preset asan -j "$(nproc)"
UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 ctest --test-dir build/asan --output-on-failure

section "threads under TSan"
cmake --preset tsan
threaded=(base energy data runtime train learn)
cmake --build --preset tsan -j "$(nproc)" --target "${threaded[@]/%/_test}"
# ThreadSanitizer cannot place its shadow memory under strong address randomization. A test forks and then starts threads.
for layer in "${threaded[@]}"; do
  TSAN_OPTIONS="die_after_fork=0 suppressions=$PWD/scripts/tsan_suppressions.txt" setarch -R "build/tsan/src/${layer}_test" --gtest_brief=1
done

section "fuzzing"
scripts/run_fuzz.sh "${FUZZ_SECONDS:-60}"
