// Bytes as an ONNX file: reading, inference with small extents, and writing either work or throw an Error.
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "base/error.h"
#include "onnx/onnx.h"
#include "ops/infer.h"

namespace {

constexpr std::size_t kMaxBytes = std::size_t{1} << 16;

// Dynamic extents become small ones.
eke::Graph bound(eke::Graph graph) {
  eke::Bindings bindings;
  for (const eke::ValueId id : graph.inputs) {
    eke::Shape shape = graph[id].type.shape;
    for (std::int64_t& extent : shape)
      if (extent == eke::kDynamic) extent = 2;
    bindings.shapes[graph[id].name] = shape;
  }
  return eke::specialize(std::move(graph), bindings);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size > kMaxBytes) return 0;
  try {
    const eke::Graph graph = eke::parse_onnx(std::as_bytes(std::span(data, size)));
    const std::string written = eke::to_onnx(graph);
    const eke::Graph again = eke::parse_onnx(std::as_bytes(std::span(written)));
    bound(again);
  } catch (const eke::Error&) {
  }
  return 0;
}
