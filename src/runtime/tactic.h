// Tactics: the ways to execute a node. A tactic says whether it can take a node and turns it into a Step with
// its constants packed. The list for an operator ends in the reference, which takes everything.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/isa.h"
#include "base/threads.h"
#include "graph/graph.h"
#include "runtime/plan.h"

namespace eke {

struct StepArgs {
  const std::byte* const* in = nullptr;  // one a node input; null where the input is absent
  std::byte* const* out = nullptr;
  std::size_t in_count = 0;
  std::byte* scratch = nullptr;  // scratch_bytes() bytes, 64-byte aligned
  const Threads* threads = nullptr;
};

// Executes one node. Immutable; run neither throws nor allocates.
class Step {
 public:
  virtual ~Step() = default;
  virtual void run(const StepArgs& args) const noexcept = 0;
  virtual std::size_t scratch_bytes(int threads) const noexcept { return threads * std::size_t{0}; }
  virtual std::size_t weight_bytes() const noexcept { return 0; }
  // True when no byte past the end of an input is read, so that a caller's buffer may serve as it is.
  virtual bool reads_exactly() const noexcept { return false; }
};

// A step of an NHWC convolution that can make some rows of its output: a part of a block (blocks.h).
class StripStep : public Step {
 public:
  // Rows [begin, end), counted over all images, on the calling thread. Of the input only the rows that these read need be
  // there; `scratch` is of scratch_bytes(1).
  virtual void run_rows(const StepArgs& args, std::int64_t begin, std::int64_t end) const noexcept = 0;
};

// A node with all that a tactic may ask about it.
struct Query {
  const Graph& graph;
  const Node& node;
  Isa isa = Isa::scalar;
  Layout layout = Layout::plain;  // of rank-4 inputs and outputs, in prepare()
  // Channels from one pixel of the output to the next, in prepare() of a tactic with `slices`: more than it has
  // where it is a slice of a wider tensor.
  std::int64_t pixel_channels = 0;
  Floats floats = Floats::f32;

  std::size_t inputs() const noexcept { return node.in.size(); }
  bool has(std::size_t i) const noexcept { return i < node.in.size() && node.in[i] != kNoValue; }
  const Type& in(std::size_t i) const { return graph[node.in[i]].type; }
  const Type& out(std::size_t i = 0) const { return graph[node.out[i]].type; }
  const Tensor* constant(std::size_t i) const { return has(i) ? graph.constant(node.in[i]) : nullptr; }
};

// What layout a tactic wants its rank-4 operands in: `any` means all in one layout, whichever there is.
enum class LayoutNeed : std::uint8_t { plain, nhwc, any };

struct Prepared {
  std::unique_ptr<Step> step;  // null: the output is the input's bytes under another type
  std::string tactic;          // the kernel's or tactic's name
  std::string note = {};
  // Outputs that may be written to the memory of an input of the same size, if nothing else needs it any more.
  struct InPlace {
    std::size_t output, input;
  };
  std::vector<InPlace> in_place = {};
};

struct Tactic {
  std::string_view id;
  LayoutNeed layout;
  bool (*legal)(const Query&);
  Prepared (*prepare)(const Query&);
  bool slices = false;  // can write its NHWC output into a slice of the channels of a wider tensor
  bool strips = false;  // its steps are StripSteps
};

// Best first; the last is the reference.
std::span<const Tactic> tactics(const Op& op);
const Tactic& reference_tactic();
// The first of tactics() that takes the node.
const Tactic& first_legal(const Query& query);
const Tactic* find_tactic(const Op& op, std::string_view id);  // null when there is none
bool is_supported(Isa isa) noexcept;                           // by this machine and build

// A step that changes the layout of a rank-4 tensor of 1- or 4-byte elements (others by a plain loop).
Prepared layout_step(const Type& type, Layout from, Isa isa);
// True when both layouts are the same bytes.
bool layouts_agree(const Shape& shape) noexcept;
// A rank-4 tensor with its channels innermost.
Tensor to_nhwc(const Tensor& tensor);

// The families, one file each in tactics/.
std::span<const Tactic> conv_tactics();
std::span<const Tactic> matmul_tactics();
std::span<const Tactic> pool_tactics();
std::span<const Tactic> unary_tactics();
std::span<const Tactic> binary_tactics();
std::span<const Tactic> quantize_tactics();
std::span<const Tactic> movement_tactics();
std::span<const Tactic> softmax_tactics();
// Of training alone, in order of preference. training_only.cpp joins them; libeke_runtime has a file in its place that
// joins none.
struct TrainingTactics {
  Op op;
  std::span<const Tactic> tactics;
};
std::vector<TrainingTactics> training_only_tactics();

// Of training: train_conv.cpp, train_depthwise.cpp, train_pool.cpp, training.cpp.
std::span<const Tactic> max_pool_grad_tactics();
std::span<const Tactic> average_pool_grad_tactics();
std::span<const Tactic> spread_tactics();
std::span<const Tactic> train_conv_tactics();
std::span<const Tactic> conv_transpose_tactics();
std::span<const Tactic> conv_grad_weight_tactics();
std::span<const Tactic> train_depthwise_tactics();
std::span<const Tactic> depthwise_transpose_tactics();
std::span<const Tactic> depthwise_grad_weight_tactics();
std::span<const Tactic> statistics_tactics();
std::span<const Tactic> batch_norm_tactics();
std::span<const Tactic> batch_norm_grad_tactics();
std::span<const Tactic> channel_sum_tactics();
std::span<const Tactic> clamp_grad_tactics();
std::span<const Tactic> average_tactics();
std::span<const Tactic> momentum_tactics();
std::span<const Tactic> adam_tactics();
std::span<const Tactic> run_time_rounding_tactics();  // rounding.cpp
std::span<const Tactic> rounding_grad_tactics();
std::span<const Tactic> train_matmul_tactics();  // train_matmul.cpp

}  // namespace eke
