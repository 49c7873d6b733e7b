// A quantized model as other engines want it. For TensorRT on the GPU, and from version 11 on for the DLA, it stays
// a model with Q/DQ nodes, put where TensorRT's fusions want them. For the DLA up to version 10 it becomes a float
// model, a calibration cache with the same scales, and the list of layers that stay in fp16.
#pragma once

#include <string>
#include <vector>

#include "graph/graph.h"
#include "target/calibration_cache.h"
#include "target/dla_plan.h"

namespace eke {

struct ExportNote {
  std::string place, what;
};

struct QdqExport {
  Graph graph;
  std::vector<ExportNote> notes;
};

// Activations become symmetric int8, biases floats, and no Q/DQ pair stands between a convolution and the addition
// that it is fused with. With `equal_scales`, tensors that the DLA joins get one scale. `graph` has Q/DQ nodes and
// all types known; throws where it has none.
QdqExport export_qdq(const Graph& graph, bool equal_scales);

struct DlaExport {
  Graph graph;  // without Q/DQ
  CalibrationCache cache;
  std::vector<std::string> fp16_layers;
  DlaPlan plan;  // of `graph`
  std::vector<ExportNote> notes;
};

// `graph` has Q/DQ nodes and all types known; throws where it has none, and with a strongly typed version.
DlaExport export_dla(const Graph& graph, const DlaTarget& target);

// Throws where a cache was not made for this network and version: its header is another one, or it has tensors that the
// network lacks, which are listed. TensorRT would leave it aside without a word.
void check_cache(const CalibrationCache& cache, const Graph& graph, const TensorRtVersion& version);

// A shell script that builds and times the engine with trtexec. Files lie beside it. The DLA gets --allowGPUFallback even
// where every layer stays: the GPU converts inputs and outputs to the DLA's formats (NVIDIA/TensorRT issue 3438).
struct ScriptFiles {
  std::string onnx, cache, layers, engine;  // cache and layers: "" where there are none
};
std::string trtexec_script(const ScriptFiles& files, const TensorRtVersion& version, bool dla);

}  // namespace eke
