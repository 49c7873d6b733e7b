#!/usr/bin/env bash
# What the DLA's arithmetic costs: fits and quantizes the labelled networks of $EKE_DATA (--for dla-orin), evaluates each Q/DQ model, and
# the same as the DLA computes its calibration cache; exit 1 where that loses more than 0.1 point.
#   compare_as_dla.sh [path/to/eke] [network...]
# Networks: mobilenet_v1 squeezenet resnet20 resnet8 mobilefacenet; default all. EFFORT=fast|balanced|best: of eke quantize, default balanced.
set -euo pipefail
cd "$(dirname "$0")/.."
eke=${1:-build/release/bin/eke}
[ $# -gt 0 ] && shift
data=${EKE_DATA:-../shared/data}
[ -d "$data/models" ] || { echo "skipped: no networks in $data/models (set EKE_DATA)"; exit 0; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
networks=("$@")
[ ${#networks[@]} -gt 0 ] || networks=(mobilenet_v1 squeezenet resnet20 resnet8 mobilefacenet)

failed=0
for network in "${networks[@]}"; do
  images=$data/imagenet-val evaluation=$data/imagenet-val options=()
  case $network in
    mobilenet_v1) model=mobilenet_v1_025_224.onnx options=(--normalization tf) ;;
    squeezenet) model=squeezenet_v11.onnx options=(--normalization caffe) ;;
    resnet20) model=cifar-resnet/resnet20.onnx options=(--normalization imagenet) images=$data/cifar10-jpeg-test evaluation=$images ;;
    resnet8) model=mlperf-tiny/resnet8_float.onnx options=(--normalization raw) images=$data/cifar10-jpeg-test evaluation=$images ;;
    mobilefacenet) model=mobilefacenet-insightface.onnx options=(--normalization raw --order bgr) images=$data/lfw112 evaluation=$data/lfw112/pairs.csv ;;
    *) echo "unknown network '$network'" >&2; exit 2 ;;
  esac
  "$eke" fit "$data/models/$model" -o "$work/fitted.onnx" --threads 1 >/dev/null
  "$eke" quantize "$work/fitted.onnx" --data "$images" --eval "$evaluation" --limit 1 "${options[@]}" --for dla-orin --effort "${EFFORT:-balanced}" \
    --runs 1 --allow-slower --threads 1 -o "$work/int8.onnx" >/dev/null 2>&1
  for how in cpu dla; do
    as=()
    [ $how = cpu ] || as=(--as dla-orin)
    "$eke" eval "$work/int8.onnx" --data "$evaluation" "${as[@]}" --threads 1 --json >"$work/$how.json" 2>/dev/null
  done
  node -e '
    const [network, cpu, dla] = process.argv.slice(1);
    const read = (file) => JSON.parse(require("fs").readFileSync(file, "utf8"));
    const score = (r) => (r.top1 ? r.top1.accuracy : r.verification.accuracy);
    const a = read(cpu), b = read(dla), lost = 100 * (score(a) - score(b));
    const text = (r) => `${(100 * score(r)).toFixed(2)} %` + (r.top1 ? ` (${r.top1.correct} of ${r.images})` : ` (${r.verification.correct} pairs right)`);
    console.log(`${network}: Q/DQ ${text(a)}, as the DLA ${text(b)}, ${lost.toFixed(2)} points lost${lost > 0.1 ? " TOO MUCH" : ""}`);
    process.exit(lost > 0.1 ? 1 : 0);' "$network" "$work/cpu.json" "$work/dla.json" || failed=1
done
exit $failed
