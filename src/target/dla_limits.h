// What TensorRT places on the Deep Learning Accelerator of Jetson Orin (DLA 2.0): which ONNX operators, and
// within which limits. Plain data, all of it in dla_limits.cpp, each row with its source and the versions for
// which it holds; how the quantities of a node are measured is in dla_rules.h.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string_view>

#include "target/version.h"

namespace eke {

// TensorRT's kinds of layers, as the limits name them.
enum class DlaLayer : std::uint8_t {
  any,
  convolution,  // also Gemm and MatMul, which become 1x1 convolutions
  deconvolution,
  pooling,
  activation,
  prelu,
  elementwise,
  scale,
  lrn,
  concatenation,
  resize,
  softmax,
  slice,
  unary,
  reduce,
  shuffle,
};
std::string_view to_string(DlaLayer layer) noexcept;

struct VersionRange {
  TensorRtVersion since{0, 0}, until{std::numeric_limits<int>::max(), 0};  // both included
  bool contains(const TensorRtVersion& version) const noexcept {
    return since <= version && version <= until;
  }
};

// A quantity of a layer must lie in [lo, hi].
struct DlaLimit {
  DlaLayer layer;
  std::string_view quantity;
  double lo, hi;
  std::string_view source;
  VersionRange versions = {};
};
std::span<const DlaLimit> dla_limits() noexcept;

enum class DlaSupport : std::uint8_t {
  native,  // within the limits of its layer
  folded,  // gone before layers are placed: Identity, Q/DQ, what depends on constants alone
  none,
};

struct DlaOperator {
  std::string_view onnx;
  DlaSupport support;
  DlaLayer layer = DlaLayer::any;
  std::string_view source;
  std::string_view remedy = "";  // how the network can do without it
  VersionRange versions = {};    // outside of it: none
};
std::span<const DlaOperator> dla_operators() noexcept;

}  // namespace eke
