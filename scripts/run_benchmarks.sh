#!/usr/bin/env bash
# Measures this build on this machine and writes a report: run_benchmarks.sh [build/release] [docs/benchmarks.md]
#   MODELS="a.onnx b.onnx"  the networks (default: known architectures with random weights, made here, and int8 twins of them)
#   RUNS=100 ROUNDS=9       runs of a network and round; rounds in which engines, and precisions, take turns
#   THREADS="1 2"           thread counts
# Int8 twins are calibrated on images of $EKE_DATA where it is there, else on noise. The comparison with ONNX Runtime is made where
# node and bench/peers/node_modules are present.
set -euo pipefail
cd "$(dirname "$0")/.."
build=${1:-build/release}
report=${2:-docs/benchmarks.md}
eke=$build/bin/eke
data=${EKE_DATA:-../shared/data}
runs=${RUNS:-100}
rounds=${ROUNDS:-9}
read -r -a thread_counts <<<"${THREADS:-1 $(nproc)}"
[ -x "$build/src/kernels_bench" ] || { echo "no benchmark in $build: configure with -DEKE_BENCHMARKS=ON" >&2; exit 1; }
work=$build/benchmarks
mkdir -p "$work"

# Only speed is measured: a handful of images will do to set the scales.
calibration() { # SIZE
  local set=imagenet-val
  [ "$1" = 112 ] && set=lfw112
  if [ -d "$data/$set" ]; then
    echo "$data/$set"
    return
  fi
  local folder=$work/noise$1 i
  mkdir -p "$folder"
  for i in 1 2 3 4 5 6 7 8 9; do
    [ -f "$folder/$i.ppm" ] || { printf 'P6 %s %s 255\n' "$1" "$1"; head -c $(($1 * $1 * 3)) /dev/urandom; } >"$folder/$i.ppm"
  done
  echo "$folder"
}

floats=() integers=()
if [ -n "${MODELS:-}" ]; then
  read -r -a floats <<<"$MODELS"
else
  for name in mobilenet_v2 mobilenet_v3_small mobilefacenet squeezenet resnet18 resnet50 vgg16; do
    model=$work/$name.onnx
    size=224
    [ $name = mobilefacenet ] && size=112
    [ -f "$model" ] || "$eke" new $name --seed 1 -o "$model" >/dev/null 2>&1
    floats+=("$model")
    twin=$work/$name.int8.onnx
    if [ ! -f "$twin" ] && ! "$eke" quantize "$model" --data "$(calibration $size)" --count 8 --limit 1 --runs 1 --effort fast --no-explain --calibrator min-max \
      --allow-slower -o "$twin" >"$work/quantize.log" 2>&1; then
      echo "no int8 twin of $name: $(tail -n 1 "$work/quantize.log")" >&2
    fi
    [ ! -f "$twin" ] || integers+=("$twin")
  done
fi
list() { local IFS=,; echo "$*"; }

cpu=$(lscpu | sed -n 's/^Model name: *//p' | head -n 1)
family="$(lscpu | sed -n 's/^CPU family: *//p') model $(lscpu | sed -n 's/^Model: *//p')"
section() { printf '\n## %s\n\n' "$1"; }
fenced() { echo '```'; "$@"; echo '```'; }
# Large networks take fewer runs: about as long as small ones.
runs_of() {
  local bytes
  bytes=$(stat -c %s "$1")
  echo $((bytes > 100000000 ? runs / 10 + 2 : bytes > 20000000 ? runs / 4 + 2 : runs))
}
against_ort() { # THREADS MODELS...
  local threads=$1 model
  shift
  for model in "$@"; do
    node bench/peers/ort_speed.mjs "$eke" --models "$model" --threads "$threads" --rounds "$rounds" --runs "$(runs_of "$model")"
  done | node bench/peers/speed_table.mjs
}

{
  echo "# Benchmarks"
  echo
  echo "Written by \`make bench\`; every figure was measured on the code of commit $(git rev-parse --short HEAD 2>/dev/null || echo '(none)')."
  echo "Machine: $cpu (family $family), $(nproc) cores, $(uname -sm), $(free -g | awk '/^Mem/{print $2}') GiB;" \
    "tier $("$eke" bench "${floats[0]}" --runs 1 --warmup 0 --json 2>/dev/null | sed -n 's/^ *"isa": "\(.*\)",*/\1/p' | head -n 1)."
  echo "Load average when it began: $(cut -d' ' -f1-3 /proc/loadavg). The least time says what the code can do, the median what it did then."

  if command -v node >/dev/null && [ -d bench/peers/node_modules/onnxruntime-node ]; then
    for threads in "${thread_counts[@]}"; do
      section "Against ONNX Runtime, $threads thread$([ "$threads" = 1 ] || echo s)"
      echo "$rounds rounds of up to $runs runs, engines in turn. \`ratio\` is ONNX Runtime's time over eke's: above 1 eke is faster. \`int8, float\`:"
      echo "the convolutions and products that ONNX Runtime really runs on integers and on floats."
      echo
      against_ort "$threads" "${integers[@]}" "${floats[@]}"
    done
    section "From file to first result, and memory"
    echo "Least of 5 rounds, 1 thread. eke: a whole process, from its start to its end. ONNX Runtime: from opening the session to the first result"
    echo "inside a running node process, and the memory that this adds to it."
    echo
    node bench/peers/ort_start.mjs "$eke" --models "$(list "${integers[@]}" "${floats[@]}")" | node bench/peers/start_table.mjs
  else
    echo
    echo "Not compared with ONNX Runtime: node or bench/peers/node_modules is missing (bench/peers/README.md)."
  fi

  section "bfloat16 against float32, 1 thread"
  echo "The same float models; windows of both alternate."
  echo
  for model in "${floats[@]}"; do
    fenced "$eke" bench "$model" --precision f32,bf16 --runs "$(runs_of "$model")" 2>/dev/null
  done

  section "Kernels"
  echo "One thread, 101 short runs of each shape by the thread's own clock: best and median."
  echo
  fenced "$build/src/kernels_bench"

  section "Waiting threads"
  fenced "$build/src/base_bench"

  section "The sampler of the meters"
  echo "Recorded machines as files, sampled at the default rate: what that takes of one core, by its own account and by the kernel's."
  echo
  fenced "$build/src/energy_bench" src/energy/fixtures

  for model in "${integers[@]}" "${floats[@]}"; do
    section "Layers of $(basename "$model"), 1 thread"
    fenced sh -c "'$eke' bench '$model' --threads 1 --runs $(runs_of "$model") --layers 2>/dev/null | sed '1,/^\$/d'"
  done
} >"$report.new"
mv "$report.new" "$report"
echo "written to $report"
