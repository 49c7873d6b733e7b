// What quantization did, as plain records for tables and JSON.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ops/op_def.h"
#include "quant/observer.h"

namespace eke {

// An activation that became integers.
struct QuantizedTensor {
  std::string name;
  std::string
      scale_of;  // the tensor whose range it uses: itself, or its partner through a Reshape, a Concat, ...
  Range seen, range;   // of scale_of: during calibration, and as chosen from it
  std::string method;  // of choosing it
  float scale = 1;
  std::int32_t zero_point = 0;
  int bits = 8;
};

// A convolution or matrix product with int8 weights.
struct QuantizedLayer {
  std::string node, op;
  Cost cost;
  int channels = 0;
  int dead_channels = 0;     // all weights zero
  int widened_channels = 0;  // scale enlarged so that bias and accumulator fit into int32
  float min_scale = 0, max_scale = 0;
  double weight_sqnr_db = 0;  // infinite when exact
  int weight_bits = 8;
};

// A node that computes in float, and why.
struct FloatIsland {
  std::string node, op, reason;
  Cost cost;
};

struct QuantReport {
  std::vector<QuantizedTensor> tensors;
  std::vector<QuantizedLayer> layers;
  std::vector<FloatIsland> islands;
};

}  // namespace eke
