// ONNX files to graphs and back. What comes from a file is untrusted: every size is checked before memory is
// taken, and whatever is wrong or not supported becomes an Error that names the node or tensor.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "graph/graph.h"

namespace eke {

struct LoadOptions {
  bool to_float32 = true;  // float16, bfloat16 and float64 are read as float32
};

// Of the ONNX domain. Up to the newest, whatever is not known is refused by its operator or attribute; a later
// one might give a known operator another meaning.
inline constexpr int kMinOpset = 6, kMaxOpset = 24;

// The graph of a model file and of the external data files beside it. Types of values other than graph inputs
// and constants are as the file declares them, if at all, until infer_types. Operators that are missing are
// listed with their nodes in one Error.
Graph load_onnx(const std::string& path, const LoadOptions& options = {});

// As load_onnx, from the bytes of a model. External data must lie in `folder`; "" refuses it.
Graph parse_onnx(std::span<const std::byte> bytes, const std::string& folder = "",
                 const LoadOptions& options = {});

struct SaveOptions {
  // int8 constants within [-8, 7] that one DequantizeLinear and nothing else reads become INT4, two a byte, with their
  // zero points. Needs opset 21. Read again, they are int8.
  bool pack_weights = false;
};

// The bytes of a model in the oldest opset (from 17 on) that has all its operators; equal graphs give equal
// bytes. Throws for operators that only lowering makes, and above 2 GiB.
std::string to_onnx(const Graph& graph, const SaveOptions& options = {});
void save_onnx(const Graph& graph, const std::string& path);

// A serialized TensorProto, as ONNX's test data has them.
Tensor parse_tensor_proto(std::span<const std::byte> bytes);

}  // namespace eke
