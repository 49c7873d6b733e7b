// Measures the quantities of a node that the limits of dla_limits.h name, and says which of them are broken.
// Pure; types of all values must be known.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "graph/graph.h"
#include "target/dla_limits.h"

namespace eke {

enum class DlaPrecision : std::uint8_t { int8, fp16 };  // all that the DLA computes in

struct DlaTarget {
  TensorRtVersion version = kDefaultTensorRt;
  DlaPrecision precision = DlaPrecision::int8;
};

struct Quantity {
  std::string_view name;
  double value;
};

struct BrokenLimit {
  std::string_view quantity;
  double value, lo, hi;
  std::string_view source;
};
std::string to_string(const BrokenLimit& broken);  // "window is 14; 1 to 8 is possible"

struct DlaVerdict {
  DlaSupport support = DlaSupport::none;
  DlaLayer layer = DlaLayer::any;
  std::vector<BrokenLimit> broken;  // with support native: reasons to leave the DLA all the same
  std::string_view source, remedy;

  bool runs_on_dla() const noexcept { return support == DlaSupport::native && broken.empty(); }
};

// Banks of the convolution buffer, of which there are 16, that one kernel of the weights and the least part of
// the data fill (TensorRT developer guide 8.4).
struct CbufBanks {
  std::int64_t weights = 0, data = 0;
};
struct CbufLayer {
  std::int64_t channels, kernel_height, kernel_width, dilation_height, width;
};
CbufBanks cbuf_banks(const CbufLayer& layer, DlaPrecision precision);

class DlaJudge {
 public:
  DlaJudge(const Graph& graph, const DlaTarget& target);  // both outlive it

  DlaVerdict judge(const Node& node) const;

  // Whether a value depends on constants alone, through Q/DQ nodes too.
  bool is_constant(ValueId id) const { return constant_[static_cast<std::size_t>(id)]; }

 private:
  // What the node is as a layer: an Add of a constant is a scale.
  DlaLayer layer_of(const Node& node, DlaLayer listed) const;
  using Quantities = std::vector<Quantity>;
  Quantities measure(const Node& node, DlaLayer layer) const;
  void measure_layer(Quantities& q, const Node& node, DlaLayer layer) const;
  void measure_product_layer(Quantities& q, const Node& node) const;
  void measure_elementwise(Quantities& q, const Node& node) const;
  void measure_scale(Quantities& q, const Node& node) const;
  void measure_slice(Quantities& q, const Node& node) const;
  void measure_shuffle(Quantities& q, const Node& node) const;
  bool parameters_are_constant(const Node& node) const;  // all inputs but the first
  const Shape& shape(ValueId id) const { return graph_[id].type.shape; }

  const Graph& graph_;
  const DlaTarget target_;
  std::vector<int> producers_;
  std::vector<std::vector<int>> consumers_;
  std::vector<bool> constant_;
};

}  // namespace eke
