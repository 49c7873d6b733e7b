#!/usr/bin/env bash
# Quantizes a real face-recognition network on real faces and compares it with the float one: demo.sh path/to/eke
# Faces: the aligned LFW images of $EKE_DATA/lfw112 where present, else the 100 small ones that Debian's
# python3-skimage ships.
set -euo pipefail
eke=$(realpath "${1:-build/release/bin/eke}")
cd "$(dirname "$0")/.."
data=${EKE_DATA:-../shared/data}
work=build/demo
mkdir -p "$work"

echo "== the network: fr_feature.onnx of npm's faceplugin-face-recognition-js@0.0.1 (112x112 RGB to 512 numbers)"
scripts/fetch_face_models.sh "$work/models"
model=$work/models/fr_feature.onnx
"$eke" info "$model" | sed -n '1,8p'

if [ -f "$data/lfw112/pairs.csv" ]; then
  faces=$work/calibration
  rm -rf "$faces" && mkdir -p "$faces"
  # Verify every fourth pair; calibrate on images that are in none of them all.
  ln -sfn "$(realpath "$data/lfw112/images")" "$work/images"
  awk 'NR % 4 == 1' "$data/lfw112/pairs.csv" > "$work/pairs.csv"
  tail -n +2 "$data/lfw112/pairs.csv" | cut -d, -f1,2 | tr , '\n' | sort -u > "$work/in_pairs"
  (cd "$data/lfw112/images" && find . -name '*.jpg' | sed 's|^\./||' | sort) | comm -23 - "$work/in_pairs" |
    awk 'NR % 27 == 1' | head -n 100 | while read -r file; do
      ln -s "$(realpath "$data/lfw112/images/$file")" "$faces/${file##*/}"
    done
  evaluation=(--eval "$work/pairs.csv")
  count=100
  echo; echo "== the faces: LFW, $(ls "$faces" | wc -l) images to calibrate, $(($(wc -l < "$work/pairs.csv") - 1)) pairs of others to verify"
else
  faces=$work/lfw_subset
  scripts/fetch_lfw_subset.sh "$faces"
  evaluation=()
  count=50
  echo; echo "== the faces: $(ls "$faces" | wc -l) of LFW, 25x25 grey; half calibrate, half compare (no pairs: $data/lfw112 is missing)"
fi

echo; echo "== eke quantize"
"$eke" quantize "$model" --data "$faces" --count "$count" "${evaluation[@]}" \
  --size 112x112 --mean 127 --scale 128 -o "$work/fr_feature.int8.onnx"

echo; echo "== eke bench, one thread"
"$eke" bench "$model" "$work/fr_feature.int8.onnx" --threads 1 --runs 50
