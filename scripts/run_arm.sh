#!/usr/bin/env bash
# Cross-compiles for 64-bit Arm and runs the tests under an emulator on three models of processor: without dot products,
# with them, and with products of byte matrices.
#   run_arm.sh kernels   the kernels against the scalar ones, and base
#   run_arm.sh core      what depends on the processor: the runtime too
#   run_arm.sh all       every layer and the command; and int8 networks, made here, must give the bits that they give here
#                     (with EKE_DATA, and build/release/bin/eke as `make build` leaves it)
set -euo pipefail
cd "$(dirname "$0")/.."
what=${1:-core}
jobs=${JOBS:-$(nproc)}
models=(cortex-a53 cortex-a76 max)
build=build/aarch64
command -v ccache >/dev/null && export CMAKE_CXX_COMPILER_LAUNCHER=${CMAKE_CXX_COMPILER_LAUNCHER:-ccache}
emulate() { QEMU_CPU=$1 qemu-aarch64 -L build/aarch64-sysroot "${@:2}"; }
section() { printf '\n---- %s (%s s)\n' "$*" "$SECONDS"; }

tests=(base_test kernels_test)
[ "$what" = kernels ] || tests+=(runtime_test)
case "$what" in
  kernels | core) targets=("${tests[@]}") ;;
  all)
    tests+=(tensor_test graph_test ops_test onnx_test passes_test data_test quant_test)
    targets=("${tests[@]}" eke)
    ;;
  *) echo "usage: $0 kernels|core|all" >&2; exit 2 ;;
esac

scripts/setup.sh arm
scripts/arm_sysroot.sh
section "building for aarch64"
cmake --preset aarch64 >/dev/null
cmake --build --preset aarch64 -j "$jobs" --target "${targets[@]}"
NM=aarch64-linux-gnu-nm scripts/check_kernel_symbols.sh $build

# One run of a test executable: quiet where it passes.
run_tests() {
  local log
  log=$(mktemp)
  if emulate "$1" "$build/src/$2" --gtest_brief=1 "${@:3}" >"$log" 2>&1; then
    echo "$1: $2: $(grep -oE '[0-9]+ tests from.*ran.*' "$log")"
    rm "$log"
  else
    cat "$log" >&2
    exit 1
  fi
}
export -f emulate run_tests
export build

section "tests"
{
  for model in "${models[@]}"; do
    echo "$model kernels_test"
    [ "$what" = kernels ] || echo "$model runtime_test --gtest_filter=*Random*"
  done
  for test in "${tests[@]}"; do
    [ "$test" = kernels_test ] || echo "max $test"
  done
} | xargs -P "$jobs" -I{} bash -c 'set -euo pipefail; run_tests {}'
[ "$what" = all ] || exit 0

section "int8 networks: the bits of this machine"
data=${EKE_DATA:-../shared/data}
[ -d "$data/models" ] || { echo "skipped: no networks in $data (EKE_DATA)"; exit 0; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
compare() {  # name, model, images to calibrate on and to run, how these become the input
  build/release/bin/eke quantize "$data/models/$2" --data "$data/$3" --count 16 --limit 8 --runs 1 --allow-slower \
    "${@:4}" --output "$work/$1.onnx" >/dev/null
  local images
  mapfile -t images < <(find "$data/${3%/labels.csv}" -name '*.jpg' -o -name '*.JPEG' -o -name '*.png' | sort | head -n 2)
  mkdir -p "$work/$1"
  build/release/bin/eke run "$work/$1.onnx" "${images[@]}" --raw "$work/$1/here" >/dev/null
  for model in "${models[@]}"; do
    emulate "$model" $build/bin/eke run "$work/$1.onnx" "${images[@]}" --threads 1 --raw "$work/$1/$model" >/dev/null
    diff -r "$work/$1/here" "$work/$1/$model" || { echo "$1 on $model: other bits than here" >&2; exit 1; }
    echo "$1 on $model: equal ($(cat "$work/$1/$model"/* | wc -c) bytes of output)"
  done
}
compare mobilenet_v1 mobilenet_v1_025_224.onnx imagenet-val/labels.csv --normalization tf
compare mobilenet_v2 mobilenet_v2_224.onnx imagenet-val/labels.csv --normalization tf --class-offset 1
compare squeezenet squeezenet_v11.onnx imagenet-val/labels.csv --normalization caffe
compare mobilefacenet mobilefacenet-insightface.onnx lfw112/images --order bgr --normalization raw
compare resnet20 cifar-resnet/resnet20.onnx cifar10-jpeg-test --normalization imagenet
section "all passed"
