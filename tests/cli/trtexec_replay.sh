#!/usr/bin/env bash
# Stands in for NVIDIA's trtexec: takes its flags, writes its files, and prints recorded lines of it (jetson_dla_tutorial's
# README for the placement, NVIDIA/TensorRT issue 4177 for the summary, the tutorial's issue 3 for the warning) between
# lines that are made after the documented layout. "The scores" of an image say which half of it is brighter.
#   REPLAY_VERSION  8502, 8602, 100300 or 110401: what the banner says, and which flags are taken
#   REPLAY_CASE     good, fallback, unbuilt, device, cut, comma
set -u
version=${REPLAY_VERSION:-100300} case=${REPLAY_CASE:-good}
banner() { echo "&&&& $1 TensorRT.trtexec [TensorRT v$version] # $0 $*"; }
error() {
  echo "[01/01/2024-00:00:00] [E] $1"
  banner FAILED
  exit 1
}

banner RUNNING
engine= times= profile= layers= output= input= build=
for word in "$@"; do
  value=${word#*=}
  case $word in
    --onnx=*) build=1; [ -f "$value" ] || error "Failed to open file: $value" ;;
    --saveEngine=* | --loadEngine=*) engine=$value ;;
    --exportTimes=*) times=$value ;;
    --exportProfile=*) profile=$value ;;
    --exportLayerInfo=*) layers=$value ;;
    --exportOutput=*) output=$value ;;
    --loadInputs=*) input=${value##*:} ;;
    --int8 | --fp16 | --calib=* | --layerPrecisions=* | --precisionConstraints=*)
      [ "$version" -lt 110000 ] || error "Unknown option: $word" ;;
    --noCudaGraph | --noSpinWait | --includeDataTransfers)
      [ "$version" -ge 110000 ] || error "Unknown option: $word" ;;
    --buildOnly) [ "$version" = 8502 ] || error "Unknown option: $word" ;;
    --skipInference) [ "$version" != 8502 ] || error "Unknown option: $word" ;;
    --duration=* | --iterations=* | --warmUp=* | --useDLACore=* | --allowGPUFallback | --profilingVerbosity=* | \
      --separateProfileRun | --inputIOFormats=* | --outputIOFormats=*) ;;
    *) error "Unknown option: $word" ;;
  esac
done

if [ -n "$build" ]; then
  [ "$case" != unbuilt ] || error "Error[2]: Internal Error (Assertion engine != nullptr failed. )"
  echo an engine >"$engine"
  if [ "$case" = fallback ]; then
    echo "[W] [TRT] Layer '/model.24/Constant_1_output_0' (CONSTANT): Unsupported on DLA. Switching this layer's device type to GPU."
  fi
  echo "[03/31/2022-14:34:54] [I] [TRT] ---------- Layers Running on DLA ----------"
  echo "[03/31/2022-14:34:54] [I] [TRT] [DlaLayer] {ForeignNode[Conv_0]}"
  echo "[03/31/2022-14:34:54] [I] [TRT] [DlaLayer] {ForeignNode[Relu_10...Conv_11]}"
  echo "[03/31/2022-14:34:54] [I] [TRT] ---------- Layers Running on GPU ----------"
  [ "$case" != fallback ] || echo "[03/31/2022-14:34:54] [I] [TRT] [GpuLayer] PLUGIN_V2: InstanceNormalization_5"
  echo "[05/10/2024-12:24:57] [I] Engine built in 14.6812 sec."
  banner PASSED
  exit 0
fi
[ "$(cat "$engine")" = "an engine" ] || case=device
[ "$case" != device ] || error "[TRT] 6: The engine plan file is generated on an incompatible device, expecting compute 8.7 got compute 8.6, please rebuild."
echo "[05/10/2024-12:24:57] [I] Starting inference"
sleep 0.05
if [ -n "$times" ]; then
  {
    printf '[\n  '
    for query in 1 2 3 4; do
      printf '%s{ "startEnqMs" : %d.67333, "endEnqMs" : %d.70722, "h2dMs" : 0, "computeMs" : 0.873472, "d2hMs" : 0, "latencyMs" : 0.873472 }\n' \
        "${separator:-}" $query $query
      separator=', '
    done
    printf ']\n'
  } >"$times"
fi
[ -z "$profile" ] || echo '[ { "count" : 1 }, { "name" : "MaxPool_2", "timeMs" : 0.062464, "averageMs" : 0.062464, "medianMs" : 0.062464, "percentage" : 6.143 } ]' >"$profile"
tensors=Bindings
[ "$version" -lt 110000 ] || tensors="I/O Tensors"
[ -z "$layers" ] || echo "{\"Layers\": [{ \"Name\": \"MaxPool_2\", \"LayerType\": \"CaskPooling\", \"TacticName\": \"t\" }], \"$tensors\": [\"x\"]}" >"$layers"
if [ -n "$output" ]; then
  scores=$(od -An -v -tf4 -w32 "$input" | awk '{ left += $1 + $2 + $3 + $4; right += $5 + $6 + $7 + $8 } END { print left ", " right }')
  printf '[\n  { "name" : "scores"\n  , "dimensions" : "1x2"\n  , "values" : [ %s ]\n  }\n]\n' "$scores" >"$output"
fi
echo "[05/10/2024-12:25:00] [I] Timing trace has 4 queries over 3.00082 s"
echo "[10/03/2024-10:47:59] [I] === Performance summary ==="
throughput=130.298
[ "$case" != comma ] || throughput=130,298
echo "[10/03/2024-10:47:59] [I] Throughput: $throughput qps"
echo "[10/03/2024-10:47:59] [I] Latency: min = 5.38672 ms, max = 13.3664 ms, mean = 7.60628 ms, median = 7.16092 ms, percentile(90%) = 10.2996 ms, percentile(95%) = 10.8698 ms, percentile(99%) = 12.9675 ms"
[ "$case" != cut ] || exit 0
echo "[10/03/2024-10:47:59] [I] Total Host Walltime: 3.00082 s"
banner PASSED
