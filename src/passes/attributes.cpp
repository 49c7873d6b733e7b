// Windows written out: auto_pad resolved, and strides, pads, dilations and kernel_shape given even where they
// are ONNX's defaults, so that no later code needs to know those.
#include <type_traits>

#include "ops/geometry.h"
#include "ops/infer.h"
#include "passes/pass_list.h"

namespace eke {
namespace {

template <class A>
constexpr bool kHasWindow = requires(A a) {
  a.auto_pad;
  a.kernel_shape;
};

std::span<const std::int64_t> spatial(const Shape& weights) { return weights.dims().subspan(2); }

template <class A>
void write_out(A& a, const Geometry& g) {
  const auto n = static_cast<std::size_t>(g.rank);
  a.auto_pad = "NOTSET";
  for (op::Ints* list : {&a.kernel_shape, &a.strides, &a.dilations}) list->resize(n);
  a.pads.resize(2 * n);
  for (std::size_t i = 0; i < n; ++i) {
    const Window& w = g.spatial(static_cast<int>(i));
    a.kernel_shape[i] = w.kernel;
    a.strides[i] = w.stride;
    a.dilations[i] = w.dilation;
    a.pads[i] = w.pad_begin;
    a.pads[i + n] = w.pad_end;
  }
}

// Explicit pads cannot say that the output is larger than all that the kernel reaches.
bool is_padding_explicit(const op::ConvTranspose& a, const Geometry& g) {
  for (int i = 0; i < g.rank; ++i) {
    const Window& w = g.spatial(i);
    const auto k = static_cast<std::size_t>(i);
    const std::int64_t extra = a.output_padding.empty() ? 0 : a.output_padding[k];
    if ((w.in - 1) * w.stride + extra + w.reach() - w.pad_begin - w.pad_end != w.out) return false;
  }
  return true;
}

void normalize(op::ConvTranspose& a, const Graph& graph, const Node& node) {
  const Geometry g =
      transposed_geometry(a, graph[node.in[0]].type.shape, spatial(graph[node.in[1]].type.shape));
  if (!is_padding_explicit(a, g)) return;
  write_out(a, g);
  a.output_padding.resize(static_cast<std::size_t>(g.rank));
  a.output_shape.clear();
}

template <class A>
void normalize(A& a, const Graph& graph, const Node& node) {
  if constexpr (kHasWindow<A>) {
    constexpr bool kWeights1 = std::is_same_v<A, op::Conv> || std::is_same_v<A, op::ConvInteger>;
    constexpr bool kWeights3 = std::is_same_v<A, op::QLinearConv>;
    std::span<const std::int64_t> kernel;
    if constexpr (kWeights1) kernel = spatial(graph[node.in[1]].type.shape);
    if constexpr (kWeights3) kernel = spatial(graph[node.in[3]].type.shape);
    write_out(a, window_geometry(window_attributes(a), graph[node.in[0]].type.shape, kernel));
  }
}

}  // namespace

Graph normalize_attributes(Graph graph) {
  for (Node& node : graph.nodes) std::visit([&](auto& a) { normalize(a, graph, node); }, node.op);
  return graph;
}

}  // namespace eke
