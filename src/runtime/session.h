// Running a model: a compiled plan with its memory, fed row by row (an image each) in batches of the size
// that the graph was bound to. One thread of control uses a Session.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/threads.h"
#include "runtime/plan.h"

namespace eke {

class Session {
 public:
  // `graph` has all shapes bound.
  Session(Graph graph, const Threads& threads, const CompileOptions& options = {});

  const Plan& plan() const noexcept { return plan_; }
  const Threads& threads() const noexcept { return scratch_.threads(); }
  std::int64_t batch() const noexcept { return batch_; }
  // Elements of the first input, one batch entry.
  std::int64_t row_size() const noexcept { return row_size_; }

  // `rows` (at most batch()) of row_size() floats for the first input; the rest of the batch is zero. Inputs
  // of another dtype get the values rounded and saturated. Further inputs are zero.
  void run_rows(std::span<const float> rows);
  // Tensors of exactly the input types.
  void run(const std::vector<Tensor>& inputs);

  // Overwritten by the next run, copies of a tensor too.
  const std::vector<Tensor>& outputs() const noexcept { return outputs_; }
  // Row `i` of output `index` as floats: dequantized where it is quantized.
  std::vector<float> output_row(std::size_t index, std::int64_t row) const;
  std::vector<float> output_values(std::size_t index) const;  // all rows

  // As run_rows; `observe` gets each value that the CompileOptions name, as floats in the graph's order.
  using ObserveValues = std::function<void(std::size_t index, std::vector<float> values)>;
  void run_rows_observed(std::span<const float> rows, const ObserveValues& observe);

  void run_again(std::span<std::int64_t> step_ns = {});  // with the inputs of the last run

 private:
  void collect_views();

  Plan plan_;
  Scratch scratch_;
  std::vector<Tensor> inputs_, outputs_;
  std::vector<TensorView> input_views_;
  std::vector<MutTensorView> output_views_;
  std::int64_t batch_ = 1, row_size_ = 0;
};

// Throws an Error when a model's input is empty.
void check_has_elements(const Shape& input);

// A batch for timing: pseudo-random, the same on every machine; floats in [-1, 1], integers over their range.
Tensor random_tensor(const Type& type, std::uint32_t seed);

}  // namespace eke
