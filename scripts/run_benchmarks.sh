#!/usr/bin/env bash
# Measures this build on this machine and writes a report: run_benchmarks.sh [build/release] [docs/benchmarks.md]
#   MODELS="a.onnx b.onnx"  the networks (default: those of $EKE_DATA/models, and an int8 twin of each, made here)
#   RUNS=200 ROUNDS=9       runs of a network; rounds of the comparison, in which engines take turns
# The comparison with ONNX Runtime is made where node and bench/peers/node_modules are present.
set -euo pipefail
cd "$(dirname "$0")/.."
build=${1:-build/release}
report=${2:-docs/benchmarks.md}
eke=$build/bin/eke
data=${EKE_DATA:-../shared/data}
runs=${RUNS:-200}
rounds=${ROUNDS:-9}
[ -x "$build/src/kernels_bench" ] || { echo "no benchmark in $build: configure with -DEKE_BENCHMARKS=ON" >&2; exit 1; }
work=$build/benchmarks
mkdir -p "$work"

# Real images set the scales; a handful will do, since only speed is measured.
int8_twin() { # MODEL
  local twin; twin=$work/$(basename "$1" .onnx).int8.onnx
  [ -f "$twin" ] || "$eke" quantize "$1" --data "$data/imagenet-val/images" --count 8 --limit 1 --runs 1 --normalization tf \
    --allow-slower -o "$twin" >"$work/quantize.log" 2>&1 || true
  [ -f "$twin" ] && echo "$twin"
}

models=()
if [ -n "${MODELS:-}" ]; then
  read -r -a models <<<"$MODELS"
else
  for model in "$data"/models/*.onnx; do
    [ -f "$model" ] || continue
    models+=("$model")
    if twin=$(int8_twin "$model"); then models+=("$twin"); fi
  done
fi
[ ${#models[@]} -gt 0 ] || echo "no networks in $data/models (set EKE_DATA or MODELS): kernels alone" >&2

cpu=$(lscpu | sed -n 's/^Model name: *//p' | head -n 1)
family="$(lscpu | sed -n 's/^CPU family: *//p') model $(lscpu | sed -n 's/^Model: *//p')"
section() { printf '\n## %s\n\n' "$1"; }
fenced() { echo '```'; "$@"; echo '```'; }

{
  echo "# Benchmarks"
  echo
  echo "Written by \`make bench\`; every figure was measured on the code of commit $(git rev-parse --short HEAD 2>/dev/null || echo '(none)')."
  echo "Machine: $cpu (family $family), $(nproc) cores, $(uname -sm), $(free -g | awk '/^Mem/{print $2}') GiB."
  echo "Load average when it began: $(cut -d' ' -f1-3 /proc/loadavg). The least time says what the code can do, the median what it did then."

  section "Kernels"
  echo "One thread, 101 short runs of each shape by the thread's own clock: best and median."
  echo
  fenced "$build/src/kernels_bench"

  section "The sampler of the meters"
  echo "Recorded machines as files, sampled at the default rate: what that takes of one core, by its own account and by the kernel's."
  echo
  fenced "$build/src/energy_bench" src/energy/fixtures

  for threads in 1 2; do
    [ ${#models[@]} -gt 0 ] && [ "$threads" -le "$(nproc)" ] || continue
    section "Networks, $threads thread$([ "$threads" = 1 ] || echo s)"
    fenced "$eke" bench "${models[@]}" --threads "$threads" --runs "$runs" 2>/dev/null
  done

  if [ ${#models[@]} -gt 0 ] && command -v node >/dev/null && [ -d bench/peers/node_modules/onnxruntime-node ]; then
    section "Against ONNX Runtime, 1 thread"
    echo "$rounds rounds of 30 runs, engines in turn. \`ratio\` is ONNX Runtime's time over eke's: above 1 eke is faster. \`int8\`, \`float\`: the"
    echo "convolutions and products that ONNX Runtime really runs on integers and on floats."
    echo
    list=$(IFS=,; echo "${models[*]}")
    node bench/peers/ort_speed.mjs "$eke" --models "$list" --threads 1 --rounds "$rounds" --runs 30 |
      node bench/peers/speed_table.mjs
  fi

  for model in "${models[@]}"; do
    section "Layers of $(basename "$model"), 1 thread"
    fenced sh -c "'$eke' bench '$model' --threads 1 --runs $runs --layers 2>/dev/null | sed '1,/^\$/d'"
  done
} >"$report.new"
mv "$report.new" "$report"
echo "written to $report"
