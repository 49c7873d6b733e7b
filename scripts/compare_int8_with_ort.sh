#!/usr/bin/env bash
# Quantizes every classification network of $EKE_DATA with uint8 and with int8 activations and lets eke and ONNX Runtime run the result
# on the same prepared images: the same top-1 on 99 % of them and accuracies within half a point, or exit 1. So too with what
# 'eke export --target tensorrt' makes of symmetric int8 models, there operator by operator: ONNX Runtime's own int8 fusions, which TensorRT
# does not have, would be compared otherwise.
#   compare_int8_with_ort.sh [path/to/eke] [network...]
# Networks: mobilenet_v1 mobilenet_v2 squeezenet resnet20 resnet8; default all.
set -euo pipefail
cd "$(dirname "$0")/.."
eke=${1:-build/release/bin/eke}
[ $# -gt 0 ] && shift
data=${EKE_DATA:-../shared/data}
[ -d "$data/models" ] || { echo "skipped: no networks in $data/models (set EKE_DATA)"; exit 0; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
[ -d bench/peers/node_modules/onnxruntime-node ] || npm install --silent --ignore-scripts --no-fund --no-audit --prefix bench/peers

networks=("$@")
[ ${#networks[@]} -gt 0 ] || networks=(mobilenet_v1 mobilenet_v2 squeezenet resnet20 resnet8)

# Class numbers in the order in which eke opens a set: that of labels.csv, or folder by folder.
labels_of() {
  if [ -f "$1/labels.csv" ]; then
    tail -n +2 "$1/labels.csv" | cut -d, -f2
  else
    find "$1" -mindepth 2 -type f -printf '%h\n' | sort | uniq -c | awk '{ for (i = 0; i < $1; i++) print NR - 1 }'
  fi
}

failed=0
for network in "${networks[@]}"; do
  images=$data/imagenet-val offset=0
  case $network in
    mobilenet_v1) model=mobilenet_v1_025_224.onnx normalization=tf ;;
    mobilenet_v2) model=mobilenet_v2_224.onnx normalization=tf offset=1 ;;
    squeezenet) model=squeezenet_v11.onnx normalization=caffe ;;
    resnet20) model=cifar-resnet/resnet20.onnx normalization=imagenet images=$data/cifar10-jpeg-test ;;
    resnet8) model=mlperf-tiny/resnet8_float.onnx normalization=raw images=$data/cifar10-jpeg-test ;;
    *) echo "unknown network '$network'" >&2; exit 2 ;;
  esac
  labels_of "$images" >"$work/labels.txt"
  for kind in uint8 int8 tensorrt; do
    int8=$work/$network.$kind.onnx
    case $kind in
      tensorrt) form="--for tensorrt" optimization=basic ;;
      *) form="--activations $kind" optimization=all ;;
    esac
    # shellcheck disable=SC2086 # two words
    "$eke" quantize "$data/models/$model" --data "$images" --normalization $normalization $form \
      --class-offset $offset --limit 1 --runs 1 --allow-slower --threads 1 -o "$int8" >/dev/null 2>&1
    if [ $kind = tensorrt ]; then
      "$eke" export "$int8" --target tensorrt -o "$work/engine" >/dev/null
      int8=$work/engine/model.onnx
    fi
    "$eke" run "$int8" "$images" --raw "$work/out" --with-input --threads 1 >"$work/log" 2>/dev/null
    scores=$(awk '$1 != "input" { print $NF; exit }' "$work/log")
    echo "$network, $kind:"
    node bench/peers/ort_agree.mjs "$int8" --input "$work/out/input.npy" --ours "$scores" --labels "$work/labels.txt" \
      --offset $offset --optimization $optimization || failed=1
    rm -rf "$work/out" "$work/engine"
  done
done
exit $failed
