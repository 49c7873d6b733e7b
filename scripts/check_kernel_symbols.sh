#!/usr/bin/env bash
# Kernel objects are compiled for instruction sets that the machine may lack, so nothing in them may be shared
# with other objects by the linker: they define no weak symbols. check_kernel_symbols.sh build/release
set -euo pipefail
cd "$(dirname "$0")/.."
build=${1:-build/release}
objects=$(find "$build/src/CMakeFiles/eke_kernels.dir/kernels" -mindepth 2 -name '*.o' \
  ! -name '*_test.cpp.o' ! -name '*_bench.cpp.o' 2>/dev/null |
  grep -E '/(scalar|avx2|avx512vnni|neon|neon_dotprod)\.cpp\.o$' || true)
[ -n "$objects" ] || { echo "no kernel objects in $build: build first" >&2; exit 1; }
weak=$(for object in $objects; do nm -A --defined-only --demangle "$object" | grep -E ' [WVu] ' || true; done)
[ -z "$weak" ] || { echo "$weak"; echo "kernel objects define weak symbols: give the helpers internal linkage" >&2; exit 1; }
echo "kernel symbols: $(echo "$objects" | wc -l) objects, no weak definition"
