#!/usr/bin/env bash
# Quantizes the networks of $EKE_DATA on several draws of calibration images, evaluates each on the images that were not drawn, and
# writes a Markdown table: accuracy_table.sh [path/to/eke] [pattern of rows] >table.md
#   DRAWS=5      disjoint draws of calibration images
#   COUNT=100    calibration images in a draw, those held back by eke included
#   THREADS=2    of each command
#   RESULTS=DIR  keeps the JSON of each run; a run whose JSON is there is not made again
set -euo pipefail
cd "$(dirname "$0")/.."
eke=${1:-build/release/bin/eke}
pattern=${2:-.}
data=$(realpath "${EKE_DATA:-../shared/data}")
draws=${DRAWS:-5} count=${COUNT:-100} threads=${THREADS:-2}
[ -d "$data/models" ] || { echo "skipped: no networks in $data/models (set EKE_DATA)"; exit 0; }
command -v jq >/dev/null || { echo "jq is missing" >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
results=${RESULTS:-$work/results}
mkdir -p "$results"

# The lines of a list in an order that is the same on every machine.
shuffled() { shuf --random-source=<(yes 20261126) "$1"; }

# Lists of what is calibrated on and evaluated on, beside a link to the images.
draw_labelled() { # SET IMAGES LIST DRAW
  local folder=$work/$1-$4
  [ -d "$folder" ] && return
  mkdir "$folder" && ln -s "$2" "$folder/images"
  shuffled "$3" >"$work/order"
  local first=$(($4 * count + 1)) last=$((($4 + 1) * count))
  { echo file,class; sed -n "${first},${last}p" "$work/order"; } >"$folder/calibration.csv"
  { echo file,class; sed "${first},${last}d" "$work/order"; } >"$folder/evaluation.csv"
}
draw_faces() { # DRAW
  local folder=$work/faces-$1
  [ -d "$folder" ] && return
  mkdir "$folder" && ln -s "$data/lfw112/images" "$folder/images"
  cp "$data/lfw112/pairs.csv" "$folder/evaluation.csv"
  tail -n +2 "$data/lfw112/pairs.csv" | tr , '\n' | grep jpg | sort -u >"$work/paired"
  (cd "$data/lfw112/images" && find . -name '*.jpg' -printf '%P\n' | sort) | comm -23 - "$work/paired" | sed 's/$/,0/' >"$work/unpaired"
  shuffled "$work/unpaired" >"$work/order"
  { echo file,class; sed -n "$(($1 * count + 1)),$((($1 + 1) * count))p" "$work/order"; } >"$folder/calibration.csv"
}

tail -n +2 "$data/imagenet-val/labels.csv" >"$work/imagenet.list"
(cd "$data/cifar10-jpeg-test" && i=0 && for class in */; do
  find "$class" -name '*.jpg' | sort | sed "s/\$/,$i/"; i=$((i + 1)); done) >"$work/cifar.list"

# name | network | flags
rows=(
  "MobileNet v1 0.25, per channel|mobilenet_v1|"
  "MobileNet v1 0.25, per channel, best|mobilenet_v1|--effort best"
  "MobileNet v1 0.25, per tensor|mobilenet_v1|--per-tensor"
  "MobileNet v1 0.25, per tensor, best|mobilenet_v1|--per-tensor --effort best"
  "SqueezeNet 1.1|squeezenet|"
  "SqueezeNet 1.1, best|squeezenet|--effort best"
  "MobileNet v2, per tensor|mobilenet_v2|--per-tensor"
  "MobileNet v2, per tensor, best|mobilenet_v2|--per-tensor --effort best"
  "ResNet-20|resnet20|"
  "ResNet-20, best|resnet20|--effort best"
  "ResNet-8|resnet8|"
  "ResNet-8, best|resnet8|--effort best"
  "MobileFaceNet|faces|"
  "MobileFaceNet, best|faces|--effort best"
  "SqueezeNet 1.1, 4-bit weights to nearest|squeezenet|--weight-bits 4 --effort fast"
  "SqueezeNet 1.1, 4-bit weights, best|squeezenet|--weight-bits 4 --effort best"
  "MobileNet v1 0.25, 4-bit weights to nearest|mobilenet_v1|--weight-bits 4 --effort fast"
  "MobileNet v1 0.25, 4-bit weights, best|mobilenet_v1|--weight-bits 4 --effort best"
  "ResNet-20, 4-bit weights to nearest|resnet20|--weight-bits 4 --effort fast"
  "ResNet-20, 4-bit weights, best|resnet20|--weight-bits 4 --effort best"
)

run() { # NAME NETWORK FLAGS DRAW FILE
  local offset=0 images model normalization=() lists
  case $2 in
    mobilenet_v1) model=mobilenet_v1_025_224.onnx normalization=(--normalization tf) images=imagenet ;;
    mobilenet_v2) model=mobilenet_v2_224.onnx normalization=(--normalization tf) offset=1 images=imagenet ;;
    squeezenet) model=squeezenet_v11.onnx normalization=(--normalization caffe) images=imagenet ;;
    resnet20) model=cifar-resnet/resnet20.onnx normalization=(--normalization imagenet) images=cifar ;;
    resnet8) model=mlperf-tiny/resnet8_float.onnx normalization=(--normalization raw) images=cifar ;;
    faces) model=mobilefacenet-insightface.onnx normalization=(--order bgr --normalization raw) images=faces ;;
  esac
  case $images in
    imagenet) draw_labelled imagenet "$data/imagenet-val/images" "$work/imagenet.list" "$4" ;;
    cifar) draw_labelled cifar "$data/cifar10-jpeg-test" "$work/cifar.list" "$4" ;;
    faces) draw_faces "$4" ;;
  esac
  lists=$work/$images-$4
  # shellcheck disable=SC2086 # flags are words
  /usr/bin/env time -o "$work/time" -f '%e %U %M' "$eke" quantize "$data/models/$model" --data "$lists/calibration.csv" \
    --eval "$lists/evaluation.csv" --count "$count" "${normalization[@]}" --class-offset $offset $3 --runs 1 --allow-slower \
    --no-explain --threads "$threads" --json -o "$work/int8.onnx" >"$work/json" 2>"$work/errors" || [ -s "$work/json" ] ||
    { cat "$work/errors" >&2; return 1; }
  read -r seconds cpu kilobytes <"$work/time"
  jq --arg s "$seconds" --arg c "$cpu" --arg k "$kilobytes" '. + {seconds: ($s|tonumber), cpu: ($c|tonumber), peak_kb: ($k|tonumber)}' \
    "$work/json" >"$5.part" && mv "$5.part" "$5"
}

