#!/usr/bin/env bash
# Compares the outputs of eke with those of ONNX Runtime on the same pseudo-random batch, network by network:
#   compare_with_ort.sh [path/to/eke] [model.onnx...]
# Without models: all of $EKE_DATA/models and the nine of npm's faceplugin-face-recognition-js@0.0.1.
# The relative error is max |a - b| / max |b| over an output; the goal is below 1e-4.
set -euo pipefail
cd "$(dirname "$0")/.."
eke=${1:-build/release/bin/eke}
[ $# -gt 0 ] && shift
data=${EKE_DATA:-../shared/data}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
[ -d bench/peers/node_modules/onnxruntime-node ] || npm install --silent --ignore-scripts --no-fund --no-audit --prefix bench/peers

models=("$@")
if [ ${#models[@]} = 0 ]; then
  [ -d "$data/models" ] || echo "skipped: no networks in $data/models (set EKE_DATA)"
  mapfile -t models < <(find "$data/models" -name '*.onnx' 2>/dev/null | sort)
  scripts/fetch_face_models.sh "$work/faces"
  mapfile -t -O ${#models[@]} models < <(find "$work/faces" -name '*.onnx' | sort)
fi

failed=0
for model in "${models[@]}"; do
  node bench/peers/random_input.mjs "$model" --output "$work/x.npy"
  "$eke" run "$model" "$work/x.npy" --raw "$work/ours" >/dev/null
  node bench/peers/ort_compare.mjs "$model" --input "$work/x.npy" --ours "$work/ours" --limit "${LIMIT:-1e-4}" || failed=1
done
exit $failed
