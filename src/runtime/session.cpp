#include "runtime/session.h"

#include <algorithm>
#include <cmath>

#include "runtime/compile.h"
#include "tensor/values.h"

namespace eke {

namespace {

// In the order of the shape, whatever the layout in memory.
std::vector<float> floats_of(const TensorView& view, Layout layout) {
  const Shape& shape = view.shape();
  std::vector<float> values(static_cast<std::size_t>(view.count()));
  if (layout == Layout::plain) {
    for (std::size_t i = 0; i < values.size(); ++i)
      values[i] = real_value(view, static_cast<std::int64_t>(i));
    return values;
  }
  const std::int64_t channels = shape[1], pixels = shape[2] * shape[3];
  std::size_t at = 0;
  for (std::int64_t n = 0; n < shape[0]; ++n) {
    for (std::int64_t c = 0; c < channels; ++c) {
      for (std::int64_t p = 0; p < pixels; ++p)
        values[at++] = real_value(view, (n * pixels + p) * channels + c);
    }
  }
  return values;
}

}  // namespace

Tensor random_tensor(const Type& type, std::uint32_t seed) {
  Tensor tensor(type);
  std::vector<float> values(static_cast<std::size_t>(tensor.count()));
  const bool integer = is_integer(type.dtype);
  const float offset = type.dtype == DType::i8 ? 128.f : 0.f;
  for (float& value : values) {
    seed = seed * 1664525u + 1013904223u;
    const auto byte = static_cast<float>(seed >> 24);
    value = integer ? byte - offset : byte / 127.5f - 1.f;
  }
  assign(tensor, values);
  return tensor;
}

void check_has_elements(const Shape& input) {
  check(input.count() > 0, "the model's input has shape {}, which holds no element: give --input-shape",
        to_string(input));
}

Session::Session(Graph graph, const Threads& threads, const CompileOptions& options)
    : plan_(compile_and_free(std::move(graph), options)), scratch_(plan_, threads) {
  for (const Type& type : plan_.input_types()) inputs_.emplace_back(type);
  for (const Type& type : plan_.output_types()) outputs_.emplace_back(type);
  for (Tensor& tensor : outputs_) output_views_.push_back(tensor.mutable_view());
  if (!inputs_.empty()) {
    const Shape& shape = inputs_[0].shape();
    check_has_elements(shape);
    batch_ = shape.rank() > 0 ? std::max<std::int64_t>(shape[0], 1) : 1;
    row_size_ = shape.count() / batch_;
  }
}

void Session::run_rows(std::span<const float> rows) {
  check(!inputs_.empty(), "the model has no input");
  assign(inputs_[0], rows);
  run_again();
}

void Session::run(const std::vector<Tensor>& inputs) {
  check(inputs.size() == inputs_.size(), "{} inputs given, the model has {}", inputs.size(), inputs_.size());
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const Type& wanted = inputs_[i].type();
    check(inputs[i].dtype() == wanted.dtype && inputs[i].shape() == wanted.shape,
          "input {} is {}, the model wants {}", i, to_string(inputs[i].type()), to_string(wanted));
    inputs_[i] = inputs[i].with_quant(wanted.quant);
  }
  run_again();
}

void Session::collect_views() {
  input_views_.clear();
  for (const Tensor& tensor : inputs_) input_views_.push_back(tensor.view());
}

void Session::run_again(std::span<std::int64_t> step_ns) {
  collect_views();
  if (step_ns.empty()) {
    plan_.run(input_views_, output_views_, scratch_);
  } else {
    plan_.run_timed(input_views_, output_views_, scratch_, step_ns);
  }
}

void Session::run_rows_observed(std::span<const float> rows, const ObserveValues& observe) {
  assign(inputs_[0], rows);
  collect_views();
  plan_.run_observed(input_views_, output_views_, scratch_, [&](const Observed& observed) {
    observe(observed.index, floats_of(observed.view, observed.layout));
  });
}

std::vector<float> Session::output_values(std::size_t index) const {
  return real_values(outputs_[index].view());
}

std::vector<float> Session::output_row(std::size_t index, std::int64_t row) const {
  const Tensor& tensor = outputs_[index];
  const bool batched = tensor.shape().rank() > 0 && tensor.shape()[0] == batch_;
  const std::int64_t size = batched ? tensor.count() / batch_ : tensor.count();
  const std::int64_t begin = batched ? row * size : 0;
  std::vector<float> values(static_cast<std::size_t>(size));
  const TensorView view = tensor.view();
  for (std::int64_t i = 0; i < size; ++i) values[static_cast<std::size_t>(i)] = real_value(view, begin + i);
  return values;
}

}  // namespace eke
