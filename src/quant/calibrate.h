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
#include "quant/rewrite.h"
#include "runtime/plan.h"
#include "tensor/tensor.h"

namespace eke {

class Calibration {
 public:
  // `graph` is the one that will be quantized, all types known. `threads` must outlive this. Throws as
  // ranges_needed() and compile() do.
  Calibration(const Graph& graph, const QuantizeOptions& quantize, const CalibratorOptions& calibrator,
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

  // Throws when no image has been observed.
  Ranges ranges() const;

 private:
  Calibration(const Graph& graph, const std::vector<std::string>& names, const CalibratorOptions& calibrator,
              const Threads& threads);
  struct Watched {
    std::string name;
    Observer observer;
  };
  void watch(Watched& watched, const TensorView& view, std::int64_t images);
  void check_finite(std::span<const std::string> images) const;

  CalibratorOptions calibrator_;
  const Threads& threads_;
  std::vector<Watched> watched_;         // in the order of ranges_needed()
  std::vector<std::size_t> from_input_;  // the watched values that are graph inputs: per value, which input
  Plan plan_;                            // observes the others
  Scratch scratch_;
  std::vector<Tensor> outputs_;
  std::int64_t batch_ = 1, images_ = 0;
};

}  // namespace eke
