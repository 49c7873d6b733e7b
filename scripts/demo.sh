#!/usr/bin/env bash
# The study, with what packages give: demo.sh path/to/eke [FACES]
# Without FACES: a small network learns clothes (Debian's dataset-fashion-mnist) on this machine, and a published
# face-recognition network (npm) is quantized on faces. With FACES, a folder of images for each person: face networks learn
# these persons. Results, models and the report are in build/demo; a second run goes on where the first stopped.
set -euo pipefail
eke=$(realpath "${1:-build/release/bin/eke}")
faces=${2:-}
cd "$(dirname "$0")/.."
data=${EKE_DATA:-../shared/data}
work=build/demo
mkdir -p "$work"
scripts/fetch_face_models.sh "$work/models"
model=$work/models/fr_feature.onnx
preprocessing=(--size 112x112 --mean 127 --scale 128)

if [ -n "$faces" ]; then
  # A published network of MobileFaceNet's type gets a new head on int8 features; MobileNet v1 0.25 of ImageNet, where it lies
  # beside, learns faces from end to end.
  networks='{"model": "'$(realpath "$model")'", "name": "mobilefacenet", "size": "112x112", "mean": "127", "scale": "128",
    "train": {"epochs": 0}, "qat": {"epochs": 2}}'
  mobilenet=$data/models/mobilenet_v1_025_224.onnx
  [ ! -f "$mobilenet" ] || networks+=', {"model": "'$(realpath "$mobilenet")'", "name": "mobilenet_v1_025", "size": "128x128",
    "normalization": "tf", "train": {"epochs": 60, "validation": 0.1}, "qat": {"epochs": 10, "validation": 0.1}}'
  # Persons with 20 images or more, where there are some: 10 train and 10 are kept for the evaluation.
  division=
  many=$(find -L "$faces" -mindepth 2 -maxdepth 2 -type f -printf '%h\n' | sort | uniq -c | awk '$1 >= 20' | wc -l)
  [ "$many" -lt 2 ] || division='"per_class": 20, "train_per_class": 10,'
  threads='1, 2'
  [ "$(nproc)" -gt 1 ] || threads=1
  cat > "$work/faces.json" <<EOF
{"name": "New persons for face networks", "networks": [$networks],
 "data": "$(realpath "$faces")", $division "threads": [$threads]}
EOF
  exec "$eke" study "$work/faces.json" -o "$work/faces"
fi

echo "== a small network learns clothes here"
"$eke" study -o "$work/study" > "$work/study.txt"

# Images of faces: LFW where it lies beside, else the small ones of Debian's python3-skimage.
if [ -f "$data/lfw112/pairs.csv" ]; then
  calibration=$work/calibration
  rm -rf "$calibration" && mkdir -p "$calibration"
  # Verify every fourth pair; calibrate on images that are in none of them all.
  ln -sfn "$(realpath "$data/lfw112/images")" "$work/images"
  awk 'NR % 4 == 1' "$data/lfw112/pairs.csv" > "$work/pairs.csv"
  tail -n +2 "$data/lfw112/pairs.csv" | cut -d, -f1,2 | tr , '\n' | sort -u > "$work/in_pairs"
  (cd "$data/lfw112/images" && find . -name '*.jpg' | sed 's|^\./||' | sort) | comm -23 - "$work/in_pairs" |
    awk 'NR % 27 == 1' | head -n 100 | while read -r file; do
      ln -s "$(realpath "$data/lfw112/images/$file")" "$calibration/${file##*/}"
    done
  evaluation=(--count 100 --eval "$work/pairs.csv")
else
  calibration=$work/lfw_subset
  scripts/fetch_lfw_subset.sh "$calibration"
  evaluation=(--count 50)  # the other half is compared
fi
echo "== fr_feature.onnx of npm's faceplugin-face-recognition-js@0.0.1 becomes int8"
"$eke" quantize "$model" --data "$calibration" "${evaluation[@]}" "${preprocessing[@]}" \
  -o "$work/fr_feature.int8.onnx" --allow-slower --json > "$work/fr_feature.quantize.json"
"$eke" bench "$model" "$work/fr_feature.int8.onnx" --threads 1 --layers --json > "$work/fr_feature.bench.json"

results=("$work/study/study.json" "$work/fr_feature.quantize.json" "$work/fr_feature.bench.json")
"$eke" report "${results[@]}" --title "What this device can do" -o "$work/report.html" > "$work/report.txt"
"$eke" report "${results[@]}" --title "What this device can do" --format summary
echo
echo "the report: $PWD/$work/report.html"
