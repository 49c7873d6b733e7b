#!/usr/bin/env bash
# Kernel objects are compiled for instruction sets that the machine may lack, so nothing in them may be shared
# with other objects by the linker: they define no weak symbols, and of the global ones only the functions that the
# rows of kernels.inc name, each ending in the tier of its file. check_kernel_symbols.sh build/release; NM names another nm.
set -euo pipefail
cd "$(dirname "$0")/.."
build=${1:-build/release}
objects=$(find "$build/src/CMakeFiles/eke_kernels.dir/kernels" -mindepth 2 -name '*.o' \
  ! -name '*_test.cpp.o' ! -name '*_bench.cpp.o' 2>/dev/null |
  grep -E '/(scalar|avx2|avxvnni|avx512vnni|avx512bf16|neon|neon_dotprod|i8mm)\.cpp\.o$' || true)
[ -n "$objects" ] || { echo "no kernel objects in $build: build first" >&2; exit 1; }
foreign=$(for object in $objects; do
  tier=$(basename "$object" .cpp.o)
  "${NM:-nm}" -A --defined-only --demangle "$object" | grep -E ' [A-TV-Zu] ' |
    grep -vE " T eke::kernels::[a-z0-9_]+_$tier\(" || true
done)
[ -z "$foreign" ] || { echo "$foreign"; echo "kernel objects define more than their rows: give helpers internal linkage" >&2; exit 1; }
echo "kernel symbols: $(echo "$objects" | wc -l) objects, nothing but their rows"