echo "| network | drop, points: mean (each draw) | paired 95 % intervals | images | SQNR, dB | steps kept | CPU s, peak MB of the command |"
echo "| --- | --- | --- | --- | --- | --- | --- |"
for row in "${rows[@]}"; do
  IFS='|' read -r name network flags <<<"$row"
  [[ $name =~ $pattern ]] || continue
  files=()
  for ((draw = 0; draw < draws; ++draw)); do
    file=$results/$(echo "$name-$draw" | tr -c 'a-zA-Z0-9.\n' _).json
    [ -f "$file" ] || run "$name" "$network" "$flags" "$draw" "$file"
    files+=("$file")
  done
  jq -rs --arg name "$name" '
    def r: . * 100 | round / 100;
    def mean: add / length;
    (map(-100 * .difference.accuracy)) as $drops |
    "| \($name) | \($drops | mean | r) (\($drops | map(r | tostring) | join(", ")))" +
    " | \(map("\(-100 * .difference.high | r) to \(-100 * .difference.low | r)") | join("; "))" +
    " | \(.[0].difference.count) | \(map(.likeness.sqnr_db.median) | mean | r)" +
    " | \(map([.walk.steps[] | select(.kept) | .step] | .[1:] | join(", ")) | unique | join("; "))" +
    " | \(map(.cpu) | mean | r), \(map(.peak_kb) | max / 1000 | round) |"' "${files[@]}"
  if [ "$network" = faces ]; then
    jq -rs 'def r: . * 100 | round / 100;
      .[] | .embeddings.settings[] | select(.what != "float") |
      "| ... \(.what) | \(-100 * .difference.accuracy | r) of accuracy, \(-100 * .rates[1].difference.accuracy | r) of TAR at FAR \(.rates[1].far)" +
      " | \(-100 * .difference.high | r) to \(-100 * .difference.low | r); \(-100 * .rates[1].difference.high | r) to \(-100 * .rates[1].difference.low | r)" +
      " | \(.difference.count) pairs, \(.rates[1].difference.count) same | | | |"' "${files[@]}"
  fi
done
