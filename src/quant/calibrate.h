// Runs a float graph over calibration images and watches the values whose ranges quantization needs. Memory
// is that of one plan and one histogram a value, whatever the number of images. One thread at a time uses a
// Calibration.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "base/threads.h"
#include "graph/graph.h"
#include "quant/calibrator.h"
#include "quant/channel_histogram.h"
#include "quant/channel_means.h"
#include "quant/rewrite.h"
#include "runtime/plan.h"
#include "tensor/tensor.h"

namespace eke {

class Calibration {
 public:
  // `graph` is the one that will be quantized, all types known. `threads` must outlive this. Throws as
  // ranges_needed() and compile() do.
  Calibration(const Graph& graph, const RewriteOptions& quantize, const CalibratorOptions& calibrator,
              const Threads& threads);

  // Images in one run: the leading extent of the first input.
  std::int64_t batch() const noexcept { return batch_; }
  const std::vector<Type>& input_types() const noexcept { return plan_.input_types(); }

  // Inputs of exactly input_types(). `images` names the first 1 to batch() of them; what lies behind those is
  // not observed. Throws an Error that names the tensor and the image where a value is NaN or infinite; the
  // first such tensor in the graph's order is the culprit.
  void observe(std::span<const TensorView> inputs, std::span<const std::string> images);

  std::int64_t images() const noexcept { return images_; }
  std::size_t memory_bytes() const noexcept;  // activations, packed weights, outputs and observers

  // With the channel statistics that correct_biases and equalize() want. Throws when no image has been observed.
  Ranges ranges() const;

 private:
  struct Watched {
    std::string name;
    bool wants_range = false, wants_means = false, wants_histogram = false;
    std::size_t input = 0;  // which graph input it is; npos: it is made by a node
    Observer observer;
    ChannelMeans means;
    ChannelHistogram histogram;
    std::vector<RangeAfter> history;
  };
  static std::vector<Watched> watch_list(const Graph& graph, const RewriteOptions& quantize,
                                         const CalibratorOptions& calibrator);
  static std::vector<std::string> made_by_nodes(const std::vector<Watched>& watched);
  void watch(Watched& watched, const TensorView& view, Layout layout, std::int64_t images);
  void note_ranges();
  void check_finite(std::span<const std::string> images) const;

  CalibratorOptions calibrator_;
  const Threads& threads_;
  std::vector<Watched> watched_;  // graph inputs, then what the plan observes, in its order
  std::size_t inputs_ = 0;        // how many of them are graph inputs
  Plan plan_;
  Scratch scratch_;
  std::vector<Tensor> outputs_;
  std::int64_t batch_ = 1, images_ = 0;
};

}  // namespace eke
